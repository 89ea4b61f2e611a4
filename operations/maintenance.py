"""The tasks that keep the database in shape, and how one of them is run: by one runner at a time, every run a row.

One more task is a line in `TASKS`, and its name in `schemas/operations.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from config import Settings
from database.queries import Query, load
from operations.partitions import Interrupted, Partitions, persistently

QUERIES = load("operations")

logger = logging.getLogger("ccb.maintenance")


@dataclass(frozen=True)
class Run:
    """What a task's work is given.

    :param connection: the worker's login, in autocommit. It holds the task's lock: when it breaks, another begins.
    :param stop: asks to stop at the next opportunity, by raising :class:`operations.partitions.Interrupted`.
    """

    settings: Settings
    connection: psycopg.Connection[dict[str, Any]]
    stop: threading.Event

    def ask(self, query: Query, **values: object) -> Any:
        """The only value that a statement gives, in a transaction of its own."""
        row = self.connection.execute(query.text, [values[name] for name in query.parameters]).fetchone()
        return next(iter(row.values())) if row else None

    def repeat(self, step: Callable[[int], int | None]) -> int:
        """Do steps until one gives nothing, each as often as it takes to get its locks; gives their sum.

        :param step: is given its number, from 0.
        """
        total = number = 0
        while done := persistently(lambda at=number: step(at), self.stop):  # type: ignore[misc]
            total += done
            number += 1
        return total


@dataclass(frozen=True)
class Task:
    """Work and when it is due.

    :param name: also the name of pg_cron's job.
    :param cron: minute, hour, day of the month, month, day of the week; in UTC.
    :param work: does it; gives the number of rows, or None where nothing is counted. For a query: :func:`asking`.
    :param in_database: whether `maintenance_step()` knows it, so that pg_cron can do it without a worker.
    """

    name: str
    cron: str
    work: Callable[[Run], int | None]
    in_database: bool = False


def asking(query: Query) -> Callable[[Run], int | None]:
    """Work that is one statement, which gives the number of rows."""
    return lambda run: run.ask(query)


def in_steps(name: str) -> Callable[[Run], int | None]:
    """Work that `maintenance_step()` does."""

    def work(run: Run) -> int:
        ahead = run.settings.partitions_ahead_months
        return run.repeat(lambda number: run.ask(QUERIES.step, task=name, number=number, months_ahead=ahead))

    return work


def clean_up(run: Run, moment: datetime | None = None) -> int:
    """Retention: whole months are dropped, rows deleted only where a month straddles the limit, a batch at a time.

    :param moment: now, by the database's clock without it.
    """
    settings, moment = run.settings, moment or run.ask(QUERIES.clock)
    deliveries, executions = settings.retention_webhook_deliveries_days, settings.retention_executions_months
    months = {
        "webhook_deliveries": f"{deliveries} days",
        "integration_executions": f"{executions} months",
        "audit_logs": f"{settings.retention_audit_logs_years} years",
    }
    sessions = f"{settings.retention_sessions_days} days"
    rows = {"user_sessions": sessions, "user_tokens": sessions, "idempotency_keys": "0", "rate_limits": "0"}
    rows |= {"login_throttles": "1 day", "maintenance_runs": "90 days"}
    gone = 0
    if not settings.maintenance_database_url:
        logger.warning("MAINTENANCE_DATABASE_URL is not set: months are dropped under a lock")
        run.ask(
            QUERIES.cleanup_old_data, keep_webhook_deliveries=months["webhook_deliveries"],
            keep_integration_executions=months["integration_executions"], keep_sessions=sessions,
            keep_audit_logs=months["audit_logs"],
        )  # fmt: skip
    else:
        with Partitions.opened(settings.maintenance_database_url, run.stop) as partitions:
            gone = sum(partitions.drop_expired(table, keep, moment) for table, keep in months.items())
    for subject, keep in {**months, **rows}.items():
        values = {"subject": subject, "keep": keep, "batch": settings.retention_batch_rows, "moment": moment}
        gone += run.repeat(lambda _, values=values: run.ask(QUERIES.delete_expired, **values))  # type: ignore[misc]
    return gone


def archive(run: Run, moment: datetime | None = None) -> int | None:
    """Months of events that ended long ago go to the schema `archive`.

    :param moment: now, by the database's clock without it.
    """
    keep = f"{run.settings.archive_events_months} months"
    if not run.settings.maintenance_database_url:
        logger.warning("MAINTENANCE_DATABASE_URL is not set: months are archived under a lock")
        run.ask(QUERIES.archive_old_partitions, keep=keep)
        return None
    with Partitions.opened(run.settings.maintenance_database_url, run.stop) as partitions:
        return partitions.archive(keep, moment or run.ask(QUERIES.clock))


TASKS = (
    Task("create-partitions", "0 */6 * * *", in_steps("create-partitions"), in_database=True),
    Task("refresh-views", "*/15 * * * *", in_steps("refresh-views"), in_database=True),
    Task("cleanup-old-data", "0 2 * * *", clean_up),
    Task("cleanup-mail", "15 2 * * *", in_steps("cleanup-mail"), in_database=True),
    Task("archive-old-partitions", "30 2 * * *", archive),
)


def run_task(task: Task, due_since: datetime, settings: Settings, stop: threading.Event) -> bool:
    """Run a task unless another runner has it, or has done it meanwhile.

    :param due_since: when its time last came, by the database's clock.
    :param settings: `worker_database_url` is the login.
    :return: whether it was run; a failure is noted in its row and logged.
    :raises psycopg.Error: the database went away.
    """
    with psycopg.connect(
        settings.worker_database_url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor,
        application_name=f"claude-code-bot {task.name}", connect_timeout=5,
        keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
    ) as connection:  # fmt: skip
        run = Run(settings, connection, stop)
        run_id = run.ask(QUERIES.begin_run, task=task.name, due_since=due_since)
        if run_id is None:
            return False
        rows, fault = None, None
        try:
            rows = task.work(run)
        except Interrupted as interruption:
            fault = str(interruption)
        except Exception as error:  # whatever a task raises is what its row should say
            fault = " ".join(str(error).split()) or type(error).__name__
            if stop.is_set():
                logger.info("%s was stopped: %s", task.name, fault)
            else:
                logger.exception("%s failed", task.name)
        run.ask(QUERIES.end_run, run_id=run_id, row_count=rows, error_message=fault)
        return True
