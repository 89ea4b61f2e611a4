"""YAML 1.2, and no more of it than JSON has."""

from __future__ import annotations

from typing import Any

import pytest

from workflow.faults import InvalidDocument
from workflow.reading import MAX_BYTES, MAX_DEPTH, MAX_NODES, from_yaml

# by the core schema of YAML 1.2.2, chapter 10.3
SCALARS: list[tuple[str, Any]] = [
    ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("true", True), ("True", True),
    ("FALSE", False), ("tRUE", "tRUE"), ("null", None), ("~", None), ("", None), ("7", 7), ("-7", -7), ("+7", 7),
    ("010", 10), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"), ("1_000", "1_000"), ("12:30:45", "12:30:45"),
    ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.5E-3", 0.0015), ("2026-01-01", "2026-01-01"),
    ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ("1.0.3", "1.0.3"), ("'7'", "7"), ('"on"', "on"), ("=", "="),
    ("<<", "<<"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars(text: str, value: Any) -> None:
    found = from_yaml(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_stay_what_they_are() -> None:
    assert from_yaml("on: {yes: 1, <<: {a: 1}}\n") == {"on": {"yes": 1, "<<": {"a": 1}}}


REFUSED = [
    ("a: &x 1", "line 1, column 4: anchors"),
    ("a: 1\nb: *x", "line 2, column 4: anchors"),
    ("a: !!python/object/apply:os.system [ls]", "line 1, column 4: tags"),
    ("a: !!str 1", "tags"),
    ("a: 1\n---\nb: 1", "more than one document"),
    ("a: 1\nb: 2\na: 3", "line 3, column 1: the key a comes twice"),
    ("1: a", "a key must be a string"),
    ("? [a]\n: 1", "a key must be a string"),
    ("a: [1, 2", "line 2"),
    ("a: b: c", "line 1, column 5"),
    ("a: \x01", "cannot be read"),
    (f"a: {'9' * 31}", "too many digits"),
    ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper"),
    ("- 1\n" * (2 * MAX_NODES), "more than"),
    ("x" * (MAX_BYTES + 1), "bytes"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_is_refused(text: str, told: str) -> None:
    with pytest.raises(InvalidDocument) as refusal:
        from_yaml(text)
    (fault,) = refusal.value.faults
    assert told in fault.detail


def test_an_alias_bomb_is_refused_before_it_is_built() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(InvalidDocument, match="1 faults"):
        from_yaml("\n".join(lines))
