"""Events: what happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from database import Row, load, parsed
from errors import NotFound
from repositories.repository import Order, Page, Repository


class Events(Repository):
    """Events of the caller's organizations."""

    queries = load("events")

    def get(self, event_id: object) -> Row:
        """One event."""
        return self.connection.one(self.queries.get, event_id=event_id)

    def find(self, *, order: Order, aggregate_id: object = None, **filters: Any) -> Page:
        """A page of events; in the order of their position a page of those that none will precede any more."""
        rows = self._find(order, aggregate_id, settled=order.key == "position", **filters)
        for row in rows:
            del row["is_settled"]
        return rows

    def find_of_integration(self, integration_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of an integration's events.

        :raises errors.NotFound: the caller does not see the integration.
        """
        self.expect(load("integrations").get, integration_id=integration_id)
        return self.find(order=order, aggregate_type="integration", aggregate_id=integration_id, **filters)

    def follow(self, *, order: Order, aggregate_id: object = None, **filters: Any) -> Page:
        """A page of a stream: what is not settled yet comes last, and each row's `is_settled` tells."""
        return self._find(order, aggregate_id, settled=False, **filters)

    def stream(self) -> Row:
        """Where a stream that starts now begins (`horizon`), and whose events it may show (`organizations`).

        `seconds_left` are those until its credential expires, None for one that does not.
        """
        return self.connection.one(self.queries.stream)

    def state_as_of(self, aggregate_type: str, aggregate_id: object, as_of: datetime) -> Row:
        """An aggregate as it was at a moment, folded from its events.

        :raises errors.NotFound: it was not there then.
        """
        values = {"aggregate_type": aggregate_type, "aggregate_id": str(aggregate_id), "as_of": as_of}
        row = self.connection.maybe(self.queries.state_as_of, **values)
        if row is None:
            raise NotFound("It was not there at that moment, or its events of that time are in the archive.")
        return dict(parsed(row["state"]))

    def membership_as_of(self, organization_id: object, user_id: object, as_of: datetime) -> str:
        """The id of the membership that a user had in an organization at a moment.

        :raises errors.NotFound: there was none yet.
        """
        values = {"organization_id": organization_id, "user_id": str(user_id), "as_of": as_of}
        row = self.connection.maybe(self.queries.membership_as_of, **values)
        if row is None:
            raise NotFound("It was not there at that moment.")
        return str(row["aggregate_id"])

    def _find(self, order: Order, aggregate_id: object, **filters: Any) -> Page:
        if aggregate_id is None:
            return self.page(self.queries.list, order, **filters)
        return self.page(self.queries.list_of_aggregate, order, aggregate_id=aggregate_id, **filters)
