"""Maintenance and what it left behind."""

from __future__ import annotations

from datetime import timedelta

from database import Row, load
from repositories.repository import Repository


class Operations(Repository):
    """Procedures that keep the database in shape, and what an operator asks of it."""

    queries = load("operations")

    def begin_run(self, task: str, every: timedelta) -> str | None:
        """Claim a run of a task; None where it is not due or another runner has it."""
        row = self.connection.maybe(self.queries.begin_run, task=task, every=every)
        return None if row is None else str(row["id"])

    def end_run(self, run_id: str, error_message: str | None) -> None:
        """Note how a run ended."""
        self.connection.execute(self.queries.end_run, run_id=run_id, error_message=error_message)

    def attach_archived_partition(self, name: str) -> None:
        """Bring a month of events back from the archive, with its rows.

        :param name: such as `events_y2025m01`.
        """
        self.connection.execute(self.queries.attach_archived_partition, name=name)

    def table_sizes(self) -> list[Row]:
        """How large tables and their indexes are, in bytes and in words, largest first."""
        return self.connection.many(self.queries.table_sizes)

    def unused_indexes(self) -> list[Row]:
        """Indexes that nothing has read since the server's statistics began."""
        return self.connection.many(self.queries.unused_indexes)

    def slow_queries(self) -> list[Row] | None:
        """The statements that took the most time; None where pg_stat_statements is not there to say so."""
        if not self.connection.one(self.queries.has_statement_statistics)["is_available"]:
            return None
        return self.connection.many(self.queries.slow_queries)
