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
    "execution_id": "md5('execution 1')::uuid",
    "include_deleted": "false",
    "limit": "51",
    "q": "'integration'",
    "settled": "true",
    "aggregate_id": "md5('integration 200')::uuid",
    "metric_name": "'metric 1'",
    "workflow_id": "md5('integration 200')::uuid",
    "schedule_id": "md5('integration 200')::uuid",
}
# `after` of each sort key
AFTER = {
    "created_at": "now() - interval '30 days'",
    "started_at": "now() - interval '30 days'",
    "updated_at": "now() - interval '30 days'",
    "name": "'Integration 8'",
    "dependency_name": "'dependency 1'",
    "position": "'900'::xid8",
    "recorded_at": "now() - interval '30 days'",
    "line_number": "25000",
    "due_at": "now() - interval '30 days'",
}
TIE = {"position": "25000"}
# a page out of many rows; members of a team, versions of an integration, matches of a search are few and may be sorted
STRAIGHT = (
    "integrations.list",
    "events.list",
    "audit_logs.list",
    "integration_executions.list",
    "metrics.list",
    "metrics.list_of_name",
    "workflows.list",
    "workflow_executions.list",
    "workflow_executions.list_of_workflow",
    "schedules.list",
)
NOT_WHOLE = (
    *STRAIGHT,
    "members.list",
    "integration_versions.list",
    "integration_dependencies.list",
    "integration_executions.list_of_integration",
    "workflow_versions.list",
    "workflow_steps.list",
    "workflow_executions.list_logs",
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
        flags = itertools.product((False, True), (False, True), (False, True) if query.sized else (False,))
        for key, (descending, continued, bounded) in itertools.product(query.sort_keys, flags):
            variant = query.variant(key, descending=descending, continued=continued, tenant_known=True, bounded=bounded)
            said = {"descending": descending, "continued": continued, "bounded": bounded}
            words = [name, key, *(word for word, is_so in said.items() if is_so)]
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


def _plan(connection: psycopg.Connection[Any], query: Query, key: str, **more: str) -> list[dict[str, Any]]:
    """The nodes of the plan that a connection settles on once it has run the query often."""
    name, values = (
        f"explained_{next(_numbers)}",
        {**VALUES, "after": AFTER[key], "after_tie": TIE.get(key, "gen_random_uuid()"), **more},
    )
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
    tables = ("events", "audit_logs", "integration_executions", "metrics", "workflow")
    assert not [name for name in whole if name.startswith(tables)]


def test_a_page_of_all_ones_organizations_is_read_off_an_index_for_each(member: psycopg.Connection[Any]) -> None:
    """Of each tenant the first few by its index, then the first few of those: only they are sorted."""
    query = load("integrations").list.variant("created_at", descending=True, continued=True, tenant_known=False)
    nodes = _plan(member, query, "created_at")
    scans = [node for node in nodes if node.get("Relation Name") == "integrations"]
    assert {node.get("Index Name") for node in scans} == {"idx_integrations_org_created"}


def test_an_execution_is_found_by_one_look_into_each_partition(
    member: psycopg.Connection[Any], module_database: Database
) -> None:
    """Its id does not say when it started; retention bounds the partitions."""
    nodes = _plan(member, load("integration_executions").get, "started_at")
    scans = [node for node in nodes if node.get("Relation Name", "").startswith("integration_executions_")]
    assert {node["Node Type"] for node in scans} == {"Index Scan"}
    assert all("(id = " in node["Index Cond"] for node in scans)
    with module_database.admin() as admin:
        row = admin.execute("SELECT count(*) FROM partition_ranges('integration_executions')").fetchone()
    assert row == {"count": len(scans)}


@pytest.mark.parametrize("key", ["created_at", "position"])
@pytest.mark.parametrize("continued", [False, True])
def test_events_of_one_aggregate_are_found_by_their_index(
    member: psycopg.Connection[Any], key: str, continued: bool
) -> None:
    query = load("events").list_of_aggregate.variant(key, descending=True, continued=continued, tenant_known=False)
    scans = [node for node in _plan(member, query, key) if node.get("Relation Name", "").startswith("events")]
    assert len(scans) > 3
    assert all("aggregate_id" in node["Index Cond"] for node in scans)


@pytest.mark.parametrize("plan", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("audit_logs.list", "created_at"),
        ("events.list", "created_at"),
        ("events.list", "position"),
        ("integration_executions.list", "started_at"),
        ("integration_executions.list_of_integration", "started_at"),
        ("metrics.list", "recorded_at"),
        ("metrics.list_of_name", "recorded_at"),
    ],
)
def test_bounds_of_time_prune_partitions(member: psycopg.Connection[Any], plan: str, name: str, key: str) -> None:
    table, _, attribute = name.partition(".")
    query = getattr(load(table), attribute).variant(key, descending=True, continued=False, tenant_known=True)
    bounds = {"after": "date_trunc('month', now())", "before": "now()"}
    member.execute(f"SET plan_cache_mode = {plan}")
    try:
        nodes = {}
        for case, given in {"bounded": bounds, "all": {}}.items():
            named = {
                f"{column}_{side}": moment
                for column in ("created", "started", "recorded")
                for side, moment in given.items()
            }
            nodes[case] = _plan(member, query, key, **named)
    finally:
        member.execute("RESET plan_cache_mode")
    scanned = {
        case: {node["Relation Name"] for node in found if node.get("Relation Name", "").startswith(f"{table}_")}
        for case, found in nodes.items()
    }
    assert len(scanned["bounded"]) == 1
    assert len(scanned["all"]) > 3


@pytest.mark.parametrize("shares", ["NULL", "'{0.5}'"])
def test_a_query_over_metrics_reads_the_partitions_of_its_span(
    member: psycopg.Connection[Any], module_database: Database, shares: str
) -> None:
    """Seen from what was scanned: a function's plan is not shown."""
    scanned = """
        SELECT relname, seq_scan, idx_scan FROM pg_stat_xact_user_tables
        WHERE relname LIKE 'metrics%' AND seq_scan + coalesce(idx_scan, 0) > 0
    """
    with module_database.admin() as admin, admin.transaction(force_rollback=True):
        row = member.execute("SELECT current_setting('app.current_user_id') AS user_id").fetchone()
        assert row is not None
        admin.execute("SELECT set_config('app.current_user_id', %s, true)", [row["user_id"]])
        buckets = admin.execute(
            "SELECT count(*), max(count) AS most FROM metric_buckets('metric 1', NULL, NULL, '{}',"
            " date_trunc('month', now() AT TIME ZONE 'utc') AT TIME ZONE 'utc', now(), '1 day', '{}',"
            f" {shares}::numeric[], 1000)"
        ).fetchone()
        assert buckets is not None
        assert buckets["count"] > 0
        (partition,) = admin.execute(scanned).fetchall()
        month = admin.execute("SELECT to_char(now() AT TIME ZONE 'utc', '\"metrics_y\"YYYY\"m\"MM') AS name").fetchone()
        assert month == {"name": partition["relname"]}
        assert partition["seq_scan"] == 0
