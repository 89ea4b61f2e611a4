"""Dependencies of integrations."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import NotFound
from repositories.repository import Order, Page, Repository


class IntegrationDependencies(Repository):
    """What one integration depends on."""

    queries = load("integration_dependencies")
    parents = load("integrations")

    def get(self, integration_id: object, dependency_id: object) -> Row:
        """One dependency."""
        return self.connection.one(self.queries.get, integration_id=integration_id, dependency_id=dependency_id)

    def find(self, integration_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of dependencies.

        :raises errors.NotFound: the caller sees no such integration.
        """
        self.expect(self.parents.get, integration_id=integration_id)
        return self.page(self.queries.list, order, integration_id=integration_id, **filters)

    def create(self, integration_id: object, **values: Any) -> Row:
        """A new dependency.

        :raises errors.NotFound: the caller sees no such integration.
        """
        row = self.connection.maybe(self.queries.create, integration_id=integration_id, **values)
        if row is None:
            raise NotFound
        return row

    def lock_many(self, integration_id: object, ids: list[Any], bodies: list[dict[str, Any]]) -> list[Any]:
        """Lock what many items are about, in an order that all keep.

        :param ids: what is changed or deleted.
        :param bodies: what is created.
        :return: whose usage it is.
        """
        self.connection.many(self.queries.lock_many, integration_id=integration_id)
        return []

    def update(
        self, integration_id: object, dependency_id: object, versions: list[int] | None, changes: dict[str, Any]
    ) -> Row:
        """Merge changes into a dependency."""
        names = {"integration_id": integration_id, "dependency_id": dependency_id}
        return self.change(self.queries.update, versions=versions, changes=changes, **names)

    def delete(self, integration_id: object, dependency_id: object, versions: list[int] | None) -> Row:
        """Remove a dependency for good."""
        names = {"integration_id": integration_id, "dependency_id": dependency_id}
        return self.change(self.queries.delete, versions=versions, **names)
