"""Tenants are kept apart: every table, every command, everybody who might try."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.people import Connection
from tests.sql.tenancy_table import ACTORS, RESOURCES, Command, Resource
from tests.sql.tenancy_world import INSERTS, World

COMMANDS: tuple[Command, ...] = ("select", "insert", "update", "delete", "remove")
REFUSALS = ("42501", "CB006")  # insufficient_privilege, and the guard of ranks
MATRIX = [pytest.param(each, command, id=f"{each.table}-{command}") for each in RESOURCES for command in COMMANDS]

NEEDING = [
    pytest.param(each, command, id=f"{each.table}-{command}")
    for each in RESOURCES
    for command in COMMANDS
    if each.access(command).permission
]


@pytest.fixture(scope="module")
def world(module_database: Database) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


def _attempt(world: World, connection: Connection, resource: Resource, command: Command, actor: str) -> int:
    table, key, value = resource.table, resource.key, [world.rows[resource.table]]
    match command:
        case "insert":
            return world.insert(connection, table, actor)
        case "select":
            statement = f"SELECT {key} FROM {table} WHERE {key} = %s"
        case "update":
            statement = f"UPDATE {table} SET {resource.change} WHERE {key} = %s"
        case "delete":
            statement = f"DELETE FROM {table} WHERE {key} = %s"
        case "remove":
            statement = f"UPDATE {table} SET deleted_at = CURRENT_TIMESTAMP WHERE {key} = %s"
    return connection.execute(statement, value).rowcount


def _succeeds(world: World, connection: Connection, resource: Resource, command: Command, actor: str) -> bool:
    """Whether rows came, went or changed; a refusal is no, any other fault is the test's."""
    try:
        return _attempt(world, connection, resource, command, actor) > 0
    except psycopg.Error as error:
        if error.sqlstate in REFUSALS:
            return False
        raise


@pytest.mark.parametrize(("resource", "command"), MATRIX)
def test_matrix(world: World, resource: Resource, command: Command) -> None:
    if command == "remove" and resource.table not in world.soft_deleting:
        assert not resource.remove.actors
        return
    access = resource.access(command)
    surprises = []
    for actor in ACTORS:
        with world.acting(actor) as connection:
            done = _succeeds(world, connection, resource, command, actor)
        if done != (actor in access.actors):
            surprises.append(f"{actor} {'may' if done else 'may not'} {command} {resource.table}")
    assert not surprises


@pytest.mark.parametrize(("resource", "command"), NEEDING)
def test_a_key_needs_the_permission(world: World, resource: Resource, command: Command) -> None:
    permission = resource.access(command).permission
    assert permission is not None
    assert permission in world.all_permissions
    # to change a row one must see it too
    needed = sorted({permission, resource.select.permission or permission})
    wildcards = [f"{permission.partition(':')[0]}:*", *(name for name in needed if name != permission)]
    for permissions, expected in (
        (needed, True),
        (wildcards, True),
        (["*"], True),
        ([name for name in world.all_permissions if name != permission], False),
        ([], False),
    ):
        with world.acting_with(permissions) as connection:
            assert _succeeds(world, connection, resource, command, "owner") == expected, permissions


def test_every_table_is_in_the_table_of_resources(module_database: Database) -> None:
    with module_database.admin() as admin:
        tables = {row["relname"] for row in admin.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition"
        )}  # fmt: skip
    assert tables == {resource.table for resource in RESOURCES}
    assert tables == set(INSERTS)


def test_a_partition_named_directly_is_out_of_reach(world: World, module_database: Database) -> None:
    with module_database.admin() as admin:
        partitions = [row["name"] for row in admin.execute(
            "SELECT oid::regclass::text AS name FROM pg_class WHERE relispartition AND relkind = 'r'"
        )]  # fmt: skip
    assert len(partitions) >= 30
    for partition in partitions:
        for statement in (
            f"SELECT FROM {partition}",
            f"INSERT INTO {partition} DEFAULT VALUES",
            f"UPDATE {partition} SET organization_id = NULL",
            f"DELETE FROM {partition}",
            f"TRUNCATE {partition}",
        ):
            for actor in ("owner", "service", "worker"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), world.acting(actor) as connection:
                    connection.execute(statement)


@pytest.mark.parametrize("actor", ["owner", "service", "worker"])
def test_nobody_truncates(world: World, actor: str) -> None:
    for resource in RESOURCES:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), world.acting(actor) as connection:
            connection.execute(f"TRUNCATE {resource.table} CASCADE")
