"""Requests that are refused before they reach a resource."""

from __future__ import annotations

from database import load
from repositories.repository import Repository


class Requests(Repository):
    """What counts a request that asks the database for nothing else."""

    queries = load("requests")

    def count(self) -> None:
        """Have the caller authenticated and the request counted, which go before any statement."""
        self.connection.execute(self.queries.count)
