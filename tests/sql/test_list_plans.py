"""Lists come straight out of an index that the tenant leads: no sort, whatever the table's size."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database.queries import PageQuery, Query, load
from tests.conftest import Database
from tests.sql.people import People

ORGANIZATION = "md5('organization 1')::uuid"
VALUES = {
    "organization_id": ORGANIZATION,
    "integration_id": "md5('integration 200')::uuid",
    "include_deleted": "false",
    "limit": "51",
    "q": "'integration'",
}
# `after` of each sort key
AFTER = {
    "created_at": "now() - interval '30 days'",
    "updated_at": "now() - interval '30 days'",
    "name": "'Integration 8'",
    "dependency_name": "'dependency 1'",
}
# a page out of many rows; members of a team, versions of an integration, matches of a search are few and may be sorted
STRAIGHT = ("integrations.list", "events.list")
NOT_WHOLE = (
    *STRAIGHT,
    "members.list",
    "integration_versions.list",
    "integration_dependencies.list",
    "integrations.search",
    "integrations.list_active",
)

_numbers = itertools.count(1)


def _variants(names: tuple[str, ...]) -> list[Any]:
    found = []
    for name in names:
        stem, _, attribute = name.partition(".")
        query: PageQuery = getattr(load(stem), attribute)
        assert query.permission is not None, f"{name} is not read tenant by tenant"
        for key, descending, continued in itertools.product(query.sort_keys, (False, True), (False, True)):
            variant = query.variant(key, descending=descending, continued=continued, tenant_known=True)
            words = [name, key, *(["descending"] if descending else []), *(["continued"] if continued else [])]
            found.append(pytest.param(variant, key, id="-".join(words)))
    return found


@pytest.fixture(scope="module")
def member(module_database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A connection of an admin of one of 200 organizations, set for the session for once."""
    people = People(module_database)
    user_id = people.register()
    with module_database.admin() as admin:
        admin.execute("SELECT set_config('tests.user_id', %s, false)", [user_id])
        admin.execute(Path(__file__).with_name("many_rows.sql").read_text("utf-8"))
    people.connection.execute("SELECT set_config('app.current_user_id', %s, false)", [user_id])
    people.connection.execute("SET role = authenticated_users")
    yield people.connection
    people.close()


def _plan(connection: psycopg.Connection[Any], query: Query, key: str) -> list[dict[str, Any]]:
    """The nodes of the plan that a connection settles on once it has run the query often."""
    name, values = f"explained_{next(_numbers)}", {**VALUES, "after": AFTER[key], "after_id": "gen_random_uuid()"}
    arguments = ", ".join(values.get(parameter, "NULL") for parameter in query.parameters)
    connection.execute(f"PREPARE {name} AS {query.text}")
    for _ in range(7):  # after five plans of its own PostgreSQL compares them with one for whatever values
        row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name}({arguments})").fetchone()
    connection.execute(f"DEALLOCATE {name}")
    assert row is not None
    nodes, waiting = [], [row["QUERY PLAN"][0]["Plan"]]
    while waiting:
        nodes.append(waiting.pop())
        waiting += nodes[-1].get("Plans", [])
    return nodes


def _leading_columns(module_database: Database) -> dict[str, str]:
    with module_database.admin() as admin:
        return {
            row["index"]: row["column"]
            for row in admin.execute(
                "SELECT indexrelid::regclass::text AS index, attname AS column FROM pg_index"
                " JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
            )
        }


@pytest.mark.parametrize(("query", "key"), _variants(STRAIGHT))
def test_a_page_is_read_off_an_index_of_the_tenant(
    member: psycopg.Connection[Any], module_database: Database, query: Query, key: str
) -> None:
    nodes = _plan(member, query, key)
    table = query.name.split(".")[0]
    assert not [node["Node Type"] for node in nodes if "Sort" in node["Node Type"]]
    scans = [node for node in nodes if re.match(rf"{table}(_|$)", node.get("Relation Name", ""))]
    leading = _leading_columns(module_database)
    assert scans
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    assert {leading[node["Index Name"]] for node in scans} == {"organization_id"}


@pytest.mark.parametrize(("query", "key"), _variants(NOT_WHOLE))
def test_no_list_reads_a_whole_table_of_many_tenants(member: psycopg.Connection[Any], query: Query, key: str) -> None:
    whole = [node["Relation Name"] for node in _plan(member, query, key) if node["Node Type"] == "Seq Scan"]
    assert not {"integrations", "integration_versions", "integration_dependencies"} & set(whole)
    assert not [name for name in whole if name.startswith("events")]


def test_a_page_of_all_ones_organizations_is_read_off_an_index_for_each(member: psycopg.Connection[Any]) -> None:
    """Of each tenant the first few by its index, then the first few of those: only they are sorted."""
    query = load("integrations").list.variant("created_at", descending=True, continued=True, tenant_known=False)
    nodes = _plan(member, query, "created_at")
    scans = [node for node in nodes if node.get("Relation Name") == "integrations"]
    assert {node.get("Index Name") for node in scans} == {"idx_integrations_org_created"}
