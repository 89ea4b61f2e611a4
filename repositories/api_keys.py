"""API keys of services."""

from __future__ import annotations

import uuid
from typing import Any

from database import Row, load
from errors import Conflict, NotFound
from repositories.repository import Order, Repository


class ApiKeys(Repository):
    """The caller's keys, and those of organizations whose keys the caller manages."""

    queries = load("api_keys")

    def get(self, api_key_id: object, *, include_deleted: bool = False) -> Row:
        """One key."""
        return self.connection.one(self.queries.get, api_key_id=api_key_id, include_deleted=include_deleted)

    def get_current(self) -> Row:
        """The key that the request came with.

        :raises errors.NotFound: it came with an access token.
        """
        row = self.connection.maybe(self.queries.get_current)
        if row is None:
            raise NotFound("This request did not come with an API key.")
        return row

    def find(self, *, order: Order, **filters: Any) -> list[Row]:
        """A page of keys."""
        return self.page(self.queries.list, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new key, stored by its hash."""
        return self.connection.one(self.queries.create, **values)

    def update(self, api_key_id: object, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into a key."""
        return self.change(self.queries.update, api_key_id=api_key_id, versions=versions, changes=changes)

    def rotate(self, api_key_id: object, *, overlap_seconds: int, key_hash: str, key_prefix: str) -> Row:
        """A successor with the same name, reach and rate; the old key goes on for the overlap.

        :raises errors.Conflict: it has a successor already, which would be lost.
        """
        old = self.get(api_key_id)
        copied = {name: old[name] for name in ("name", "organization_id", "permissions", "rate_limit", "expires_at")}
        successor = str(uuid.uuid4())
        retired = self.connection.maybe(
            self.queries.retire, api_key_id=api_key_id, rotated_to=successor, overlap_seconds=overlap_seconds
        )
        if retired is None:
            if self.get(api_key_id)["rotated_to"] is not None:
                raise Conflict("It has been rotated already: rotate its successor.")
            self._explain(self.queries.retire, None, {"api_key_id": api_key_id})
        return self.create(id=successor, key_hash=key_hash, key_prefix=key_prefix, **copied)

    def revoke(self, api_key_id: object, versions: list[int] | None) -> Row:
        """End a key at once."""
        return self.change(self.queries.revoke, api_key_id=api_key_id, versions=versions)
