"""Maintenance and what it left behind; what an operator asks of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from database import Query, Row, load
from errors import NotFound
from repositories.repository import Order, Page, Repository

QUERIES = load("operations")

NEEDS = {
    "slow-queries": "statements", "connections": "activity", "locks": "activity", "replication": "activity",
    "running-queries": "activity",
    "unused-indexes": "counters", "missing-indexes": "counters", "cache-hit-rate": "counters",
}  # fmt: skip

#: What can be asked, by its name in paths and on the command line.
REPORTS: dict[str, Query] = {
    "table-sizes": QUERIES.table_sizes,
    "slow-queries": QUERIES.slow_queries,
    "unused-indexes": QUERIES.unused_indexes,
    "duplicate-indexes": QUERIES.duplicate_indexes,
    "missing-indexes": QUERIES.missing_indexes,
    "connections": QUERIES.connections,
    "locks": QUERIES.locks,
    "cache-hit-rate": QUERIES.cache_hit_rate,
    "bloat": QUERIES.bloat,
    "transaction-id-age": QUERIES.transaction_id_age,
    "replication": QUERIES.replication,
    "partitions": QUERIES.partitions,
    "backups": QUERIES.backups,
    "failing-webhooks": QUERIES.failing_webhooks,
    "running-queries": QUERIES.running_queries,
    "invalid-indexes": QUERIES.invalid_indexes,
    "gauges": QUERIES.gauge_report,
}


@dataclass(frozen=True)
class Report:
    """The rows of a report, and what one has to know to read them."""

    rows: list[Row]
    note: str | None


class Operations(Repository):
    """Procedures that keep the database in shape, and what an operator asks of it."""

    queries = load("operations")

    def clock(self) -> datetime:
        """The database's clock."""
        moment: datetime = self.connection.one(self.queries.clock)["moment"]
        return moment

    def tasks_on_pg_cron(self) -> set[str]:
        """The tasks that pg_cron keeps the schedule of."""
        return {row["task"] for row in self.connection.many(self.queries.tasks_on_pg_cron)}

    def is_waiting(self, task: str, due_since: datetime) -> bool:
        """Whether nobody runs a task that was asked for, is due since then, or was left unfinished."""
        return bool(self.connection.one(self.queries.is_waiting, task=task, due_since=due_since)["is_waiting"])

    def request_run(self, task: str) -> Row:
        """Have the worker do a task now; a request that still waits is given again.

        :raises errors.Forbidden: the caller may not have anything run.
        """
        return self.get_run(self.connection.one(self.queries.request, task=task)["id"])

    def get_run(self, run_id: UUID) -> Row:
        """One run.

        :raises errors.NotFound: there is none, or the caller is no operator.
        """
        row = self.connection.maybe(self.queries.get, run_id=run_id)
        if row is None:
            raise NotFound
        return row

    def find_runs(self, *, order: Order, **filters: Any) -> Page:
        """A page of runs.

        :raises errors.Forbidden: the caller is no operator.
        """
        self.connection.execute(self.queries.expect)
        return self.page(self.queries.list, order, **filters)

    def recent_runs(self) -> list[Row]:
        """The runs of the last three days, newest first.

        :raises errors.Forbidden: the caller is no operator.
        """
        self.connection.execute(self.queries.expect)
        return self.connection.many(self.queries.recent_runs)

    def report(self, name: str) -> Report:
        """What the database says about itself.

        :param name: one of `REPORTS`.
        :raises errors.Forbidden: the caller is no operator.
        """
        rows = self.connection.many(REPORTS[name])
        return Report(rows, note_on(name, self.connection.one(self.queries.observation)))

    def may_run(self) -> bool:
        """Whether the caller may have maintenance done."""
        return bool(self.connection.one(self.queries.may_run)["permitted"])

    def gauges(self) -> list[Row]:
        """Numbers for `/metrics`: `gauge`, `label` and `value`."""
        return self.connection.many(self.queries.gauges)


def note_on(name: str, seen: Row) -> str | None:
    """What a report cannot see here, or since when it counts; None where there is nothing to add.

    :param seen: what `observation` answered.
    """
    needs, notes = NEEDS.get(name), []
    if name == "connections":
        notes.append(f"{seen['connections']} of {seen['max_connections']} connections are in use.")
    if needs == "statements" and not seen["has_statement_statistics"]:
        notes.append(
            "pg_stat_statements is not there: put it into shared_preload_libraries, restart, CREATE EXTENSION "
            "pg_stat_statements."
        )
    if needs in ("statements", "activity") and not seen["sees_everybody"]:
        notes.append("Of others only the number is seen: GRANT pg_read_all_stats TO ccb_observer as a superuser.")
    if needs == "counters" and seen["statistics_since"] is not None:
        notes.append(f"Counted since {seen['statistics_since']:%Y-%m-%d %H:%M} UTC.")
    if name == "bloat":
        notes.append("Dead rows that VACUUM has not cleared yet, as the statistics estimate them.")
    if name == "replication" and seen["is_standby"]:
        notes.append("This server is a standby.")
    return " ".join(notes) or None
