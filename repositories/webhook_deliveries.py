"""Deliveries of webhooks, as their users see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from database import Row, load
from database.translation import refusal
from errors import Conflict
from repositories.repository import Order, Page, Repository

MOST_RECOVERED = 10_000  # in one statement


class WebhookDeliveries(Repository):
    """Deliveries of webhooks that the caller may see."""

    queries = load("webhook_deliveries")
    parents = load("webhooks")

    def get(self, delivery_id: object) -> Row:
        """One delivery with its payload and every attempt."""
        return self.connection.one(self.queries.get, delivery_id=delivery_id)

    def find(self, *, order: Order, webhook_id: object = None, **filters: Any) -> Page:
        """A page of deliveries, of all webhooks or of one."""
        if webhook_id is None:
            return self.page(self.queries.list, order, **filters)
        return self.page(self.queries.list_of_webhook, order, webhook_id=webhook_id, **filters)

    def find_of(self, webhook_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of a webhook's deliveries.

        :raises errors.NotFound: the caller sees no such webhook.
        """
        webhook = self._webhook(webhook_id)
        return self.find(order=order, webhook_id=webhook_id, organization_id=webhook["organization_id"], **filters)

    def ping(self, webhook_id: object) -> Row:
        """Queue a test that only this webhook gets.

        :raises errors.NotFound: the caller sees no such webhook.
        :raises errors.Conflict: it is switched off.
        """
        row = self.connection.maybe(self.queries.ping, webhook_id=webhook_id)
        if row is None:
            self._webhook(webhook_id)
            raise _switched_off()
        return row

    def redeliver(self, delivery_id: object) -> Row:
        """Queue a delivery again, whatever became of it.

        :raises errors.NotFound: the caller sees no such delivery.
        :raises errors.Conflict: its webhook is switched off or deleted.
        :raises errors.Forbidden: the caller may only see it, or not see its webhook.
        """
        row = self.connection.maybe(self.queries.redeliver, delivery_id=delivery_id)
        if row is not None:
            return row
        found = self.get(delivery_id)
        webhook = self.connection.maybe(self.parents.get, webhook_id=found["webhook_id"], include_deleted=False)
        if webhook is None:
            lacking = self.connection.maybe(self.queries.lacking)
            if lacking is not None:
                raise refusal(lacking["permission"])
            raise Conflict("Its webhook has been deleted: restore it first.")
        if not webhook["is_active"]:
            raise _switched_off()
        raise refusal(self.queries.redeliver.permission)

    def recover(self, webhook_id: object, since: datetime | None = None, until: datetime | None = None) -> Row:
        """Queue again what a webhook missed: deliveries that were given up, and those held while it was off.

        :param since: queued at or after; from the beginning when None.
        :param until: queued before; until now when None.
        :return: `recovered`, how many, and `has_more`, whether there are further ones.
        :raises errors.NotFound: the caller sees no such webhook.
        :raises errors.Conflict: it is switched off.
        :raises errors.Forbidden: the caller may only see its deliveries.
        """
        webhook = self._webhook(webhook_id)
        if not webhook["is_active"]:
            raise _switched_off()
        row = self.connection.one(
            self.queries.recover,
            organization_id=webhook["organization_id"],
            webhook_id=webhook_id,
            since=since,
            until=until,
            most=MOST_RECOVERED,
        )
        if not row.pop("is_permitted"):
            raise refusal(self.queries.recover.permission)
        return row

    def _webhook(self, webhook_id: object) -> Row:
        return self.connection.one(self.parents.get, webhook_id=webhook_id, include_deleted=False)


def _switched_off() -> Conflict:
    return Conflict("Its webhook is switched off: enable it first.")
