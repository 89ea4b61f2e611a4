"""What the tenancy matrix does not say: deleted rows, authors, hidden templates, rows that would move, people."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.people import People
from tests.sql.tenancy_table import RESOURCES, Resource
from tests.sql.tenancy_world import World

SOFT_DELETING = (
    "organization_invitations",
    "integrations",
    "integration_templates",
    "workflows",
    "schedules",
    "webhooks",
)

_OF_NO_ORGANIZATION = ("users", "organizations", "user_sessions", "idempotency_keys", "maintenance_runs")
MOVABLE = [each for each in RESOURCES if each.update.actors and each.table not in _OF_NO_ORGANIZATION]


@pytest.fixture(scope="module")
def world(module_database: Database) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


@pytest.mark.parametrize("table", SOFT_DELETING)
def test_deleted_rows_are_seen_by_those_who_may_delete(world: World, module_database: Database, table: str) -> None:
    row = [world.rows[table]]
    with module_database.admin() as admin:
        admin.execute(f"UPDATE {table} SET deleted_at = CURRENT_TIMESTAMP WHERE id = %s", row)
    seen = set()
    restored = set()
    for actor in ("owner", "admin", "developer", "viewer", "outsider", "left", "nobody"):
        with world.acting(actor) as connection:
            if connection.execute(f"SELECT FROM {table} WHERE id = %s", row).rowcount:
                seen.add(actor)
            if connection.execute(f"UPDATE {table} SET deleted_at = NULL WHERE id = %s", row).rowcount:
                restored.add(actor)
    with module_database.admin() as admin:
        admin.execute(f"UPDATE {table} SET deleted_at = NULL WHERE id = %s", row)
    assert seen == {"owner", "admin"}
    assert restored == {"owner", "admin"}


def test_a_deleted_organization_hides_what_belongs_to_it(people: People) -> None:
    owner, developer = people.register(), people.register()
    team = people.team(owner, **{developer: "developer"})
    integration = people.integration(developer, team)
    with people.acting(owner, keep=True) as connection:
        assert connection.execute(
            "UPDATE organizations SET deleted_at = CURRENT_TIMESTAMP WHERE id = %s", [team]
        ).rowcount
    for person in (owner, developer):
        with people.acting(person) as connection:
            assert not connection.execute("SELECT FROM integrations WHERE id = %s", [integration]).rowcount
            assert not connection.execute(
                "SELECT FROM organization_members WHERE organization_id = %s", [team]
            ).rowcount
            visible = connection.execute("SELECT FROM organizations WHERE id = %s", [team]).rowcount
            assert visible == (person == owner)
    with people.acting(developer) as connection:
        assert not connection.execute("UPDATE organizations SET deleted_at = NULL WHERE id = %s", [team]).rowcount
    with people.acting(owner) as connection:
        assert connection.execute("UPDATE organizations SET deleted_at = NULL WHERE id = %s", [team]).rowcount
        assert connection.execute("SELECT FROM integrations WHERE id = %s", [integration]).rowcount


def test_an_author_changes_their_own_while_they_are_a_member(people: People) -> None:
    owner, author, other = people.register(), people.register(), people.register()
    team = people.team(owner, **{author: "developer", other: "viewer"})
    integration = people.integration(author, team)
    with people.acting(owner, keep=True) as connection:
        connection.execute(
            "UPDATE organization_members SET role = 'viewer' WHERE organization_id = %s AND user_id = %s",
            [team, author],
        )

    def changes(person: str, permissions: list[str] | None = None) -> int:
        with people.acting(person, permissions=permissions) as connection:
            return connection.execute("UPDATE integrations SET name = 'x' WHERE id = %s", [integration]).rowcount

    assert changes(author) == 1
    assert changes(other) == 0
    assert changes(author, ["integrations:read"]) == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.acting(author) as connection:
        connection.execute("UPDATE integrations SET deleted_at = CURRENT_TIMESTAMP WHERE id = %s", [integration])
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.acting(author) as connection:
        connection.execute("UPDATE integrations SET author_id = %s WHERE id = %s", [other, integration])
    with people.acting(author, keep=True) as connection:
        connection.execute(
            "DELETE FROM organization_members WHERE organization_id = %s AND user_id = current_user_id()", [team]
        )
    assert changes(author) == 0


def test_nobody_writes_in_anothers_name(people: People) -> None:
    owner, developer = people.register(), people.register()
    team = people.team(owner, **{developer: "developer"})
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.acting(developer) as connection:
        connection.execute(
            "INSERT INTO integrations (organization_id, author_id, name, service_type) VALUES (%s, %s, 'x', 'x')",
            [team, owner],
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.acting(developer) as connection:
        connection.execute(
            "INSERT INTO integration_templates (id, organization_id, author_id, name, template_data)"
            " VALUES ('x', %s, %s, 'x', '{}')", [team, owner]
        )  # fmt: skip
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.acting(developer) as connection:
        connection.execute(
            "INSERT INTO api_keys (user_id, name, key_hash, key_prefix) VALUES (%s, 'x', repeat('a', 64), 'x')", [owner]
        )


def test_a_hidden_template_is_refused_although_its_foreign_key_would_hold(people: People) -> None:
    ann, bob = people.register(), people.register()
    ours, theirs = people.team(ann), people.team(bob)
    names = {"hidden": f"hidden-{uuid.uuid4()}", "public": f"public-{uuid.uuid4()}"}
    for name, identifier in names.items():
        with people.acting(bob, keep=True) as connection:
            connection.execute(
                "INSERT INTO integration_templates (id, organization_id, author_id, name, template_data, is_public)"
                " VALUES (%s, %s, %s, 'x', '{}', %s)", [identifier, theirs, bob, name == "public"]
            )  # fmt: skip
    people.integration(ann, ours, template_id=names["public"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        people.integration(ann, ours, template_id=names["hidden"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        people.integration(ann, ours, template_id="there-is-none")
    with people.acting(bob, keep=True) as connection:
        connection.execute(
            "UPDATE integration_templates SET deleted_at = CURRENT_TIMESTAMP WHERE id = %s", [names["public"]]
        )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        people.integration(ann, ours, template_id=names["public"])


def test_a_template_that_is_hidden_is_refused_in_a_change_too(people: People) -> None:
    ann, bob = people.register(), people.register()
    ours, theirs = people.team(ann), people.team(bob)
    hidden = f"hidden-{uuid.uuid4()}"
    with people.acting(bob, keep=True) as connection:
        connection.execute(
            "INSERT INTO integration_templates (id, organization_id, author_id, name, template_data, is_public)"
            " VALUES (%s, %s, %s, 'x', '{}', false)", [hidden, theirs, bob]
        )  # fmt: skip
    integration = people.integration(ann, ours)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), people.acting(ann) as connection:
        connection.execute("UPDATE integrations SET template_id = %s WHERE id = %s", [hidden, integration])


@pytest.mark.parametrize("resource", MOVABLE, ids=lambda each: each.table)
def test_a_row_stays_in_its_organization(world: World, resource: Resource) -> None:
    """Even where its owner may write in both."""
    with world.people.acting(world.ids["outsider"], keep=True) as connection:
        connection.execute(
            "INSERT INTO organization_members (organization_id, user_id, role) VALUES (%s, %s, 'owner')"
            " ON CONFLICT DO NOTHING", [world.other_team, world.ids["owner"]]
        )  # fmt: skip
    with pytest.raises(psycopg.DatabaseError) as refusal, world.acting("owner") as connection:
        connection.execute(
            f"UPDATE {resource.table} SET organization_id = %s WHERE {resource.key} = %s",
            [world.other_team, world.rows[resource.table]],
        )
    assert refusal.value.sqlstate in ("CB008", "42501")


def test_children_stay_with_parents_of_their_organization(world: World) -> None:
    """Foreign keys are checked without row level security: the composite ones hold it all the same."""
    other = world.people.integration(world.ids["outsider"], world.other_team)
    for statement in (
        "INSERT INTO webhooks (organization_id, integration_id, url, events) VALUES (%s, %s, 'https://x', '{}')",
        "INSERT INTO integration_dependencies (organization_id, integration_id, dependency_name) VALUES (%s, %s, 'x')",
        "INSERT INTO integration_executions (organization_id, integration_id, trigger_type) VALUES (%s, %s, 'manual')",
        "INSERT INTO metrics (organization_id, integration_id, metric_name, metric_type, value) VALUES (%s, %s,"
        " 'x', 'gauge', 1)",
        "INSERT INTO workflow_executions (organization_id, integration_id, workflow_type) VALUES (%s, %s, 'x')",
        "INSERT INTO schedules (organization_id, integration_id, name, cron_expression, created_by)"
        " VALUES (%s, %s, 'x', 'x', current_user_id())",
        "INSERT INTO integration_versions (organization_id, integration_id, version, created_by)"
        " VALUES (%s, %s, 'x', current_user_id())",
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation), world.acting("developer") as connection:
            connection.execute(statement, [world.team, other])


def test_people_see_their_fellow_members_and_nobody_else(people: People) -> None:
    owner, viewer, stranger = people.register(), people.register(), people.register()
    people.team(owner, **{viewer: "viewer"})

    def seen(permissions: list[str] | None = None) -> set[str]:
        with people.acting(viewer, permissions=permissions) as connection:
            wanted = [[owner, viewer, stranger]]
            # what is a person's own, such as preferences, is for nobody else
            own = connection.execute("SELECT id FROM users WHERE id = ANY (%s::uuid[])", wanted)
            assert [str(row["id"]) for row in own] == [viewer]
            rows = connection.execute("SELECT id FROM fellow_profiles WHERE id = ANY (%s::uuid[])", wanted)
            return {str(row["id"]) for row in rows}

    assert seen() == {owner, viewer}
    assert seen(["integrations:read"]) == {viewer}


@pytest.mark.parametrize("column", ["users.password_hash", "api_keys.key_hash", "user_sessions.session_token",
                                    "user_sessions.refresh_token", "user_sessions.previous_refresh_token"])  # fmt: skip
def test_secrets_are_not_read(world: World, column: str) -> None:
    table, name = column.split(".")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), world.acting("owner") as connection:
        connection.execute(f"SELECT {name} FROM {table}")


def test_a_bound_key_makes_no_key_for_elsewhere(world: World) -> None:
    statement = (
        "INSERT INTO api_keys (user_id, organization_id, name, key_hash, key_prefix, permissions)"
        " VALUES (current_user_id(), %s, 'x', repeat('b', 64), 'x', %s)"
    )
    for organization_id in (None, world.personal_organization):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), world.acting("key_here") as connection:
            connection.execute(statement, [organization_id, ["*"]])
    with pytest.raises(psycopg.errors.InsufficientPrivilege), world.acting_with(["api_keys:create"]) as connection:
        connection.execute(statement, [world.team, ["integrations:delete"]])
    with world.acting("key_here") as connection:
        assert connection.execute(statement, [world.team, ["*"]]).rowcount == 1


@pytest.mark.parametrize("kind", ["api_key", "session"])
def test_a_credential_that_is_not_ours_is_refused(world: World, kind: str) -> None:
    with pytest.raises(psycopg.DatabaseError) as refusal, world.people.authenticated(kind, "no such secret"):
        pass
    assert refusal.value.sqlstate == "CB401"
