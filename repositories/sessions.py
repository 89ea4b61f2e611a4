"""Sessions of people."""

from __future__ import annotations

from typing import Any

from database import load
from database.translation import refusal
from errors import NotFound
from repositories.repository import Order, Page, Repository


class Sessions(Repository):
    """The caller's sessions."""

    queries = load("sessions")

    def begin(self, **values: Any) -> None:
        """Sign a person in; tokens come hashed."""
        self.connection.execute(self.queries.begin, **values)

    def refresh(self, **values: Any) -> str:
        """Rotate the tokens; gives `rotated`, `repeated`, `reused` or `ended`."""
        return str(self.connection.one(self.queries.refresh, **values)["outcome"])

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of sessions that go on."""
        return self.page(self.queries.list, order, **filters)

    def end(self, session_id: object) -> None:
        """End one of the caller's sessions.

        :raises errors.NotFound: the caller has no such session.
        :raises errors.Forbidden: the caller's key may only see it.
        """
        if not self.connection.execute(self.queries.end, session_id=session_id):
            if self.connection.maybe(self.queries.get, session_id=session_id) is not None:
                raise refusal(self.queries.end.permission)
            raise NotFound

    def end_current(self) -> None:
        """Sign out."""
        self.connection.execute(self.queries.end_current)

    def end_all(self) -> int:
        """Sign out everywhere; gives how many sessions that ended.

        :raises errors.Forbidden: the caller's key may not.
        """
        ended = self.connection.execute(self.queries.end_all)
        lacking = None if ended else self.connection.maybe(self.queries.lacking)
        if lacking is not None:
            raise refusal(lacking["permission"])
        return ended
