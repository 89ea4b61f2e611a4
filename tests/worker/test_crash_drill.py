"""The short form of `bin/bench --drill webhooks`."""

from __future__ import annotations

from benchmarks.webhooks.drill import drill


def test_nothing_is_lost_whatever_is_killed() -> None:
    count = 300
    outcome = drill(count, kill_every=1.0, deadline=120)
    assert sum(outcome.statuses.values()) == count
    assert outcome.statuses.keys() <= {"delivered", "exhausted"}
    assert outcome.statuses["delivered"] > count * 0.99
    assert outcome.unheard == 0
    assert outcome.repeated <= outcome.in_flight, "only what was in flight is repeated"
    assert outcome.kills["worker"] >= 1
    assert outcome.kills["postgresql"] == outcome.kills["receiver"] == 1
