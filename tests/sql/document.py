"""Reads the document: what its SQL names, table by table."""

from __future__ import annotations

import re
from pathlib import Path

from config import ROOT

DOCUMENT = ROOT.parent / "shared" / "spec" / "schema.md"
SCHEMA_PAGE = ROOT / "docs" / "schema.md"


def statements(path: Path = DOCUMENT) -> str:
    """All SQL of the document, without comments."""
    blocks = re.findall(r"^```sql\n(.*?)^```", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"--.*$", "", "\n".join(blocks), flags=re.MULTILINE)


def tables(text: str) -> dict[str, str]:
    """The CREATE TABLE statement of each table, without references to others."""
    found = {}
    for name, body in re.findall(r"^CREATE TABLE (\w+) \(\n(.*?)^\);", text, flags=re.MULTILINE | re.DOTALL):
        body = re.sub(r"\s+REFERENCES \w+\(\w+\)", "", body)
        found[name] = f"CREATE TABLE {name} (\n{body});"
    return found


def indexes(text: str) -> dict[str, str]:
    """The CREATE INDEX statement of each index, those of materialized views among them."""
    found = re.findall(r"^(CREATE (?:UNIQUE )?INDEX (\w+) .*?;)", text, flags=re.MULTILINE | re.DOTALL)
    return {name: statement for statement, name in found}


def partitions(text: str) -> dict[str, tuple[str, str, str]]:
    """Parent and bounds of each partition."""
    pattern = r"CREATE TABLE (\w+) PARTITION OF (\w+)\s+FOR VALUES FROM \('(.*?)'\) TO \('(.*?)'\);"
    return {name: (parent, first, last) for name, parent, first, last in re.findall(pattern, text)}


def named(text: str, kind: str) -> list[str]:
    """The names of all functions, triggers, policies, views or materialized views.

    :param kind: such as `TRIGGER`.
    """
    return re.findall(rf"^CREATE (?:OR REPLACE )?{kind} (\w+)", text, flags=re.MULTILINE)


def deviations() -> set[str]:
    """What `docs/schema.md` lists as different: the code at the beginning of each row of its tables."""
    return set(re.findall(r"^\| `([\w.]+)`", SCHEMA_PAGE.read_text("utf-8"), flags=re.MULTILINE))
