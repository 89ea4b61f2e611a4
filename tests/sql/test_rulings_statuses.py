"""Rulings 14 and 26: what statuses and kinds there are, how an integration's status moves, what refers to what."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.tenancy_world import INSERTS, World

STATUSES = (
    "draft",
    "validating",
    "generating",
    "testing",
    "reviewing",
    "deploying",
    "active",
    "inactive",
    "failed",
    "deprecated",
)
# from → to, as the document's list of statuses reads: forward one by one, back to draft until it is deployed
TRANSITIONS = {
    "draft": {"validating"},
    "validating": {"generating", "draft", "failed"},
    "generating": {"testing", "draft", "failed"},
    "testing": {"reviewing", "draft", "failed"},
    "reviewing": {"deploying", "draft", "failed"},
    "deploying": {"active", "failed"},
    "active": {"inactive", "failed", "deprecated"},
    "inactive": {"active", "deprecated"},
    "failed": {"draft", "validating", "deprecated"},
    "deprecated": set(),
}
PHASES = ("pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed")
CHOICES = {
    "organizations.plan": ("free", "pro", "enterprise"),
    "organization_members.role": ("owner", "admin", "developer", "viewer"),
    "organization_invitations.role": ("admin", "developer", "viewer"),
    "role_permissions.role": ("owner", "admin", "developer", "viewer"),
    "integrations.status": STATUSES,
    "integration_executions.trigger_type": ("webhook", "scheduled", "manual"),
    "integration_executions.status": ("pending", "running", "completed", "failed", "cancelled"),
    "integration_health_checks.status": ("pending", "healthy", "unhealthy", "failed"),
    "workflow_executions.status": PHASES,
    "workflow_step_executions.status": PHASES,
    "workflow_execution_logs.level": ("debug", "info", "warning", "error"),
    "webhooks.disabled_reason": ("user", "gone", "failing"),
    "webhook_deliveries.status": ("pending", "held", "delivered", "exhausted", "cancelled"),
    "metrics.metric_type": ("counter", "gauge", "histogram"),
    "user_tokens.purpose": ("verify_email", "change_email", "reset_password"),
    "mail_messages.kind": (
        "verify_email",
        "change_email",
        "reset_password",
        "invitation",
        "password_changed",
        "email_changed",
    ),
    "mail_messages.status": ("pending", "sent", "discarded", "failed"),
    "backups.kind": ("dump", "base"),
    "maintenance_runs.outcome": ("requested", "running", "succeeded", "failed"),
}


@pytest.fixture(scope="module")
def world(module_database: Database) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(STATUSES, 2)))
def test_ruling_14_every_pair_of_statuses(
    world: World, admin: psycopg.Connection[Any], before: str, after: str
) -> None:
    integration = world.rows["integrations"]
    with admin.transaction(force_rollback=True):
        admin.execute("ALTER TABLE integrations DISABLE TRIGGER trigger_integration_status_change")
        admin.execute("UPDATE integrations SET status = %s, deployed_at = NULL WHERE id = %s", [before, integration])
        admin.execute("ALTER TABLE integrations ENABLE TRIGGER trigger_integration_status_change")
        change = "UPDATE integrations SET status = %s WHERE id = %s RETURNING deployed_at"
        if after in TRANSITIONS[before]:
            row = admin.execute(change, [after, integration]).fetchone()
            assert row is not None
            assert (row["deployed_at"] is not None) == (after == "active")
        else:
            with pytest.raises(psycopg.DatabaseError) as refusal, admin.transaction():
                admin.execute(change, [after, integration])
            assert refusal.value.sqlstate == "CB001"
            told = json.loads(refusal.value.diag.message_detail or "{}")
            assert told == {"from": before, "to": after, "allowed": sorted(TRANSITIONS[before])}


def test_ruling_14_the_transition_table_is_this_one(admin: psycopg.Connection[Any]) -> None:
    rows = admin.execute(
        "SELECT from_status, to_status FROM integration_status_transitions WHERE from_status NOT LIKE 'arranged%'"
    )
    assert {(row["from_status"], row["to_status"]) for row in rows} == {
        (before, after) for before, statuses in TRANSITIONS.items() for after in statuses
    }


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "draft"])
def test_ruling_14_an_integration_starts_as_a_draft(world: World, status: str) -> None:
    with pytest.raises(psycopg.DatabaseError) as refusal:
        world.people.integration(world.ids["owner"], world.team, status=status)
    assert refusal.value.sqlstate == "CB001"


def test_ruling_14_the_same_status_is_no_transition(world: World, admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        assert (
            admin.execute(
                "UPDATE integrations SET status = status WHERE id = %s", [world.rows["integrations"]]
            ).rowcount
            == 1
        )


@pytest.mark.parametrize("column", CHOICES)
def test_ruling_14_only_known_words_go_in(world: World, admin: psycopg.Connection[Any], column: str) -> None:
    table, name = column.split(".")
    key = "token_hash" if table == "user_tokens" else "id"
    statement = f"UPDATE {table} SET {name} = %s WHERE {key} = %s"
    with admin.transaction(force_rollback=True):
        admin.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for word in ("anything", "", CHOICES[column][0].upper()):
            with pytest.raises(psycopg.errors.CheckViolation), admin.transaction():
                admin.execute(statement, [word, world.rows[table]])
        for word in CHOICES[column]:
            with admin.transaction(force_rollback=True):
                admin.execute(statement, [word, world.rows[table]])


def test_ruling_14_every_such_column_is_tested(admin: psycopg.Connection[Any]) -> None:
    rows = admin.execute(
        "SELECT relname || '.' || attname AS name FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
        " JOIN pg_attribute ON attrelid = conrelid AND ARRAY[attnum] = conkey"
        " WHERE contype = 'c' AND NOT relispartition AND relnamespace = 'public'::regnamespace"
        " AND pg_get_constraintdef(pg_constraint.oid) ~ 'ARRAY\\[.*::(text|character varying)'"
    )
    assert {row["name"] for row in rows} == set(CHOICES)


def test_ruling_14_no_enums(admin: psycopg.Connection[Any]) -> None:
    assert not admin.execute(
        "SELECT FROM pg_type WHERE typtype = 'e' AND typnamespace = 'public'::regnamespace"
    ).rowcount


def test_ruling_26_a_template_is_referred_to_by_a_foreign_key(world: World, admin: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation) as refusal:
        admin.execute("UPDATE integrations SET template_id = 'none' WHERE id = %s", [world.rows["integrations"]])
    assert refusal.value.diag.constraint_name == "fk_integrations_integration_templates"


def test_ruling_26_names_of_organizations_may_be_shared(world: World, admin: psycopg.Connection[Any]) -> None:
    with admin.transaction(force_rollback=True):
        for _ in range(2):
            admin.execute(INSERTS["organizations"], {"unique": f"slug-{uuid.uuid4()}"})


def test_ruling_26_steps_live_in_the_definition(admin: psycopg.Connection[Any]) -> None:
    assert admin.execute("SELECT to_regclass('workflow_steps') AS name").fetchone() == {"name": None}


def test_templates_count_their_uses(world: World, admin: psycopg.Connection[Any]) -> None:
    template = world.rows["integration_templates"]
    count = "SELECT usage_count FROM integration_templates WHERE id = %s"
    before = admin.execute(count, [template]).fetchone()
    world.people.integration(world.ids["developer"], world.team, template_id=template)
    assert admin.execute(count, [template]).fetchone() == {"usage_count": before["usage_count"] + 1}  # type: ignore[index]
