"""The queue as workers share it: claims, leases, and what reports do."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.worker.claiming import QUEUE, URL, Worker, ids
from tests.worker.hooks import Hooks


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


def test_a_webhook_that_is_off_is_left_alone(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    delivery, other = hooks.deliver(webhook, 2)
    claimed = worker.claim(1)
    hooks.run("UPDATE webhooks SET is_active = false WHERE id = %s", webhook)
    assert worker.claim() == []
    assert worker.report(claimed, "pending", 500) == {delivery} or worker.report(claimed, "pending", 500) == {other}
    assert hooks.statuses(webhook) == {"held": 2}


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


def test_another_url_has_not_failed_yet(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    hooks.deliver(webhook)
    hooks.run("UPDATE webhooks SET failing_since = now() - interval '6 days', failure_count = 9 WHERE id = %s", webhook)
    hooks.run("UPDATE webhooks SET url = %s WHERE id = %s", f"{URL}/moved", webhook)
    worker.report(worker.claim(), "pending", 500)
    assert (hooks.hook(webhook)["is_active"], hooks.hook(webhook)["failure_count"]) == (True, 1)


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


def test_reports_wait_for_nobody_who_changes_a_webhook(hooks: Hooks, worker: Worker) -> None:
    busy, other = (hooks.webhook(hooks.organization(), URL) for _ in range(2))
    [late], [soon] = hooks.deliver(busy), hooks.deliver(other)
    claimed = worker.claim()
    hooks.run("BEGIN")
    hooks.run("UPDATE webhooks SET is_active = false WHERE id = %s", busy)
    assert (worker.report(claimed, "pending", 500), worker.deferred) == ({soon}, {late})
    hooks.run("COMMIT")
    assert (worker.report(claimed, "pending", 500), worker.deferred) == ({late}, set())
    assert hooks.statuses(busy) == {"held": 1}


@pytest.mark.parametrize(("change", "status"), [("is_active = false", "held"), ("deleted_at = now()", "cancelled")])
def test_who_switches_off_waits_for_no_report(
    hooks: Hooks, worker: Worker, module_database: Database, change: str, status: str
) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    reported, _ = hooks.deliver(webhook, 2)
    with module_database.admin() as other, other.transaction():
        other.execute("UPDATE webhook_deliveries SET status = 'delivered' WHERE id = %s", [reported])
        other.execute(QUEUE, [webhook])
        hooks.run("SET lock_timeout = '2s'")
        hooks.run(f"UPDATE webhooks SET {change} WHERE id = %s", webhook)
        hooks.run("RESET lock_timeout")
    assert hooks.statuses(webhook) == {"delivered": 1, status: 1, "pending": 1}
    assert worker.claim() == []
    assert hooks.statuses(webhook) == {"delivered": 1, status: 2}, "what was queued meanwhile waits for nobody"


def test_what_has_arrived_has_not_been_cancelled(hooks: Hooks, worker: Worker) -> None:
    webhook = hooks.webhook(hooks.organization(), URL)
    hooks.deliver(webhook, 2)
    arrived, failed = worker.claim()
    hooks.run("UPDATE webhooks SET deleted_at = now() WHERE id = %s", webhook)
    worker.report([arrived])
    worker.report([failed], "pending", 500)
    assert [hooks.get(each.id)["status"] for each in (arrived, failed)] == ["delivered", "cancelled"]


def test_an_event_while_a_webhook_is_switched_on_is_held_or_sent(
    hooks: Hooks, worker: Worker, module_database: Database
) -> None:
    organization = hooks.organization()
    webhook, other = (
        hooks.webhook(
            organization, f"{URL}{number}", is_active=False, events=["integration.updated", "webhook.updated"]
        )
        for number in "12"
    )
    rename = "UPDATE integrations SET name = %s WHERE id = (SELECT integration_id FROM webhooks WHERE id = %s)"
    switch_on = "UPDATE webhooks SET is_active = true WHERE id = %s"
    with module_database.admin() as writer:
        with writer.transaction():
            writer.execute(rename, ["held", webhook])
            hooks.run("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                hooks.run(switch_on, webhook)
        with writer.transaction():  # who changes a webhook may switch on others too
            writer.execute("UPDATE webhooks SET rate_limit = 1 WHERE id = %s", [webhook])
            hooks.run(switch_on, other)
            hooks.run("UPDATE webhooks SET is_active = false WHERE id = %s", other)
            hooks.run("RESET lock_timeout")
        hooks.run("DELETE FROM webhook_deliveries WHERE event_type = 'webhook.updated'")
        assert hooks.statuses(webhook) == {"held": 1}
        hooks.run("BEGIN")
        hooks.run(switch_on, webhook)
        writer.execute(rename, ["sent", webhook])
        writer.execute(rename, ["settled", other])
        hooks.run("COMMIT")
    [sent] = worker.claim()
    assert sent.webhook_id == webhook
    assert hooks.statuses(webhook) == {"held": 1, "pending": 1}
    assert hooks.statuses(other) == {"held": 1}
