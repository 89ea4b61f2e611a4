"""Limits: what an organization may have, counted under the hands of many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from operations.plans import PlanError, recount_usage, set_plan
from tests.conftest import Database
from tests.service import Person, Service

ANY = {"If-Match": "*"}


@pytest.fixture
def database(service: Service) -> Database:
    """The service's own."""
    assert service.database is not None
    return service.database


def limit(database: Database, organization: dict[str, Any], **limits: int | None) -> None:
    """Give an organization limits of its own."""
    set_plan(database.admin_url, UUID(organization["id"]), None, dict(limits))


def usage(person: Person, organization: dict[str, Any]) -> dict[str, tuple[int, int | None, int | None]]:
    """Used, limit and what remains, by resource."""
    items = person.get(f"/organizations/{organization['id']}/usage").json["items"]
    assert [each["resource"] for each in items] == sorted(each["resource"] for each in items)
    return {each["resource"]: (each["used"], each["limit"], each["remaining"]) for each in items}


def create(person: Person, organization: dict[str, Any], kind: str) -> Any:
    """One more of something."""
    here = {"organization_id": organization["id"]}
    bodies = {
        "integrations": {"name": "x", "service_type": "rest", **here},
        "api-keys": {"name": "x", "permissions": ["integrations:read"], **here},
    }
    return person.post(f"/{kind}", bodies[kind])


@pytest.mark.parametrize(("kind", "resource"), [("integrations", "integrations"), ("api-keys", "api_keys")])
def test_the_last_place_is_taken_once(database: Database, ann: Person, kind: str, resource: str) -> None:
    team = ann.organization()
    limit(database, team, **{resource: 3})
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: create(ann, team, kind), range(8)))
    assert sorted(each.status for each in answers) == [201] * 3 + [403] * 5
    refused = next(each for each in answers if each.status == 403)
    assert (refused.code, refused.json["resource"], refused.json["limit"]) == ("limit_exceeded", resource, 3)
    assert usage(ann, team)[resource] == (3, 3, 0)
    assert len(ann.get(f"/{kind}?organization_id={team['id']}").json["items"]) == 3


def test_deleting_makes_room_and_restoring_needs_it(database: Database, ann: Person) -> None:
    team = ann.organization()
    limit(database, team, integrations=1)
    first = create(ann, team, "integrations").json
    path = f"/integrations/{first['id']}"
    assert ann.delete(path, headers=ANY).status == 204
    assert usage(ann, team)["integrations"] == (0, 1, 1)
    assert create(ann, team, "integrations").status == 201
    assert ann.post(f"{path}/restore").code == "limit_exceeded"
    assert ann.get(path).code == "not_found"
    limit(database, team, integrations=None)
    assert ann.post(f"{path}/restore").status == 200
    assert usage(ann, team)["integrations"] == (2, None, None)


def test_members(database: Database, ann: Person, bob: Person) -> None:
    team = ann.organization()
    limit(database, team, members=1)
    path = f"/organizations/{team['id']}/members"
    assert ann.post(path, {"email": bob.email, "role": "viewer"}).code == "limit_exceeded"
    limit(database, team, members=2)
    ann.add(team["id"], bob, "viewer")
    assert usage(bob, team)["members"] == (2, 2, 0)
    assert ann.delete(f"{path}/{bob.user_id}", headers=ANY).status == 204
    assert usage(ann, team)["members"] == (1, 2, 1)


def test_a_key_for_all_organizations_counts_in_the_personal_one(ann: Person) -> None:
    personal = {"id": ann.personal_organization_id}
    before = ann.get(f"/organizations/{personal['id']}").json["usage_stats"].get("api_keys", 0)
    key = ann.post("/api-keys", {"name": "x", "permissions": ["*"]}).json
    after = ann.get(f"/organizations/{personal['id']}").json["usage_stats"]["api_keys"]
    assert after == before + 1
    assert ann.delete(f"/api-keys/{key['id']}", headers=ANY).status == 204
    assert ann.get(f"/organizations/{personal['id']}").json["usage_stats"]["api_keys"] == before


