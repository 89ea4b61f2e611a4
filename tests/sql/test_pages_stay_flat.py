"""Pages cost the same among few rows and many, the first and the thousandth: counted in blocks, which are steadier than
seconds. `bin/bench --pages` measures the same lists among a million rows."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from benchmarks.pages import DEPTH, LISTS, LOAD, List
from database.queries import QUERIES, Query, load
from tests.conftest import Database
from tests.sql.people import Connection, People

FEW, MANY = 2_500, 15_000  # half of them the team's, one on a page
STEEPNESS = 1.5
DEEPER = 6  # an index of many rows has a level more, in each partition that is looked into

Case = tuple[str, bool, int]


def _fill(database: Database, rows: int) -> None:
    with psycopg.connect(database.admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as admin:
        for statement in LOAD.read_text("utf-8").split(";\n"):
            admin.execute(statement.encode(), {"rows": rows})


def _statement(
    each: List, team: str | None, after: list[str] | None, *, bounded: bool = False
) -> tuple[Query, dict[str, Any]]:
    query = load(each.table).list.variant(
        each.key, descending=True, continued=after is not None, tenant_known=team is not None, bounded=bounded
    )
    moment, tie = after or (None, None)
    places = {"after": moment, "after_tie": tie, "after_id": tie}
    return query, {"limit": 2, "organization_id": team, **places, **dict(each.filters)}


def _blocks(connection: Connection, each: List, team: str | None, depth: int) -> int:
    after = None
    if depth > 1:
        query, values = _statement(
            each, team, None, bounded=True
        )  # more rows than a page has, which the quick one refuses
        values["limit"] = depth - 1
        rows = _run(connection, query.text, query, values)
        assert len(rows) == depth - 1
        after = [rows[-1][each.key].isoformat(), str(rows[-1]["id"])]
    query, values = _statement(each, team, after)
    given = psycopg.ClientCursor(connection).mogrify(
        ", ".join(["%s"] * len(query.parameters)), [values.get(name) for name in query.parameters]
    )
    most = 0
    connection.execute(f"PREPARE page AS {query.text}".encode())
    for mode in ("force_custom_plan", "force_generic_plan"):  # a prepared statement comes to have either
        connection.execute(f"SET LOCAL plan_cache_mode = {mode}".encode())
        for _ in range(2):  # the first time the connection reads the catalogue
            row = connection.execute(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE page({given})".encode()
            ).fetchone()
        assert row is not None
        plan = row["QUERY PLAN"][0]["Plan"]
        assert plan["Actual Rows"] >= 1
        most = max(most, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    connection.execute("DEALLOCATE page")
    return most


def _run(connection: Connection, text: str, query: Query, values: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = psycopg.RawCursor(connection, row_factory=psycopg.rows.dict_row)
    return cursor.execute(text.encode(), [values.get(name) for name in query.parameters]).fetchall()


@pytest.fixture(scope="module")
def touched(module_database: Database) -> dict[Case, list[int]]:
    """Blocks of each page: among few rows, then among many."""
    people = People(module_database)
    person = people.register()
    with module_database.admin() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("INSERT INTO organizations (id, name, slug) VALUES (md5('team 1')::uuid, 'Team', 'team')")
        admin.execute(
            "INSERT INTO organization_members (organization_id, user_id, role)"
            " VALUES (md5('team 1')::uuid, %s, 'admin') RETURNING organization_id",
            [person],
        )
        row = admin.execute("SELECT md5('team 1')::uuid::text AS id").fetchone()
    assert row is not None
    found: dict[Case, list[int]] = {}
    for rows in (FEW, MANY):
        _fill(module_database, rows)
        with people.acting(person) as connection:
            for each in _lists():
                for of_team in (False, True):
                    for depth in (1, DEPTH):
                        blocks = _blocks(connection, each, row["id"] if of_team else None, depth)
                        found.setdefault((each.table, of_team, depth), []).append(blocks)
    people.close()
    return found


def _lists() -> list[List]:
    return [each for each in LISTS if (QUERIES / f"{each.table}.sql").exists()]


@pytest.mark.parametrize("depth", [1, DEPTH])
@pytest.mark.parametrize("of_team", [False, True], ids=["all", "the team's"])
@pytest.mark.parametrize("table", [each.table for each in _lists()])
def test_a_page_touches_as_much_among_few_rows_as_among_many(
    touched: dict[Case, list[int]], table: str, of_team: bool, depth: int
) -> None:
    few, many = touched[table, of_team, depth]
    assert many <= STEEPNESS * few + DEEPER
    assert many < FEW / 4
