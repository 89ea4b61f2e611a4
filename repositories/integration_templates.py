"""Templates that integrations are made from."""

from __future__ import annotations

from typing import Any

from database import Row, load
from repositories.repository import ManyAtOnce, Order, Page


class IntegrationTemplates(ManyAtOnce):
    """Public templates, and those of the caller's organizations."""

    queries = load("integration_templates")

    def get(self, template_id: str, *, include_deleted: bool = False) -> Row:
        """One template."""
        return self.connection.one(self.queries.get, template_id=template_id, include_deleted=include_deleted)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of templates."""
        return self.page(self.queries.list, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new template."""
        return self.connection.one(self.queries.create, **values)

    def update(self, template_id: str, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into a template."""
        return self.change(self.queries.update, template_id=template_id, versions=versions, changes=changes)

    def delete(self, template_id: str, versions: list[int] | None) -> Row:
        """Delete a template softly."""
        return self.change(self.queries.delete, template_id=template_id, versions=versions)

    def restore(self, template_id: str) -> Row:
        """Bring a deleted template back."""
        return self.change(self.queries.restore, template_id=template_id, versions=None)
