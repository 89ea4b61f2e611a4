"""Checks of integrations' health."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import Conflict
from repositories.repository import Order, Page, Repository


class IntegrationHealthChecks(Repository):
    """Checks of one integration."""

    queries = load("integration_health_checks")
    parents = load("integrations")

    def get(self, integration_id: object, health_check_id: object) -> Row:
        """One check."""
        return self.connection.one(self.queries.get, integration_id=integration_id, health_check_id=health_check_id)

    def find(self, integration_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of checks.

        :raises errors.NotFound: the caller sees no such integration.
        """
        self.expect(self.parents.get, integration_id=integration_id)
        return self.page(self.queries.list, order, integration_id=integration_id, **filters)

    def create(self, integration_id: object) -> Row:
        """Ask for a check; where one is waiting already, it is that one.

        :raises errors.NotFound: the caller sees no such integration.
        :raises errors.Conflict: it does not say where its health can be asked for.
        """
        integration = self.connection.one(self.parents.get, integration_id=integration_id, include_deleted=False)
        if integration["health_check_url"] is None:
            raise Conflict("The integration has no health_check_url.")
        for query in (self.queries.create, self.queries.pending):
            row = self.connection.maybe(query, integration_id=integration_id)
            if row is not None:
                return row
        # the one that was waiting has been answered in between
        return self.connection.one(self.queries.create, integration_id=integration_id)
