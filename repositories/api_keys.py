"""API keys of services."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from database import Row, load
from database.translation import refusal
from errors import Conflict, Forbidden, NotFound
from repositories.repository import Order, Page, Repository


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

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of keys."""
        return self.page(self.queries.list, order, **filters)

    def create(self, **values: Any) -> Row:
        """A new key, stored by its hash.

        :raises errors.Forbidden: the caller may make none, or none that reaches so far.
        """
        with self._within_reach():
            return self.connection.one(self.queries.create, **values)

    def update(self, api_key_id: object, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into a key.

        :raises errors.Forbidden: the caller may not change it, or not so far.
        """
        with self._within_reach():
            return self.change(self.queries.update, api_key_id=api_key_id, versions=versions, changes=changes)

    def rotate(self, api_key_id: object, *, overlap_seconds: int, key_hash: str, key_prefix: str) -> Row:
        """A successor with the same name, reach and rate; the old key goes on for the overlap.

        :raises errors.Conflict: it has expired, or has a successor already, whose life were the rest of the overlap.
        """
        old = self.get(api_key_id)
        copied = {name: old[name] for name in ("name", "organization_id", "permissions", "rate_limit", "expires_at")}
        names = {"api_key_id": api_key_id, "rotated_to": str(uuid.uuid4())}
        if self.connection.maybe(self.queries.succeed, **names) is None:
            successor = self.get(api_key_id)["rotated_to"]
            if successor is None:
                raise refusal(self.queries.succeed.permission)
            raise Conflict(f"It has been rotated: its successor is {successor}. Rotate that one, or make a new key.")
        if old["expires_at"] is not None and old["expires_at"] <= datetime.now(UTC):
            raise Conflict("It has expired, and so would its successor: make a new key.")
        made = self.create(id=names["rotated_to"], key_hash=key_hash, key_prefix=key_prefix, **copied)
        self.change(self.queries.retire, versions=None, api_key_id=api_key_id, overlap_seconds=overlap_seconds)
        return made

    def revoke(self, api_key_id: object, versions: list[int] | None) -> Row:
        """End a key at once."""
        return self.change(self.queries.revoke, api_key_id=api_key_id, versions=versions)

    @contextmanager
    def _within_reach(self) -> Iterator[None]:
        """Say what else it can be: the database only tells that a policy refused."""
        try:
            yield
        except Forbidden as error:
            if self.connection.identity.api_key_id is not None:
                error.detail += " A key gives no more than it has: permissions, requests an hour, time to live."
            raise
