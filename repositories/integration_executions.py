"""Executions of integrations."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import NotFound
from repositories.repository import Order, Page, Repository


class IntegrationExecutions(Repository):
    """What ran, is running or waits to."""

    queries = load("integration_executions")
    parents = load("integrations")

    def get(self, execution_id: object) -> Row:
        """One execution."""
        return self.connection.one(self.queries.get, execution_id=execution_id)

    def find(self, *, order: Order, integration_id: object | None = None, **filters: Any) -> Page:
        """A page of executions, of one integration or of all."""
        if integration_id is None:
            return self.page(self.queries.list, order, **filters)
        return self.page(self.queries.list_of_integration, order, integration_id=integration_id, **filters)

    def find_of(self, integration_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of an integration's executions.

        :raises errors.NotFound: the caller sees no such integration.
        """
        self.expect(self.parents.get, integration_id=integration_id)
        return self.find(order=order, integration_id=integration_id, **filters)

    def create(self, integration_id: object, **values: Any) -> Row:
        """Open an execution, started by hand.

        :raises errors.NotFound: the caller sees no such integration.
        :raises errors.Conflict: it is deprecated.
        """
        row = self.connection.maybe(self.queries.create, integration_id=integration_id, **values)
        if row is None:
            raise NotFound
        return row

    def set_status(self, execution_id: object, versions: list[int] | None, status: str, **outcome: Any) -> Row:
        """Move an execution along; what has ended stays as it is.

        :param outcome: `result`, `error_message`, `duration_ms`; the time it took is counted when left out.
        :raises errors.ForbiddenTransition: there is no way there from here.
        """
        return self.change(
            self.queries.set_status, execution_id=execution_id, versions=versions, status=status, **outcome
        )
