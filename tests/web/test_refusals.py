"""What is refused is on record, with the permission that was lacking."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Database
from tests.service import Person, Service

ANY = {"If-Match": "*"}


@pytest.fixture
def team(ann: Person, bob: Person) -> dict[str, Any]:
    """Ann's team, in which Bob may only look."""
    made = ann.organization()
    ann.add(made["id"], bob, "viewer")
    return made


def refused(ann: Person, organization_id: str) -> list[dict[str, Any]]:
    """What was refused in an organization, oldest first."""
    items = ann.get(f"/audit-logs?organization_id={organization_id}&limit=200&sort=created_at").json["items"]
    return [each for each in items if each["details"]["outcome"] == "refused"]


def test_what_is_recorded(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    path = f"/integrations/{ann.integration(organization_id=team['id'])['id']}"
    headers = {**ANY, "User-Agent": "bob/1.0", "X-Request-Id": "trace-refused"}
    assert bob.patch(path, {"name": "x"}, headers=headers).status == 403
    (row,) = refused(ann, team["id"])
    assert (row["action"], row["resource_type"]) == ("integration.update", "integration")
    assert (row["resource_id"], row["user_id"]) == (path.rpartition("/")[2], bob.user_id)
    assert (row["ip_address"], row["user_agent"]) == ("127.0.0.1", "bob/1.0")
    assert row["details"] == {
        "outcome": "refused", "permission": "integrations:update", "code": "permission_denied", "method": "PATCH",
        "path": f"/api/v1{path}", "request_id": "trace-refused",
    }  # fmt: skip


def test_whose_record_it_is(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    integration = f"/integrations/{ann.integration(organization_id=team['id'])['id']}"
    new = {"name": "x", "service_type": "rest"}
    organization = f"/organizations/{team['id']}"
    for answer in (
        bob.post("/integrations", {**new, "organization_id": team["id"]}),
        bob.post(f"{integration}/status", {"status": "validating"}),
        bob.post(f"{integration}/versions", {"version": "1.0.0"}),
        bob.delete(integration, headers=ANY),
        bob.patch(organization, {"name": "x"}, headers=ANY),
        bob.patch(f"{organization}/members/{ann.user_id}", {"role": "viewer"}, headers=ANY),
        bob.post(f"{organization}/invitations", {"email": "cat@example.org"}),
        bob.post(f"{organization}/invitations", {"email": "cat@example.org", "role": "admin"}),
    ):
        assert answer.status == 403, answer.body
    assert [(row["action"], row["resource_id"]) for row in refused(ann, team["id"])] == [
        ("integration.create", None),
        ("integration.update", integration.rpartition("/")[2]),
        ("integration.update", None),
        ("integration.delete", integration.rpartition("/")[2]),
        ("organization.update", team["id"]),
        ("member.update", ann.user_id),
        ("member.create", None),
        ("invitation.create", None),  # by rank, which is no permission
    ]


def test_a_key_that_lacks_the_permission(ann: Person) -> None:
    key = ann.key("integrations:read")
    assert key.post("/integrations", {"name": "x", "service_type": "rest"}).status == 403
    assert key.patch("/me", {"name": "x"}, headers=ANY).status == 403
    rows = refused(ann, ann.personal_organization_id)
    assert [row["action"] for row in rows] == ["integration.create", "profile.update"]
    assert all("api_key_id" in row["details"] for row in rows)


def test_a_key_that_is_bound_to_a_team(ann: Person, team: dict[str, Any]) -> None:
    key = ann.key("integrations:read", organization_id=team["id"])
    assert key.post("/integrations", {"name": "x", "service_type": "rest"}).status == 403
    (row,) = refused(ann, team["id"])
    assert row["action"] == "integration.create"
    assert refused(ann, ann.personal_organization_id) == []


def test_reading_that_is_refused(ann: Person) -> None:
    assert ann.get("/operations/locks").status == 403
    (row,) = refused(ann, ann.personal_organization_id)
    assert (row["action"], row["details"]["permission"]) == ("operation.read", "operations:read")
    assert (row["details"]["method"], row["details"]["path"]) == ("GET", "/api/v1/operations/locks")


def test_nothing_is_written_into_the_record_of_strangers(ann: Person, bob: Person) -> None:
    theirs = ann.organization()
    new = {"name": "x", "service_type": "rest", "organization_id": theirs["id"]}
    assert bob.post("/integrations", new).status == 404
    assert bob.patch(f"/organizations/{theirs['id']}", {"name": "x"}, headers=ANY).status == 404
    assert refused(ann, theirs["id"]) == []


def test_what_is_not_recorded(service: Service, ann: Person, bob: Person, team: dict[str, Any]) -> None:
    assert bob.get(f"/audit-logs?organization_id={team['id']}").status == 200  # which shows nothing
    assert ann.key("members:read").get("/integrations").status == 200
    assert bob.patch("/integrations/0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11", {"name": "x"}, headers=ANY).status == 404
    assert ann.patch(f"/organizations/{team['id']}", {"slug": "-"}, headers=ANY).status == 422
    assert service.client().post("/integrations", {}).status == 401
    assert refused(ann, team["id"]) == []


def test_the_refused_request_is_counted_once(ann: Person) -> None:
    key = ann.key("integrations:read", rate_limit=1000)
    first, second = (key.post("/integrations", {"name": "x", "service_type": "rest"}) for _ in range(2))
    assert first.status == second.status == 403
    left = [int(each.headers["RateLimit"].split("r=")[1].split(";")[0]) for each in (first, second)]
    assert left[0] - left[1] == 1


def test_a_record_that_cannot_be_made_leaves_the_answer_as_it_is(module_database: Database) -> None:
    with Service(module_database.settings(web_workers=1)) as service:
        key = service.person().key("integrations:read")
        with module_database.admin() as admin:
            admin.execute("ALTER FUNCTION record_refusal(text, text, text, uuid, text, text, jsonb) RENAME TO gone")
        answer = key.post("/integrations", {"name": "x", "service_type": "rest"})
        assert (answer.status, answer.json["permission"]) == (403, "integrations:create")
        assert "a refusal was not recorded" in service.log.read_text()
