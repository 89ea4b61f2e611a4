"""Maintenance and what it left behind."""

from __future__ import annotations

from datetime import timedelta

from database import load
from repositories.repository import Repository


class Operations(Repository):
    """Procedures that keep the database in shape."""

    queries = load("operations")

    def begin_run(self, task: str, every: timedelta) -> str | None:
        """Claim a run of a task; None where it is not due or another runner has it."""
        row = self.connection.maybe(self.queries.begin_run, task=task, every=every)
        return None if row is None else str(row["id"])

    def end_run(self, run_id: str, error_message: str | None) -> None:
        """Note how a run ended."""
        self.connection.execute(self.queries.end_run, run_id=run_id, error_message=error_message)
