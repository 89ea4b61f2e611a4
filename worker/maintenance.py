"""Maintenance on schedule, where pg_cron does not do it (ruling 22): one runner at a time, every run a row."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from database import Nobody, Pool, Query, transaction
from errors import DomainError
from repositories.operations import Operations
from worker.context import Context, Periodic

LOOK_EVERY = 5.0  # seconds

logger = logging.getLogger("ccb.maintenance")


@dataclass(frozen=True)
class Task:
    """A procedure and how often it is due; its name is also pg_cron's."""

    name: str
    query: Query
    every: timedelta
    cron: str


TASKS = (
    Task("create-partitions", Operations.queries.create_partitions, timedelta(hours=6), "0 */6 * * *"),
    Task("refresh-views", Operations.queries.refresh_materialized_views, timedelta(minutes=15), "*/15 * * * *"),
    Task("cleanup-old-data", Operations.queries.cleanup_old_data, timedelta(days=1), "0 2 * * *"),
    Task("cleanup-mail", Operations.queries.cleanup_mail, timedelta(days=1), "15 2 * * *"),
    Task("archive-old-partitions", Operations.queries.archive_old_partitions, timedelta(days=1), "30 2 * * *"),
)


def begin(context: Context) -> Periodic:
    """The kind of work that this is."""
    return Periodic.in_thread(context, "maintenance", Maintenance(context.pool).run_due, LOOK_EVERY)


class Maintenance:
    """Runs what is due, whichever of many workers comes first."""

    def __init__(self, pool: Pool) -> None:
        self._identity = Nobody(pool)

    def run_due(self, stop: threading.Event) -> list[str]:
        """Run each task whose last run is longer ago than its period.

        :return: the names of the tasks that this worker ran.
        :raises errors.Unavailable: the database is away.
        """
        ran = []
        for task in TASKS:
            if stop.is_set():
                break
            with transaction(self._identity) as connection:
                run_id = Operations(connection).begin_run(task.name, task.every)
            if run_id is not None:
                self._run(task, run_id)
                ran.append(task.name)
        return ran

    def _run(self, task: Task, run_id: str) -> None:
        fault = None
        try:
            with transaction(self._identity) as connection:
                connection.execute(task.query)
        except (DomainError, psycopg.Error) as error:
            fault = str(error)
            logger.warning("%s failed: %s", task.name, error)
        with transaction(self._identity) as connection:
            Operations(connection).end_run(run_id, fault)
