"""Webhooks over HTTP."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from tests.service import Person, Service
from tests.web.asking import assert_refused
from tests.web.specimens import webhook

ANY = {"If-Match": "*"}


def statuses(person: Person, made: dict[str, Any]) -> list[str]:
    """The statuses of a webhook's deliveries, the first one first."""
    return [each["status"] for each in person.get(f"/webhooks/{made['id']}/deliveries?sort=created_at").json["items"]]


def rename(person: Person, made: dict[str, Any], name: str) -> None:
    """Change the integration of a webhook."""
    assert person.patch(f"/integrations/{made['integration_id']}", {"name": name}, headers=ANY).status == 200


def test_create_change_and_delete(ann: Person) -> None:
    made = webhook(ann, events=["integration.*", "workflow_execution.completed"], rate_limit=10)
    one = f"/webhooks/{made['id']}"
    assert made["organization_id"] == ann.personal_organization_id
    assert (made["is_active"], made["is_ordered"], made["filter"], made["version"]) == (True, False, None, 1)
    got = ann.get(one).json
    assert "secret" not in got
    assert {**got, "secret": made["secret"]} == made
    change = {
        "url": "https://example.org/other",
        "filter": "$.data.version > 1",
        "is_ordered": True,
        "rate_limit": None,
    }
    changed = ann.patch(one, change, headers={"If-Match": '"1"'})
    assert (changed.status, changed.etag) == (200, '"2"')
    assert changed.json | change == changed.json
    assert ann.get(f"{one}?as_of={made['created_at']}").json["url"] == "https://example.org/hook"
    assert ann.delete(one, headers={"If-Match": '"2"'}).status == 204
    assert ann.get(one).code == "not_found"
    assert ann.get(f"{one}?include_deleted=true").json["deleted_at"] is not None
    assert ann.post(f"{one}/rotate-secret").code == "not_found"
    assert ann.post(f"{one}/restore").json["url"] == "https://example.org/other"


def test_list(ann: Person) -> None:
    integration = ann.integration()["id"]
    first = webhook(ann, integration_id=integration)
    second = webhook(ann, integration_id=integration, url="https://example.org/2", is_active=False)
    other = webhook(ann)
    ids = [each["id"] for each in ann.get(f"/webhooks?integration_id={integration}&sort=created_at").json["items"]]
    assert ids == [first["id"], second["id"]]
    found = ann.get(f"/webhooks?integration_id={integration}&is_active=false").json["items"]
    assert [each["id"] for each in found] == [second["id"]]
    everything = ann.get(f"/webhooks?organization_id={ann.personal_organization_id}").json["items"]
    assert {first["id"], second["id"], other["id"]} <= {each["id"] for each in everything}
    assert not any("secret" in name and name != "previous_secret_expires_at" for each in everything for name in each)


SECRETS = {
    "whsec_" + base64.b64encode(bytes(24)).decode(): True,
    "whsec_" + base64.b64encode(bytes(64)).decode(): True,
    "whsec_" + base64.b64encode(bytes(23)).decode(): False,
    "whsec_" + base64.b64encode(bytes(65)).decode(): False,
    base64.b64encode(bytes(32)).decode(): False,
    "whsec_" + base64.b64encode(bytes(24)).decode()[:-1]: False,
    "whsec_" + "ö" * 32: False,
    "": False,
}


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_of_ones_own(ann: Person, secret: str) -> None:
    body = {"integration_id": ann.integration()["id"], "url": "https://example.org", "events": ["*"], "secret": secret}
    answer = ann.post("/webhooks", body)
    if SECRETS[secret]:
        assert (answer.status, answer.json["secret"]) == (201, secret)
    else:
        assert assert_refused(answer, 422, "invalid")[0]["pointer"] == "/secret"


def test_a_made_up_secret_is_32_random_bytes(ann: Person) -> None:
    secrets = [webhook(ann)["secret"] for _ in range(2)]
    assert len({*secrets}) == 2
    assert [len(base64.b64decode(each.removeprefix("whsec_"))) for each in secrets] == [32, 32]


