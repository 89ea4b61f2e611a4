"""The queue as workers share it: claims, leases, limits, order, fairness, and what reports do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest

from database import Nobody, Pool, statement
from repositories.delivery_queue import Claim, Delivery, DeliveryQueue, Outcome, Report
from tests.conftest import Database
from tests.service import encryption_key
from tests.worker.hooks import Hooks

URL = "https://example.org/hook"


class Worker:
    """Somebody who claims and reports."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

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
        return set(self.ask("complete", [Report(each, outcome, 60.0, json.dumps(attempt), 0.1) for each in deliveries]))


@pytest.fixture(scope="module")
def module_hooks(module_database: Database) -> Iterator[Hooks]:
    made = Hooks(module_database.admin_url, encryption_key())
    yield made
    made.close()


@pytest.fixture
def hooks(module_hooks: Hooks) -> Hooks:
    """With nothing left of the test before."""
    module_hooks.run("DELETE FROM webhook_delivery_leases")
    module_hooks.run("DELETE FROM webhook_deliveries")
    return module_hooks


@pytest.fixture(scope="module")
def worker(module_database: Database) -> Iterator[Worker]:
    pool = Pool(module_database.logins.worker, module_database.settings())
    pool.open()
    yield Worker(pool)
    pool.close()


def ids(deliveries: list[Delivery]) -> list[str]:
    return [each.id for each in deliveries]


def test_a_claim_gives_what_an_attempt_needs(hooks: Hooks, worker: Worker) -> None:
    organization = hooks.organization([0, 7])
    webhook = hooks.webhook(organization, URL)
    [delivery] = hooks.deliver(webhook)
    [claimed] = worker.claim()
    assert (claimed.id, claimed.url, claimed.attempt, claimed.retry_seconds) == (delivery, URL, 0, [0, 7])
    assert (claimed.organization_id, claimed.webhook_id) == (organization, webhook)
    assert claimed.secret == hooks.hook(webhook)["secret"]
    assert claimed.previous_secret is None
    assert json.loads(claimed.payload)["data"] == {"number": 1}


