"""What schemathesis cannot know from the document."""

from __future__ import annotations

import uuid
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, *_: Any) -> None:
    """Keep made-up values out of requests that are meant to be right.

    Cursors come from answers only, and one answer's Idempotency-Key stands for no other request. A definition is given
    once, as JSON or as YAML. Integers of more than 64 bits are refused wherever they stand, which JSON Schema cannot
    say of where anything may stand: test_values.py sends them. Sparse answers differ from the schema by design:
    test_conventions.py compares them with whole ones.
    """
    if case.meta is not None and case.meta.generation.mode.is_negative:
        return
    for name in ("cursor", "fields"):
        if case.query:
            case.query.pop(name, None)
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if isinstance(case.body, dict) and case.body.get("definition") is not None:
        case.body.pop("definition_yaml", None)
    if isinstance(case.body, dict | list):
        _shorten_integers(case.body)


def _shorten_integers(value: dict[str, Any] | list[Any]) -> None:
    """Give integers 64 bits where they are: another body would be a case of another kind."""
    for place, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            _shorten_integers(inner)
        elif isinstance(inner, int) and not -(2**63) <= inner < 2**64:
            value[place] = inner % 2**63  # type: ignore[index]


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out page sizes of more than 64 bits, which are coerced too: see test_conventions.py."""
    limit = case.query.get("limit") if case.query else None
    return not (str(limit).lstrip("+-").isdecimal() and len(str(limit)) > 18)
