"""Webhook deliveries as the worker sees them: claimed, attempted, reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from database import Row, load
from repositories.repository import Repository

Outcome = Literal["delivered", "pending", "exhausted"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One that was claimed.

    :param secret: encrypted, as `previous_secret` is, which signs along where it is given.
    :param attempt: how many there were in this schedule; `retry_seconds` holds the delay before each.
    :param waited: seconds since it was due.
    """

    id: str
    created_at: datetime
    lease_token: str
    organization_id: str
    webhook_id: str
    url: str
    secret: str | None
    previous_secret: str | None
    payload: str
    attempt: int
    retry_seconds: list[int]
    waited: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim took.

    :param ended_at: the organization that it ended with, where it has not gone round all of them.
    """

    deliveries: list[Delivery]
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one attempt.

    :param outcome: the status to take; `pending` is tried again after `delay` seconds.
    :param attempt: when, for how long, and what came back, as a JSON object.
    :param seconds: how long it took.
    """

    delivery: Delivery
    outcome: Outcome
    delay: float
    attempt: str
    seconds: float


class DeliveryQueue(Repository):
    """The queue, in batches."""

    queries = load("delivery_queue")

    def claim(
        self,
        batch: int,
        *,
        lease_seconds: float,
        after_organization: str | None,
        at_once: int,
        at_once_of_organization: int,
    ) -> Claim:
        """Take up to `batch` deliveries that are due.

        :param after_organization: where the last claim ended: this one begins behind it.
        :param at_once: attempts at the same time of a webhook that sets no limit of its own.
        :param at_once_of_organization: attempts at the same time of all webhooks of an organization.
        """
        rows = self.connection.many(
            self.queries.claim,
            batch=batch,
            lease_seconds=lease_seconds,
            after_organization=after_organization,
            at_once=at_once,
            at_once_of_organization=at_once_of_organization,
        )
        ended_at = rows.pop()["organization_id"] if rows and rows[-1]["id"] is None else None
        return Claim([Delivery(**row) for row in rows], ended_at)

    def complete(self, reports: Sequence[Report]) -> tuple[set[str], set[str]]:
        """Report attempts.

        :return: the ids that were taken in, and those to report again since somebody is changing their webhook; of the
            others the lease was lost, and their reports count for nothing.
        """
        rows = self.connection.many(
            self.queries.complete,
            **_leases([each.delivery for each in reports]),
            created_ats=[each.delivery.created_at for each in reports],
            webhook_ids=[each.delivery.webhook_id for each in reports],
            outcomes=[each.outcome for each in reports],
            delays=[each.delay for each in reports],
            reports=f"[{','.join(each.attempt for each in reports)}]",
        )
        taken = {row["id"] for row in rows if row["is_taken"]}
        return taken, {row["id"] for row in rows} - taken

    def extend(self, deliveries: Sequence[Delivery], lease_seconds: float) -> set[str]:
        """Hold leases for longer; gives the ids of those that were not lost."""
        return _ids(self.connection.many(self.queries.extend, **_leases(deliveries), lease_seconds=lease_seconds))

    def release(self, deliveries: Sequence[Delivery]) -> None:
        """Give back what is not going to be attempted."""
        self.connection.execute(self.queries.release, **_leases(deliveries))

    def recover(self) -> int:
        """Free what workers held that are gone; gives the number."""
        return int(self.connection.one(self.queries.recover)["recovered"])

    def waiting(self) -> Row:
        """How many are `due`, and for how many seconds the `oldest` has been."""
        return self.connection.one(self.queries.waiting)


def _leases(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {"ids": [each.id for each in deliveries], "lease_tokens": [each.lease_token for each in deliveries]}


def _ids(rows: list[Row]) -> set[str]:
    return {row["id"] for row in rows}
