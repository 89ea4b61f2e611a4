"""Permissions and roles over HTTP."""

from __future__ import annotations

from tests.service import Person


def test_permissions(ann: Person) -> None:
    found = ann.get("/permissions").json["items"]
    assert [each["name"] for each in found] == sorted(each["name"] for each in found)
    assert all(each["name"] == f"{each['resource']}:{each['action']}" and each["description"] for each in found)
    assert "integrations:read" in {each["name"] for each in found}


def test_roles_from_the_lowest_rank_to_the_highest(ann: Person) -> None:
    found = ann.get("/roles").json["items"]
    assert [each["role"] for each in found] == ["viewer", "developer", "admin", "owner"]
    known = {each["name"] for each in ann.get("/permissions").json["items"]}
    sets = [set(each["permissions"]) for each in found]
    assert all(each <= known for each in sets)
    assert sets[0] < sets[1] < sets[3]
    assert sets[2] < sets[3]
    assert {name.partition(":")[2] for name in sets[0]} == {"read"}
    # what only the command line gives
    assert not any(name.startswith("operations:") for each in sets for name in each)


def test_one_by_its_name(ann: Person) -> None:
    for path, key in (("/permissions", "name"), ("/roles", "role")):
        for each in ann.get(path).json["items"]:
            assert ann.get(f"{path}/{each[key]}").json == each
        for name in ("nonsense", "Owner", "x" * 300, "%F0%9F%A6%8A"):
            answer = ann.get(f"{path}/{name}")
            assert (answer.status, answer.code) == (404, "not_found"), name
    assert ann.get("/roles/viewer?fields=role").json == {"role": "viewer"}


def test_the_same_for_every_credential(ann: Person, bob: Person) -> None:
    for path in ("/permissions", "/roles"):
        assert ann.get(path).json == bob.get(path).json == bob.key("metrics:create").get(path).json
