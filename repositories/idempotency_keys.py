"""Answers that are kept for repetitions."""

from __future__ import annotations

from typing import Any

from database import Row, load
from repositories.repository import Repository


class IdempotencyKeys(Repository):
    """The caller's idempotency keys; `route` is method and path."""

    queries = load("idempotency_keys")

    def lock(self, route: str, key: str) -> bool:
        """Whether this is the only request with the key that runs now; holds until the transaction ends."""
        return bool(self.connection.one(self.queries.lock, route=route, key=key)["is_free"])

    def find(self, route: str, key: str) -> Row | None:
        """The kept answer."""
        return self.connection.maybe(self.queries.find, route=route, key=key)

    def keep(self, route: str, key: str, **answer: Any) -> None:
        """Keep an answer for 24 hours."""
        self.connection.execute(self.queries.keep, route=route, key=key, **answer)
