"""What operators do to accounts on the command line."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from click.testing import Result

from cli import app
from operations.accounts import NoSuchAccount, set_active, set_permission
from tests.conftest import Database
from tests.sql.people import People, digest


@pytest.fixture
def people(database: Database) -> Any:
    """People of a database of the test's own."""
    made = People(database)
    yield made
    made.close()


def address_of(database: Database, user_id: str) -> str:
    """Somebody's address."""
    with database.admin() as admin:
        row = admin.execute("SELECT email FROM users WHERE id = %s", [user_id]).fetchone()
    assert row is not None
    return str(row["email"])


def permits(people: People, user_id: str, permission: str = "operations:read", **narrowed: Any) -> bool:
    """Whether somebody, or a key of theirs, is an operator."""
    with people.acting(user_id, **narrowed) as connection:
        row = connection.execute("SELECT operator_permits(%s) AS is_permitted", [permission]).fetchone()
    assert row is not None
    return bool(row["is_permitted"])


def run(database: Database, *arguments: str) -> Result:
    """A command, as a shell runs it."""
    return app.test_cli_runner().invoke(args=arguments, env={"DATABASE_URL": database.admin_url})


def test_operators(database: Database, people: People) -> None:
    ann, bob = people.register(), people.register()
    email = address_of(database, ann)
    assert not permits(people, ann)
    assert run(database, "users", "permit", email.upper(), "operations:read").exit_code == 0
    assert [permits(people, ann), permits(people, ann, "operations:run"), permits(people, bob)] == [True, False, False]
    set_permission(database.admin_url, email, "operations:read", True)  # twice is once
    assert run(database, "users", "forbid", email, "operations:read").exit_code == 0
    assert not permits(people, ann)


def test_no_wildcard_of_a_key_stands_for_an_operators_permission(database: Database, people: People) -> None:
    ann = people.register()
    team = people.team(ann)
    set_permission(database.admin_url, address_of(database, ann), "operations:read", True)
    assert permits(people, ann, permissions=["operations:read"])
    for permissions in (["*"], ["operations:*"], ["operations:run"], []):
        assert not permits(people, ann, permissions=permissions), permissions
    assert not permits(people, ann, permissions=["operations:read"], organization_id=team)


def test_no_organization_gives_an_operators_permission(people: People) -> None:
    ann, bob = people.register(), people.register()
    team = people.team(ann, **{bob: "viewer"})
    for own in (ann, bob):
        with pytest.raises(psycopg.Error) as caught, people.acting(ann) as connection:
            connection.execute(
                "UPDATE organization_members SET permissions = '[\"operations:read\"]' WHERE organization_id = %s"
                " AND user_id = %s",
                [team, own],
            )
        assert caught.value.sqlstate == "CB006"
    assert not permits(people, ann)


def test_what_is_no_operators_permission(database: Database, people: People) -> None:
    email = address_of(database, people.register())
    for permission in ("integrations:read", "operations:fly"):
        with pytest.raises(psycopg.errors.IntegrityError):
            set_permission(database.admin_url, email, permission, True)
        assert run(database, "users", "permit", email, permission).exit_code == 2


def test_deactivating(database: Database, people: People) -> None:
    ann = people.register()
    email = address_of(database, ann)
    people.connection.execute(
        "SELECT begin_session(%s, %s, %s, %s, 3600, 3600, 'account', 'address')",
        [ann, uuid.uuid4(), digest("access"), digest("refresh")],
    )
    with people.authenticated("session", "access"):
        pass
    assert run(database, "users", "deactivate", email).exit_code == 0
    for _ in range(2):
        with pytest.raises(psycopg.Error) as caught, people.authenticated("session", "access"):
            pass
        assert caught.value.sqlstate == "CB401"
        assert run(database, "users", "activate", email).exit_code == 0  # which brings no session back
    with people.acting(ann) as connection:
        row = connection.execute("SELECT is_active FROM user_profiles").fetchone()
    assert row == {"is_active": True}


def test_nobody_has_the_address(database: Database) -> None:
    with pytest.raises(NoSuchAccount):
        set_active(database.admin_url, "nobody@example.org", False)
    result = run(database, "users", "deactivate", "nobody@example.org")
    assert (result.exit_code, result.output) == (1, "Error: nobody has the address nobody@example.org\n")


def test_it_is_on_record(database: Database, people: People) -> None:
    ann = people.register()
    email = address_of(database, ann)
    set_permission(database.admin_url, email, "operations:run", True)
    set_active(database.admin_url, email, False)
    with database.admin() as admin:
        rows = admin.execute("SELECT action, user_id, details FROM audit_logs WHERE resource_id = %s", [ann]).fetchall()
    actions = {row["action"]: row for row in rows}
    assert actions["user.permitted"]["details"]["permission"] == "operations:run"
    assert {actions[name]["user_id"] for name in ("user.permitted", "user.updated")} == {None}
