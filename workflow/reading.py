"""Reading a definition: YAML 1.2 into what JSON would have held, and nothing that costs more to read than to send."""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar

import orjson
import yaml

from workflow.faults import Fault, InvalidDocument, pointer

MAX_BYTES = 262_144  # of a definition, as JSON and as YAML
MAX_NODES = 20_000  # values in it, large and small: what checking it costs
MAX_DEPTH = 60  # levels of nesting; below that of a request's body, which has the definition a level deeper

# libyaml's own parser where the wheel has it: ten times the speed of the one in Python
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc]
    """YAML 1.2's core schema (chapter 10.3): `on`, `yes` and `2026-01-01` are strings, `0o17` is a number."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first)


def _integer(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    bases = {"0o": 8, "0x": 16}
    if len(text) > 30:
        raise yaml.constructor.ConstructorError(None, None, "the number has too many digits", node.start_mark)
    return int(text[2:], bases[text[:2]]) if text[:2] in bases else int(text)


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a string", key_node.start_mark)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key} comes twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def from_yaml(text: str) -> Any:
    """The document that a YAML text holds.

    :raises InvalidDocument: it is too large or too deep, is not YAML, or uses what JSON has no word for: anchors and
        aliases, tags, several documents, keys that are no strings or come twice.
    """
    if len(text.encode()) > MAX_BYTES:
        raise InvalidDocument([Fault("", f"The definition has more than {MAX_BYTES} bytes.")])
    try:
        _look_through(text)
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidDocument([Fault("", f"Not YAML{place}: {error.problem or error.context}.")]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidDocument([Fault("", "Not YAML: it holds a character or a value that cannot be read.")]) from error


def _look_through(text: str) -> None:
    """Refuse by the stream of events, before anything is built from it.

    :raises yaml.YAMLError: there is something that is refused.
    """
    depth = documents = nodes = 0
    event: Any
    for event in yaml.parse(text, _Parser):
        fault = ""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            fault = "anchors and aliases are not taken"
        elif getattr(event, "tag", None) not in (None, "!"):
            fault = "tags are not taken"
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            fault = "there is more than one document" if documents > 1 else ""
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            fault = f"it is nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else ""
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > 2 * MAX_NODES:  # each name is a node too
            fault = f"it holds more than {MAX_NODES} values"
        if fault:
            raise yaml.MarkedYAMLError(problem=fault, problem_mark=event.start_mark)


def refuse_unstorable(value: Any) -> list[Fault]:
    """What is too large, too deep, or cannot be kept as JSON.

    :return: the faults; when there are some, nothing else of the document should be looked at.
    """
    faults: list[Fault] = []
    nodes = 0
    waiting: list[tuple[Any, str, int]] = [(value, "", 0)]
    while waiting:
        each, place, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES:
            return [Fault("", f"The definition holds more than {MAX_NODES} values.")]
        if depth > MAX_DEPTH:
            return [Fault(place, f"The definition is nested deeper than {MAX_DEPTH} levels.")]
        if isinstance(each, dict):
            faults += [Fault(place, "A name holds NUL.") for name in each if "\0" in name]
            waiting += [(inner, pointer(place, name), depth + 1) for name, inner in each.items()]
        elif isinstance(each, list):
            waiting += [(inner, pointer(place, index), depth + 1) for index, inner in enumerate(each)]
        elif isinstance(each, str) and ("\0" in each or any("\ud800" <= letter <= "\udfff" for letter in each)):
            faults.append(Fault(place, "Holds a character that cannot be stored."))
        elif isinstance(each, float) and not math.isfinite(each):
            faults.append(Fault(place, "Not a finite number."))
        elif isinstance(each, int) and not -(2**63) <= each < 2**63:
            faults.append(Fault(place, "The number has more than 64 bits."))
    if not faults and len(orjson.dumps(value)) > MAX_BYTES:
        faults.append(Fault("", f"The definition has more than {MAX_BYTES} bytes."))
    return faults
