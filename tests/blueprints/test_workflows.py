"""Workflows: saved when they are valid, refused with every fault when they are not."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from tests.service import GREETING, Answer, Person
from tests.web.asking import assert_refused

YAML = """\
document: {dsl: 1.0.3, namespace: tests, name: from-yaml, version: 2.0.0}
schedule:
  on: {one: {with: {type: org.example.started}}}
do:
- greet: {set: {answer: no, at: 12:30:00}}
"""


def patched(person: Person, path: str, body: dict[str, Any], etag: str = "*") -> Answer:
    return person.patch(path, body, headers={"If-Match": etag})


def bad(**values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GREETING), **values}


def test_the_definition_names_and_labels_its_workflow(ann: Person) -> None:
    made = ann.post("/workflows", {"definition": GREETING})
    assert made.status == 201
    assert {name: made.json[name] for name in (
        "name", "workflow_type", "version", "definition_version", "is_active", "definition", "created_by",
        "organization_id", "description", "deleted_at", "version_number",
    )} == {
        "name": "greeting", "workflow_type": "greeting", "version": "0.1.0", "definition_version": 1, "is_active": True,
        "definition": GREETING, "created_by": ann.user_id, "organization_id": ann.personal_organization_id,
        "description": None, "deleted_at": None, "version_number": 1,
    }  # fmt: skip
    named = ann.workflow(name="Greets", workflow_type="hello", description="Greets", is_active=False)
    assert [named[name] for name in ("name", "workflow_type", "description", "is_active")] == [
        "Greets", "hello", "Greets", False,
    ]  # fmt: skip


def test_yaml_is_taken_as_yaml_1_2(ann: Person) -> None:
    made = ann.post("/workflows", {"definition_yaml": YAML})
    assert made.status == 201, made.body
    assert made.json["definition"]["schedule"] == {"on": {"one": {"with": {"type": "org.example.started"}}}}
    assert made.json["definition"]["do"] == [{"greet": {"set": {"answer": "no", "at": "12:30:00"}}}]


def test_every_fault_is_told_with_a_pointer_into_the_definition(ann: Person) -> None:
    before = len(ann.get("/workflows").json["items"])
    definition = bad(do=[{"a": {"call": "grpc"}}, {"a": {"wait": "soon", "then": "b"}}], timeout="late")
    faults = assert_refused(ann.post("/workflows", {"definition": definition}), 422, "invalid")
    assert {fault["pointer"] for fault in faults} == {
        "/definition/do/0/a/call", "/definition/do/1/a", "/definition/do/1/a/wait", "/definition/do/1/a/then",
        "/definition/timeout",
    }  # fmt: skip
    assert len(ann.get("/workflows").json["items"]) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/definition"),
        ({"definition_yaml": None}, "/definition"),
        ({"definition": GREETING, "definition_yaml": YAML}, "/definition_yaml"),
        ({"definition": "document: {}"}, "/definition"),
        ({"definition_yaml": "a: [1"}, "/definition_yaml"),
        ({"definition_yaml": "a: &x 1"}, "/definition_yaml"),
        ({"definition_yaml": "- 1"}, "/definition"),
        ({"definition": GREETING, "organization_id": "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"}, "/organization_id"),
    ],
)
def test_bodies_that_are_refused(ann: Person, body: dict[str, Any], pointer: str) -> None:
    answer = ann.post("/workflows", body)
    assert answer.status == (404 if pointer == "/organization_id" else 422), answer.body
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


def test_validating_saves_nothing_and_says_the_same(ann: Person) -> None:
    before = ann.get("/workflows").json
    definition = bad(do=[{"a": {"set": {}}}, {"b": {"run": {"shell": {}}}}])
    verdict = ann.post("/workflows/validate", {"definition": definition})
    assert verdict.status == 200
    assert verdict.json["valid"] is False
    assert verdict.json["errors"] == assert_refused(ann.post("/workflows", {"definition": definition}), 422, "invalid")
    assert ann.post("/workflows/validate", {"definition_yaml": YAML}).json == {"valid": True, "errors": []}
    assert ann.get("/workflows").json == before
    revoked = ann.key()
    revoked.headers["X-API-Key"] = revoked.headers["X-API-Key"][:-1]
    assert revoked.post("/workflows/validate", {"definition": GREETING}).status == 401


def test_a_change_is_merged_and_checked_as_a_whole(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    renamed = patched(ann, path, {"name": "Renamed", "is_active": False}, '"1"').json
    assert (renamed["name"], renamed["is_active"], renamed["definition_version"]) == ("Renamed", False, 1)
    merged = patched(
        ann, path, {"definition": {"document": {"version": "0.2.0", "title": "Hello"}, "timeout": {"after": "PT5S"}}}
    )
    assert merged.json["definition"]["document"] == {**GREETING["document"], "version": "0.2.0", "title": "Hello"}  # type: ignore[dict-item]
    assert merged.json["definition"]["do"] == GREETING["do"]
    assert (merged.json["version"], merged.json["definition_version"], merged.json["name"]) == ("0.2.0", 2, "Renamed")
    without = patched(ann, path, {"definition": {"timeout": None}}).json
    assert "timeout" not in without["definition"]
    replaced = patched(ann, path, {"definition_yaml": YAML}).json
    assert "timeout" not in replaced["definition"]
    assert (replaced["version"], replaced["definition_version"]) == ("2.0.0", 4)
    faults = assert_refused(patched(ann, path, {"name": "x", "definition": {"do": None}}), 422, "invalid")
    assert faults == [{"pointer": "/definition/do", "detail": "This is required."}]
    assert ann.get(path).json == replaced


def test_changes_at_the_same_time_are_merged_one_after_another(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    start = threading.Barrier(6)

    def tag(number: int) -> None:
        start.wait()
        answer = patched(ann, path, {"definition": {"document": {"tags": {f"t{number}": "x"}}}})
        assert answer.status == 200, answer.body

    threads = [threading.Thread(target=tag, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = ann.get(path).json
    assert sorted(row["definition"]["document"]["tags"]) == [f"t{number}" for number in range(6)]
    assert (row["definition_version"], row["version_number"]) == (7, 7)


def test_lists_leave_the_definitions_out(ann: Person) -> None:
    organization = ann.organization()["id"]
    first = ann.workflow(organization_id=organization, workflow_type="a", name="One")
    second = ann.workflow(organization_id=organization, workflow_type="b", name="Two", is_active=False)
    listed = ann.get(f"/workflows?organization_id={organization}&sort=name").json["items"]
    assert [row["id"] for row in listed] == [first["id"], second["id"]]
    assert "definition" not in listed[0]
    for query, expected in (
        ("workflow_type=a", first),
        ("is_active=false", second),
        (f"created_by={ann.user_id}&workflow_type=b", second),
    ):
        items = ann.get(f"/workflows?organization_id={organization}&{query}").json["items"]
        assert [row["id"] for row in items] == [expected["id"]], query


def test_what_is_deleted_is_gone_until_it_is_restored(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    assert ann.delete(path, headers={"If-Match": '"1"'}).status == 204
    for answer in (
        ann.get(path),
        ann.get(f"{path}/versions"),
        ann.post(f"{path}/executions", {}),
        patched(ann, path, {"name": "x"}),
    ):
        assert answer.status == 404
    assert ann.get(f"{path}?include_deleted=true").status == 200
    assert ann.post(f"{path}/restore").json["deleted_at"] is None
    assert ann.post(f"{path}/executions", {}).status == 201


def test_as_it_was(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    before = ann.get(path).json
    patched(ann, path, {"definition": {"document": {"version": "0.2.0"}}})
    then = ann.get(f"{path}?as_of={before['updated_at']}").json
    assert [then[name] for name in ("definition", "definition_version", "version")] == [GREETING, 1, "0.1.0"]


@pytest.mark.parametrize(
    ("role", "create", "change", "delete"),
    [("viewer", 403, 403, 403), ("developer", 201, 200, 403), ("admin", 201, 200, 204)],
)
def test_what_each_role_may_do(ann: Person, bob: Person, role: str, create: int, change: int, delete: int) -> None:
    organization = ann.organization()["id"]
    path = f"/workflows/{ann.workflow(organization_id=organization)['id']}"
    ann.add(organization, bob, role)
    assert bob.get(path).status == 200
    assert bob.post("/workflows", {"definition": GREETING, "organization_id": organization}).status == create
    assert patched(bob, path, {"definition": {"timeout": {"after": "PT1S"}}}).status == change
    assert bob.delete(path, headers={"If-Match": "*"}).status == delete
