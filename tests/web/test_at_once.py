"""The same thing asked for twice, one after the other or at the same moment: it is done once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Database
from tests.service import GREETING, PASSWORD, Answer, Client, Person, Service
from tests.waiting import eventually
from tests.web.asking import assert_refused

NEW = {"name": "Stripe", "service_type": "rest"}


def at_once(*calls: Any) -> list[Answer]:
    """The answers to calls that start at the same moment."""
    start = threading.Barrier(len(calls))

    def run(call: Any) -> Answer:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_a_slug_that_is_taken(eve: Person, other: Person) -> None:
    slug = eve.organization()["slug"]
    for taken in (slug, slug.upper()):
        faults = assert_refused(other.post("/organizations", {"name": "Mine", "slug": taken}), 409, "duplicate")
        assert faults[0]["pointer"] == "/slug"
    mine = other.organization()
    answer = other.patch(f"/organizations/{mine['id']}", {"slug": slug}, headers={"If-Match": "*"})
    assert_refused(answer, 409, "duplicate")
    assert other.get(f"/organizations/{mine['id']}").json == mine


def test_one_slug_for_many_at_once(eve: Person) -> None:
    slug = f"wanted-{uuid.uuid4()}"
    answers = at_once(*[lambda: eve.post("/organizations", {"name": "Mine", "slug": slug})] * 6)
    assert sorted(each.status for each in answers) == [201, 409, 409, 409, 409, 409]
    assert [each["slug"] for each in eve.get("/organizations?limit=200").json["items"]].count(slug) == 1


def test_one_address_for_many_at_once(client: Client, service: Service) -> None:
    name = uuid.uuid4()
    addresses = [f"{name}@example.org", f"{str(name).upper()}@example.org"] * 3
    bodies = [{"email": each, "name": "Twin", "password": PASSWORD} for each in addresses]
    answers = at_once(*[lambda body=body: client.post("/auth/register", body) for body in bodies])
    assert sorted(each.status for each in answers) == [201, 409, 409, 409, 409, 409]
    for each in answers:
        assert each.status == 201 or assert_refused(each, 409, "duplicate")[0]["pointer"] == "/email"
    # whoever lost has left no organization behind
    with service.database.admin() as connection:
        owners = connection.execute(
            "SELECT count(*) AS n FROM organizations LEFT JOIN users ON users.id = personal_user_id"
            " WHERE organizations.name = 'Twin' AND users.id IS NULL"
        )
        assert owners.fetchone()["n"] == 0


def test_one_version_changed_by_many_at_once(eve: Person) -> None:
    path = f"/integrations/{eve.integration()['id']}"
    names = [f"name {number}" for number in range(6)]
    answers = at_once(
        *[lambda name=name: eve.patch(path, {"name": name}, headers={"If-Match": '"1"'}) for name in names]
    )
    assert sorted(each.status for each in answers) == [200, 412, 412, 412, 412, 412]
    assert eve.get(path).etag == '"2"'


def test_one_idempotency_key_for_many_at_once(eve: Person) -> None:
    key, body = {"Idempotency-Key": str(uuid.uuid4())}, {**NEW, "name": f"once {uuid.uuid4()}"}
    answers = at_once(*[lambda: eve.post("/integrations", body, headers=key)] * 6)
    assert {each.status for each in answers} <= {201, 409}
    assert len({each.json["id"] for each in answers if each.status == 201}) == 1
    for each in answers:
        assert each.status == 201 or assert_refused(each, 409, "request_in_progress") == []
    assert [each["name"] for each in eve.get("/integrations?limit=200").json["items"]].count(body["name"]) == 1


def test_a_repetition_while_the_first_request_runs(eve: Person, other: Person, service: Service) -> None:
    path = f"/integrations/{eve.integration()['id']}/status"
    key = {"Idempotency-Key": str(uuid.uuid4())}
    move = {"status": "validating"}
    with service.database.admin() as connection, ThreadPoolExecutor(1) as thread:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM integrations WHERE id = %s FOR UPDATE", [path.split("/")[2]])
        first = thread.submit(eve.post, path, move, headers=key)
        eventually(lambda: _is_waited_for(service.database), "the first request waits for the row")
        assert_refused(eve.post(path, move, headers=key), 409, "request_in_progress")
        # another caller's key of the same name is another key
        assert_refused(other.post(path, move, headers=key), 404, "not_found")
        connection.execute("COMMIT")
        assert first.result().status == 200
    again = eve.post(path, move, headers=key)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")


def _is_waited_for(database: Database) -> bool:
    with database.admin() as connection:
        row: Any = connection.execute(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
        return bool(row["n"])


def test_a_secret_is_kept_encrypted(eve: Person, service: Service) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    answer = eve.post("/api-keys", {"name": "key", "permissions": []}, headers=key)
    assert answer.headers["Cache-Control"] == "no-store"
    with service.database.admin() as connection:
        kept = connection.execute("SELECT * FROM idempotency_keys WHERE key = %s", list(key.values())).fetchone()
    assert kept["is_encrypted"]
    assert answer.json["key"].encode() not in bytes(kept["response_body"])
    assert eve.post("/api-keys", {"name": "key", "permissions": []}, headers=key).json["key"] == answer.json["key"]


def test_requests_of_many_items_wait_for_each_other(eve: Person) -> None:
    """The same rows and the same two organizations, in opposite orders."""
    teams = [eve.organization()["id"] for _ in range(2)]
    made = [eve.integration(organization_id=team)["id"] for team in teams for _ in range(3)]
    templates = [f"template-{uuid.uuid4()}" for _ in range(2)]
    for name in templates:
        body = {"id": name, "name": name, "template_data": {}, "organization_id": teams[0], "is_public": True}
        assert eve.post("/integration-templates", body).status == 201

    def ask(*, backwards: bool) -> Answer:
        items: list[dict[str, Any]] = [
            {"operation": "change", "id": each, "if_match": "*", "body": {"description": str(uuid.uuid4())}}
            for each in made
        ]
        items += [
            {"operation": "create", "body": {**NEW, "organization_id": team, "template_id": template}}
            for team, template in zip(teams * 5, templates * 5, strict=True)
        ]
        return eve.post("/integrations/bulk", {"items": items[::-1] if backwards else items})

    answers = at_once(*[lambda number=number: ask(backwards=number % 2 == 0) for number in range(6)])
    for answer in answers:
        assert answer.status == 207, answer.body
        assert {each["status"] for each in answer.json["items"]} == {200, 201}
    for team in teams:
        (used,) = [
            each["used"]
            for each in eve.get(f"/organizations/{team}/usage").json["items"]
            if each["resource"] == "integrations"
        ]
        assert used == 3 + 6 * 5
    assert [eve.get(f"/integration-templates/{each}").json["usage_count"] for each in templates] == [30, 30]


@pytest.mark.parametrize("path", ["/workflows", "/schedules", "/integration-templates"])
def test_many_items_of_a_kind_in_opposite_orders(eve: Person, path: str) -> None:
    teams = [eve.organization()["id"] for _ in range(2)]
    workflows = [eve.workflow(organization_id=team)["id"] for team in teams]

    def body(place: int) -> dict[str, Any]:
        return {
            "/workflows": {"definition": GREETING, "organization_id": teams[place]},
            "/schedules": {"name": "Daily", "cron_expression": "0 7 * * *", "workflow_id": workflows[place]},
            "/integration-templates": {"id": f"t-{uuid.uuid4()}", "name": "REST", "template_data": {},
                                       "organization_id": teams[place]},
        }[path]  # fmt: skip

    made = [eve.post(path, body(number % 2)).json["id"] for number in range(6)]

    def ask(*, backwards: bool) -> Answer:
        items: list[dict[str, Any]] = [
            {"operation": "change", "id": each, "if_match": "*", "body": {"name": str(uuid.uuid4())}} for each in made
        ]
        items += [{"body": body(number % 2)} for number in range(6)]
        return eve.post(f"{path}/bulk", {"items": items[::-1] if backwards else items})

    for answer in at_once(*[lambda number=number: ask(backwards=number % 2 == 0) for number in range(6)]):
        assert answer.status == 207, answer.body
        assert {each["status"] for each in answer.json["items"]} == {200, 201}
    assert len(eve.get(f"{path}?limit=200").json["items"]) >= 6 + 6 * 6
