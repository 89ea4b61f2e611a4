"""Links of the OpenAPI document: they lead from what was made to what can be done with it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.service import API, Person
from tests.web.document import document
from tests.web.specimens import SPECIMENS
from web.openapi import operations

MAKERS = [
    (path, operation)
    for path, _, operation in operations(document())
    if "links" in operation["responses"].get("201", {})
]


def test_whatever_can_be_read_is_led_to() -> None:
    linked = {name for _, maker in MAKERS for name in maker["responses"]["201"]["links"]}
    assert {"get_integration", "change_member", "get_workflow_execution", "revoke_api_key"} <= linked
    assert len(MAKERS) >= 12


@pytest.mark.parametrize(("path", "maker"), MAKERS, ids=[maker["operationId"] for _, maker in MAKERS])
def test_a_link_leads_to_what_was_made(ann: Person, path: str, maker: dict[str, Any]) -> None:
    paths = {each["operationId"]: (place, method) for place, method, each in operations(document())}
    call = SPECIMENS[maker["operationId"]](ann)
    made = ann.post(call.path, call.body)
    assert made.status == 201, made.body
    given = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path), API + call.path)
    assert given is not None
    followed = 0
    for name, link in maker["responses"]["201"]["links"].items():
        place, method = paths[name]
        values = {each: _value(expression, made, given) for each, expression in link["parameters"].items()}
        if method == "get":
            assert ann.get(place.removeprefix(API).format(**values)).status == 200, name
            followed += 1
    assert followed


def _value(expression: str, made: Any, given: re.Match[str]) -> str:
    """What a runtime expression (OpenAPI 3.0.3, 4.7.20.4) stands for."""
    kind, _, name = expression.removeprefix("$").partition("#/" if "#" in expression else ".")
    if kind == "response.body":
        return str(made.json[name])
    part, _, rest = name.partition(".")
    return given[rest] if part == "path" else str(made.headers[rest])
