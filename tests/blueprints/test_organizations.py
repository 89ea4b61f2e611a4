"""Organizations over HTTP."""

from __future__ import annotations

import uuid

import pytest

from tests.service import Person

ANY = {"If-Match": "*"}


def test_whoever_makes_one_owns_it(ann: Person, bob: Person) -> None:
    team = ann.organization(description="Makes everything", settings={"theme": "dark"})
    assert (team["plan"], team["personal_user_id"], team["settings"]) == ("free", None, {"theme": "dark"})
    assert ann.get(f"/organizations/{team['id']}").json == team
    (member,) = ann.get(f"/organizations/{team['id']}/members").json["items"]
    assert (member["user_id"], member["role"]) == (ann.user_id, "owner")
    assert bob.get(f"/organizations/{team['id']}").code == "not_found"
    assert team["id"] not in [each["id"] for each in bob.get("/organizations").json["items"]]


def test_everybody_has_a_personal_one_that_stays(ann: Person) -> None:
    (personal,) = ann.get("/organizations").json["items"]
    assert (personal["id"], personal["personal_user_id"]) == (ann.personal_organization_id, ann.user_id)
    answer = ann.delete(f"/organizations/{personal['id']}", headers=ANY)
    assert (answer.status, answer.code) == (409, "conflict")
    assert ann.get(f"/organizations/{personal['id']}").status == 200


def test_change(ann: Person) -> None:
    team = ann.organization(settings={"keep": 1, "drop": 2}, description="old")
    path, slug = f"/organizations/{team['id']}", f"new-{uuid.uuid4()}"
    patch = {"name": "New", "slug": slug, "description": None, "settings": {"drop": None}}
    answer = ann.patch(path, patch, headers={"If-Match": '"1"'})
    assert (answer.status, answer.etag) == (200, '"2"')
    assert answer.json["settings"] == {"keep": 1}
    assert (answer.json["name"], answer.json["slug"], answer.json["description"]) == ("New", slug, None)
    assert ann.get(path).json == answer.json


@pytest.mark.parametrize("field", ["plan", "limits", "usage_stats", "personal_user_id", "id", "version"])
def test_what_cannot_be_changed(ann: Person, field: str) -> None:
    answer = ann.patch(f"/organizations/{ann.organization()['id']}", {field: {}}, headers=ANY)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, f"/{field}")


@pytest.mark.parametrize("slug", ["", "-", "a-", "-a", "a b", "ä", "a_b", "a.b", "a\n", "x" * 101])
def test_slugs_that_are_none(ann: Person, slug: str) -> None:
    answer = ann.post("/organizations", {"name": "x", "slug": slug})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/slug")


def test_delete_hides_all_that_belongs_to_it_and_restore_brings_it_back(ann: Person, bob: Person) -> None:
    team = ann.organization()
    path = f"/organizations/{team['id']}"
    ann.add(team["id"], bob, "admin")
    integration = ann.integration(organization_id=team["id"])
    inside = f"/integrations/{integration['id']}"
    answer = bob.delete(path, headers=ANY)
    assert (answer.status, answer.json["permission"]) == (403, "organizations:delete")
    assert ann.delete(path, headers={"If-Match": '"1"'}).status == 204
    for hidden in (path, inside, f"{path}/members", f"{path}/members/{bob.user_id}"):
        assert ann.get(hidden).code == "not_found", hidden
        assert bob.get(hidden).code == "not_found", hidden
    assert ann.get(f"/integrations?organization_id={team['id']}").json["items"] == []
    answer = ann.post("/integrations", {"name": "x", "service_type": "rest", "organization_id": team["id"]})
    assert answer.code == "not_found"
    # whoever may delete sees what was deleted
    assert ann.get(f"{path}?include_deleted=true").json["deleted_at"] is not None
    assert team["id"] in [each["id"] for each in ann.get("/organizations?include_deleted=true").json["items"]]
    assert bob.get(f"{path}?include_deleted=true").code == "not_found"
    assert bob.post(f"{path}/restore").code == "not_found"
    restored = ann.post(f"{path}/restore")
    assert (restored.status, restored.json["deleted_at"]) == (200, None)
    assert ann.get(inside).json == integration
    assert bob.get(path).json == restored.json


def test_a_slug_is_free_again_after_deletion(ann: Person) -> None:
    team = ann.organization()
    ann.delete(f"/organizations/{team['id']}", headers=ANY)
    assert ann.organization(slug=team["slug"])["slug"] == team["slug"]
    answer = ann.post(f"/organizations/{team['id']}/restore")
    assert (answer.status, answer.code) == (409, "duplicate")


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("developer", 403), ("viewer", 403)])
def test_who_may_change_it(ann: Person, bob: Person, role: str, status: int) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, role)
    answer = bob.patch(f"/organizations/{team['id']}", {"name": "New"}, headers=ANY)
    assert answer.status == status
    assert status == 200 or answer.json["permission"] == "organizations:update"


def test_order_by_name(ann: Person) -> None:
    for name in ("beta", "alpha"):
        ann.organization(name=name)
    names = [each["name"] for each in ann.get("/organizations?sort=name").json["items"]]
    assert names.index("alpha") < names.index("beta")


# --- handing over


def test_handing_over(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    path = f"/organizations/{team['id']}"
    answer = ann.post(f"{path}/transfer", {"user_id": bob.user_id})
    assert (answer.status, answer.json["user_id"], answer.json["role"]) == (200, bob.user_id, "owner")
    assert answer.etag == bob.get(f"{path}/members/{bob.user_id}").etag
    assert bob.get(f"{path}/members/{ann.user_id}").json["role"] == "admin"
    assert bob.post(f"{path}/transfer", {"user_id": ann.user_id}).status == 200


@pytest.mark.parametrize("role", ["admin", "developer", "viewer"])
def test_only_owners_hand_over(ann: Person, bob: Person, role: str) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, role)
    answer = bob.post(f"/organizations/{team['id']}/transfer", {"user_id": ann.user_id})
    assert answer.status == 403, answer.body
    roles = {each["user_id"]: each["role"] for each in ann.get(f"/organizations/{team['id']}/members").json["items"]}
    assert roles == {ann.user_id: "owner", bob.user_id: role}  # nothing half done


def test_whom_one_cannot_hand_over_to(ann: Person, bob: Person) -> None:
    team = ann.organization()
    path = f"/organizations/{team['id']}"
    for user_id in (bob.user_id, ann.user_id, str(uuid.uuid4())):
        answer = ann.post(f"{path}/transfer", {"user_id": user_id})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/user_id")
    assert bob.post(f"{path}/transfer", {"user_id": bob.user_id}).status == 404


def test_a_personal_organization_is_not_handed_over(ann: Person, bob: Person) -> None:
    ann.add(ann.personal_organization_id, bob, "admin")
    path = f"/organizations/{ann.personal_organization_id}"
    answer = ann.post(f"{path}/transfer", {"user_id": bob.user_id})
    assert (answer.status, answer.code) == (409, "last_owner")
    assert ann.get(f"{path}/members/{bob.user_id}").json["role"] == "admin"
