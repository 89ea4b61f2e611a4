"""The language's JSON Schema, and its verdicts in words that people read.

A document is checked piece by piece: the whole without its tasks, then each task by itself against the one definition
that its keyword names. Against the schema as it is, one wrong letter in a task is forty faults, one for each kind of
task that it could have been.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from workflow.faults import Fault, pointer

_FILE = Path(__file__).parent / "schema" / "workflow.json"

# what a definition of the schema is, for those who wrote neither of its forms
_SENTENCES = {
    "duration": "Not a duration: write ISO 8601 such as PT15M, an object of days, hours, minutes, seconds and"
    " milliseconds, or an expression in ${ }.",
    "endpoint": "Not an endpoint: write an absolute URI, an object with `uri`, or an expression in ${ }.",
    "uriTemplate": "Not an absolute URI or URI template.",
    "runtimeExpression": "Not an expression in ${ }.",
}
_TYPES = {"object": "an object", "array": "a list", "string": "a string", "integer": "a whole number",
          "number": "a number", "boolean": "true or false", "null": "null"}  # fmt: skip


@functools.cache
def schema() -> dict[str, Any]:
    """The published schema with what is ours: tasks stay outside, durations are bounded, the top knows its names."""
    ours: dict[str, Any] = orjson.loads(_FILE.read_bytes())
    definitions = ours["$defs"]
    definitions["taskList"]["items"]["additionalProperties"] = True
    ours["properties"]["use"]["properties"]["functions"]["additionalProperties"] = True
    ours["additionalProperties"] = False
    for unit in definitions["duration"]["oneOf"][0]["properties"].values():
        unit |= {"minimum": 0, "maximum": 10**12}
    return ours


@functools.cache
def _validator(name: str, branch: int | None) -> jsonschema_rs.Validator:
    definitions = schema()["$defs"]
    if not name:
        checked = schema()
    else:
        reference = f"#/$defs/{name}" if branch is None else f"#/$defs/{name}/oneOf/{branch}"
        checked = {"$schema": schema()["$schema"], "$ref": reference, "$defs": definitions}
    return jsonschema_rs.validator_for(checked, offline=True, validate_formats=True)


def faults(value: Any, base: str, name: str = "", branch: int | None = None) -> Iterator[Fault]:
    """What the schema has against a value.

    :param base: the value's pointer.
    :param name: the definition that it should fulfil; the document itself when left out.
    :param branch: which of the definition's alternatives, where the caller knows.
    """
    yield from _explained(list(_validator(name, branch).iter_errors(value)), base)


def call_branch(kind: str) -> int:
    """Which alternative of `callTask` a call's name stands for; the last is a function's or a topic's."""
    branches = schema()["$defs"]["callTask"]["oneOf"]
    for number, each in enumerate(branches):
        if each["allOf"][1]["properties"]["call"].get("const") == kind:
            return number
    return len(branches) - 1


def properties(name: str) -> set[str]:
    """The names that a definition of the schema knows."""
    return _known(schema()["$defs"][name])


def _explained(errors: list[Any], base: str) -> Iterator[Fault]:
    """The schema's verdicts on one value, in words."""
    leftovers = [error for error in errors if error.kind.name in ("unevaluatedProperties", "additionalProperties")]
    others = [error for error in errors if error not in leftovers]
    for error in others:
        yield from _told(error, base)
    for error in leftovers:
        place, known = pointer(base, *error.instance_path), _known(_node(error.schema_path[:-1]))
        strange = [name for name in error.kind.unexpected if name not in known]
        yield from (Fault(pointer(place, name), _unknown(known)) for name in strange)
        # names are left over too where what they hold is wrong, and that is told by itself
        depth = len(error.instance_path)
        inner = [each for each in leftovers if len(each.instance_path) > depth]
        if not strange and not any(each.instance_path[:depth] == error.instance_path for each in (*others, *inner)):
            names = error.kind.unexpected
            yield from (Fault(pointer(place, name), "This does not go with what stands beside it.") for name in names)


