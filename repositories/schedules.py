"""Schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from database import Row, load
from errors import Invalid
from repositories.repository import ManyAtOnce, Order, Page


class Schedules(ManyAtOnce):
    """Schedules that the caller may see and change."""

    queries = load("schedules")

    def get(self, schedule_id: object, *, include_deleted: bool = False) -> Row:
        """One schedule."""
        return self.connection.one(self.queries.get, schedule_id=schedule_id, include_deleted=include_deleted)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of schedules."""
        return self.page(self.queries.list, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new schedule.

        :raises errors.Invalid: the caller sees nothing of the kind that it should run.
        """
        row = self.connection.maybe(self.queries.create, **values)
        if row is None:
            noun = "integration" if values.get("integration_id") is not None else "workflow"
            raise Invalid(errors=[{"pointer": f"/{noun}_id", "detail": f"There is no such {noun}."}])
        return row

    def lock(self, schedule_id: object, versions: list[int] | None) -> Row:
        """Keep others from changing a schedule until the transaction ends; gives it as it is."""
        return self.change(self.queries.lock, schedule_id=schedule_id, versions=versions)

    def lock_many(self, ids: list[Any], bodies: list[dict[str, Any]]) -> list[Any]:
        """Lock what many items are about, in an order that all keep; schedules count in nobody's usage."""
        super().lock_many(ids, bodies)
        return []

    def update(
        self, schedule_id: object, versions: list[int] | None, changes: dict[str, Any], next_run_at: datetime | None
    ) -> Row:
        """Merge changes into a schedule.

        :param next_run_at: when it is due next after the change; None for never.
        """
        return self.change(
            self.queries.update, schedule_id=schedule_id, versions=versions, changes=changes, next_run_at=next_run_at
        )

    def delete(self, schedule_id: object, versions: list[int] | None) -> Row:
        """Delete a schedule softly."""
        return self.change(self.queries.delete, schedule_id=schedule_id, versions=versions)

    def restore(self, schedule_id: object) -> Row:
        """Bring a deleted schedule back; it is due at no time yet."""
        return self.change(self.queries.restore, schedule_id=schedule_id, versions=None)

    def set_next_run(self, schedule_id: object, next_run_at: datetime | None) -> Row:
        """Say when a schedule is due next, which is no new version of it."""
        return self.connection.one(self.queries.set_next_run, schedule_id=schedule_id, next_run_at=next_run_at)

    def find_runs(self, schedule_id: object, *, order: Order) -> Page:
        """A page of the times that a schedule was due.

        :raises errors.NotFound: the caller sees no such schedule.
        """
        self.expect(self.queries.get, schedule_id=schedule_id)
        return self.page(self.queries.list_runs, order, schedule_id=schedule_id)
