"""Rulings 9 to 12: views and statistics of one's own organizations only, rows of no tenant for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.people import People


def _refresh(module_database: Database) -> None:
    with psycopg.connect(module_database.logins.worker, autocommit=True) as worker:
        worker.execute("SELECT refresh_materialized_views()")


@contextmanager
def _history(admin: psycopg.Connection[Any]) -> Iterator[None]:
    """Rows as they are long after: past the triggers that let an execution only start."""
    with admin.transaction():
        admin.execute("SET LOCAL session_replication_role = replica")
        yield


def _activate(admin: psycopg.Connection[Any], integration: str) -> None:
    for status in ("validating", "generating", "testing", "reviewing", "deploying", "active"):
        admin.execute("UPDATE integrations SET status = %s WHERE id = %s", [status, integration])


def test_ruling_9_active_integrations_shows_ones_own(people: People, admin: psycopg.Connection[Any]) -> None:
    ann, bob = people.register("Ann"), people.register("Bob")
    teams = {person: people.team(person) for person in (ann, bob)}
    integrations = {person: people.integration(person, teams[person]) for person in (ann, bob)}
    for integration in integrations.values():
        _activate(admin, integration)
    with _history(admin):
        for status in ("completed", "completed", "failed"):
            admin.execute(
                "INSERT INTO integration_executions (organization_id, integration_id, trigger_type, status) VALUES"
                " (%s, %s, 'manual', %s)",
                [teams[ann], integrations[ann], status],
            )
    with people.acting(ann) as connection:
        rows = connection.execute(
            "SELECT id::text, author_name, organization_plan, execution_count, success_rate::text FROM"
            " active_integrations"
        ).fetchall()
    assert rows == [{"id": integrations[ann], "author_name": "Ann", "organization_plan": "free",
                     "execution_count": 3, "success_rate": "66.67"}]  # fmt: skip
    with people.acting(None) as connection:
        assert not connection.execute("SELECT FROM active_integrations").rowcount


def test_ruling_9_an_integration_outlives_its_authors_membership(
    people: People, admin: psycopg.Connection[Any]
) -> None:
    owner, author = people.register(), people.register()
    team = people.team(owner, **{author: "developer"})
    integration = people.integration(author, team)
    _activate(admin, integration)
    with people.acting(author, keep=True) as connection:
        connection.execute(
            "DELETE FROM organization_members WHERE organization_id = %s AND user_id = %s", [team, author]
        )
    with people.acting(owner) as connection:
        row = connection.execute("SELECT author_name FROM active_integrations WHERE id = %s", [integration]).fetchone()
    assert row == {"author_name": None}


@pytest.mark.parametrize("view", ["integration_stats", "user_activity"])
@pytest.mark.parametrize("role", ["authenticated_users", "ccb_service", "ccb_worker"])
def test_ruling_10_materialized_views_are_not_readable(admin: psycopg.Connection[Any], view: str, role: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction(force_rollback=True):
        admin.execute(f"SET LOCAL ROLE {role}")
        admin.execute(f"SELECT FROM {view}")


def test_ruling_10_statistics_are_those_of_ones_organizations(people: People, module_database: Database) -> None:
    ann, bob, stranger = people.register(), people.register(), people.register()
    team, other = people.team(ann, **{bob: "viewer"}), people.team(stranger)
    integration, foreign = people.integration(ann, team), people.integration(stranger, other)
    _refresh(module_database)

    def seen(person: str | None, view: str, **narrowed: Any) -> set[str]:
        with people.acting(person, **narrowed) as connection:
            rows = connection.execute(f"SELECT id FROM {view}")
            return {str(row["id"]) for row in rows}

    for person in (ann, bob):
        assert seen(person, "integration_statistics") == {integration}
    assert seen(stranger, "integration_statistics") == {foreign}
    assert seen(ann, "integration_statistics", permissions=["workflows:read"]) == set()
    assert seen(ann, "integration_statistics", organization_id=other) == set()
    assert seen(None, "integration_statistics") == set()
    assert ann in seen(ann, "user_activity_statistics")
    assert stranger not in seen(ann, "user_activity_statistics")
    assert seen(None, "user_activity_statistics") == set()


def test_ruling_10_a_barrier_lets_no_function_look_behind_it(people: People, admin: psycopg.Connection[Any]) -> None:
    """A cheap function in a caller's condition must not see the rows that the barrier takes away."""
    people.register()
    admin.execute(
        "CREATE OR REPLACE FUNCTION pg_temp_spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$ BEGIN RAISE EXCEPTION 'saw %', $1; END $$"
    )
    with people.acting(None) as connection:
        assert not connection.execute("SELECT FROM user_activity_statistics WHERE pg_temp_spy(email)").rowcount
        assert not connection.execute("SELECT FROM integration_statistics WHERE pg_temp_spy(name)").rowcount
    admin.execute("DROP FUNCTION pg_temp_spy(text)")


