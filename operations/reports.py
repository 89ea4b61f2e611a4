"""The reports of `/api/v1/operations` as plain tables, for the command line and the administrator's login."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from database.queries import load
from repositories.operations import REPORTS, Operations, note_on

MIGRATOR = load("schema_migrations")
TABLES = {**REPORTS, "maintenance-runs": Operations.queries.maintenance_runs}
WIDEST = 64  # characters of a column; a checksum has as many
WHOLE = {"error_message"}  # the cause is at its end


def report(url: str, name: str) -> str:
    """A report, and what one has to know to read it.

    :param url: an administrator's login.
    :param name: one of `TABLES`.
    :raises psycopg.Error: the database cannot be reached, or the login is not the administrator's.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.execute(MIGRATOR.become_owner.text)
        rows = connection.execute(TABLES[name].text).fetchall()
        seen = connection.execute(Operations.queries.observation.text).fetchone()
    assert seen is not None
    note = note_on(name, seen)
    return "\n".join([*(_table(rows) if rows else ["Nothing."]), *([note] if note else [])])


def request_maintenance(url: str, task: str) -> None:
    """Have the worker do a maintenance task now.

    :param url: an administrator's login.
    :raises psycopg.Error: the database cannot be reached, or the login is not the administrator's.
    """
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(MIGRATOR.become_owner.text)
        connection.execute(Operations.queries.request.text, [task])


def _table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    names = [name for name in rows[0] if f"{name}_bytes" not in rows[0] and name != "schema_name"]
    cells = [[_cell(row[name], name in WHOLE) for name in names] for row in rows]
    widths = [max(len(row[place]) for row in [names, *cells]) for place in range(len(names))]
    numeric = [isinstance(rows[0][name], int | float) for name in names]
    for row in [names, ["-" * width for width in widths], *cells]:
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        yield "  ".join(parts).rstrip()


def _cell(value: Any, whole: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    text = f"{value:.2f}" if isinstance(value, float) else " ".join(str(value).split())
    return text if whole or len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