def test_secrets_are_stored_encrypted_and_nowhere_else(ann: Person, service: Service) -> None:
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    answer = ann.post(
        "/webhooks",
        {"integration_id": ann.integration()["id"], "url": "https://example.org", "events": ["*"], "secret": secret},
        headers={"Idempotency-Key": "shown once"},
    )
    assert answer.headers["Cache-Control"] == "no-store"
    rotated = ann.post(f"/webhooks/{answer.json['id']}/rotate-secret", headers={"Idempotency-Key": "shown again"})
    with service.database.admin() as admin:
        [row] = admin.execute("SELECT * FROM webhooks WHERE id = %s", [answer.json["id"]]).fetchall()
        assert row["previous_secret"].startswith("gAAAA")
        assert row["secret"] != row["previous_secret"]
        for table in ("webhooks", "events", "audit_logs", "webhook_deliveries"):
            for each in (secret, rotated.json["secret"], row["secret"]):
                found = admin.execute(f"SELECT FROM {table} WHERE {table}::text LIKE %s", [f"%{each[8:]}%"]).rowcount
                assert found == (1 if table == "webhooks" and each == row["secret"] else 0), table
        kept = admin.execute("SELECT * FROM idempotency_keys WHERE user_id = %s", [ann.user_id]).fetchall()
        assert all(each["is_encrypted"] and secret.encode() not in each["response_body"] for each in kept)
        assert len(kept) == 2
    log = service.log.read_text()
    assert secret[8:] not in log
    assert rotated.json["secret"][8:] not in log


def test_rotation(ann: Person) -> None:
    made = webhook(ann)
    answer = ann.post(f"/webhooks/{made['id']}/rotate-secret")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json["secret"] not in ("", made["secret"])
    assert answer.json["previous_secret_expires_at"] > made["created_at"]
    own = "whsec_" + base64.b64encode(os.urandom(40)).decode()
    assert ann.post(f"/webhooks/{made['id']}/rotate-secret", {"secret": own}).json["secret"] == own
    refused = ann.post(f"/webhooks/{made['id']}/rotate-secret", {"secret": own}, headers={"If-Match": '"1"'})
    assert refused.code == "stale_version"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"events": []}, "/events"),
        ({"events": ["integration.exploded"]}, "/events"),
        ({"events": ["integration.created", "*.created"]}, "/events"),
        ({"events": None}, "/events"),
        ({"filter": "$.data.new.status"}, "/filter"),
        ({"filter": "nonsense"}, "/filter"),
        ({"filter": "$.a == 1" + " " * 1000}, "/filter"),
        ({"url": "ftp://example.org"}, "/url"),
        ({"url": "example.org"}, "/url"),
        ({"url": None}, "/url"),
        ({"rate_limit": 0}, "/rate_limit"),
        ({"max_concurrency": 1001}, "/max_concurrency"),
    ],
)
def test_what_is_refused(ann: Person, change: dict[str, Any], pointer: str) -> None:
    made = webhook(ann)
    body = {"integration_id": made["integration_id"], "url": "https://example.org/2", "events": ["*"], **change}
    for answer in (ann.post("/webhooks", body), ann.patch(f"/webhooks/{made['id']}", change, headers=ANY)):
        assert assert_refused(answer, 422, "invalid")[0]["pointer"].startswith(pointer), answer.body
    assert ann.get(f"/webhooks/{made['id']}").etag == '"1"'


def test_one_webhook_for_each_url(ann: Person) -> None:
    made = webhook(ann)
    body = {"integration_id": made["integration_id"], "url": made["url"], "events": ["*"]}
    assert assert_refused(ann.post("/webhooks", body), 409, "duplicate")[0]["pointer"] == "/url"
    ann.delete(f"/webhooks/{made['id']}", headers=ANY)
    assert ann.post("/webhooks", body).status == 201
    assert ann.post(f"/webhooks/{made['id']}/restore").code == "duplicate"


def test_of_an_integration_that_is_not_there(ann: Person, bob: Person) -> None:
    for integration in (bob.integration()["id"], "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"):
        answer = ann.post("/webhooks", {"integration_id": integration, "url": "https://example.org", "events": ["*"]})
        assert answer.code == "not_found"


