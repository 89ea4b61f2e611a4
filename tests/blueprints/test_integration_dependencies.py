"""Dependencies of integrations over HTTP."""

from __future__ import annotations

from typing import Any

from tests.service import Person

ANY = {"If-Match": "*"}


def path_of(person: Person, **values: object) -> str:
    """The path of a new integration's dependencies."""
    return f"/integrations/{person.integration(**values)['id']}/dependencies"


def create(person: Person, path: str, name: str, **values: object) -> dict[str, Any]:
    """A new dependency."""
    answer = person.post(path, {"dependency_name": name, **values})
    assert answer.status == 201, answer.body
    return dict(answer.json)


def test_create_change_and_delete(ann: Person) -> None:
    path = path_of(ann)
    made = create(ann, path, "requests")
    assert (made["dependency_type"], made["is_required"], made["dependency_version"]) == ("python", True, None)
    one = f"{path}/{made['id']}"
    changed = ann.patch(one, {"dependency_version": ">=2", "is_required": False}, headers={"If-Match": '"1"'})
    assert (changed.etag, changed.json["dependency_version"], changed.json["is_required"]) == ('"2"', ">=2", False)
    assert ann.get(one).json == changed.json
    assert ann.delete(one, headers={"If-Match": '"2"'}).status == 204
    assert ann.get(one).code == "not_found"
    assert ann.get(path).json["items"] == []
    create(ann, path, "requests")  # the name is free again


def test_list(ann: Person) -> None:
    path = path_of(ann)
    for name, kind in (("requests", "python"), ("left-pad", "npm"), ("httpx", "python")):
        create(ann, path, name, dependency_type=kind)
    names = [each["dependency_name"] for each in ann.get(f"{path}?dependency_type=python").json["items"]]
    assert names == ["httpx", "requests"]
    names = [each["dependency_name"] for each in ann.get(f"{path}?sort=dependency_name").json["items"]]
    assert names == ["httpx", "left-pad", "requests"]


def test_names_are_unique_within_the_integration(ann: Person) -> None:
    path = path_of(ann)
    create(ann, path, "requests")
    other = create(ann, path, "httpx")
    for answer in (
        ann.post(path, {"dependency_name": "requests"}),
        ann.patch(f"{path}/{other['id']}", {"dependency_name": "requests"}, headers=ANY),
    ):
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (409, "/dependency_name")
    create(ann, path_of(ann), "requests")


def test_a_dependency_belongs_to_its_integration(ann: Person, bob: Person) -> None:
    path, elsewhere = path_of(ann), path_of(ann)
    name = create(ann, path, "requests")["id"]
    assert ann.get(f"{elsewhere}/{name}").code == "not_found"
    assert ann.patch(f"{elsewhere}/{name}", {"is_required": False}, headers=ANY).code == "not_found"
    assert ann.delete(f"{elsewhere}/{name}", headers=ANY).code == "not_found"
    assert bob.get(path).code == "not_found"
    assert bob.delete(f"{path}/{name}", headers=ANY).code == "not_found"
    assert len(ann.get(path).json["items"]) == 1


def test_viewers_only_read(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    path = path_of(ann, organization_id=team["id"])
    made = create(ann, path, "requests")
    one = f"{path}/{made['id']}"
    assert bob.get(one).json == made
    for answer in (
        bob.post(path, {"dependency_name": "httpx"}),
        bob.patch(one, {"is_required": False}, headers=ANY),
        bob.delete(one, headers=ANY),
    ):
        assert (answer.status, answer.json["permission"]) == (403, "integrations:update")
