"""Events: what happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from database import Row, load, parsed
from errors import NotFound
from repositories.repository import Order, Repository


class Events(Repository):
    """Events of the caller's organizations."""

    queries = load("events")

    def get(self, event_id: object) -> Row:
        """One event."""
        return self.connection.one(self.queries.get, event_id=event_id)

    def find(self, *, order: Order, **filters: Any) -> list[Row]:
        """A page of events."""
        return self.page(self.queries.list, order, **filters)

    def state_as_of(self, aggregate_type: str, aggregate_id: object, as_of: datetime) -> Row:
        """An aggregate as it was at a moment, folded from its events.

        :raises errors.NotFound: it was not there then.
        """
        values = {"aggregate_type": aggregate_type, "aggregate_id": str(aggregate_id), "as_of": as_of}
        row = self.connection.maybe(self.queries.state_as_of, **values)
        if row is None:
            raise NotFound("It was not there at that moment.")
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
