"""How executions of workflows and their steps may move, and what the database keeps by itself when they do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.tenancy_world import World

STATUSES = ("pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed")
# the language's status phases, and what the API promises of cancelling, suspending, resuming and retrying
MOVES: dict[str, set[str]] = {
    "pending": {"running", "suspended", "cancelled", "faulted"},
    "running": {"pending", "waiting", "suspended", "cancelled", "faulted", "completed"},
    "waiting": {"pending", "running", "suspended", "cancelled", "faulted", "completed"},
    "suspended": {"pending", "cancelled", "faulted"},
    "cancelled": {"pending"},
    "faulted": {"pending"},
    "completed": set(),
}
ENDS = ("cancelled", "faulted", "completed")


@pytest.fixture(scope="module")
def world(module_database: Database) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


def arrange(admin: psycopg.Connection[Any], table: str, identifier: Any, status: str) -> None:
    """Give a row a status, past the rules."""
    admin.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    admin.execute(
        f"UPDATE {table} SET status = %s, started_at = NULL, completed_at = %s WHERE id = %s",
        [status, "2026-01-01" if status in ENDS else None, identifier],
    )
    admin.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.mark.parametrize("table", ["workflow_executions", "workflow_step_executions"])
@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(STATUSES, 2)))
def test_every_pair_of_statuses(
    world: World, admin: psycopg.Connection[Any], table: str, before: str, after: str
) -> None:
    identifier = world.rows[table]
    change = f"UPDATE {table} SET status = %s WHERE id = %s RETURNING started_at, completed_at"
    with admin.transaction(force_rollback=True):
        arrange(admin, table, identifier, before)
        if after in MOVES[before]:
            row = admin.execute(change, [after, identifier]).fetchone()
            assert row is not None
            assert (row["started_at"] is not None) == (after == "running")
            assert (row["completed_at"] is not None) == (after in ENDS)
        else:
            with pytest.raises(psycopg.DatabaseError) as refusal, admin.transaction():
                admin.execute(change, [after, identifier])
            assert refusal.value.sqlstate == "CB001"
            told = json.loads(refusal.value.diag.message_detail or "{}")
            assert told == {"from": before, "to": after, "allowed": sorted(MOVES[before])}


@pytest.mark.parametrize("table", ["workflow_executions", "workflow_step_executions"])
@pytest.mark.parametrize("status", STATUSES)
def test_the_same_status_is_no_move(world: World, admin: psycopg.Connection[Any], table: str, status: str) -> None:
    with admin.transaction(force_rollback=True):
        arrange(admin, table, world.rows[table], status)
        assert admin.execute(f"UPDATE {table} SET status = status WHERE id = %s", [world.rows[table]]).rowcount == 1


@pytest.mark.parametrize("after", ["waiting", "pending", "suspended", *ENDS])
def test_what_stops_gives_up_its_lease(world: World, admin: psycopg.Connection[Any], after: str) -> None:
    identifier = world.rows["workflow_executions"]
    with admin.transaction(force_rollback=True):
        arrange(admin, "workflow_executions", identifier, "running")
        admin.execute(
            "UPDATE workflow_executions SET lease_token = gen_random_uuid(), lease_expires_at = now(), progress = 40,"
            " cancel_requested_at = now(), suspend_requested_at = now() WHERE id = %s",
            [identifier],
        )
        row = admin.execute("UPDATE workflow_executions SET status = %s WHERE id = %s RETURNING *", [after, identifier])
        (now,) = row
        assert (now["lease_token"], now["lease_expires_at"]) == (None, None)
        assert now["cancel_requested_at"] is not None  # a worker that lets go leaves it to the next one
        assert (now["suspend_requested_at"] is None) == (after in ("suspended", *ENDS))
        assert now["progress"] == (100 if after == "completed" else 40)


def test_nobody_writes_a_version_or_a_log_line_but_the_database(world: World) -> None:
    versions = (
        "INSERT INTO workflow_versions (organization_id, workflow_id, version_number, version, definition, created_by)"
        " VALUES (%s, %s, 99, '1', '{}', %s)"
    )
    logs = "INSERT INTO workflow_execution_logs (organization_id, workflow_execution_id, message) VALUES (%s, %s, 'x')"
    for statement, values in (
        (versions, [world.team, world.rows["workflows"], world.ids["owner"]]),
        (logs, [world.team, world.rows["workflow_executions"]]),
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), world.acting("owner") as connection:
            connection.execute(statement, values)


def test_the_number_of_a_definition_is_the_databases(world: World) -> None:
    with world.acting("owner") as connection:
        workflow = world.rows["workflows"]
        for change, expected in (
            ("definition_version = 7", 1),
            ("definition = '{\"a\": 1}', definition_version = 7", 2),
            ("definition = '{\"a\": 1}'", 2),
            ("name = 'x'", 2),
        ):
            row = connection.execute(
                f"UPDATE workflows SET {change} WHERE id = %s RETURNING definition_version", [workflow]
            ).fetchone()
            assert row == {"definition_version": expected}, change
        kept = connection.execute(
            "SELECT version_number, definition, created_by FROM workflow_versions WHERE workflow_id = %s"
            " AND version_number < 99 ORDER BY 1", [workflow],
        ).fetchall()  # fmt: skip
        assert [each["definition"] for each in kept] == [{}, {"a": 1}]


def test_who_saved_a_version_is_who_changed_it(world: World) -> None:
    with world.acting("developer") as connection:
        connection.execute("UPDATE workflows SET definition = '{\"b\": 1}' WHERE id = %s", [world.rows["workflows"]])
        row = connection.execute(
            "SELECT created_by::text FROM workflow_versions WHERE workflow_id = %s AND version_number = 2",
            [world.rows["workflows"]],
        ).fetchone()
    assert row == {"created_by": str(world.ids["developer"])}
