"""The document against the database: whatever it names is there, or `docs/schema.md` says why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql import document

pytestmark = pytest.mark.skipif(not document.DOCUMENT.exists(), reason="the document is not beside this checkout")

COLUMNS = """
SELECT relname || '.' || attname AS name, format_type(atttypid, atttypmod) AS type,
    pg_get_expr(adbin, adrelid) AS default, attnotnull AS is_not_null
FROM pg_class
JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""
INDEXES = """
SELECT indexrelid::regclass::text AS name,
    replace(replace(pg_get_indexdef(indexrelid), 'document.', 'public.'), ' ON ONLY ', ' ON ') AS definition
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = %s::regnamespace
"""


@pytest.fixture(scope="module")
def admin(module_database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database that has the document's own tables and indexes in a schema beside ours."""
    text = document.statements()
    tables, indexes = document.tables(text), document.indexes(text)
    with module_database.admin() as connection:
        connection.execute("CREATE SCHEMA document")
        connection.execute("SET search_path = document")
        for statement in tables.values():
            connection.execute(statement)
        for statement in indexes.values():
            if "stats" not in statement and "user_activity" not in statement:
                connection.execute(statement)
        connection.execute("SET search_path = public")
        yield connection


def _columns(admin: psycopg.Connection[Any], schema: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in admin.execute(COLUMNS, [schema])}


def _indexes(admin: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    return {row["name"].removeprefix("document."): row["definition"] for row in admin.execute(INDEXES, [schema])}


def test_the_document_is_read_whole() -> None:
    text = document.statements()
    assert len(document.tables(text)) == len(re.findall("^CREATE TABLE", text, flags=re.MULTILINE)) - 10 == 20
    assert len(document.indexes(text)) == text.count("INDEX idx_")
    assert len(document.partitions(text)) == 10


def test_columns_are_there_with_their_types_and_defaults(admin: psycopg.Connection[Any]) -> None:
    ours, listed = _columns(admin, "public"), document.deviations()
    different = set()
    for name, wanted in _columns(admin, "document").items():
        found = ours.get(name)
        if found is None or (found["type"], found["default"]) != (wanted["type"], wanted["default"]):
            different.add(name)
        else:
            assert found["is_not_null"] or not wanted["is_not_null"], name
    assert different - listed == set()


def test_indexes_are_there_as_written(admin: psycopg.Connection[Any]) -> None:
    ours, listed, text = _indexes(admin, "public"), document.deviations(), document.statements()
    theirs = _indexes(admin, "document")
    different = {name for name in document.indexes(text) if ours.get(name) != theirs.get(name, ours.get(name))}
    assert different - listed == set()
    assert {"idx_integration_stats_id", "idx_user_activity_id"} <= set(ours) | listed


def test_partitions_are_there_with_their_bounds(admin: psycopg.Connection[Any]) -> None:
    for name, (parent, first, last) in document.partitions(document.statements()).items():
        row = admin.execute(
            "SELECT lower_bound = %s::timestamptz AND upper_bound = %s::timestamptz AS fits FROM partition_ranges(%s)"
            " WHERE partition = %s::regclass", [first, last, parent, name]
        ).fetchone()  # fmt: skip
        assert row == {"fits": True}, name


@pytest.mark.parametrize(
    ("kind", "catalogue"),
    [
        ("FUNCTION", "SELECT proname AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace"),
        ("TRIGGER", "SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal"),
        ("VIEW", "SELECT relname AS name FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"),
        (
            "MATERIALIZED VIEW",
            "SELECT relname AS name FROM pg_class WHERE relkind = 'm' AND relnamespace = 'public'::regnamespace",
        ),
        ("POLICY", "SELECT polname AS name FROM pg_policy"),
    ],
)
def test_what_else_it_names_is_there(admin: psycopg.Connection[Any], kind: str, catalogue: str) -> None:
    wanted = set(document.named(document.statements(), kind))
    assert wanted
    ours = {row["name"] for row in admin.execute(catalogue)}
    assert wanted - ours - document.deviations() == set()


def test_views_have_the_documents_columns(admin: psycopg.Connection[Any]) -> None:
    wanted = {
        "integration_stats": "id name status service_type organization_id total_executions"
        " successful_executions failed_executions"
        " success_rate avg_duration_ms last_execution_at created_at",
        "user_activity": "id name email integrations_created workflows_executed last_activity_at total_actions_30d",
        "active_integrations": "author_name author_email organization_name organization_plan execution_count"
        " success_rate",
    }
    for view, names in wanted.items():
        rows = admin.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [view])
        assert set(names.split()) <= {row["attname"] for row in rows}


def test_no_deviation_is_listed_that_is_none(admin: psycopg.Connection[Any]) -> None:
    """What the page calls different or added has to be so: it must not outlive the difference."""
    theirs, ours = _columns(admin, "document"), _columns(admin, "public")
    text = document.statements()
    same = {name for name, column in theirs.items() if name in ours
            and (ours[name]["type"], ours[name]["default"]) == (column["type"], column["default"])}  # fmt: skip
    written = _indexes(admin, "document")
    same |= {
        name
        for name in document.indexes(text)
        if name in written and _indexes(admin, "public").get(name) == written[name]
    }
    assert document.deviations() & same == set()


def test_every_addition_is_listed(admin: psycopg.Connection[Any]) -> None:
    text, listed = document.statements(), document.deviations()
    tables = set(document.tables(text))
    added_tables = {name.split(".")[0] for name in _columns(admin, "public")} - tables
    added_columns = {
        name
        for name in set(_columns(admin, "public")) - set(_columns(admin, "document"))
        if name.split(".")[0] in tables
    }
    functions = {
        row["name"]
        for row in admin.execute("SELECT proname AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    }
    views = {
        row["name"]
        for row in admin.execute(
            "SELECT relname AS name FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
        )
    }
    added = (
        added_tables
        | added_columns
        | (functions - set(document.named(text, "FUNCTION")))
        | (views - set(document.named(text, "VIEW")))
    )
    assert added - listed == set()
