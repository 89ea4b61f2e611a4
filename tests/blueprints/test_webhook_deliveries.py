"""Deliveries over HTTP: looking at them, and sending them again."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.blueprints.test_webhooks import rename, statuses
from tests.service import Person, Service
from tests.web.specimens import webhook


def deliveries(person: Person, made: dict[str, Any]) -> list[dict[str, Any]]:
    """A webhook's deliveries, the first one first."""
    return list(person.get(f"/webhooks/{made['id']}/deliveries?sort=created_at").json["items"])


def settle(service: Service, delivery: dict[str, Any], status: str) -> None:
    """What the worker would write."""
    with service.database.admin() as admin:
        admin.execute("UPDATE webhook_deliveries SET status = %s, attempt = 9 WHERE id = %s", [status, delivery["id"]])


def test_a_test_goes_to_one_webhook_only(ann: Person) -> None:
    integration = ann.integration()["id"]
    made = webhook(ann, integration_id=integration, events=["integration.deleted"])
    other = webhook(ann, integration_id=integration, url="https://example.org/2", events=["webhook.ping"])
    answer = ann.post(f"/webhooks/{made['id']}/test")
    assert answer.status == 202
    assert answer.headers["Location"] == f"/api/v1/webhook-deliveries/{answer.json['id']}"
    got = ann.get(f"/webhook-deliveries/{answer.json['id']}").json
    assert (got["event_type"], got["status"], got["delivery_attempts"]) == ("webhook.ping", "pending", 0)
    assert (got["event_id"], got["attempts"], got["response_status"]) == (None, [], None)
    assert got["payload"]["type"] == "webhook.ping"
    assert got["payload"]["data"] == {
        "webhook_id": made["id"], "integration_id": integration, "organization_id": made["organization_id"]
    }  # fmt: skip
    assert deliveries(ann, other) == []


def test_every_attempt_is_shown(ann: Person, service: Service) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    [delivery] = deliveries(ann, made)
    attempts = [
        {"number": 1, "started_at": "2026-11-22T09:30:00Z", "duration_ms": 15000, "response_status": None,
         "response_headers": None, "response_body": None, "error": "The endpoint did not answer in time."},
        {"number": 2, "started_at": "2026-11-22T09:30:05Z", "duration_ms": 80, "response_status": 200,
         "response_headers": {"content-type": "text/plain"}, "response_body": "ok", "error": None},
    ]  # fmt: skip
    with service.database.admin() as admin:
        admin.execute(
            "UPDATE webhook_deliveries SET attempts = %s, delivery_attempts = 2, status = 'delivered' WHERE id = %s",
            [json.dumps(attempts), delivery["id"]],
        )
    got = ann.get(f"/webhook-deliveries/{delivery['id']}").json
    assert got["attempts"] == attempts
    assert got["payload"]["data"]["new"]["name"] == "1"
    assert "lease_token" not in got


def test_filters(ann: Person, bob: Person, service: Service) -> None:
    made = webhook(ann)
    rename(ann, made, "1")
    rename(ann, made, "2")
    first, second = (each for each in deliveries(ann, made) if each["event_type"] == "integration.updated")
    settle(service, first, "exhausted")
    since, until = quote(first["created_at"]), quote(second["created_at"])
    for path in (f"/webhooks/{made['id']}/deliveries?", f"/webhook-deliveries?webhook_id={made['id']}&"):
        for query, expected in (
            ("status=exhausted", [first]),
            ("event_type=integration.updated", [second, first]),
            (f"event_type=integration.updated&since={since}&until={until}", [first]),
            (f"since={until}", [second]),
        ):
            assert [each["id"] for each in ann.get(path + query).json["items"]] == [each["id"] for each in expected], (
                query
            )
    assert bob.get(f"/webhook-deliveries?webhook_id={made['id']}").json["items"] == []
    assert bob.get(f"/webhook-deliveries/{first['id']}").code == "not_found"
    assert bob.post(f"/webhook-deliveries/{first['id']}/redeliver").code == "not_found"


@pytest.mark.parametrize("status", ["delivered", "exhausted", "pending", "held", "cancelled"])
def test_redeliver(ann: Person, service: Service, status: str) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    [delivery] = deliveries(ann, made)
    settle(service, delivery, status)
    answer = ann.post(f"/webhook-deliveries/{delivery['id']}/redeliver")
    assert (answer.status, answer.json["id"]) == (202, delivery["id"])  # the same webhook-id
    assert (answer.json["status"], answer.json["attempt"]) == ("pending", 0)
    assert answer.json["run_after"] > delivery["run_after"]


