"""Whose turn it is: limits, rates, order, and going round."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from tests.conftest import Database
from tests.worker.claiming import QUEUE, URL, Worker, ids
from tests.worker.hooks import Hooks


@pytest.mark.parametrize(("limit", "room"), [(None, 10), (3, 3)])
def test_attempts_at_the_same_time(hooks: Hooks, worker: Worker, limit: int | None, room: int) -> None:
    hooks.deliver(hooks.webhook(hooks.organization(), URL, max_concurrency=limit), 30)
    claimed = worker.claim()
    assert len(claimed) == room
    assert worker.claim() == []
    worker.report(claimed[:2])
    assert len(worker.claim()) == 2


def test_ordered_delivery_waits_for_the_one_before(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL, is_ordered=True)
    first, second, third = hooks.deliver(webhook, 3)
    hooks.run("UPDATE webhook_deliveries SET run_after = now() - interval '1 hour' WHERE id = %s", third)
    claimed = worker.claim()
    assert ids(claimed) == [first]
    assert worker.claim() == []
    worker.report(claimed, "pending", 500)
    assert worker.claim() == [], "what failed holds up those behind it"
    hooks.run("UPDATE webhook_deliveries SET run_after = now() WHERE id = %s", first)
    for expected in (first, second, third):
        claimed = worker.claim()
        assert ids(claimed) == [expected]
        worker.report(claimed)


def test_a_test_that_fails_holds_up_no_event(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL, is_ordered=True)
    [event] = hooks.deliver(webhook)
    [test] = hooks.run(QUEUE, webhook)
    claimed = worker.claim()
    assert ids(claimed) == [str(test["id"])]
    worker.report(claimed, "pending", 400)
    assert ids(worker.claim()) == [event]


def test_a_rate(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL, rate_limit=10, max_concurrency=100)
    hooks.deliver(webhook, 50)
    assert 1 <= len(worker.claim()) <= 2
    assert worker.claim() == []
    hooks.run(
        "UPDATE rate_limits SET arrival_at = arrival_at - interval '1 second' WHERE subject = %s", f"webhook {webhook}"
    )
    assert 1 <= len(worker.claim()) <= 2, "what was not used is not saved up"


def test_limits_and_order_hold_for_workers_at_the_same_time(hooks: Hooks, worker: Worker) -> None:
    organization = hooks.organization()
    ordered = hooks.webhook(organization, f"{URL}/ordered", is_ordered=True)
    narrow = hooks.webhook(organization, f"{URL}/narrow", max_concurrency=3)
    wanted = hooks.deliver(ordered, 30)
    hooks.deliver(narrow, 60)
    lock, flying, done = Lock(), Counter[str](), dict[str, list[str]]({ordered: [], narrow: []})
    most: Counter[str] = Counter()

    def work(_: int) -> None:
        while sum(map(len, done.values())) < 90:
            claimed = worker.claim(5)
            with lock:
                flying.update(each.webhook_id for each in claimed)
                most.update({each: max(0, number - most[each]) for each, number in flying.items()})
                for each in claimed:
                    done[each.webhook_id].append(each.id)
                flying.subtract(each.webhook_id for each in claimed)  # before the report lets the next ones go
            worker.report(claimed)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert done[ordered] == wanted
    assert len(set(done[narrow])) == 60
    assert most[ordered] == 1
    assert most[narrow] <= 3


def test_claims_go_round(hooks: Hooks, worker: Worker) -> None:
    noisy, quiet = hooks.organization(), hooks.organization()
    several = [hooks.webhook(noisy, f"{URL}{number}", max_concurrency=100) for number in range(3)]
    for webhook in several:
        hooks.deliver(webhook, 100)
    single = hooks.webhook(quiet, URL, max_concurrency=100)
    hooks.deliver(single, 100)
    shares = Counter(each.webhook_id for each in worker.claim(60))
    assert shares == Counter({single: 30, **dict.fromkeys(several, 10)})
    # and one at a time in turn
    turns, after = [], None
    for _ in range(4):
        [claimed] = worker.claim(1, after=after)
        after = claimed.organization_id
        turns.append(after)
    assert turns[0] != turns[1]
    assert turns[:2] == turns[2:]


def test_an_organization_has_a_limit(hooks: Hooks, worker: Worker) -> None:
    organization = hooks.organization()
    for number in range(30):
        hooks.deliver(hooks.webhook(organization, f"{URL}{number}"), 3)
    claimed = worker.claim(40, at_most=25)
    assert len(claimed) == len({each.webhook_id for each in claimed}) == 25, "one each, for there are more than places"
    assert worker.claim(40, at_most=25) == []
    worker.report(claimed[:5])
    assert len(worker.claim(40, at_most=25)) == 5


def test_an_organizations_limit_holds_for_workers_at_the_same_time(
    hooks: Hooks, worker: Worker, module_database: Database
) -> None:
    organization, other = hooks.organization(), hooks.organization()
    [first] = hooks.deliver(hooks.webhook(organization, f"{URL}1"))
    with module_database.admin() as slow, slow.transaction():
        [claimed] = slow.execute("SELECT * FROM claim_deliveries(10, 60, NULL, 10, 1)").fetchall()
        hooks.deliver(hooks.webhook(organization, f"{URL}2"))
        others = hooks.deliver(hooks.webhook(other, URL))
        assert ids(worker.claim(at_most=1)) == others
    assert str(claimed["id"]) == first
    assert worker.claim(at_most=1) == []


def test_whoever_has_no_room_hides_nobody(hooks: Hooks, worker: Worker) -> None:
    full, other = sorted([hooks.organization(), hooks.organization()])
    for number in range(20):
        hooks.deliver(hooks.webhook(full, f"{URL}{number}", max_concurrency=1), 2)
    rated = [hooks.webhook(full, f"{URL}r{number}", rate_limit=1) for number in range(20)]
    for webhook in rated:
        hooks.deliver(webhook, 2)
    assert len(worker.claim(100)) == 40
    [delivery] = hooks.deliver(hooks.webhook(other, URL))
    for after in (None, full, other):  # each has something due and no room for it
        claimed = worker.claim(2, after=after)
        assert ids(claimed) == [delivery]
        worker.ask("release", claimed)


def test_a_look_that_ends_early_is_continued(hooks: Hooks, worker: Worker) -> None:
    for _ in range(300):  # something waits, nothing is due
        hooks.deliver(hooks.webhook(hooks.organization(), URL), run_after="tomorrow")
    [delivery] = hooks.deliver(hooks.webhook(last := hooks.organization(), URL))
    looks, found = 0, list[str]()
    after: str | None = last
    while not found:
        look = worker.look(2, after=after)
        looks, after, found = looks + 1, look.ended_at, ids(look.deliveries)
        assert found or after is not None
    assert found == [delivery]
    assert looks > 1, "it takes more steps than one look has"


def test_each_of_very_many_webhooks_gets_its_turn(hooks: Hooks, worker: Worker) -> None:
    organization = hooks.organization()
    wanted = {each for n in range(150) for each in hooks.deliver(hooks.webhook(organization, f"{URL}{n}"))}
    claimed: list[str] = []
    while len(claimed) < 150:
        found = ids(worker.claim(20))
        assert found
        claimed += found
    assert set(claimed) == wanted


def test_a_webhook_that_somebody_changes_does_not_hold_up_the_others(hooks: Hooks, worker: Worker) -> None:
    busy, other = (hooks.webhook(hooks.organization(), URL) for _ in range(2))
    hooks.deliver(busy)
    [delivery] = hooks.deliver(other)
    hooks.run("BEGIN")
    hooks.run("UPDATE webhooks SET url = url WHERE id = %s", busy)
    claimed = worker.claim()
    hooks.run("COMMIT")
    assert ids(claimed) == [delivery]
    assert len(worker.claim()) == 1
