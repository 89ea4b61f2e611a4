"""Versions of integrations."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import NotFound
from repositories.repository import Order, Page, Repository


class IntegrationVersions(Repository):
    """Versions of one integration."""

    queries = load("integration_versions")
    parents = load("integrations")

    def get(self, integration_id: object, version_id: object) -> Row:
        """One version."""
        return self.connection.one(self.queries.get, integration_id=integration_id, version_id=version_id)

    def find(self, integration_id: object, *, order: Order) -> Page:
        """A page of versions.

        :raises errors.NotFound: the caller sees no such integration.
        """
        self.expect(self.parents.get, integration_id=integration_id)
        return self.page(self.queries.list, order, integration_id=integration_id)

    def create(self, integration_id: object, **values: Any) -> Row:
        """A new version, not active yet.

        :raises errors.NotFound: the caller sees no such integration.
        """
        row = self.connection.maybe(self.queries.create, integration_id=integration_id, **values)
        if row is None:
            raise NotFound
        return row

    def activate(self, integration_id: object, version_id: object, versions: list[int] | None) -> Row:
        """Make a version the active one; the integration takes over its label and configuration."""
        names = {"integration_id": integration_id, "version_id": version_id}
        self.connection.maybe(self.queries.lock_integration, integration_id=integration_id)
        self.connection.execute(self.queries.deactivate_others, **names)
        row = self.change(self.queries.activate, versions=versions, **names)
        if self.connection.maybe(self.queries.apply, **names) is None:
            raise NotFound
        return row
