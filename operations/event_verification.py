"""Whether the rows are what their events tell: all events of every aggregate folded, and compared (ruling 29)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from config import ROOT
from database.queries import templates

STATEMENTS = ROOT / "sql" / "verify_events.sql"

# The session of an administrator whom row level security does not bind; bound, it would see no fault in seeing nothing.
# It writes nothing, so that it takes no transaction id: readers of events would wait for its end.
SETTINGS = {
    "row_security": "off", "timezone": "UTC", "work_mem": "128MB", "statement_timeout": "0", "jit": "off",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Where an aggregate is not what its events tell.

    :param column: the column that differs; None where it is no column's fault.
    """

    aggregate: str
    aggregate_id: str | None
    fault: str
    column: str | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.aggregate, self.aggregate_id, self.column, self.fault)))


@dataclass
class Verification:
    """What was checked, how long it took, and what was wrong."""

    aggregates: int = 0
    events: int = 0
    seconds: float = 0.0
    faults: list[Fault] = field(default_factory=list)


def verify_events(url: str) -> Verification:
    """Compare every aggregate with its events, archived months included, as of one moment.

    :param url: an administrator's login that row level security does not bind; another one is refused.
    :raises psycopg.Error: the database refused something.
    """
    found, began = Verification(), time.monotonic()
    options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
    with psycopg.connect(url, row_factory=dict_row, options=options) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        parts = templates(STATEMENTS)
        events = _every_event([row["name"] for row in connection.execute(parts["archived"])], parts["month"])
        counts = {row["aggregate"]: row for row in connection.execute(parts["counts"].format(events=events))}
        for row in counts.values():
            found.aggregates += row["aggregates"]
            found.events += row["events"]
        known = connection.execute(parts["known"]).fetchall()
        for table in known:
            found.faults += _faults(connection, table, events)
        for aggregate in counts.keys() - {table["aggregate"] for table in known}:
            found.faults.append(Fault(aggregate, None, "no table is this aggregate"))
    found.seconds = time.monotonic() - began
    return found


def _every_event(archived: list[str], month_of: sql.SQL) -> sql.Composed:
    months = [sql.Identifier("events"), *(sql.Identifier("archive", name) for name in archived)]
    selects = [month_of.format(month=month) for month in months]
    return sql.SQL("({})").format(sql.SQL(" UNION ALL ").join(selects))


def _faults(
    connection: psycopg.Connection[dict[str, Any]], table: dict[str, Any], events: sql.Composed
) -> Iterator[Fault]:
    parts, rows = templates(STATEMENTS), sql.Identifier(table["name"])
    expired: sql.Composable = sql.SQL("false")
    if table["time_column"] is not None:
        time_column = sql.Identifier(table["time_column"])
        expired = parts["expired"].format(time_name=table["time_column"], time_column=time_column, rows=rows)
    statement = parts["faults"].format(
        rows=rows,
        events=events,
        # a column that came later is not in the events of before: expressions out of the catalogue
        defaults=sql.SQL("jsonb_build_object({})").format(sql.SQL(", ".join(table["defaults"]))),
        expired=expired,
    )
    for row in connection.execute(statement, {"aggregate": table["aggregate"], "table": table["name"]}):
        yield Fault(table["aggregate"], row["aggregate_id"], row["fault"], row["column_name"])