def test_ruling_11_user_activity_counts_each_action_once(
    people: People, admin: psycopg.Connection[Any], module_database: Database
) -> None:
    """1 user with 2 integrations, 3 executions and 5 audit rows: 5 actions, not 30."""
    person = people.register()
    team = people.team(person)
    for _ in range(2):
        people.integration(person, team)
    for _ in range(3):
        admin.execute(
            "INSERT INTO workflow_executions (organization_id, workflow_type, triggered_by) VALUES (%s, 'x', %s)",
            [team, person],
        )
    admin.execute("DELETE FROM audit_logs WHERE user_id = %s", [person])
    admin.execute(
        "INSERT INTO audit_logs (user_id, organization_id, action, resource_type, created_at)"
        " SELECT %s::uuid, %s::uuid, 'x', 'x', now() - days * interval '1 day' + interval '1 minute' FROM"
        " unnest(ARRAY[1, 2, 3, 4, 5, 31]) AS days",
        [person, team],
    )
    _refresh(module_database)
    with people.acting(person) as connection:
        row = connection.execute(
            "SELECT integrations_created, workflows_executed, total_actions_30d, last_activity_at > now() -"
                " interval '25 hours' AS recent"
            " FROM user_activity_statistics WHERE id = %s", [person]
        ).fetchone()  # fmt: skip
    assert row == {"integrations_created": 2, "workflows_executed": 3, "total_actions_30d": 5, "recent": True}


def test_ruling_10_integration_stats(people: People, admin: psycopg.Connection[Any], module_database: Database) -> None:
    person = people.register()
    team = people.team(person)
    integration = people.integration(person, team)
    with _history(admin):
        admin.execute(
            "INSERT INTO integration_executions (organization_id, integration_id, trigger_type, status,"
            " duration_ms, started_at)"
            " SELECT %s, %s, 'manual', status, duration, now() - age FROM (VALUES ('completed', 100, interval '1 day'),"
            " ('failed', 300, '2 days'), ('running', NULL, '3 days'), ('completed', 5, '31 days')) AS runs (status,"
            " duration, age)",
            [team, integration],
        )
    _refresh(module_database)
    with people.acting(person) as connection:
        row = connection.execute(
            "SELECT total_executions, successful_executions, failed_executions, success_rate::text,"
                " avg_duration_ms::integer"
            " FROM integration_statistics WHERE id = %s", [integration]
        ).fetchone()  # fmt: skip
    assert row == {"total_executions": 3, "successful_executions": 1, "failed_executions": 1, "success_rate": "33.33",
                   "avg_duration_ms": 200}  # fmt: skip


def test_ruling_10_readers_go_on_while_statistics_are_refreshed(
    people: People, admin: psycopg.Connection[Any], module_database: Database
) -> None:
    """One that has read and is not done holds up no refresh, and a refresh that is not done holds up no reader."""
    ann = people.register()
    integration = people.integration(ann, people.team(ann))
    counted = "SELECT FROM integration_statistics WHERE id = %s"
    with people.acting(ann) as reader:
        assert not reader.execute(counted, [integration]).rowcount
        with psycopg.connect(module_database.logins.worker) as worker:
            worker.execute("SET lock_timeout = '5s'")
            worker.execute("SELECT refresh_materialized_views()")
            reader.execute("SET LOCAL lock_timeout = '5s'")
            assert not reader.execute(counted, [integration]).rowcount
            worker.commit()
        assert reader.execute(counted, [integration]).rowcount == 1


def test_ruling_12_rows_of_no_tenant_are_seen_by_nobody(people: People, admin: psycopg.Connection[Any]) -> None:
    owner = people.register()
    people.team(owner)
    people.connection.execute("SELECT record_login_failure(NULL, 'the hash of an unknown address')")
    admin.execute("INSERT INTO metrics (metric_name, metric_type, value) VALUES ('system', 'gauge', 1)")
    for name, template in (("built-in", True), ("built-in-hidden", False)):
        admin.execute(
            "INSERT INTO integration_templates (id, name, template_data, is_public) VALUES (%s, 'x', '{}', %s)",
            [name, template],
        )
    for table in ("audit_logs", "metrics", "events"):
        assert admin.execute(f"SELECT FROM {table} WHERE organization_id IS NULL").rowcount
        with people.acting(owner) as connection:
            assert not connection.execute(f"SELECT FROM {table} WHERE organization_id IS NULL").rowcount
    with people.acting(owner) as connection:
        rows = connection.execute("SELECT id FROM integration_templates WHERE organization_id IS NULL").fetchall()
        assert rows == [{"id": "built-in"}]
        assert not connection.execute("UPDATE integration_templates SET name = 'mine' WHERE id = 'built-in'").rowcount
    with pytest.raises(psycopg.errors.CheckViolation):
        admin.execute(
            "INSERT INTO metrics (metric_name, metric_type, value, integration_id) VALUES ('x', 'gauge', 1,"
            " gen_random_uuid())"
        )


def test_ruling_12_everybody_has_a_personal_organization(people: People, admin: psycopg.Connection[Any]) -> None:
    person = people.register()
    rows = admin.execute(
        "SELECT role FROM organization_members JOIN organizations ON organizations.id = organization_id WHERE"
        " personal_user_id = %s",
        [person],
    ).fetchall()
    assert rows == [{"role": "owner"}]
    with pytest.raises(psycopg.errors.CheckViolation), people.acting(person) as connection:
        connection.execute("UPDATE organizations SET deleted_at = now() WHERE personal_user_id = current_user_id()")