def test_nothing_is_redelivered_while_the_webhook_is_off(ann: Person, service: Service) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    [delivery] = deliveries(ann, made)
    settle(service, delivery, "exhausted")
    path, again = f"/webhooks/{made['id']}", f"/webhook-deliveries/{delivery['id']}/redeliver"
    ann.post(f"{path}/disable")
    assert ann.post(again).json["detail"] == "Its webhook is switched off: enable it first."
    # what is on may be out of a key's sight
    answer = ann.key("webhook_deliveries:*").post(again)
    assert (answer.status, answer.json["permission"]) == (403, "webhooks:read")
    ann.delete(path, headers={"If-Match": "*"})
    assert ann.post(again).json["detail"] == "Its webhook has been deleted: restore it first."
    ann.post(f"{path}/restore")
    assert statuses(ann, made) == ["exhausted"]


def test_recover(ann: Person, service: Service) -> None:
    made = webhook(ann, events=["integration.updated"])
    for name in "12345":
        rename(ann, made, name)
    found = deliveries(ann, made)
    for delivery, status in zip(found, ("exhausted", "delivered", "exhausted", "held", "exhausted"), strict=True):
        settle(service, delivery, status)
    window = {"since": found[1]["created_at"], "until": found[4]["created_at"]}
    answer = ann.post(f"/webhooks/{made['id']}/recover", window)
    assert (answer.status, answer.json) == (202, {"recovered": 2, "has_more": False})
    assert statuses(ann, made) == ["exhausted", "delivered", "pending", "pending", "exhausted"]
    assert ann.post(f"/webhooks/{made['id']}/recover", {}).json["recovered"] == 2
    assert ann.post(f"/webhooks/{made['id']}/recover").json["recovered"] == 0


def test_a_recovery_waits_for_no_report(ann: Person, service: Service) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    rename(ann, made, "2")
    first, second = deliveries(ann, made)
    settle(service, first, "held")
    settle(service, second, "held")
    with service.database.admin() as report, report.transaction():
        report.execute("UPDATE webhook_deliveries SET status = 'delivered' WHERE id = %s", [first["id"]])
        answer = ann.post(f"/webhooks/{made['id']}/recover")
        assert (answer.status, answer.json) == (202, {"recovered": 1, "has_more": True})
    assert ann.post(f"/webhooks/{made['id']}/recover").json == {"recovered": 0, "has_more": False}
    assert statuses(ann, made) == ["delivered", "pending"]


@pytest.mark.parametrize(
    ("window", "pointer"),
    [
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "/until"),
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-02-01T01:00:00+01:00"}, "/until"),
        ({"since": "9999-12-31T23:59:59Z"}, "/since"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "/since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "/until"),
        ({"since": "10000-01-01T00:00:00Z"}, "/since"),
        ({"since": "2026-02-30T00:00:00Z"}, "/since"),
        ({"since": "2026-02-01T00:00:00"}, "/since"),
        ({"since": "yesterday"}, "/since"),
        ({"since": 0}, "/since"),
        ({"since": ["2026-02-01T00:00:00Z"]}, "/since"),
        ({"from": "2026-02-01T00:00:00Z"}, "/from"),
    ],
)
def test_windows_that_are_none(ann: Person, service: Service, window: dict[str, Any], pointer: str) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    settle(service, deliveries(ann, made)[0], "exhausted")
    answer = ann.post(f"/webhooks/{made['id']}/recover", window)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), answer.body
    assert statuses(ann, made) == ["exhausted"]


def test_a_window_of_all_times(ann: Person, service: Service) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    settle(service, deliveries(ann, made)[0], "exhausted")
    window = {"since": "0001-01-01T00:00:00Z", "until": "9999-12-31T23:59:59Z"}
    assert ann.post(f"/webhooks/{made['id']}/recover", window).json == {"recovered": 1, "has_more": False}


def test_the_schedule_is_the_organizations(ann: Person) -> None:
    path = f"/organizations/{ann.organization()['id']}"
    good = {"webhooks": {"retry_seconds": [0, 5, 60], "other": 1}, "theme": "dark"}
    assert ann.patch(path, {"settings": good}, headers={"If-Match": "*"}).json["settings"] == good
    for bad in ([], [1] * 21, [-1], ["5"], [1.5], [604_801], 5, [None], [True], [1e300], "5", {"0": 5}):
        answer = ann.patch(path, {"settings": {"webhooks": {"retry_seconds": bad}}}, headers={"If-Match": "*"})
        assert answer.status == 422, bad
        assert answer.json["errors"][0]["pointer"].startswith("/settings/webhooks/retry_seconds"), answer.body
    answer = ann.patch(path, {"settings": {"webhooks": None}}, headers={"If-Match": "*"})
    assert answer.json["settings"] == {"theme": "dark"}
