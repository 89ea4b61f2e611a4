"""Events over HTTP."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.service import PASSWORD, Person


def of(person: Person, aggregate: str) -> list[dict[str, Any]]:
    """The events of one aggregate, the first one first."""
    return list(person.get(f"/events?aggregate_id={aggregate}&sort=created_at").json["items"])


def test_every_change_leaves_an_event(ann: Person) -> None:
    made = ann.integration(name="First", config={"a": 1})
    path, any_version = f"/integrations/{made['id']}", {"If-Match": "*"}
    ann.call("PATCH", path, {"name": "Second"}, headers={**any_version, "X-Request-Id": "renaming"})
    ann.post(f"{path}/status", {"status": "validating"})
    ann.delete(path, headers=any_version)
    ann.post(f"{path}/restore")
    events = of(ann, made["id"])
    assert [each["event_type"] for each in events] == [
        "integration.created", "integration.updated", "integration.status_changed", "integration.deleted",
        "integration.restored",
    ]  # fmt: skip
    assert [each["version"] for each in events] == [1, 2, 3, 4, 5]
    assert {each["created_by"] for each in events} == {ann.user_id}
    renamed = events[1]
    assert renamed["metadata"] == {"request_id": "renaming"}
    assert {name: renamed["event_data"][side]["name"] for side, name in (("old", "First"), ("new", "Second"))} == {
        "First": "First",
        "Second": "Second",
    }
    moved = events[2]["event_data"]
    assert (moved["old_status"], moved["new_status"], moved["changed_by"]) == ("draft", "validating", ann.user_id)
    assert ann.get(f"/events/{renamed['id']}").json == renamed


def test_events_name_the_key_that_was_used(ann: Person) -> None:
    key = ann.key()
    made = key.post("/integrations", {"name": "x", "service_type": "rest"}).json
    (event,) = of(ann, made["id"])
    assert event["metadata"]["api_key_id"] == key.get("/api-keys/self").json["id"]


def test_events_of_other_tenants_are_not_there(ann: Person, bob: Person) -> None:
    made = ann.integration()
    (event,) = of(ann, made["id"])
    assert bob.get(f"/events/{event['id']}").code == "not_found"
    assert of(bob, made["id"]) == []
    assert bob.get(f"/events?organization_id={ann.personal_organization_id}").json["items"] == []


def test_filters(ann: Person) -> None:
    team = ann.organization()
    made = ann.integration(organization_id=team["id"])
    ann.post(f"/integrations/{made['id']}/status", {"status": "validating"})
    inside = f"organization_id={team['id']}"
    for query, expected in {
        "aggregate_type=integration": {"integration.created", "integration.status_changed"},
        "event_type=integration.created": {"integration.created"},
        "aggregate_type=organization": {"organization.created"},
        "aggregate_type=nonsense": set(),
        f"created_before={quote(team['created_at'])}": set(),
        f"created_after={quote(made['updated_at'])}&aggregate_type=integration": {
            "integration.created",
            "integration.status_changed",
        },
    }.items():
        found = ann.get(f"/events?{inside}&{query}").json["items"]
        assert {each["event_type"] for each in found} == expected, query


def test_no_secret_is_in_any_event(ann: Person) -> None:
    answer = ann.post("/api-keys", {"name": "key", "permissions": ["integrations:read"]}).json
    ann.client.post("/auth/refresh", {"refresh_token": ann.tokens["refresh_token"]})
    fresh = ann.client.post("/auth/login", {"email": ann.email, "password": PASSWORD}).json
    ann.client.headers = {"Authorization": f"Bearer {fresh['access_token']}"}
    text = json.dumps(ann.get("/events?limit=200").json["items"])
    for secret in (answer["key"], PASSWORD, ann.tokens["access_token"], ann.tokens["refresh_token"], "password_hash",
                   "key_hash", "session_token", "refresh_token"):  # fmt: skip
        assert secret not in text


def test_events_cannot_be_written(ann: Person) -> None:
    event = ann.get("/events?limit=1").json["items"][0]["id"]
    for method, path in (("POST", "/events"), ("DELETE", f"/events/{event}"), ("PATCH", f"/events/{event}")):
        assert ann.call(method, path, {}, headers={"If-Match": "*"}).status == 405
