"""Webhooks."""

from __future__ import annotations

from typing import Any

from database import Row, load
from errors import NotFound
from repositories.repository import Order, Page, Repository


class Webhooks(Repository):
    """Webhooks that the caller may see and change. Secrets come encrypted and are never given back."""

    queries = load("webhooks")

    def get(self, webhook_id: object, *, include_deleted: bool = False) -> Row:
        """One webhook."""
        return self.connection.one(self.queries.get, webhook_id=webhook_id, include_deleted=include_deleted)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of webhooks."""
        return self.page(self.queries.list, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new webhook of an integration.

        :raises errors.NotFound: the caller sees no such integration.
        """
        row = self.connection.maybe(self.queries.create, **values)
        if row is None:
            raise NotFound(f"There is no integration {values['integration_id']}.")
        return row

    def update(self, webhook_id: object, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into a webhook."""
        return self.change(self.queries.update, webhook_id=webhook_id, versions=versions, changes=changes)

    def lock_many(self, ids: list[Any], bodies: list[dict[str, Any]]) -> list[Any]:
        """Lock what many items are about, in an order that all keep.

        :param ids: what is changed or deleted.
        :param bodies: what is created.
        :return: whose usage it is.
        """
        integrations = [body["integration_id"] for body in bodies]
        rows = self.connection.many(self.queries.lock_many, ids=ids, integration_ids=integrations)
        return [row["organization_id"] for row in rows]

    def switch(self, webhook_id: object, versions: list[int] | None, *, is_active: bool) -> Row:
        """Switch a webhook on or off."""
        return self.change(self.queries.switch, webhook_id=webhook_id, versions=versions, is_active=is_active)

    def rotate_secret(self, webhook_id: object, versions: list[int] | None, secret: str) -> Row:
        """Give a webhook another secret; the one before signs along for a day."""
        return self.change(self.queries.rotate_secret, webhook_id=webhook_id, versions=versions, secret=secret)

    def delete(self, webhook_id: object, versions: list[int] | None) -> Row:
        """Delete a webhook softly; what waits for it is cancelled."""
        return self.change(self.queries.delete, webhook_id=webhook_id, versions=versions)

    def restore(self, webhook_id: object) -> Row:
        """Bring a deleted webhook back."""
        return self.change(self.queries.restore, webhook_id=webhook_id, versions=None)

    def health(self, webhook_id: object) -> Row:
        """How its deliveries go and what waits."""
        return self.connection.one(self.queries.health, webhook_id=webhook_id)
