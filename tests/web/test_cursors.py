"""Cursors that are none, or belong elsewhere."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.service import Person
from tests.web.asking import assert_refused
from tests.web.document import every_operation

LISTS = [each for each in every_operation() if each.is_list and "{" not in each.path]


def test_cursors_that_are_none(eve: Person) -> None:
    for _ in range(3):
        eve.integration()
    cursor = eve.get("/integrations?limit=1").json["next_cursor"]
    payload, _, signature = cursor.rpartition(".")
    inside = base64.urlsafe_b64encode(json.dumps(["/api/v1/integrations", {}, ["2026-01-01", "x"]]).encode()).decode()
    for wrong in (
        "x", "%00", "..", "a.b", payload, f".{signature}", f"{payload}.", cursor[:-1], cursor + "x", f"x{cursor}",
        cursor.swapcase(), f"{inside}.{signature}", f"{payload}.{signature}.{signature}", "x" * 4000, "%F0%9F%A6%8A",
    ):  # fmt: skip
        assert_refused(eve.get(f"/integrations?cursor={wrong}"), 400, "bad_cursor")
    assert_refused(eve.get("/integrations?cursor=" + "x" * 4001), 400, "bad_cursor")


def test_a_cursor_with_other_filters(eve: Person) -> None:
    for _ in range(3):
        eve.integration(service_type="soap")
    cursor = eve.get("/integrations?limit=1&service_type=soap").json["next_cursor"]
    assert eve.get(f"/integrations?cursor={cursor}").json["items"][0]["service_type"] == "soap"
    assert eve.get(f"/integrations?cursor={cursor}&service_type=soap&limit=2").status == 200
    for changed in ("service_type=rest", "status=draft", "sort=name", "include_deleted=true", "q=x"):
        assert_refused(eve.get(f"/integrations?cursor={cursor}&{changed}"), 400, "bad_cursor")


@pytest.mark.parametrize("operation", LISTS, ids=lambda each: each.id)
def test_a_cursor_of_another_list(eve: Person, integration: dict[str, Any], operation: Any) -> None:
    source = "/integrations" if operation.path != "/integrations" else "/events"
    eve.integration()
    cursor = eve.get(f"{source}?limit=1").json["next_cursor"]
    assert_refused(eve.get(f"{operation.path}?cursor={cursor}"), 400, "bad_cursor")
    # also where it is spelled so that a cache of query strings would not know it
    assert_refused(eve.get(f"{operation.path}?%63ursor={cursor}"), 400, "bad_cursor")


def test_a_cursor_of_the_same_list_below_another_resource(eve: Person) -> None:
    paths = [f"/integrations/{eve.integration()['id']}/dependencies" for _ in range(2)]
    for path in paths:
        for name in ("a", "b"):
            eve.post(path, {"dependency_name": name})
    cursor = eve.get(f"{paths[0]}?limit=1").json["next_cursor"]
    for spelled in ("cursor", "%63ursor"):
        assert eve.get(f"{paths[0]}?{spelled}={cursor}").status == 200
        assert_refused(eve.get(f"{paths[1]}?{spelled}={cursor}"), 400, "bad_cursor")


def test_a_cursor_of_somebody_else_shows_nothing_of_theirs(eve: Person, other: Person) -> None:
    for _ in range(2):
        eve.integration()
        other.integration()
    cursor = eve.get("/integrations?limit=1").json["next_cursor"]
    found = other.get(f"/integrations?cursor={cursor}").json["items"]
    assert {each["author_id"] for each in found} <= {other.user_id}
