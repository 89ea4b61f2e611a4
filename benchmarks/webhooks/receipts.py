"""Which requests that a receiver logged belong to which recorded attempt, and which of the rest a kill explains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

EARLY, LATE = 0.003, 0.05  # seconds: attempts are recorded in milliseconds, and log lines are written a moment later


@dataclass(frozen=True, slots=True)
class Receipt:
    """A request that the receiver logged.

    :param at: seconds since 1970.
    :param port: the sender's.
    """

    delivery: str
    status: int
    at: float
    port: int


@dataclass(frozen=True, slots=True)
class Kill:
    """What was in flight when something was killed.

    :param at: when it was gone, in seconds since 1970.
    :param leased: the deliveries that somebody was at.
    :param ports: of the worker that was killed; None where PostgreSQL was, and with it the reports of everybody.
    :param until: until when requests of then may have arrived.
    """

    what: str
    at: float
    leased: frozenset[str]
    ports: frozenset[int] | None
    until: float

    def explains(self, receipt: Receipt) -> bool:
        """Whether this receipt was of an attempt that was in flight."""
        return (
            receipt.delivery in self.leased
            and receipt.at <= self.until
            and (self.ports is None or receipt.port in self.ports)
        )


@dataclass(frozen=True)
class Account:
    """How receipts and records fit together.

    :param repeated: receipts of attempts that are not recorded, each explained by a kill: the attempt was made again.
    :param unexplained: such receipts that no kill explains.
    :param unheard: attempts that are recorded with an answer that no receiver gave.
    """

    repeated: int
    unexplained: tuple[Receipt, ...]
    unheard: int


def read(log: Path) -> list[Receipt]:
    """A receiver's log."""
    receipts = []
    for line in log.read_text().splitlines():
        delivery, status, at, port = line.split(" ")
        receipts.append(Receipt(delivery, int(status), float(at), int(port)))
    return receipts


def account(
    receipts: Iterable[Receipt], attempts: Mapping[str, Sequence[Mapping[str, Any]]], kills: Sequence[Kill]
) -> Account:
    """Match receipts with the attempts of each delivery, and what is left with kills.

    A kill interrupts one attempt of a delivery at most, so that it explains one receipt of each.

    :param attempts: of each delivery, as it records them.
    """
    of_delivery: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in sorted(receipts, key=lambda each: each.at):
        of_delivery[receipt.delivery].append(receipt)
    repeated, unheard = 0, 0
    unexplained: list[Receipt] = []
    for delivery in of_delivery.keys() | attempts.keys():
        rest = of_delivery.get(delivery, [])
        for attempt in attempts.get(delivery, ()):
            found = next((each for each in rest if _is_of(each, attempt)), None)
            if found is not None:
                rest.remove(found)
            elif attempt["response_status"] is not None:
                unheard += 1
        unused = list(kills)
        for receipt in rest:
            kill = next((each for each in unused if each.explains(receipt)), None)
            if kill is None:
                unexplained.append(receipt)
            else:
                unused.remove(kill)
                repeated += 1
    return Account(repeated, tuple(unexplained), unheard)


def _is_of(receipt: Receipt, attempt: Mapping[str, Any]) -> bool:
    began = datetime.fromisoformat(attempt["started_at"]).timestamp()
    is_meanwhile = began - EARLY <= receipt.at <= began + attempt["duration_ms"] / 1000 + LATE
    return is_meanwhile and attempt["response_status"] in (None, receipt.status)