def _told(error: Any, base: str) -> Iterator[Fault]:
    place = pointer(base, *error.instance_path)
    kind = error.kind
    match kind.name:
        case "required":
            yield Fault(pointer(place, kind.property), "This is required.")
        case "oneOf" | "anyOf" if isinstance(kind, _NO_BRANCH):
            yield from _of_branches(error, base, place)
        case "oneOf":
            names = sorted({name for branch in _node(error.schema_path) for name in branch.get("required", [])})
            yield Fault(place, f"Only one of {', '.join(names)} may be given." if names else "This is ambiguous.")
        case _:
            yield Fault(place, _sentence(kind, error))


_NO_BRANCH = (jsonschema_rs.ValidationErrorKind.OneOfNotValid, jsonschema_rs.ValidationErrorKind.AnyOf)


def _of_branches(error: Any, base: str, place: str) -> Iterator[Fault]:
    """The faults of the alternative that was meant."""
    path = list(error.instance_path)
    definition = error.schema_path[-2] if len(error.schema_path) > 2 and error.schema_path[-3] == "$defs" else ""
    branches = [branch for branch in error.kind.context if branch]
    ranked = sorted((_distance(branch, path), number) for number, branch in enumerate(branches))
    best = [number for distance, number in ranked if distance == ranked[0][0]]
    far = ranked[0][0] >= _OTHER_KEYWORD
    if definition in _SENTENCES and (far or len(best) > 1):
        yield Fault(place, _SENTENCES[definition])
    elif len(best) == 1 and ranked[0][0] < _OTHER_TYPE:
        yield from _explained(branches[best[0]], base)
    elif ranked[0][0] == _OTHER_KEYWORD:
        names = sorted({each.kind.property for branch in branches for each in branch if each.kind.name == "required"})
        yield Fault(place, f"Needs one of {', '.join(names)}.")
    else:
        sentences = dict.fromkeys(fault.detail for branch in branches for fault in _explained(branch[:1], base))
        yield Fault(place, " Or: ".join(sentences) or "This is not valid.")


_OTHER_VALUE, _OTHER_KEYWORD, _OTHER_TYPE = 1, 2, 3


def _distance(branch: list[Any], path: list[str | int]) -> int:
    """How far an alternative is from what was meant: 0 where only its inside is wrong."""
    return max((_weight(each, path) for each in branch if list(each.instance_path) == path), default=0)


def _weight(error: Any, path: list[str | int]) -> int:
    match error.kind.name:
        case "type":
            return _OTHER_TYPE
        case "required":
            return _OTHER_KEYWORD
        case "oneOf" | "anyOf":
            return min((_distance(branch, path) for branch in error.kind.context if branch), default=_OTHER_VALUE)
        case "pattern" | "enum" | "const" | "format":
            return _OTHER_VALUE
    return 0


def _sentence(kind: Any, error: Any) -> str:
    match kind.name:
        case "type":
            names = kind.types if isinstance(kind.types, list) else [kind.types]
            return f"Expected {' or '.join(_TYPES[name] for name in names)}."
        case "enum":
            return f"Not one of {', '.join(str(option) for option in kind.options)}."
        case "pattern":
            definition = error.schema_path[-2]
            return _SENTENCES.get(str(definition), "Not of the form that is asked for here.")
        case "format":
            return f"Not a valid {kind.format}."
        case "minItems" | "minProperties":
            return "This may not be empty." if kind.limit == 1 else f"Needs at least {kind.limit}."
        case "maxProperties":
            return "Holds more than one name: each entry is one name with what belongs to it."
        case "minimum":
            return f"Not less than {kind.limit}."
        case "maximum":
            return f"Not more than {kind.limit}."
    return "This is not allowed here."


def _unknown(known: set[str]) -> str:
    return f"There is no such thing here; known are {', '.join(sorted(known))}." if known else "Nothing is known here."


def _node(path: list[str | int]) -> Any:
    found: Any = schema()
    for step in path:
        found = found[step]
    return found


def _known(node: dict[str, Any]) -> set[str]:
    """The names that a schema and all its parts know, whichever of them applies."""
    names = set(node.get("properties", {}))
    for part in (*node.get("allOf", ()), *node.get("oneOf", ()), *node.get("anyOf", ())):
        names |= _known(part)
    if "$ref" in node:
        names |= _known(_node(node["$ref"].removeprefix("#/").split("/")))
    return names
