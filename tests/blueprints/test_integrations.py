"""Integrations over HTTP."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.service import Person, Service

WAYS = {
    "draft": ["validating"],
    "validating": ["draft", "failed", "generating"],
    "generating": ["draft", "failed", "testing"],
    "testing": ["draft", "failed", "reviewing"],
    "reviewing": ["deploying", "draft", "failed"],
    "deploying": ["active", "failed"],
    "active": ["deprecated", "failed", "inactive"],
    "inactive": ["active", "deprecated"],
    "failed": ["deprecated", "draft", "validating"],
    "deprecated": [],
}
# how to reach each status from a draft
ROADS = {
    "draft": [],
    "validating": ["validating"],
    "generating": ["validating", "generating"],
    "testing": ["validating", "generating", "testing"],
    "reviewing": ["validating", "generating", "testing", "reviewing"],
    "deploying": ["validating", "generating", "testing", "reviewing", "deploying"],
    "active": ["validating", "generating", "testing", "reviewing", "deploying", "active"],
    "inactive": ["validating", "generating", "testing", "reviewing", "deploying", "active", "inactive"],
    "failed": ["validating", "failed"],
    "deprecated": ["validating", "failed", "deprecated"],
}


def path_of(person: Person, **values: object) -> str:
    """The path of a new integration."""
    return f"/integrations/{person.integration(**values)['id']}"


def move(person: Person, path: str, *statuses: str) -> None:
    """Move an integration along."""
    for status in statuses:
        answer = person.post(f"{path}/status", {"status": status})
        assert answer.status == 200, answer.body


def test_create_and_get(ann: Person) -> None:
    made = ann.integration(name="Stripe payments", config={"base_url": "https://api.stripe.com"})
    answer = ann.get(f"/integrations/{made['id']}")
    assert answer.status == 200
    assert answer.json == made
    assert answer.etag == '"1"'
    assert made["status"] == "draft"
    assert made["organization_id"] == ann.personal_organization_id


def test_another_tenant_sees_nothing(ann: Person, bob: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}"
    assert bob.get(path).code == "not_found"
    assert bob.patch(path, {"name": "mine"}, headers={"If-Match": "*"}).code == "not_found"
    assert bob.delete(path, headers={"If-Match": "*"}).code == "not_found"
    assert bob.post(f"{path}/status", {"status": "validating"}).code == "not_found"
    assert bob.get("/integrations").json["items"] == []


def test_what_is_left_out_has_a_default(ann: Person) -> None:
    made = ann.integration()
    assert (made["version"], made["config"], made["metadata"], made["capabilities"]) == ("0.1.0", {}, {}, [])
    assert made["author_id"] == ann.user_id
    assert made["deleted_at"] is made["description"] is made["template_id"] is None


def test_create_in_a_team_and_not_in_anothers(ann: Person, bob: Person) -> None:
    team = ann.organization()
    assert ann.integration(organization_id=team["id"])["organization_id"] == team["id"]
    for stranger in (team["id"], str(uuid.uuid4())):
        answer = bob.post("/integrations", {"name": "x", "service_type": "rest", "organization_id": stranger})
        assert answer.code == "not_found"
        # a key that could not anyway learns nothing of whose it is
        answer = bob.key("integrations:read").post(
            "/integrations", {"name": "x", "service_type": "rest", "organization_id": stranger}
        )
        assert (answer.status, answer.json["permission"]) == (403, "integrations:create")


def test_change_is_a_merge_patch(ann: Person) -> None:
    path = path_of(ann, description="old", config={"keep": 1, "drop": 2, "deep": {"a": 1, "b": 2}})
    patch: dict[str, Any] = {
        "description": None,
        "config": {"drop": None, "deep": {"a": 3}, "new": []},
        "capabilities": ["refund"],
    }
    kind = {"Content-Type": "application/merge-patch+json"}
    answer = ann.patch(path, json.dumps(patch).encode(), headers={"If-Match": '"1"', **kind})
    assert answer.status == 200, answer.body
    assert answer.etag == '"2"'
    assert answer.json["description"] is None
    assert answer.json["config"] == {"keep": 1, "deep": {"a": 3, "b": 2}, "new": []}
    assert answer.json["capabilities"] == ["refund"]
    assert answer.json["name"] == "Stripe"
    assert ann.get(path).json == answer.json


@pytest.mark.parametrize(
    "field", ["id", "status", "author_id", "organization_id", "created_at", "version_number", "template_id"]
)
def test_what_cannot_be_changed(ann: Person, field: str) -> None:
    answer = ann.patch(path_of(ann), {field: str(uuid.uuid4())}, headers={"If-Match": "*"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, f"/{field}")


@pytest.mark.parametrize("status", WAYS)
def test_a_status_moves_only_along_its_ways(ann: Person, status: str) -> None:
    path = path_of(ann)
    move(ann, path, *ROADS[status])
    assert ann.get(path).json["status"] == status
    for target in WAYS.keys() - {status} - set(WAYS[status]):
        answer = ann.post(f"{path}/status", {"status": target})
        assert (answer.status, answer.code) == (409, "forbidden_transition"), target
        assert (answer.json["allowed"], answer.json["current"]) == (WAYS[status], status)
    if WAYS[status]:
        answer = ann.post(f"{path}/status", {"status": WAYS[status][0]})
        assert (answer.json["status"], answer.json["allowed"]) == (WAYS[status][0], WAYS[WAYS[status][0]])


def test_moving_to_where_it_is_changes_nothing(ann: Person) -> None:
    answer = ann.post(f"{path_of(ann)}/status", {"status": "draft"})
    assert (answer.status, answer.json["status"], answer.json["allowed"]) == (200, "draft", ["validating"])


def test_active_ones(ann: Person, bob: Person) -> None:
    path = path_of(ann, name="Live")
    path_of(ann, name="Draft")
    assert ann.get("/integrations/active").json["items"] == []
    move(ann, path, *ROADS["active"])
    (live,) = ann.get("/integrations/active").json["items"]
    assert (live["name"], live["status"], live["author_email"]) == ("Live", "active", ann.email)
    assert (live["execution_count"], live["success_rate"]) == (0, 0)
    assert live["deployed_at"] is not None
    assert bob.get("/integrations/active").json["items"] == []
    move(ann, path, "inactive")
    assert ann.get("/integrations/active").json["items"] == []


def test_filters(ann: Person) -> None:
    team = ann.organization()
    mine, theirs = ann.integration(service_type="soap"), ann.integration(organization_id=team["id"])
    move(ann, f"/integrations/{theirs['id']}", "validating")
    for query, expected in {
        "": {mine["id"], theirs["id"]},
        "status=validating": {theirs["id"]},
        "service_type=soap": {mine["id"]},
        f"organization_id={team['id']}": {theirs["id"]},
        f"author_id={ann.user_id}": {mine["id"], theirs["id"]},
        f"author_id={uuid.uuid4()}": set(),
        f"organization_id={uuid.uuid4()}": set(),
        "template_id=nonsense": set(),
        f"status=draft&organization_id={team['id']}": set(),
    }.items():
        assert {each["id"] for each in ann.get(f"/integrations?{query}").json["items"]} == expected, query


def test_search(ann: Person, bob: Person) -> None:
    stripe = ann.integration(name="Stripe payments", description="Takes credit cards")["id"]
    slack = ann.integration(name="Slack alerts", description="Posts when payments fail")["id"]
    for words, expected in {
        "payment": {stripe, slack},
        "stripe": {stripe},
        "payments -slack": {stripe},
        '"credit cards"': {stripe},
        '"cards credit"': set(),
        "slack or stripe": {stripe, slack},
        "nothing": set(),
    }.items():
        query = words.replace(" ", "%20").replace('"', "%22")
        assert {each["id"] for each in ann.get(f"/integrations?q={query}").json["items"]} == expected, words
        assert bob.get(f"/integrations?q={query}").json["items"] == []
    first = ann.get("/integrations?q=payment&limit=1").json
    second = ann.get(f"/integrations?q=payment&cursor={first['next_cursor']}").json
    assert [each["id"] for each in first["items"] + second["items"]] == [slack, stripe]
    assert ann.get("/integrations?q=payment&status=active").json["items"] == []


def test_as_of(ann: Person, bob: Person) -> None:
    made = ann.integration(name="First", config={"a": 1})
    path = f"/integrations/{made['id']}"
    second = ann.patch(path, {"name": "Second", "config": {"b": 2}}, headers={"If-Match": '"1"'}).json
    ann.post(f"{path}/status", {"status": "validating"})
    ann.delete(path, headers={"If-Match": "*"})

    def at(moment: str, **names: str):
        return ann.get(f"{path}?as_of={moment.replace('+', '%2B')}" + "".join(f"&{k}={v}" for k, v in names.items()))

    first = at(made["created_at"])
    assert (first.status, first.etag, first.json["name"], first.json["config"]) == (200, '"1"', "First", {"a": 1})
    then = at(second["updated_at"])
    assert (then.etag, then.json["name"], then.json["config"]) == ('"2"', "Second", {"a": 1, "b": 2})
    assert at("2999-01-01T00:00:00Z").json["status"] == "validating"
    assert at("2000-01-01T00:00:00Z").code == "not_found"
    assert at(made["created_at"], fields="id,name").json == {"id": made["id"], "name": "First"}
    assert bob.get(f"{path}?as_of=2999-01-01T00:00:00Z").code == "not_found"
    assert ann.get(f"{path}?as_of=yesterday").json["errors"][0]["pointer"] == "?as_of"


def test_delete_and_restore(ann: Person) -> None:
    team = ann.organization()
    made = ann.integration(organization_id=team["id"])
    path = f"/integrations/{made['id']}"
    assert ann.post(f"{path}/restore").code == "conflict"
    assert ann.delete(path, headers={"If-Match": '"1"'}).status == 204
    assert ann.get(path).code == "not_found"
    assert ann.get("/integrations").json["items"] == []
    assert ann.patch(path, {"name": "x"}, headers={"If-Match": "*"}).code == "not_found"
    assert ann.delete(path, headers={"If-Match": "*"}).code == "not_found"
    assert ann.post(f"{path}/status", {"status": "validating"}).code == "not_found"
    gone = ann.get(f"{path}?include_deleted=true")
    assert gone.json["deleted_at"] is not None
    assert [each["id"] for each in ann.get("/integrations?include_deleted=true").json["items"]] == [made["id"]]
    restored = ann.post(f"{path}/restore")
    assert (restored.status, restored.json["deleted_at"]) == (200, None)
    assert ann.get(path).json == restored.json
    assert {**restored.json, "updated_at": "", "version_number": 1} == {**made, "updated_at": ""}


def test_who_may_not_delete_sees_no_deleted_ones(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "developer")
    path = path_of(ann, organization_id=team["id"])
    answer = bob.delete(path, headers={"If-Match": "*"})
    assert (answer.status, answer.json["permission"]) == (403, "integrations:delete")
    ann.delete(path, headers={"If-Match": "*"})
    assert bob.get(f"{path}?include_deleted=true").code == "not_found"
    assert bob.get("/integrations?include_deleted=true").json["items"] == []
    assert bob.post(f"{path}/restore").code == "not_found"


def test_authors_change_their_own_while_they_are_members(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "developer")
    path = path_of(bob, organization_id=team["id"])
    membership = f"/organizations/{team['id']}/members/{bob.user_id}"
    assert ann.patch(membership, {"role": "viewer"}, headers={"If-Match": "*"}).status == 200
    assert bob.patch(path, {"name": "still mine"}, headers={"If-Match": "*"}).status == 200
    answer = bob.patch(path_of(ann, organization_id=team["id"]), {"name": "not mine"}, headers={"If-Match": "*"})
    assert (answer.status, answer.json["permission"]) == (403, "integrations:update")
    assert ann.delete(membership, headers={"If-Match": "*"}).status == 204
    assert bob.patch(path, {"name": "gone"}, headers={"If-Match": "*"}).code == "not_found"


def test_create_from_a_template(ann: Person, bob: Person) -> None:
    name = f"rest-{uuid.uuid4()}"
    data = {"config": {"retries": 3, "auth": {"kind": "basic"}}, "capabilities": ["read"], "version": "2.0.0"}
    template = {"id": name, "name": "REST", "service_type": "rest", "template_data": data, "description": "Any REST"}
    assert ann.post("/integration-templates", template).status == 201
    plain = ann.post("/integrations", {"template_id": name})
    assert plain.status == 201, plain.body
    assert (plain.json["name"], plain.json["service_type"], plain.json["version"]) == ("REST", "rest", "2.0.0")
    assert (plain.json["config"], plain.json["capabilities"]) == (data["config"], ["read"])
    own = {"template_id": name, "name": "Mine", "config": {"auth": {"kind": "none"}}, "capabilities": []}
    made = ann.post("/integrations", own).json
    assert (made["name"], made["capabilities"]) == ("Mine", [])
    assert made["config"] == {"retries": 3, "auth": {"kind": "none"}}
    assert made["template_id"] == name
    assert ann.get(f"/integration-templates/{name}").json["usage_count"] == 2
    # another tenant's private template is not there
    assert bob.post("/integrations", {"template_id": name}).code == "not_found"
    assert ann.get(f"/integration-templates/{name}").json["usage_count"] == 2


def test_statistics(ann: Person) -> None:
    path = path_of(ann, name="New")
    answer = ann.get(f"{path}/statistics")
    assert answer.status == 200
    assert (answer.json["name"], answer.json["total_executions"], answer.json["success_rate"]) == ("New", 0, None)


def test_statistics_say_when_they_were_counted(ann: Person, service: Service) -> None:
    path = f"{path_of(ann)}/statistics"
    with service.database.admin() as admin:
        for outcome in ("succeeded", "failed", "running"):
            admin.execute("INSERT INTO maintenance_runs (task, outcome) VALUES ('refresh-views', %s)", [outcome])
        counted = admin.execute("SELECT max(started_at) FROM maintenance_runs WHERE outcome = 'succeeded'").fetchone()
    assert ann.get(path).json["refreshed_at"] == counted["max"].isoformat().replace("+00:00", "Z")