def test_a_secret_signs_along_until_it_expires(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    for lasts, expected in (("1 hour", True), ("-1 second", False)):
        hooks.run(
            "UPDATE webhooks SET previous_secret = secret, previous_secret_expires_at = now() + %s::interval"
            " WHERE id = %s",
            lasts, webhook,
        )  # fmt: skip
        hooks.deliver(webhook)
        [claimed] = worker.claim()
        assert (claimed.previous_secret is not None) is expected
        worker.report([claimed])


def test_nobody_else_gets_what_is_leased(hooks: Hooks, worker: Worker) -> None:
    webhooks = [hooks.webhook(hooks.organization(), f"{URL}{number}", max_concurrency=100) for number in range(4)]
    wanted = {each for webhook in webhooks for each in hooks.deliver(webhook, 50)}
    claimed: list[str] = []
    with ThreadPoolExecutor(4) as threads:
        while len(claimed) < 200:
            rounds = list(threads.map(lambda _: ids(worker.claim(20)), range(4)))
            assert any(rounds)
            claimed += [each for part in rounds for each in part]
    assert Counter(claimed) == Counter(wanted)
    assert worker.claim() == []


def test_a_report_ends_the_lease_and_is_taken_once(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    [delivery] = hooks.deliver(webhook)
    claimed = worker.claim()
    assert worker.report(claimed) == {delivery}
    row = hooks.get(delivery)
    assert (row["status"], row["delivery_attempts"], row["attempt"], row["version"]) == ("delivered", 1, 1, 2)
    assert (row["response_status"], row["response_headers"], row["response_body"]) == (200, {"a": "b"}, "ok")
    assert row["delivered_at"] is not None
    assert [attempt["number"] for attempt in row["attempts"]] == [1]
    assert worker.report(claimed) == set()
    assert hooks.get(delivery) == row
    assert hooks.hook(webhook)["last_success_at"] is not None
    assert worker.claim() == []


def test_the_last_hundred_attempts_are_kept(hooks: Hooks, worker: Worker) -> None:
    [delivery] = hooks.deliver(hooks.webhook(hooks.organization(), URL))
    made = json.dumps([{"number": number} for number in range(1, 100)])
    hooks.run("UPDATE webhook_deliveries SET attempts = %s, delivery_attempts = 99 WHERE id = %s", made, delivery)
    for first, last in ((1, 100), (2, 101)):
        hooks.run("UPDATE webhook_deliveries SET status = 'pending', attempt = 0 WHERE id = %s", delivery)
        worker.report(worker.claim())
        numbers = [attempt["number"] for attempt in hooks.get(delivery)["attempts"]]
        assert (numbers[0], numbers[-1], len(numbers)) == (first, last, 100)


def test_a_lost_lease_reports_nothing(hooks: Hooks, worker: Worker) -> None:
    [delivery] = hooks.deliver(hooks.webhook(hooks.organization(), URL))
    stale = worker.claim(lease=-1)
    assert worker.ask("recover") == 1
    fresh = worker.claim()
    assert ids(fresh) == ids(stale) == [delivery]
    assert fresh[0].lease_token != stale[0].lease_token
    assert worker.report(stale, "exhausted", 500) == set()
    assert worker.ask("extend", stale, 60.0) == set()
    assert worker.ask("extend", fresh, 60.0) == {delivery}
    assert worker.ask("recover") == 0
    worker.ask("release", stale)
    assert worker.claim() == []
    worker.ask("release", fresh)
    assert ids(worker.claim()) == [delivery]


def test_a_failure_waits_for_its_next_attempt(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    [delivery] = hooks.deliver(webhook)
    worker.report(worker.claim(), "pending", 500)
    [row] = hooks.run(
        "SELECT status, attempt, run_after - now() AS wait FROM webhook_deliveries WHERE id = %s", delivery
    )
    assert (row["status"], row["attempt"]) == ("pending", 1)
    assert 50 < row["wait"].total_seconds() <= 60
    assert worker.claim() == []
    assert (hooks.hook(webhook)["failure_count"], hooks.hook(webhook)["failing_since"] is None) == (1, False)
    hooks.run("UPDATE webhook_deliveries SET run_after = now() WHERE id = %s", delivery)
    worker.report(worker.claim(), "exhausted", 500)
    row = hooks.get(delivery)
    assert (row["status"], [each["number"] for each in row["attempts"]]) == ("exhausted", [1, 2])
    hooks.deliver(webhook)
    worker.report(worker.claim())
    assert (hooks.hook(webhook)["failure_count"], hooks.hook(webhook)["failing_since"]) == (0, None)


def test_an_attempt_without_an_answer(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    [delivery] = hooks.deliver(webhook)
    assert worker.report(worker.claim(), "pending", None) == {delivery}
    assert hooks.get(delivery)["response_status"] is None
    assert hooks.hook(webhook)["is_active"]


def test_redelivery_asked_for_meanwhile_is_not_lost(hooks: Hooks, worker: Worker) -> None:
    [delivery] = hooks.deliver(hooks.webhook(hooks.organization(), URL), attempt=9)
    claimed = worker.claim()
    hooks.run("UPDATE webhook_deliveries SET attempt = 0, run_after = now() WHERE id = %s", delivery)
    assert worker.report(claimed, "exhausted", 500) == {delivery}
    assert (hooks.get(delivery)["status"], hooks.get(delivery)["attempt"]) == ("pending", 0)
    assert ids(worker.claim()) == [delivery]


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


def test_a_webhook_that_is_off_is_left_alone(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    delivery, other = hooks.deliver(webhook, 2)
    claimed = worker.claim(1)
    hooks.run("UPDATE webhooks SET is_active = false WHERE id = %s", webhook)
    assert worker.claim() == []
    assert worker.report(claimed, "pending", 500) == {delivery} or worker.report(claimed, "pending", 500) == {other}
    assert hooks.statuses(webhook) == {"held": 2}


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


def disabled_event(hooks: Hooks, webhook: str) -> dict[str, Any]:
    [event] = hooks.run("SELECT * FROM events WHERE aggregate_id = %s AND event_type = 'webhook.disabled'", webhook)
    return event


def test_gone_switches_off_at_once(hooks: Hooks, worker: Worker) -> None:
    organization = hooks.organization()
    webhook = hooks.webhook(organization, URL)
    listener = hooks.webhook(organization, f"{URL}/owner")
    hooks.run("UPDATE webhooks SET events = '{webhook.disabled}', integration_id = (SELECT integration_id FROM webhooks"
              " WHERE id = %s) WHERE id = %s", webhook, listener)  # fmt: skip
    hooks.deliver(webhook, 3)
    worker.report(worker.claim(1), "pending", 410)
    row = hooks.hook(webhook)
    assert (row["is_active"], row["disabled_reason"], row["disabled_at"] is None) == (False, "gone", False)
    assert hooks.statuses(webhook) == {"held": 3}, "nothing is lost"
    assert disabled_event(hooks, webhook)["event_data"]["reason"] == "gone"
    assert hooks.statuses(listener) == {"pending": 1}, "the owner hears of it"


def test_five_days_of_failures_only_switch_off(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    for days, active in ((4, True), (6, False)):
        hooks.deliver(webhook)
        hooks.run("UPDATE webhooks SET failing_since = now() - %s * interval '1 day' WHERE id = %s", days, webhook)
        worker.report(worker.claim(), "pending", 500)
        assert hooks.hook(webhook)["is_active"] is active
    assert hooks.hook(webhook)["disabled_reason"] == "failing"
    assert disabled_event(hooks, webhook)["event_data"]["reason"] == "failing"


def test_one_success_in_five_days_is_enough(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    hooks.deliver(webhook, 2)
    hooks.run("UPDATE webhooks SET failing_since = now() - interval '6 days' WHERE id = %s", webhook)
    worker.report(worker.claim(1))
    worker.report(worker.claim(1), "pending", 500)
    assert hooks.hook(webhook)["is_active"]


def test_the_queue_tells_its_depth_and_age(hooks: Hooks, worker: Worker) -> None:
    assert worker.ask("waiting") == {"due": 0, "oldest": 0.0}
    hooks.deliver(hooks.webhook(hooks.organization(), URL), 3)
    hooks.run("UPDATE webhook_deliveries SET run_after = now() - interval '1 minute'")
    waiting = worker.ask("waiting")
    assert waiting["due"] == 3
    assert 60 <= waiting["oldest"] < 90
