"""Bounds of every value in the OpenAPI document: what reads it may set memory aside by them.

Input has the bounds of its validators. What is bounded by its format alone, and answers, get theirs here; OWASP's
rule set for OpenAPI (API4:2023, unrestricted resource consumption) asks for them.
"""

from __future__ import annotations

from typing import Any

LENGTHS = {"uuid": 45, "date-time": 64, "date": 10, "email": 320, "uri": 2048}  # a UUID may be written as a URN
LONGEST_TEXT = 8 * 1024 * 1024  # no body is larger by default
MOST_ITEMS = 10_000
INTEGER = {"format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}


def bound(schema: dict[str, Any]) -> None:
    """Add the bounds that a schema and those inside it lack."""
    kind = schema.get("type")
    if kind == "string" and not schema.keys() & {"maxLength", "enum", "const"}:
        schema["maxLength"] = LENGTHS.get(schema.get("format", ""), LONGEST_TEXT)
    elif kind == "integer":
        for name, value in INTEGER.items():
            schema.setdefault(name, value)
    elif kind == "array":
        schema.setdefault("maxItems", MOST_ITEMS)
    for inner in _inside(schema):
        bound(inner)


def _inside(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for word in ("allOf", "anyOf", "oneOf"):
        found += schema.get(word, [])
    return [each for each in found if isinstance(each, dict)]
