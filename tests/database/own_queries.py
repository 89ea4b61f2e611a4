"""Queries that stand in no SQL file."""

from __future__ import annotations

from database import Query


def query(text: str, kind: str = "many") -> Query:
    """A query of the test's own."""
    return Query.compile("tests.query", kind, "tests:run", "For a test.", text)  # type: ignore[arg-type]
