"""Versions of workflows: one for each definition that was accepted, and none that was not."""

from __future__ import annotations

import psycopg
import pytest

from tests.blueprints.test_workflows import patched
from tests.service import GREETING, Person


def labels(person: Person, path: str) -> list[tuple[int, str]]:
    items = person.get(f"{path}/versions?sort=created_at").json["items"]
    assert "definition" not in items[0]
    return [(item["version_number"], item["version"]) for item in items]


def test_only_another_definition_is_another_version(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    assert labels(ann, path) == [(1, "0.1.0")]
    patched(ann, path, {"name": "Renamed", "is_active": False})
    patched(ann, path, {"definition": GREETING})
    patched(ann, path, {"definition": {"do": []}, "name": "x"} | {"definition": {"do": 7}})
    assert labels(ann, path) == [(1, "0.1.0")]
    patched(ann, path, {"definition": {"document": {"version": "0.2.0"}}})
    patched(ann, path, {"definition": {"timeout": {"after": "PT1S"}}})
    assert labels(ann, path) == [(1, "0.1.0"), (2, "0.2.0"), (3, "0.2.0")]


def test_a_version_shows_its_definition_and_never_changes(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    patched(ann, path, {"definition": {"timeout": {"after": "PT1S"}}})
    first, second = ann.get(f"{path}/versions?sort=created_at").json["items"]
    answer = ann.get(f"{path}/versions/{first['id']}")
    assert (answer.json["definition"], answer.etag, answer.json["created_by"]) == (GREETING, '"1"', ann.user_id)
    assert ann.get(f"{path}/versions/{second['id']}").json["definition"]["timeout"] == {"after": "PT1S"}
    elsewhere = f"/workflows/{ann.workflow()['id']}"
    assert ann.get(f"{elsewhere}/versions/{first['id']}").status == 404
    for statement in (
        "UPDATE workflow_versions SET version = '9' WHERE id = %s",
        "DELETE FROM workflow_versions WHERE id = %s",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ann.run(f"SET ROLE authenticated_users; {statement.replace('%s', repr(first['id']))}")


def test_an_old_version_becomes_the_newest_again(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    patched(ann, path, {"definition": {"document": {"version": "0.2.0"}}})
    first = ann.get(f"{path}/versions?sort=created_at").json["items"][0]
    activated = ann.post(f"{path}/versions/{first['id']}/activate", headers={"If-Match": '"2"'})
    assert (activated.status, activated.etag) == (200, '"3"')
    assert (activated.json["definition"], activated.json["version"]) == (GREETING, "0.1.0")
    assert labels(ann, path) == [(1, "0.1.0"), (2, "0.2.0"), (3, "0.1.0")]
    assert ann.post(f"{path}/versions/{first['id']}/activate", headers={"If-Match": '"2"'}).status == 412


def test_a_version_that_would_not_be_accepted_any_more_stays_where_it_is(ann: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    identifier = path.rpartition("/")[2]
    ann.run("UPDATE workflows SET definition = '{\"do\": []}', version = '0' WHERE id = %s", identifier)
    patched(ann, path, {"definition": GREETING})
    old = ann.get(f"{path}/versions?sort=created_at").json["items"][1]
    answer = ann.post(f"{path}/versions/{old['id']}/activate")
    assert (answer.status, answer.code) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"].startswith("/definition")
    assert ann.get(path).json["definition"] == GREETING
