"""Workflows."""

from __future__ import annotations

from typing import Any

from database import Row, load, parsed
from repositories.repository import ManyAtOnce, Order, Page


class Workflows(ManyAtOnce):
    """Workflows that the caller may see and change."""

    queries = load("workflows")

    def get(self, workflow_id: object, *, include_deleted: bool = False) -> Row:
        """One workflow."""
        return self.connection.one(self.queries.get, workflow_id=workflow_id, include_deleted=include_deleted)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of workflows, without their definitions."""
        return self.page(self.queries.list, order, **filters)

    def create(self, definition: dict[str, Any], **values: Any) -> Row:
        """A new workflow with its first version.

        :param definition: one that was accepted.
        """
        return self.connection.one(self.queries.create, definition=definition, **values)

    def lock(self, workflow_id: object, versions: list[int] | None) -> dict[str, Any]:
        """Keep others from changing a workflow until the transaction ends; gives its definition."""
        row = self.change(self.queries.lock, workflow_id=workflow_id, versions=versions)
        return dict(parsed(row["definition"]))

    def update(
        self,
        workflow_id: object,
        versions: list[int] | None,
        changes: dict[str, Any],
        definition: dict[str, Any] | None = None,
    ) -> Row:
        """Merge changes into a workflow.

        :param definition: one that was accepted, which is a new version where it differs; None to keep the present one.
        """
        return self.change(
            self.queries.update,
            workflow_id=workflow_id,
            versions=versions,
            changes=changes,
            definition=definition,
        )

    def delete(self, workflow_id: object, versions: list[int] | None) -> Row:
        """Delete a workflow softly."""
        return self.change(self.queries.delete, workflow_id=workflow_id, versions=versions)

    def restore(self, workflow_id: object) -> Row:
        """Bring a deleted workflow back."""
        return self.change(self.queries.restore, workflow_id=workflow_id, versions=None)
