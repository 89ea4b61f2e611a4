"""Templates over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.service import Person
from tests.web.asking import assert_refused

ANY = {"If-Match": "*"}


def create(person: Person, **values: object) -> dict[str, Any]:
    """A new template."""
    wanted = {"id": f"rest-{uuid.uuid4()}", "name": "REST", "template_data": {"config": {"retries": 3}}, **values}
    answer = person.post("/integration-templates", wanted)
    assert answer.status == 201, answer.body
    return dict(answer.json)


def test_create_change_delete_and_restore(ann: Person) -> None:
    made = create(ann)
    path = f"/integration-templates/{made['id']}"
    assert (made["is_public"], made["usage_count"], made["author_id"]) == (False, 0, ann.user_id)
    assert made["organization_id"] == ann.personal_organization_id
    changed = ann.patch(
        path, {"template_data": {"config": {"retries": None, "seconds": 5}}}, headers={"If-Match": '"1"'}
    )
    assert (changed.etag, changed.json["template_data"]) == ('"2"', {"config": {"seconds": 5}})
    assert ann.delete(path, headers={"If-Match": '"2"'}).status == 204
    assert ann.get(path).code == "not_found"
    assert ann.get(f"{path}?include_deleted=true").json["deleted_at"] is not None
    assert ann.post("/integrations", {"template_id": made["id"]}).code == "not_found"
    assert ann.post(f"{path}/restore").json["deleted_at"] is None
    assert ann.post("/integrations", {"template_id": made["id"]}).status == 201
    # the count is kept by the database and is no change of the template
    assert (ann.get(path).json["usage_count"], ann.get(path).etag) == (1, '"4"')


def test_public_ones_are_everybodys_to_use_and_nobody_elses_to_change(ann: Person, bob: Person) -> None:
    public, private = create(ann, is_public=True), create(ann)
    path = f"/integration-templates/{public['id']}"
    assert bob.get(path).json == public
    assert bob.get(f"/integration-templates/{private['id']}").code == "not_found"
    found = {each["id"] for each in bob.get("/integration-templates?is_public=true&limit=200").json["items"]}
    assert public["id"] in found
    assert private["id"] not in found
    made = bob.post("/integrations", {"template_id": public["id"]})
    assert (made.status, made.json["organization_id"]) == (201, bob.personal_organization_id)
    for answer in (bob.patch(path, {"name": "mine"}, headers=ANY), bob.delete(path, headers=ANY)):
        assert answer.status == 403
        assert answer.json["permission"].startswith("integration_templates:")
    ann.delete(path, headers=ANY)
    assert bob.get(path).code == "not_found"
    assert bob.get(f"{path}?include_deleted=true").code == "not_found"


def test_a_word_that_paths_end_in_is_no_id(ann: Person) -> None:
    body = {"id": "bulk", "name": "Bulk", "template_data": {}}
    assert assert_refused(ann.post("/integration-templates", body), 422, "invalid")[0]["pointer"] == "/id"
    (item,) = ann.post("/integration-templates/bulk", {"items": [{"body": body}]}).json["items"]
    assert item["problem"]["errors"][0]["pointer"] == "/items/0/body/id"
    for path, status in (("bulk", 405), ("%62ulk", 405), ("bulk/restore", 404), ("bulky", 404)):
        assert ann.get(f"/integration-templates/{path}").status == status, path


def test_ids_are_unique_among_all(ann: Person, bob: Person) -> None:
    taken = create(ann)["id"]
    answer = bob.post("/integration-templates", {"id": taken, "name": "Mine", "template_data": {}})
    assert (answer.status, answer.code, answer.json["errors"][0]["pointer"]) == (409, "duplicate", "/id")


@pytest.mark.parametrize("name", ["", "-", "-a", "a-", "A", "a_b", "a b", "a/b", "ä", "a\n", "x" * 101])
def test_ids_that_are_none(ann: Person, name: str) -> None:
    answer = ann.post("/integration-templates", {"id": name, "name": "x", "template_data": {}})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/id")


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"capabilities": {"a": 1}}, "capabilities"),
        ({"capabilities": "read"}, "capabilities"),
        ({"capabilities": ["read", None]}, "capabilities/1"),
        ({"version": "x" * 51}, "version"),
        ({"version": 5}, "version"),
        ({"config": []}, "config"),
        ({"metadata": "x"}, "metadata"),
        ({"description": "x" * 10_001}, "description"),
    ],
)
def test_template_data_that_would_make_no_integration(ann: Person, data: dict[str, Any], pointer: str) -> None:
    made = create(ann)
    refused = [
        ann.post("/integration-templates", {"id": f"bad-{uuid.uuid4()}", "name": "REST", "template_data": data}),
        ann.patch(f"/integration-templates/{made['id']}", {"template_data": data}, headers=ANY),
    ]
    for answer in refused:
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, f"/template_data/{pointer}")
    assert ann.post("/integrations", {"template_id": made["id"]}).status == 201


def test_parts_of_template_data_are_taken_away_and_others_are_the_authors_own(ann: Person) -> None:
    made = create(ann, template_data={"capabilities": ["read"], "notes": [1, None]})
    path = f"/integration-templates/{made['id']}"
    changed = ann.patch(path, {"template_data": {"capabilities": None}}, headers=ANY)
    assert changed.json["template_data"] == {"notes": [1, None]}
    absent = ann.post("/integration-templates", {"id": "x", "name": "REST", "template_data": {"capabilities": None}})
    assert (absent.status, absent.json["errors"][0]["pointer"]) == (422, "/template_data/capabilities")
    assert ann.post("/integrations", {"template_id": made["id"]}).json["capabilities"] == []


def test_filters(ann: Person) -> None:
    team = ann.organization()
    mine, theirs = create(ann, service_type="soap"), create(ann, organization_id=team["id"])
    for query, expected in {
        f"organization_id={team['id']}": {theirs["id"]},
        f"organization_id={ann.personal_organization_id}&service_type=soap": {mine["id"]},
        f"organization_id={team['id']}&is_public=true": set(),
    }.items():
        assert {each["id"] for each in ann.get(f"/integration-templates?{query}").json["items"]} == expected, query
