"""Somebody who claims deliveries and reports on them."""

from __future__ import annotations

import json
from typing import Any

from database import Nobody, Pool, statement
from repositories.delivery_queue import Claim, Delivery, DeliveryQueue, Outcome, Report

URL = "https://example.org/hook"
QUEUE = (
    "INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, payload, delivery_attempts)"
    " SELECT organization_id, id, 'webhook.ping', '{}', 0 FROM webhooks WHERE id = %s RETURNING id"
)


class Worker:
    """Somebody who claims and reports."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.deferred: set[str] = set()  # by the last report

    def ask(self, method: str, *values: Any, **named: Any) -> Any:
        """Ask the queue, in a transaction of its own."""
        with statement(Nobody(self._pool)) as connection:
            return getattr(DeliveryQueue(connection), method)(*values, **named)

    def look(self, batch: int = 100, lease: float = 60, after: str | None = None, at_most: int = 1000) -> Claim:
        """Claim deliveries, at most so many of an organization."""
        claim: Claim = self.ask(
            "claim", batch, lease_seconds=lease, after_organization=after, at_once=10, at_once_of_organization=at_most
        )
        return claim

    def claim(self, batch: int = 100, **options: Any) -> list[Delivery]:
        """The deliveries of a look."""
        return self.look(batch, **options).deliveries

    def report(self, deliveries: list[Delivery], outcome: Outcome = "delivered", status: int | None = 200) -> set[str]:
        """Report the same of several."""
        attempt = {"started_at": "2026-01-01T00:00:00Z", "duration_ms": 5, "response_status": status,
                   "response_headers": {"a": "b"}, "response_body": "ok", "error": None}  # fmt: skip
        taken, self.deferred = self.ask(
            "complete", [Report(each, outcome, 60.0, json.dumps(attempt), 0.1) for each in deliveries]
        )
        return set(taken)


def ids(deliveries: list[Delivery]) -> list[str]:
    """Whose they are."""
    return [each.id for each in deliveries]
