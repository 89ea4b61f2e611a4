"""Members over HTTP: roles, ranks, and what leaving means."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.service import Answer, Person

ANY = {"If-Match": "*"}
RANKS = ("viewer", "developer", "admin", "owner")


@pytest.fixture
def team(ann: Person) -> dict[str, Any]:
    """Ann's team."""
    return ann.organization()


def members(team: dict[str, Any]) -> str:
    """The path of a team's members."""
    return f"/organizations/{team['id']}/members"


def set_role(person: Person, team: dict[str, Any], member: Person, role: str) -> Answer:
    """Give a member a role."""
    return person.patch(f"{members(team)}/{member.user_id}", {"role": role}, headers=ANY)


def test_add_change_and_remove(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    made = ann.post(members(team), {"email": bob.email.upper(), "permissions": ["audit_logs:read"]})
    assert made.status == 201, made.body
    assert (made.json["role"], made.json["permissions"]) == ("viewer", ["audit_logs:read"])
    assert (made.json["email"], made.json["name"], made.json["invited_by"]) == (bob.email, "Bob", ann.user_id)
    path = made.headers["Location"].removeprefix("/api/v1")
    assert path == f"{members(team)}/{bob.user_id}"
    changed = ann.patch(path, {"role": "developer"}, headers={"If-Match": '"1"'})
    assert (changed.etag, changed.json["role"], changed.json["permissions"]) == (
        '"2"',
        "developer",
        ["audit_logs:read"],
    )
    assert ann.patch(path, {"permissions": []}, headers=ANY).json["permissions"] == []
    assert [each["user_id"] for each in ann.get(f"{members(team)}?role=developer").json["items"]] == [bob.user_id]
    assert ann.delete(path, headers={"If-Match": '"3"'}).status == 204
    assert ann.get(path).code == "not_found"


def test_who_cannot_be_added(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    ann.add(team["id"], bob, "viewer")
    twice = ann.post(members(team), {"email": bob.email})
    assert (twice.status, twice.json["errors"][0]["pointer"]) == (409, "/email")
    nobody = ann.post(members(team), {"email": "nobody@example.org"})
    assert (nobody.status, nobody.json["errors"][0]["pointer"]) == (422, "/email")
    # a permission that does not exist is one that nobody has to give
    unknown = ann.patch(f"{members(team)}/{bob.user_id}", {"permissions": ["integrations:fly"]}, headers=ANY)
    assert (unknown.status, unknown.code) == (422, "invalid")


def test_who_may_not_add_learns_of_no_account(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    stranger = ann.organization()
    ann.add(team["id"], bob, "viewer")
    for email in (ann.email, "nobody@example.org"):
        answer = bob.post(members(team), {"email": email})
        assert (answer.status, answer.json["permission"]) == (403, "members:create")
        assert bob.post(members(stranger), {"email": email}).code == "not_found"


@pytest.mark.parametrize("role", RANKS)
def test_what_each_role_may_do(ann: Person, bob: Person, team: dict[str, Any], role: str) -> None:
    ann.add(team["id"], bob, role)
    granted = next(each["permissions"] for each in ann.get("/roles").json["items"] if each["role"] == role)
    integration = ann.integration(organization_id=team["id"])
    path = f"/integrations/{integration['id']}"
    new = {"name": "x", "service_type": "rest", "organization_id": team["id"]}
    for permission, call in {
        "organizations:read": lambda: bob.get(f"/organizations/{team['id']}"),
        "organizations:update": lambda: bob.patch(f"/organizations/{team['id']}", {"name": "x"}, headers=ANY),
        "members:read": lambda: bob.get(f"{members(team)}/{ann.user_id}"),
        "integrations:read": lambda: bob.get(path),
        "integrations:create": lambda: bob.post("/integrations", new),
        "integrations:update": lambda: bob.patch(path, {"name": "y"}, headers=ANY),
        "integrations:delete": lambda: bob.delete(path, headers=ANY),
    }.items():
        answer = call()
        assert answer.status < 300 if permission in granted else answer.status == 403, (permission, answer.body)
    seen = bob.get(f"/events?organization_id={team['id']}").json["items"]
    assert bool(seen) == ("events:read" in granted)


@pytest.mark.parametrize("role", RANKS[2:])
def test_nobody_reaches_above_their_own_rank(
    ann: Person, bob: Person, service, team: dict[str, Any], role: str
) -> None:
    cat = service.person("Cat")
    ann.add(team["id"], bob, role)
    rank = RANKS.index(role)
    for wanted in RANKS:
        answer = bob.post(members(team), {"email": cat.email, "role": wanted})
        if RANKS.index(wanted) > rank:
            assert (answer.status, answer.code) == (403, "rank_too_low"), wanted
        else:
            assert answer.status == 201, answer.body
            assert bob.delete(f"{members(team)}/{cat.user_id}", headers=ANY).status == 204
    if role == "admin":
        assert set_role(bob, team, ann, "viewer").code == "rank_too_low"
        assert set_role(bob, team, bob, "owner").code == "rank_too_low"
        assert bob.delete(f"{members(team)}/{ann.user_id}", headers=ANY).code == "rank_too_low"


def test_nobody_gives_what_they_do_not_have(ann: Person, bob: Person, service, team: dict[str, Any]) -> None:
    cat = service.person("Cat")
    ann.add(team["id"], bob, "admin")
    answer = bob.post(members(team), {"email": cat.email, "permissions": ["organizations:delete"]})
    assert (answer.status, answer.code) == (403, "rank_too_low")
    assert bob.post(members(team), {"email": cat.email, "permissions": ["integrations:read"]}).status == 201


def test_a_permission_beside_the_role(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    ann.add(team["id"], bob, "viewer")
    new = {"name": "x", "service_type": "rest", "organization_id": team["id"]}
    assert bob.post("/integrations", new).status == 403
    path = f"{members(team)}/{bob.user_id}"
    assert ann.patch(path, {"permissions": ["integrations:create"]}, headers=ANY).status == 200
    assert bob.post("/integrations", new).status == 201
    assert ann.patch(path, {"permissions": []}, headers=ANY).status == 200
    assert bob.post("/integrations", new).status == 403


def test_the_last_owner_stays(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    for answer in (ann.delete(f"{members(team)}/{ann.user_id}", headers=ANY), set_role(ann, team, ann, "admin")):
        assert (answer.status, answer.code) == (409, "last_owner")
    ann.add(team["id"], bob, "owner")
    assert set_role(ann, team, ann, "admin").status == 200
    assert set_role(bob, team, bob, "admin").code == "last_owner"
    assert bob.delete(f"{members(team)}/{bob.user_id}", headers=ANY).code == "last_owner"


def test_two_owners_who_leave_at_once(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    ann.add(team["id"], bob, "owner")
    with ThreadPoolExecutor(2) as threads:
        leave = threads.map(lambda who: who.delete(f"{members(team)}/{who.user_id}", headers=ANY), (ann, bob))
        answers = list(leave)
    assert sorted(each.status for each in answers) == [204, 409]


@pytest.mark.parametrize("role", RANKS)
def test_whoever_leaves_sees_nothing_on_the_very_next_request(
    ann: Person, bob: Person, team: dict[str, Any], role: str
) -> None:
    ann.add(team["id"], bob, role)
    integration = ann.integration(organization_id=team["id"])
    bound, free = bob.key(organization_id=team["id"]) if role != "viewer" else None, bob.key()
    seen = [f"/organizations/{team['id']}", f"/integrations/{integration['id']}", members(team)]
    clients = [each for each in (bob.client, bound, free) if each is not None]
    assert [client.get(path).status for client in clients for path in seen] == [200] * len(seen) * len(clients)
    assert bob.delete(f"{members(team)}/{bob.user_id}", headers=ANY).status == 204
    assert [client.get(path).status for client in clients for path in seen] == [404] * len(seen) * len(clients)
    for client in clients:
        assert integration["id"] not in [each["id"] for each in client.get("/integrations").json["items"]]
        assert client.get(f"/events?organization_id={team['id']}").json["items"] == []


def test_a_change_of_role_holds_from_the_next_request(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    ann.add(team["id"], bob, "viewer")
    new = {"name": "x", "service_type": "rest", "organization_id": team["id"]}
    for role, status in (("viewer", 403), ("developer", 201), ("viewer", 403)) * 3:
        assert set_role(ann, team, bob, role).status == 200
        assert bob.post("/integrations", new).status == status
