"""JSON Schemas that definitions hold, and what they say of an input.

They come from strangers and are run in the service's own process. So they are kept to what is cheap: nothing is
fetched, patterns are matched in linear time (without look-around and back-references), and a schema neither refers to
itself nor unfolds into more than MAX_UNFOLDED parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from workflow.faults import Fault, distinct, pointer

MAX_UNFOLDED = 2_000

_OPTIONS: dict[str, Any] = {"offline": True, "pattern_options": jsonschema_rs.RegexOptions(size_limit=1_000_000)}
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def schema_faults(schema: Any, base: str) -> Iterator[Fault]:
    """What is wrong with a schema.

    :param base: the schema's pointer.
    """
    if not isinstance(schema, dict | bool):
        yield Fault(base, "A schema is an object, or true or false.")
        return
    foreign = list(_foreign_references(schema, base))
    yield from foreign
    if foreign:
        return
    if _unfolded(schema, schema, ()) > MAX_UNFOLDED:
        yield Fault(base, f"The schema refers to itself, or unfolds into more than {MAX_UNFOLDED} parts.")
        return
    try:
        jsonschema_rs.validator_for(schema, **_OPTIONS)
    except jsonschema_rs.ValidationError as error:
        yield Fault(pointer(base, *error.instance_path), "Not a valid JSON Schema.")
    except ValueError:
        yield Fault(base, "Not a valid JSON Schema.")


def input_faults(schema: Any, value: Any) -> list[Fault]:
    """What a schema that was accepted has against an input.

    :return: the faults, with pointers into the input.
    """
    validator = jsonschema_rs.validator_for(schema, **_OPTIONS)
    return distinct(
        Fault(pointer("", *error.instance_path), f"Does not fit the schema: {error.kind.name}."
              if len(error.message) > 300 else f"{error.message}.")
        for error in validator.iter_errors(value)
    )  # fmt: skip


def _foreign_references(schema: Any, place: str) -> Iterator[Fault]:
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name in _REFERENCES and isinstance(inner, str):
                if name != "$ref" or not (inner == "#" or inner.startswith("#/")):
                    yield Fault(pointer(place, name), "A schema refers to its own parts only, as in #/$defs/name.")
            else:
                yield from _foreign_references(inner, pointer(place, name))
    elif isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from _foreign_references(inner, pointer(place, index))


def _unfolded(schema: Any, node: Any, within: tuple[str, ...]) -> int:
    """How many parts a schema has once each reference stands for what it names; past the limit for one that loops."""
    count, waiting = 0, [node]
    while waiting and count <= MAX_UNFOLDED:
        each = waiting.pop()
        count += 1
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += [inner for name, inner in each.items() if name not in ("$ref", "$defs", "definitions")]
            reference = each.get("$ref")
            if isinstance(reference, str):
                if reference in within:
                    return MAX_UNFOLDED + 1
                count += _unfolded(schema, _target(schema, reference), (*within, reference))
    return count


def _target(schema: Any, reference: str) -> Any:
    for step in reference.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list):
            schema = schema[int(name)] if name.isdecimal() and int(name) < len(schema) else None
        else:
            schema = schema.get(name) if isinstance(schema, dict) else None
    return schema
