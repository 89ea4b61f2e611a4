"""What requests of every kind do beside their resource."""

from __future__ import annotations

from typing import Any

from database import load
from repositories.repository import Repository


class Requests(Repository):
    """Counting and locking on behalf of whole requests."""

    queries = load("requests")

    def count(self) -> None:
        """Have the caller authenticated and the request counted, which go before any statement."""
        self.connection.execute(self.queries.count)

    def lock_usage(self, organization_ids: list[Any], template_ids: list[str]) -> None:
        """Lock what counts as things come and go, so that requests of many items wait for each other.

        :param organization_ids: whose it is; None for the one that is meant when none is named.
        """
        ids = [None if each is None else str(each) for each in organization_ids]  # a list is of one type to psycopg
        self.connection.execute(self.queries.lock_usage, organization_ids=ids, template_ids=template_ids)
