"""The house rules: each asks the catalogue, and each is shown to catch who breaks it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config import ROOT

LINTS = sorted((ROOT / "sql" / "lints").glob("*.sql"))
VIOLATIONS = Path(__file__).parent / "violations"


def _violations() -> Iterator[Any]:
    for path in sorted(VIOLATIONS.glob("*.sql")):
        blocks = re.split(r"^-- violation: (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
        for number, (expected, script) in enumerate(zip(blocks[::2], blocks[1::2]), start=1):
            yield pytest.param(path.stem, expected, script, id=f"{path.stem}-{number}")


def _faults(connection: psycopg.Connection[Any], lint: str) -> list[dict[str, Any]]:
    text = (ROOT / "sql" / "lints" / f"{lint}.sql").read_text("utf-8")
    return list(connection.execute(text))


@pytest.mark.parametrize("lint", [path.stem for path in LINTS])
def test_the_schema_keeps_the_rule(admin: psycopg.Connection[Any], lint: str) -> None:
    faults = _faults(admin, lint)
    assert not faults, "\n".join(f"{fault['object']}: {fault['fault']}" for fault in faults)


@pytest.mark.parametrize(("lint", "expected", "script"), list(_violations()))
def test_a_violation_is_caught(admin: psycopg.Connection[Any], lint: str, expected: str, script: str) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute(script)
        assert expected in [fault["object"] for fault in _faults(admin, lint)]


@pytest.mark.parametrize("path", LINTS, ids=lambda path: path.stem)
def test_each_rule_says_why_and_has_a_violation(path: Path) -> None:
    assert path.read_text("utf-8").startswith("-- ")
    assert (VIOLATIONS / path.name).exists()
