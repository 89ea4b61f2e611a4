"""Requests of many items: each is checked, done and answered by itself, all in one transaction."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

import pytest

from tests.service import GREETING, Answer, Person, Service
from tests.waiting import eventually

GOOD = {"body": {"name": "Stripe", "service_type": "rest"}}


def bulk(person: Person, *items: Any, path: str = "/integrations/bulk", **names: Any) -> list[dict[str, Any]]:
    """The answers to some items."""
    answer = person.post(path, {"items": items}, **names)
    assert answer.status == 207, answer.body
    assert [each["index"] for each in answer.json["items"]] == list(range(len(items)))
    return list(answer.json["items"])


def test_create_change_and_delete(ann: Person) -> None:
    first, second, third = (ann.integration() for _ in range(3))
    answers = bulk(
        ann,
        GOOD,
        {"operation": "change", "id": first["id"], "if_match": "1", "body": {"name": "Renamed", "config": {"a": 1}}},
        {"operation": "delete", "id": second["id"], "if_match": '"1"'},
        {"operation": "change", "id": third["id"], "if_match": "*", "body": {"description": None}},
    )
    assert [each["status"] for each in answers] == [201, 200, 204, 200]
    assert answers[0]["body"] == ann.get(f"/integrations/{answers[0]['id']}").json
    assert answers[1]["body"] == ann.get(f"/integrations/{first['id']}").json
    assert (answers[1]["body"]["name"], answers[1]["body"]["version_number"]) == ("Renamed", 2)
    assert answers[2] == {"index": 2, "status": 204, "id": second["id"]}
    assert ann.get(f"/integrations/{second['id']}").code == "not_found"


def test_what_fails_leaves_the_others_alone(ann: Person, bob: Person) -> None:
    mine, theirs = ann.integration(), bob.integration()
    change = {"operation": "change", "body": {"name": "Renamed"}}
    items: list[tuple[Any, int, str, str | None]] = [
        (GOOD, 201, "", None),
        ({"nonsense": 1}, 422, "invalid", "/items/1/nonsense"),
        ({"body": {"name": "x"}}, 422, "invalid", "/items/2/body/service_type"),
        ({"body": []}, 422, "invalid", "/items/3/body"),
        ({}, 422, "invalid", "/items/4/body"),
        ({"operation": "explode", "body": {}}, 422, "invalid", "/items/5/operation"),
        ({**GOOD, "id": mine["id"]}, 422, "invalid", "/items/6/id"),
        ({**GOOD, "if_match": "1"}, 422, "invalid", "/items/7/if_match"),
        ({**change, "if_match": "1"}, 422, "invalid", "/items/8/id"),
        ({**change, "id": "x", "if_match": "1"}, 422, "invalid", "/items/9/id"),
        ({**change, "id": mine["id"]}, 428, "precondition_required", None),
        ({**change, "id": mine["id"], "if_match": "9"}, 412, "stale_version", None),
        ({**change, "id": theirs["id"], "if_match": "*"}, 404, "not_found", None),
        ({"operation": "delete", "id": mine["id"], "if_match": "1", "body": {}}, 422, "invalid", "/items/13/body"),
        # refused by the database, which undoes the item and goes on
        (
            {"body": {**GOOD["body"], "organization_id": str(uuid.uuid4())}},
            404,
            "not_found",
            "/items/14/body/organization_id",
        ),
        ({"body": {**GOOD["body"], "config": {"x": ["a\0"]}}}, 422, "invalid", "/items/15/body/config/x/0"),
        ({"body": {"template_id": "no-such-template"}}, 404, "not_found", None),
        ({**GOOD, "nonsense": 1}, 422, "invalid", "/items/17/nonsense"),
        ({**change, "id": mine["id"], "if_match": "1"}, 200, "", None),
        (GOOD, 201, "", None),
    ]
    answers = bulk(ann, *(item for item, *_ in items))
    for answer, (item, status, code, pointer) in zip(answers, items, strict=True):
        assert answer["status"] == status, (item, answer)
        if code:
            assert (answer["problem"]["code"], answer["problem"]["status"]) == (code, status), item
            assert answer["problem"]["instance"] == "/api/v1/integrations/bulk"
        if pointer is not None:
            assert answer["problem"]["errors"][0]["pointer"] == pointer, item
    made = {answers[0]["id"], answers[-1]["id"]}
    assert {each["id"] for each in ann.get("/integrations").json["items"]} == {mine["id"], *made}
    assert bob.get(f"/integrations/{theirs['id']}").etag == '"1"'


def test_a_constraint_points_into_the_item(ann: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}/dependencies/bulk"
    one = {"body": {"dependency_name": "httpx"}}
    answers = bulk(ann, one, one, {"body": {"dependency_name": "requests"}}, path=path)
    assert [each["status"] for each in answers] == [201, 409, 201]
    assert answers[1]["problem"]["code"] == "duplicate"
    assert answers[1]["problem"]["errors"][0]["pointer"] == "/items/1/body/dependency_name"
    found = ann.get(path.removesuffix("/bulk")).json["items"]
    assert {each["dependency_name"] for each in found} == {"httpx", "requests"}
    change = {"operation": "change", "id": found[0]["id"], "if_match": "1", "body": {"is_required": False}}
    gone = {"operation": "delete", "id": found[1]["id"], "if_match": "1"}
    assert [each["status"] for each in bulk(ann, change, gone, path=path)] == [200, 204]


def test_webhooks_show_their_secrets_once(ann: Person) -> None:
    body = {"integration_id": ann.integration()["id"], "url": "https://example.org/", "events": ["*"]}
    old = ann.post("/webhooks", body).json
    change = {"operation": "change", "id": old["id"], "if_match": "1", "body": {"url": "https://example.org/new"}}
    given = {**body, "url": "https://example.org/own", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    elsewhere, nowhere = {**body, "url": "https://example.org/2"}, {**body, "integration_id": str(uuid.uuid4())}
    items = [{"body": elsewhere}, {"body": given}, change, {"body": nowhere}]
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (ann.post("/webhooks/bulk", {"items": items}, headers=key) for _ in range(2))
    assert [each["status"] for each in first.json["items"]] == [201, 201, 200, 404]
    new, own, changed, _ = (each.get("body") for each in first.json["items"])
    assert (new["secret"][:6], own["secret"]) == ("whsec_", given["secret"])
    assert changed["url"] == "https://example.org/new"
    assert "secret" not in changed
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    assert first.headers["Cache-Control"] == "no-store"  # and so kept encrypted
    kept = ann.run("SELECT response_body FROM idempotency_keys WHERE key = %s", *key.values())
    assert b"whsec_" not in bytes(kept[0]["response_body"])
    assert b"whsec_" not in ann.get("/webhooks").body


def test_workflows(ann: Person) -> None:
    """Each definition is examined by itself, and its faults are pointed at in their item."""
    first, second, third = (ann.workflow() for _ in range(3))
    wrong = {**GREETING, "do": [{"greet": {"set": {}}}]}
    change = {"operation": "change", "if_match": "1"}
    answers = bulk(
        ann,
        {"body": {"definition": GREETING, "name": "New"}},
        {"body": {"definition": wrong}},
        {**change, "id": first["id"], "body": {"definition": {"document": {"version": "0.2.0"}}, "name": "Changed"}},
        {**change, "id": second["id"], "body": {"definition": {"do": wrong["do"]}}},
        {**change, "id": second["id"], "body": {"is_active": False}},
        {"operation": "delete", "id": third["id"], "if_match": "1"},
        {"body": {"name": "Nothing"}},
        path="/workflows/bulk",
    )
    assert [each["status"] for each in answers] == [201, 422, 200, 422, 200, 204, 422]
    assert answers[0]["body"] == ann.get(f"/workflows/{answers[0]['id']}").json
    assert answers[1]["problem"]["errors"][0]["pointer"].startswith("/items/1/body/definition/do/0/greet/set")
    changed = answers[2]["body"]
    assert changed == ann.get(f"/workflows/{first['id']}").json
    assert (changed["name"], changed["version"], changed["definition_version"]) == ("Changed", "0.2.0", 2)
    assert answers[3]["problem"]["errors"][0]["pointer"].startswith("/items/3/body/definition/do/0")
    assert (answers[4]["body"]["is_active"], answers[4]["body"]["definition"]) == (False, second["definition"])
    assert answers[6]["problem"]["errors"][0]["pointer"] == "/items/6/body/definition"
    assert ann.get(f"/workflows/{third['id']}").status == 404
    usage = {
        each["resource"]: each["used"]
        for each in ann.get(f"/organizations/{first['organization_id']}/usage").json["items"]
    }
    assert usage["workflows"] == 3


def test_schedules(ann: Person, bob: Person) -> None:
    workflow = ann.workflow()["id"]
    body = {"name": "Daily", "workflow_id": workflow, "cron_expression": "0 7 * * *"}
    old, gone = (ann.post("/schedules", body).json for _ in range(2))
    answers = bulk(
        ann,
        {"body": {**body, "time_zone": "Europe/Berlin"}},
        {"body": {**body, "cron_expression": "never"}},
        {"body": {**body, "workflow_id": bob.workflow()["id"]}},
        {"operation": "change", "id": old["id"], "if_match": "1", "body": {"is_active": False}},
        {"operation": "change", "id": gone["id"], "if_match": "1", "body": {"time_zone": "Nowhere"}},
        {"operation": "delete", "id": gone["id"], "if_match": "1"},
        path="/schedules/bulk",
    )
    assert [each["status"] for each in answers] == [201, 422, 422, 200, 422, 204]
    assert answers[0]["body"]["next_run_at"] is not None
    assert answers[0]["body"] == ann.get(f"/schedules/{answers[0]['id']}").json
    assert answers[3]["body"]["next_run_at"] is None
    pointers = [each["problem"]["errors"][0]["pointer"] for each in answers if "problem" in each]
    assert pointers == ["/items/1/body/cron_expression", "/items/2/body/workflow_id", "/items/4/body/time_zone"]


def test_templates_are_named_by_their_authors(ann: Person, bob: Person) -> None:
    mine, theirs, new = (f"t-{uuid.uuid4()}" for _ in range(3))
    body = {"name": "REST", "template_data": {}}
    for person, name in ((ann, mine), (bob, theirs)):
        assert person.post("/integration-templates", {**body, "id": name, "is_public": True}).status == 201
    answers = bulk(
        ann,
        {"body": {**body, "id": new}},
        {"body": {**body, "id": new}},
        {"operation": "change", "id": mine, "if_match": "1", "body": {"name": "Renamed"}},
        {"operation": "change", "id": theirs, "if_match": "1", "body": {"name": "Renamed"}},
        {"operation": "delete", "id": mine, "if_match": "2"},
        {"operation": "delete", "id": "no-such-one", "if_match": "*"},
        path="/integration-templates/bulk",
    )
    assert [each["status"] for each in answers] == [201, 409, 200, 403, 204, 404]
    assert [each.get("id") for each in answers] == [new, None, mine, theirs, mine, "no-such-one"]
    assert answers[0]["body"] == ann.get(f"/integration-templates/{new}").json
    assert answers[1]["problem"]["errors"][0]["pointer"] == "/items/1/body/id"
    assert bob.get(f"/integration-templates/{theirs}").json["name"] == "REST"
    assert ann.get(f"/integration-templates/{mine}").status == 404


def test_many_workflows_at_once(ann: Person) -> None:
    began = time.perf_counter()
    answers = bulk(ann, *[{"body": {"definition": GREETING}}] * 1000, path="/workflows/bulk")
    print(f"1,000 workflows in {time.perf_counter() - began:.2f} s")
    assert {each["status"] for each in answers} == {201}


def test_members_are_named_by_their_user(ann: Person, bob: Person, service: Service) -> None:
    eve, team = service.person("Eve"), ann.organization()
    path = f"/organizations/{team['id']}/members"
    for person in (bob, eve):
        ann.add(team["id"], person, "viewer")
    answers = bulk(
        ann,
        {"id": bob.user_id, "if_match": "1", "body": {"role": "developer"}},
        {"id": ann.user_id, "if_match": "1", "body": {"role": "viewer"}},
        {"operation": "delete", "id": eve.user_id, "if_match": "1"},
        {"operation": "create", "body": {"email": eve.email}},
        path=f"{path}/bulk",
    )
    assert [each["status"] for each in answers] == [200, 409, 204, 422]
    assert [each.get("id") for each in answers] == [bob.user_id, ann.user_id, eve.user_id, None]
    assert answers[0]["body"] == ann.get(f"{path}/{bob.user_id}").json
    assert answers[1]["problem"]["code"] == "last_owner"
    assert {each["user_id"]: each["role"] for each in ann.get(path).json["items"]} == {
        ann.user_id: "owner", bob.user_id: "developer",
    }  # fmt: skip
    assert eve.post(f"{path}/bulk", {"items": [{"id": bob.user_id, "if_match": "*", "body": {}}]}).status == 404


def test_events_and_audit_rows_as_usual(ann: Person) -> None:
    made, failed, removed = bulk(
        ann, GOOD, {"body": {"name": "x"}}, {"operation": "delete", "id": ann.integration()["id"], "if_match": "1"}
    )
    events = ann.get(f"/events?aggregate_id={made['id']}").json["items"]
    assert [each["event_type"] for each in events] == ["integration.created"]
    audited = ann.get(f"/audit-logs?resource_id={removed['id']}").json["items"]
    assert [each["action"] for each in audited] == ["integration.deleted", "integration.created"]
    assert failed["status"] == 422


def test_an_idempotency_key_holds_for_the_whole(ann: Person) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"items": [GOOD, {"body": {}}, GOOD]}
    first, again = (ann.post("/integrations/bulk", body, headers=key) for _ in range(2))
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (207, 207, "true")
    assert first.body == again.body
    assert len(ann.get("/integrations").json["items"]) == 2
    assert ann.post("/integrations/bulk", {"items": [GOOD]}, headers=key).code == "idempotency_key_reused"


def test_how_many_items(ann: Person) -> None:
    for items in ([], [GOOD] * 1001, {}, None, "x"):  # type: ignore[var-annotated]
        answer = ann.post("/integrations/bulk", {"items": items})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/items"), items
    answer = ann.post("/integrations/bulk", {"items": [GOOD, "x", None]})
    assert [each["pointer"] for each in answer.json["errors"]] == ["/items/1", "/items/2"]
    assert ann.get("/integrations").json["items"] == []


def test_a_thousand_at_once(ann: Person) -> None:
    began = time.perf_counter()
    answers = bulk(ann, *[GOOD] * 1000)
    print(f"1,000 integrations in {time.perf_counter() - began:.2f} s")
    assert {each["status"] for each in answers} == {201}
    assert len({each["id"] for each in answers}) == 1000


def test_half_of_many_fail_in_the_database(ann: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}/dependencies/bulk"
    items = [{"body": {"dependency_name": f"package {number // 2}"}} for number in range(240)]
    answers = bulk(ann, *items, path=path)
    assert [each["status"] for each in answers] == [201, 409] * 120
    found = ann.get(f"{path.removesuffix('/bulk')}?limit=200").json["items"]
    assert {each["id"] for each in found} == {each["id"] for each in answers[::2]}
    events = ann.get("/events?event_type=integration_dependency.created&limit=200").json["items"]
    assert {each["aggregate_id"] for each in events} == {each["id"] for each in found}


def test_nobody_is_told_what_is_wrong_with_their_items(service: Service) -> None:
    stranger = service.client(**{"X-API-Key": "ccb_" + "0" * 36})
    assert stranger.post("/integrations/bulk", {"items": [{}]}).status == 401
    revoked = service.person("Eve")
    client = revoked.key()
    for each in revoked.get("/api-keys").json["items"]:
        assert revoked.delete(f"/api-keys/{each['id']}", headers={"If-Match": "*"}).status == 204
    assert client.post("/integrations/bulk", {"items": [{}]}).status == 401


def test_a_limit_of_requests_counts_once(ann: Person) -> None:
    client = ann.key(rate_limit=2)
    assert client.post("/integrations/bulk", {"items": [GOOD] * 5}).status == 207
    assert client.post("/integrations/bulk", {"items": [{}]}).status == 207
    assert client.post("/integrations/bulk", {"items": [{}]}).status == 429


def test_a_cut_connection_undoes_the_whole(ann: Person, service: Service) -> None:
    """Half of the items are done, the next waits for a lock, and its connection dies: 503, and nothing was done."""
    integration = ann.integration()
    change = {"operation": "change", "id": integration["id"], "if_match": "*", "body": {"name": "Renamed"}}
    answers: list[Answer] = []
    with service.database.admin() as admin, admin.transaction():
        admin.execute("SELECT FROM integrations WHERE id = %s FOR UPDATE", [integration["id"]])
        body = {"items": [GOOD, GOOD, change, GOOD]}
        thread = threading.Thread(target=lambda: answers.append(ann.post("/integrations/bulk", body)))
        thread.start()
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND"
        eventually(lambda: admin.execute(f"{cut} wait_event_type = 'Lock'").rowcount, "it waits for the lock")
        thread.join()
    assert (answers[0].status, answers[0].code) == (503, "unavailable")
    assert [each["id"] for each in ann.get("/integrations").json["items"]] == [integration["id"]]


@pytest.mark.parametrize("role", ["viewer", "developer"])
def test_what_a_member_may_not_do(ann: Person, bob: Person, role: str) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, role)
    integration = ann.integration(organization_id=team["id"])
    change = {"operation": "change", "id": integration["id"], "if_match": "1", "body": {"name": "Renamed"}}
    delete = {"operation": "delete", "id": integration["id"], "if_match": "*"}
    statuses = [each["status"] for each in bulk(bob, change, delete)]
    assert statuses == ([403, 403] if role == "viewer" else [200, 403])
    audited = ann.get(f"/audit-logs?resource_id={integration['id']}&user_id={bob.user_id}").json["items"]
    refused = [each for each in audited if each["details"]["outcome"] == "refused"]
    assert {each["action"] for each in refused} == (
        {"integration.update", "integration.delete"} if role == "viewer" else {"integration.delete"}
    )
    assert {each["organization_id"] for each in refused} == {team["id"]}