def test_viewers_see_and_developers_make(ann: Person, bob: Person) -> None:
    team = ann.organization()["id"]
    made = webhook(ann, integration_id=ann.integration(organization_id=team)["id"])
    path, body = f"/webhooks/{made['id']}", {**made, "url": "https://example.org/bob"}
    wanted = {name: body[name] for name in ("integration_id", "url", "events")}
    ann.add(team, bob, "viewer")
    assert bob.get(path).status == 200
    assert bob.post("/webhooks", wanted).json["permission"] == "webhooks:create"
    assert bob.post(f"{path}/rotate-secret").json["permission"] == "webhooks:update"
    assert bob.post(f"{path}/test").json["permission"] == "webhook_deliveries:create"
    assert bob.post(f"{path}/recover").json["permission"] == "webhook_deliveries:update"
    ann.patch(f"/organizations/{team}/members/{bob.user_id}", {"role": "developer"}, headers=ANY)
    assert bob.post("/webhooks", wanted).status == 201
    assert bob.delete(path, headers=ANY).json["permission"] == "webhooks:delete"


def test_switched_off_it_keeps_and_switched_on_it_sends_on_request(ann: Person) -> None:
    made = webhook(ann, events=["integration.updated"])
    path = f"/webhooks/{made['id']}"
    rename(ann, made, "1")
    off = ann.post(f"{path}/disable").json
    assert (off["is_active"], off["disabled_reason"]) == (False, "user")
    assert off["disabled_at"] is not None
    rename(ann, made, "2")
    assert statuses(ann, made) == ["held", "held"]
    for step in ("test", "recover"):
        assert ann.post(f"{path}/{step}").code == "conflict"
    on = ann.post(f"{path}/enable").json
    assert (on["is_active"], on["disabled_reason"], on["disabled_at"]) == (True, None, None)
    rename(ann, made, "3")
    assert statuses(ann, made) == ["held", "held", "pending"]
    ann.patch(path, {"is_active": False}, headers=ANY)
    assert statuses(ann, made) == ["held", "held", "held"]
    assert ann.post(f"{path}/enable?recover=true").status == 200
    assert statuses(ann, made) == ["pending", "pending", "pending"]


def test_deleting_cancels_what_waits(ann: Person) -> None:
    made = webhook(ann, events=["integration.updated"])
    rename(ann, made, "1")
    ann.delete(f"/webhooks/{made['id']}", headers=ANY)
    rename(ann, made, "2")
    ann.post(f"/webhooks/{made['id']}/restore")
    assert statuses(ann, made) == ["cancelled"]


def test_health(ann: Person, service: Service) -> None:
    made = webhook(ann, events=["integration.updated"])
    path = f"/webhooks/{made['id']}/health"
    fresh = ann.get(path).json
    nothing = {"attempts": 0, "successes": 0, "success_rate": None, "latency_p50_ms": None, "latency_p95_ms": None}
    assert (fresh["last_24_hours"], fresh["last_7_days"]) == (nothing, nothing)
    assert (fresh["waiting"], fresh["next_attempt_at"], fresh["failure_streak"]) == (0, None, 0)
    for name in "1234":
        rename(ann, made, name)
    oldest = ann.get(f"/webhooks/{made['id']}/deliveries?sort=created_at").json["items"][0]
    waiting = ann.get(path).json
    assert (waiting["waiting"], waiting["oldest_waiting_at"]) == (4, oldest["created_at"])
    assert waiting["next_attempt_at"] == oldest["run_after"]
    with service.database.admin() as admin:
        ids = [row["id"] for row in admin.execute(
            "SELECT id FROM webhook_deliveries WHERE webhook_id = %s ORDER BY event_position", [made["id"]]
        )]  # fmt: skip
        attempt = (
            "jsonb_build_object("
            "'started_at', now() - %s::interval, 'duration_ms', %s::float, 'response_status', %s::int)"
        )
        for delivery, age, took, status in zip(
            [ids[0], *ids], ("1 hour", "2 hours", "3 hours", "2 days", "9 days"), (100, 200, 300, 400, 500),
            (200, 503, None, 204, 200), strict=True,
        ):  # fmt: skip
            admin.execute(
                f"UPDATE webhook_deliveries SET status = 'delivered', attempts = attempts || {attempt} WHERE id = %s",
                [age, took, status, delivery],
            )
    measured = ann.get(path).json
    assert measured["waiting"] == 0
    assert measured["last_24_hours"] == {
        "attempts": 3, "successes": 1, "success_rate": 33.33, "latency_p50_ms": 200, "latency_p95_ms": 290
    }  # fmt: skip
    assert (measured["last_7_days"]["attempts"], measured["last_7_days"]["success_rate"]) == (4, 50.0)