def test_a_rotated_key_gives_its_place_to_its_successor(database: Database, ann: Person) -> None:
    team = ann.organization()
    limit(database, team, api_keys=1)
    key = create(ann, team, "api-keys").json
    successor = ann.post(f"/api-keys/{key['id']}/rotate", {"overlap_seconds": 60})
    assert successor.status == 201, successor.body
    assert usage(ann, team)["api_keys"] == (1, 1, 0)
    assert create(ann, team, "api-keys").code == "limit_exceeded"
    assert ann.delete(f"/api-keys/{key['id']}", headers=ANY).status == 204
    assert usage(ann, team)["api_keys"] == (1, 1, 0), "it had none any more"
    assert ann.delete(f"/api-keys/{successor.json['id']}", headers=ANY).status == 204
    assert usage(ann, team)["api_keys"] == (0, 1, 1)


def test_executions_count_by_the_day(database: Database, ann: Person) -> None:
    team = ann.organization()
    integration = ann.integration(organization_id=team["id"])
    limit(database, team, executions_per_day=2)
    values = (team["id"], integration["id"])
    start = """INSERT INTO integration_executions (organization_id, integration_id, trigger_type)
        VALUES (%s, %s, 'manual')"""
    yesterday = """UPDATE organizations SET usage_stats = jsonb_set(usage_stats, '{executions,day}', '"2020-01-01"')
        WHERE id = %s"""
    with database.admin() as connection:
        connection.execute(start, values)
        connection.execute(
            "INSERT INTO workflow_executions (organization_id, workflow_type) VALUES (%s, 'test')", values[:1]
        )
        with pytest.raises(Exception, match="limit of 2 executions per day"):
            connection.execute(start, values)
        assert usage(ann, team)["executions_per_day"] == (2, 2, 0)
        connection.execute(yesterday, values[:1])
        assert usage(ann, team)["executions_per_day"] == (0, 2, 2)
        connection.execute(start, values)
    assert usage(ann, team)["executions_per_day"] == (1, 2, 1)


def test_the_plan_gives_what_the_organization_does_not_say(database: Database, ann: Person) -> None:
    team = ann.organization()
    with database.admin() as connection:
        connection.execute("UPDATE plans SET limits = '{\"integrations\": 1, \"members\": 9}' WHERE name = 'pro'")
    set_plan(database.admin_url, UUID(team["id"]), "pro", {})
    assert create(ann, team, "integrations").status == 201
    assert create(ann, team, "integrations").code == "limit_exceeded"
    limit(database, team, integrations=2)
    assert create(ann, team, "integrations").status == 201
    assert usage(ann, team)["members"] == (1, 9, 8)
    changed = ann.get(f"/organizations/{team['id']}").json
    assert (changed["plan"], changed["limits"]) == ("pro", {"integrations": 2})


def test_counting_anew_gives_the_same(database: Database, ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    for _ in range(3):
        last = create(ann, team, "integrations").json
    create(ann, team, "api-keys")
    ann.delete(f"/integrations/{last['id']}", headers=ANY)
    counted = ann.get(f"/organizations/{team['id']}").json["usage_stats"]
    assert counted == {"members": 2, "integrations": 2, "api_keys": 1}
    anew = recount_usage(database.admin_url, UUID(team["id"]))
    assert {name: anew[name] for name in counted} == counted
    assert (anew["webhooks"], anew["workflows"], anew["executions"]["count"]) == (0, 0, 0)


def test_counting_is_no_new_version(ann: Person) -> None:
    team = ann.organization()
    create(ann, team, "integrations")
    assert ann.get(f"/organizations/{team['id']}").etag == '"1"'


def test_what_is_not_there(database: Database, ann: Person) -> None:
    with pytest.raises(PlanError, match="no organization"):
        set_plan(database.admin_url, uuid4(), "pro", {})
    with pytest.raises(PlanError, match="no plan huge"):
        set_plan(database.admin_url, UUID(ann.personal_organization_id), "huge", {})
