"""Integrations."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import NotFound
from repositories.repository import ManyAtOnce, Order, Page


class Integrations(ManyAtOnce):
    """Integrations that the caller may see and change."""

    queries = load("integrations")

    def get(self, integration_id: object, *, include_deleted: bool = False) -> Row:
        """One integration."""
        return self.connection.one(self.queries.get, integration_id=integration_id, include_deleted=include_deleted)

    def find(self, *, order: Order, q: str | None = None, **filters: Any) -> Page:
        """A page of integrations; with `q` a page of those that match it."""
        if q:
            return self.page(self.queries.search, order, q=q, **filters)
        return self.page(self.queries.list, order, **filters)

    def find_active(self, *, order: Order, **filters: Any) -> Page:
        """A page of active integrations with author, organization and success rate."""
        return self.page(self.queries.list_active, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new draft; made from a template where `template_id` names one.

        :raises errors.NotFound: the caller sees no such template.
        """
        if values.get("template_id") is None:
            return self.connection.one(self.queries.create, **values)
        row = self.connection.maybe(self.queries.create_from_template, **values)
        if row is None:
            raise NotFound(f"There is no template {values['template_id']}.")
        return row

    def update(self, integration_id: object, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into an integration."""
        return self.change(self.queries.update, integration_id=integration_id, versions=versions, changes=changes)

    def set_status(self, integration_id: object, versions: list[int] | None, status: str) -> Row:
        """Move an integration along.

        :raises errors.ForbiddenTransition: there is no way there from here.
        """
        return self.change(self.queries.set_status, integration_id=integration_id, versions=versions, status=status)

    def allowed_statuses(self, status: str) -> list[str]:
        """Where an integration can go from a status."""
        return [row["to_status"] for row in self.connection.many(self.queries.allowed_statuses, status=status)]

    def delete(self, integration_id: object, versions: list[int] | None) -> Row:
        """Delete an integration softly."""
        return self.change(self.queries.delete, integration_id=integration_id, versions=versions)

    def restore(self, integration_id: object) -> Row:
        """Bring a deleted integration back."""
        return self.change(self.queries.restore, integration_id=integration_id, versions=None)

    def statistics(self, integration_id: object) -> Row:
        """How its executions went in the last thirty days."""
        return self.connection.one(self.queries.statistics, integration_id=integration_id)
