"""Schemas of strangers: kept cheap, and what they say of an input."""

from __future__ import annotations

import time
from typing import Any

import pytest

from workflow.inputs import MAX_UNFOLDED, input_faults, schema_faults

CUSTOMER = {
    "$defs": {"name": {"type": "string", "minLength": 1}},
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"$ref": "#/$defs/name"}, "tags": {"items": {"pattern": "^[a-z/]+$"}}},
}


def _doubling(levels: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {"a0": {"type": "string"}}
    for level in range(1, levels):
        definitions[f"a{level}"] = {"allOf": [{"$ref": f"#/$defs/a{level - 1}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/a{levels - 1}"}


@pytest.mark.parametrize(
    "schema", [True, {}, CUSTOMER, _doubling(5), {"$schema": "http://json-schema.org/draft-07/schema#"}]
)
def test_schemas_that_are_accepted(schema: Any) -> None:
    assert list(schema_faults(schema, "/s")) == []


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (7, "/s"),
        ({"type": "strange"}, "/s/type"),
        ({"properties": {"a": {"minimum": "x"}}}, "/s/properties/a/minimum"),
        ({"$ref": "https://example.org/schema"}, "/s/$ref"),
        ({"allOf": [{"$ref": "file:///etc/passwd"}]}, "/s/allOf/0/$ref"),
        ({"$dynamicRef": "#x"}, "/s/$dynamicRef"),
        ({"$ref": "#"}, "/s"),
        ({"properties": {"a": {"$ref": "#"}}}, "/s"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "/s"),
        (_doubling(40), "/s"),
        ({"enum": [1], "anyOf": [{}] * MAX_UNFOLDED}, "/s"),
        ({"pattern": "(a)\\1"}, "/s/pattern"),
        ({"pattern": "(x{1000}){1000}"}, "/s/pattern"),
    ],
)  # fmt: skip
def test_schemas_that_are_refused(schema: Any, pointer: str) -> None:
    assert [fault.pointer for fault in schema_faults(schema, "/s")] == [pointer]


def test_every_fault_of_an_input_is_told() -> None:
    faults = input_faults(CUSTOMER, {"name": "", "tags": ["a/b", "B"]})
    assert [fault.pointer for fault in faults] == ["/name", "/tags/1"]
    assert input_faults(CUSTOMER, {"name": "Ann"}) == []
    (long,) = input_faults({"maxLength": 1}, "x" * 10_000)
    assert len(long.detail) < 300


def test_a_pattern_is_matched_in_linear_time() -> None:
    started = time.process_time()
    assert input_faults({"pattern": "^(a+)+$"}, "a" * 50_000 + "b")
    assert time.process_time() - started < 1
