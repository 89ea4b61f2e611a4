"""Rulings 2 to 5 and 27: versions, events, secrets, notifications."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.people import Connection, People
from tests.sql.tenancy_table import RESOURCES
from tests.sql.tenancy_world import INSERTS, World

# table → aggregate, a change, and the verb of the event that it makes
AGGREGATES = {
    "users": ("user", "name = 'Bea'", "updated"),
    "organizations": ("organization", "description = 'x'", "updated"),
    "organization_members": ("organization_member", "role = 'admin'", "updated"),
    "organization_invitations": ("organization_invitation", "role = 'admin'", "updated"),
    "api_keys": ("api_key", "name = 'x'", "updated"),
    "integrations": ("integration", "status = 'validating'", "status_changed"),
    "integration_versions": ("integration_version", "is_active = true", "activated"),
    "integration_dependencies": ("integration_dependency", "is_required = false", "updated"),
    "integration_templates": ("integration_template", "name = 'x'", "updated"),
    "integration_executions": ("integration_execution", "status = 'completed'", "completed"),
    "workflows": ("workflow", "is_active = false", "updated"),
    "workflow_executions": ("workflow_execution", "status = 'running'", "running"),
    "schedules": ("schedule", "is_active = false", "updated"),
    "webhooks": ("webhook", "is_active = false", "disabled"),
}
BOOKKEEPING = {
    "users": "last_login_at = now()",
    "organizations": "usage_stats = '{\"integrations\": 3}'",
    "api_keys": "last_used_at = now()",
    "integrations": "last_execution_at = now()",
    "integration_templates": "usage_count = usage_count + 1",
    "webhooks": "last_success_at = now(), last_failure_at = now(), failure_count = failure_count + 1",
    "schedules": "next_run_at = now()",
    "workflow_executions": "progress = progress + 1, run_after = now(), lease_token = gen_random_uuid(),"
    " lease_expires_at = now(),"
    " attempt = attempt + 1",
}
LABELLED = ("integrations", "integration_versions", "workflows")


@pytest.fixture(scope="module")
def world(module_database: Database) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


def _events(admin: psycopg.Connection[Any], identifier: Any) -> list[dict[str, Any]]:
    return admin.execute(
        "SELECT * FROM events WHERE aggregate_id = aggregate_uuid(%s::text) ORDER BY version, position", [identifier]
    ).fetchall()


def _make(world: World, admin: psycopg.Connection[Any], table: str, unique: str) -> Any:
    values = {**world.parents, "organization_id": world.team, "user_id": world.ids["owner"],
              "newcomer_id": world.ids["newcomer"], "unique": unique}  # fmt: skip
    row = admin.execute(f"{INSERTS[table]} RETURNING id", values).fetchone()
    return row["id"]  # type: ignore[index]


def test_ruling_2_concurrent_writers_make_versions_without_gaps(world: World, admin: psycopg.Connection[Any]) -> None:
    writers, changes = 8, 12
    aggregates = [world.people.integration(world.ids["owner"], world.team) for _ in range(3)]
    start = threading.Barrier(writers)

    def write(number: int) -> None:
        with world.people.connect() as connection:
            start.wait()
            for change in range(changes):
                for integration in aggregates:
                    with world.people.acting(world.ids["owner"], keep=True, connection=connection):
                        connection.execute(
                            "UPDATE integrations SET description = %s WHERE id = %s",
                            [f"{number} {change}", integration],
                        )

    threads = [threading.Thread(target=write, args=[number]) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for integration in aggregates:
        events = _events(admin, integration)
        assert [event["version"] for event in events] == list(range(1, writers * changes + 2))
        assert [event["created_at"] for event in events] == sorted({event["created_at"] for event in events})
        last = admin.execute("SELECT version_number FROM integrations WHERE id = %s", [integration]).fetchone()
        assert last == {"version_number": writers * changes + 1}


def test_ruling_3_each_status_change_is_an_event_by_whoever_made_it(
    world: World, admin: psycopg.Connection[Any]
) -> None:
    integration = world.people.integration(world.ids["developer"], world.team)
    for status in ("validating", "generating", "testing"):
        with world.people.acting(world.ids["admin"], keep=True) as connection:
            connection.execute("UPDATE integrations SET status = %s WHERE id = %s", [status, integration])
    changes = [event for event in _events(admin, integration) if event["event_type"] == "integration.status_changed"]
    assert [event["version"] for event in changes] == [2, 3, 4]
    steps = [(event["event_data"]["old_status"], event["event_data"]["new_status"]) for event in changes]
    assert steps == [("draft", "validating"), ("validating", "generating"), ("generating", "testing")]
    assert {event["event_data"]["changed_by"] for event in changes} == {world.ids["admin"]}
    assert {str(event["created_by"]) for event in changes} == {world.ids["admin"]}
    assert {event["metadata"]["request_id"] for event in changes} == {"request"}


@pytest.mark.parametrize("table", AGGREGATES)
def test_ruling_4_every_change_is_an_event(world: World, admin: psycopg.Connection[Any], table: str) -> None:
    aggregate, change, verb = AGGREGATES[table]
    expected = [f"{aggregate}.created", f"{aggregate}.{verb}"]
    with admin.transaction(force_rollback=True):
        identifier = _make(world, admin, table, f"event-{table.replace('_', '-')}")
        admin.execute(f"UPDATE {table} SET {change} WHERE id = %s", [identifier])
        if table in world.soft_deleting:
            active = ", is_active = false" if table == "api_keys" else ""
            admin.execute(f"UPDATE {table} SET deleted_at = now(){active} WHERE id = %s", [identifier])
            admin.execute(f"UPDATE {table} SET deleted_at = NULL WHERE id = %s", [identifier])
            expected += [f"{aggregate}.deleted", f"{aggregate}.restored"]
        if table != "organizations":  # its events keep it
            admin.execute(f"DELETE FROM {table} WHERE id = %s", [identifier])
            expected.append(f"{aggregate}.deleted")
        events = _events(admin, identifier)
        assert [event["event_type"] for event in events] == expected
        assert [event["version"] for event in events] == list(range(1, len(expected) + 1))
        column = change.split(" = ")[0]
        assert column in events[1]["event_data"]["old"]
        assert column in events[1]["event_data"]["new"]
        assert "created_at" not in events[1]["event_data"]["new"]
        audited = admin.execute(
            "SELECT action FROM audit_logs WHERE resource_type = %s AND resource_id = %s", [aggregate, str(identifier)]
        ).fetchall()
        assert sorted(row["action"] for row in audited) == sorted(expected)


def test_ruling_4_every_aggregate_is_tested(admin: psycopg.Connection[Any]) -> None:
    rows = admin.execute("SELECT DISTINCT tgrelid::regclass::text AS name FROM pg_trigger JOIN pg_class ON"
        " pg_class.oid = tgrelid"
                         " WHERE tgfoid = 'record_event'::regproc AND NOT relispartition").fetchall()  # fmt: skip
    assert {row["name"] for row in rows} == set(AGGREGATES)


def test_ruling_4_secrets_stay_out_of_events_and_audit_logs(world: World, admin: psycopg.Connection[Any]) -> None:
    mark = "5ec4e7"
    user_id, hashed = str(uuid.uuid4()), (mark * 11)[:64]
    register = "SELECT register_user(%s, %s, 'Sam', %s)"
    world.people.connection.execute(register, [user_id, f"{user_id}@example.org", f"{mark} password"])
    session = str(uuid.uuid4())
    tokens = [user_id, session, hashed, hashed[::-1], hashed]
    world.people.connection.execute("SELECT begin_session(%s, %s, %s, %s, 60, 60, %s, 'address')", tokens)
    rotation = [session, hashed[::-1], hashed[1:] + "0", hashed[1:] + "1"]
    world.people.connection.execute("SELECT refresh_session(%s, %s, %s, %s, 60, 60)", rotation)
    with admin.transaction():
        admin.execute("UPDATE users SET password_hash = %s WHERE id = %s", [f"{mark} another", user_id])
        for table, changes in (
            ("api_keys", {"key_hash": hashed}),
            ("webhooks", {"secret": f"gAAAA{mark}"}),
            ("organization_invitations", {"token_hash": hashed}),
        ):
            for name, value in changes.items():
                admin.execute(f"UPDATE {table} SET {name} = %s WHERE id = %s", [value, world.rows[table]])
    events = _events(admin, user_id)
    assert events[-1]["event_type"] == "user.password_changed"
    for name in ("events", "audit_logs"):
        assert not admin.execute(f"SELECT FROM {name} WHERE {name}::text LIKE %s", [f"%{mark}%"]).rowcount


def test_ruling_4_every_column_that_holds_a_secret_is_left_out(admin: psycopg.Connection[Any]) -> None:
    """A new column that sounds like a secret must be named in secret_columns(), or here with a reason."""
    harmless = {
        "lease_token",  # of a claim, worthless after a minute; bookkeeping
        "request_hash",  # of a body, to compare
        "key_prefix",  # what a key is shown as
        "previous_secret_expires_at",  # a time
    }
    rows = admin.execute(
        "SELECT DISTINCT attname AS name FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0"
        " AND attname ~ '(secret|token|password|_hash|key_)' AND NOT attname = ANY (secret_columns())"
    )
    assert {row["name"] for row in rows} == harmless


@pytest.mark.parametrize("role", ["ccb_service", "ccb_worker", "authenticated_users", "ccb_definer"])
@pytest.mark.parametrize("table", ["events", "audit_logs"])
def test_ruling_4_events_and_audit_logs_are_append_only(
    world: World, admin: psycopg.Connection[Any], role: str, table: str
) -> None:
    for name in (table, f"{table}_future", f"{table}_past", f"{table}_y2025m01"):
        for statement in (f"UPDATE {name} SET id = id", f"DELETE FROM {name}", f"TRUNCATE {name}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction(force_rollback=True):
                admin.execute("SELECT set_context(%s, NULL, NULL, NULL, NULL, NULL, NULL, NULL)", [world.ids["owner"]])
                admin.execute(f"SET LOCAL ROLE {role}")
                admin.execute(statement)


def test_ruling_4_the_owner_changes_no_event_either(admin: psycopg.Connection[Any]) -> None:
    for name in ("events", "audit_logs"):
        for statement in (f"UPDATE {name} SET id = id", f"DELETE FROM {name}"):
            with admin.transaction(force_rollback=True):
                admin.execute("SET LOCAL ROLE ccb_owner")
                try:
                    assert admin.execute(statement).rowcount == 0
                except psycopg.errors.InsufficientPrivilege:
                    pass


@pytest.mark.parametrize("table", BOOKKEEPING)
def test_bookkeeping_makes_no_version(world: World, admin: psycopg.Connection[Any], table: str) -> None:
    version = "version_number" if table in LABELLED else "version"
    row = f"SELECT {version} AS version, updated_at FROM {table} WHERE id = %s"
    identifier = world.rows[table]
    before, events = admin.execute(row, [identifier]).fetchone(), _events(admin, identifier)
    assert admin.execute(f"UPDATE {table} SET {BOOKKEEPING[table]} WHERE id = %s", [identifier]).rowcount == 1
    assert admin.execute(row, [identifier]).fetchone() == before
    assert _events(admin, identifier) == events


@pytest.mark.parametrize("resource", [each for each in RESOURCES if each.update.actors
                                      and each.table not in ("idempotency_keys", "maintenance_runs")],
                         ids=lambda each: each.table)  # fmt: skip
def test_ruling_5_every_change_raises_the_version(world: World, admin: psycopg.Connection[Any], resource: Any) -> None:
    version = "version_number" if resource.table in LABELLED else "version"
    statement = (
        f"UPDATE {resource.table} SET {resource.change}, {version} = 50 WHERE id = %s RETURNING"
        f" {version} AS version, updated_at"
    )
    with admin.transaction(force_rollback=True):
        first = admin.execute(statement, [world.rows[resource.table]]).fetchone()
        second = admin.execute(statement, [world.rows[resource.table]]).fetchone()
    assert first is not None
    assert second is not None
    assert second["version"] == first["version"] + 1
    assert second["updated_at"] > first["updated_at"]


@pytest.mark.parametrize("table", AGGREGATES)
def test_ruling_27_changes_are_notified_with_their_organization(
    world: World, admin: psycopg.Connection[Any], module_database: Database, table: str
) -> None:
    with module_database.admin() as listener:
        listener.execute("LISTEN table_changes")
        change = AGGREGATES[table][1]
        identifier = world.rows["organization_members" if table == "organization_members" else table]
        admin.execute(f"UPDATE {table} SET {change} WHERE id = %s", [identifier])
        payloads = [json.loads(each.payload) for each in listener.notifies(timeout=10, stop_after=1)]
    organization = None if table == "users" else world.team
    assert payloads == [{"table": table, "action": "UPDATE", "id": str(identifier), "organization": organization}]


def test_ruling_27_nothing_is_notified_before_the_commit(world: World, module_database: Database) -> None:
    with module_database.admin() as listener:
        listener.execute("LISTEN table_changes")
        with world.people.acting(world.ids["owner"]) as connection:
            _touch(connection, world)
        with world.people.acting(world.ids["owner"], keep=True) as connection:
            _touch(connection, world)
        received = list(listener.notifies(timeout=0.2))
    assert [json.loads(each.payload)["table"] for each in received] == ["integrations"]


def _touch(connection: Connection, world: World) -> None:
    connection.execute("UPDATE integrations SET description = 'touched' WHERE id = %s", [world.rows["integrations"]])


def test_ruling_12_a_persons_own_events_belong_to_their_personal_organization(
    module_database: Database, admin: psycopg.Connection[Any]
) -> None:
    people = People(module_database)
    person = people.register()
    personal = admin.execute("SELECT id FROM organizations WHERE personal_user_id = %s", [person]).fetchone()
    assert personal is not None
    assert {event["organization_id"] for event in _events(admin, person)} == {personal["id"]}
    with people.acting(person, keep=True) as connection:
        key = connection.execute(
            "INSERT INTO api_keys (user_id, name, key_hash, key_prefix) VALUES (%s, 'x', repeat('d', 64), 'x')"
            " RETURNING id",
            [person],
        ).fetchone()
    assert key is not None
    assert {event["organization_id"] for event in _events(admin, key["id"])} == {personal["id"]}
    people.close()
