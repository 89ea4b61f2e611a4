"""Organizations, the tenants."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import NotFound
from repositories.repository import Order, Page, Repository


class Organizations(Repository):
    """Organizations that the caller belongs to."""

    queries = load("organizations")

    def get(self, organization_id: object, *, include_deleted: bool = False) -> Row:
        """One organization."""
        return self.connection.one(self.queries.get, organization_id=organization_id, include_deleted=include_deleted)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of organizations."""
        return self.page(self.queries.list, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new organization with the caller as its owner."""
        return self.connection.one(self.queries.create, **values)

    def update(self, organization_id: object, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into an organization."""
        return self.change(self.queries.update, organization_id=organization_id, versions=versions, changes=changes)

    def delete(self, organization_id: object, versions: list[int] | None) -> Row:
        """Delete an organization softly."""
        return self.change(self.queries.delete, organization_id=organization_id, versions=versions)

    def restore(self, organization_id: object) -> Row:
        """Bring a deleted organization back."""
        return self.change(self.queries.restore, organization_id=organization_id, versions=None)

    def usage(self, organization_id: object) -> list[Row]:
        """What an organization has of each thing that is limited, and may have; no limit is None.

        :raises errors.NotFound: the caller may not see it.
        """
        rows = self.connection.many(self.queries.usage, organization_id=organization_id)
        if not rows:
            raise NotFound
        return rows
