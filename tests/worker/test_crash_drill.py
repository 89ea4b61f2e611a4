"""The short form of `bin/bench --drill webhooks`, and what it counts by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.webhooks.drill import drill
from benchmarks.webhooks.receipts import Account, Kill, Receipt, account


def test_nothing_is_lost_whatever_is_killed() -> None:
    outcome = drill(400, kill_every=1.0, deadline=120)
    assert outcome.faults() == []
    assert outcome.statuses["delivered"] > 396
    assert outcome.kills["worker"] >= 1
    assert outcome.kills["postgresql"] == outcome.kills["receiver"] == 1


def attempt(at: float, status: int | None = 200) -> dict[str, Any]:
    began = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return {"started_at": began, "duration_ms": 10, "response_status": status}


FIRST, AGAIN = Receipt("d", 200, 100.0, 4000), Receipt("d", 200, 104.0, 5000)
KILL = Kill("worker", 100.1, frozenset("d"), frozenset({4000}), 100.6)


@pytest.mark.parametrize(
    ("attempts", "receipts", "kills", "expected"),
    [
        ([attempt(100)], [FIRST], [], Account(0, (), 0)),
        ([attempt(104)], [FIRST, AGAIN], [KILL], Account(1, (), 0)),
        ([attempt(100, None), attempt(104)], [FIRST, AGAIN], [], Account(0, (), 0)),  # its answer got lost: a failure
        ([attempt(100), attempt(104)], [AGAIN], [KILL], Account(0, (), 1)),
        # repeated although nothing, or something else, was killed, or twice for one kill
        ([attempt(104)], [FIRST, AGAIN], [], Account(0, (FIRST,), 0)),
        ([attempt(104)], [FIRST, AGAIN], [Kill("worker", 100.1, frozenset("e"), frozenset({4000}), 100.6)],
         Account(0, (FIRST,), 0)),
        ([attempt(104)], [FIRST, AGAIN], [Kill("worker", 100.1, frozenset("d"), frozenset({1}), 100.6)],
         Account(0, (FIRST,), 0)),
        ([attempt(104)], [FIRST, AGAIN], [Kill("worker", 90.1, frozenset("d"), frozenset({4000}), 90.6)],
         Account(0, (FIRST,), 0)),
        ([attempt(104)], [FIRST, FIRST, AGAIN], [KILL], Account(1, (FIRST,), 0)),
    ],
)  # fmt: skip
def test_what_is_repeated_and_why(
    attempts: list[dict[str, Any]], receipts: list[Receipt], kills: list[Kill], expected: Account
) -> None:
    assert account(receipts, {"d": attempts}, kills) == expected
