"""The snapshot of the schema, and every named query against the schema that it runs on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from config import ROOT
from database.queries import Query, every_query, load
from database.snapshot import SNAPSHOT, migrated_database, snapshot
from tests.conftest import Database
from tests.postgresql import Server

SOURCES = ("repositories", "database", "worker", "operations", "web", "blueprints", "security", "app.py", "cli.py")
# statements that are no queries, and so have no plan
COMMANDS = {
    "context.begin",
    "context.commit",
    "context.forget",
    "context.release_savepoint",
    "context.rollback",
    "context.rollback_to_savepoint",
    "context.savepoint",
    "notifications.listen",
    "schema_migrations.become_owner",
    "schema_migrations.create_table",
}
# who runs what: everything else runs as a user
BY_ADMINISTRATOR = {
    "schema.pin",
    "schema.statements",
    "schema_migrations.lock",
    "schema_migrations.ran",
    "schema_migrations.record",
    "roles.may_serve",
    "roles.powers",
    "backups.open_to_backups",
    "backups.finish_segment",
    "backups.leave_mark",
    "plans.set_plan",
    "plans.recount_usage",
}
BY_SERVICE = {
    "context.keep_announcements",
    "context.send_announcements",
    "context.become_user",
    "context.count_api_key_request",
    "context.count_session_request",
    "context.count_address_request",
    "context.set_context",
    "context.authenticate_api_key",
    "context.authenticate_session",
    "users.register",
    "users.begin_login",
    "users.fail_login",
    "sessions.begin",
    "sessions.refresh",
    "hooks.secrets",
    "hooks.accept",
    "schema_migrations.newest",
    "passwords.request_reset",
    "passwords.begin_reset",
    "passwords.reset",
    "email_addresses.queue_verification",
    "email_addresses.request_verification",
    "email_addresses.confirm",
    "operations.gauges",
    "samples.add",
}
BY_OWNER = {
    "accounts.set_active", "accounts.set_operator_permission", "webhook_secrets.encrypted", "webhook_secrets.keep",
    "backups.record", "operations.maintenance_runs", "operations.create_next_partition",
}  # fmt: skip

OF_ANY_LENGTH = {17, 25, 114, 1009, 3802}  # bytea, text, json, text[], jsonb
_numbers = itertools.count(1)


def test_the_snapshot_is_what_the_migrations_make(server: Server) -> None:
    with migrated_database(server.url) as url:
        current = snapshot(url)
    assert current.splitlines() == SNAPSHOT.read_text("utf-8").splitlines(), "run python -m database.snapshot"


def test_migrations_make_the_same_in_every_time_zone(server: Server) -> None:
    """A server's own time zone moves no partition's bounds."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET timezone = 'Asia/Tokyo'")
        try:
            with migrated_database(server.url) as url:
                current = snapshot(url)
        finally:
            connection.execute("ALTER ROLE CURRENT_USER RESET timezone")
    assert current.splitlines() == SNAPSHOT.read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def logins(module_database: Database) -> Iterator[dict[str, psycopg.Connection[Any]]]:
    """A connection for each of those who run queries."""
    made = {
        "administrator": module_database.admin(),
        "service": psycopg.connect(module_database.logins.service, autocommit=True, row_factory=dict_row),
        "worker": psycopg.connect(module_database.logins.worker, autocommit=True, row_factory=dict_row),
        "owner": module_database.admin(),
        "user": psycopg.connect(module_database.logins.service, autocommit=True, row_factory=dict_row),
    }
    made["user"].execute("SET role = authenticated_users")
    made["owner"].execute("SET role = ccb_owner")
    available = (
        made["administrator"].execute("SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'").rowcount
    )
    made["administrator"].execute(
        "CREATE EXTENSION pg_stat_statements"
        if available
        else "CREATE VIEW pg_stat_statements AS SELECT ''::text AS query, 0::bigint AS calls, 0::float8 AS"
        " total_exec_time,"
        " 0::float8 AS mean_exec_time, 0::bigint AS rows, 0::bigint AS shared_blks_hit, 0::bigint AS shared_blks_read;"
        " GRANT SELECT ON pg_stat_statements TO PUBLIC"
    )
    yield made
    for connection in made.values():
        connection.close()


def _who(query: Query) -> str:
    if query.name in BY_ADMINISTRATOR:
        return "administrator"
    if query.name in BY_SERVICE:
        return "service"
    if query.name in BY_OWNER or query.name.startswith("partitions."):
        return "owner"
    if query.permission in ("operations:read", "operations:run") or query.name == "operations.list":
        return "user"
    queues = ("operations.", "mail_messages.", "health_check_queue.", "delivery_queue.", "samples.")
    return "worker" if query.name.startswith(queues) else "user"


def _explain(connection: psycopg.Connection[Any], query: Query, values: dict[str, str]) -> Any:
    name = f"explained_{next(_numbers)}"
    arguments = ", ".join(values.get(parameter, "NULL") for parameter in query.parameters)
    connection.execute(f"PREPARE {name} AS {query.text}")
    row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE {name}{f'({arguments})' if arguments else ''}").fetchone()
    connection.execute(f"DEALLOCATE {name}")
    assert row is not None
    return row["QUERY PLAN"][0]["Plan"]


@pytest.mark.parametrize("query", list(every_query()), ids=lambda query: query.statement.decode())
def test_every_query_fits_the_schema_and_its_role_may_run_it(
    logins: dict[str, psycopg.Connection[Any]], query: Query
) -> None:
    if query.name in COMMANDS:
        assert re.match("BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|DEALLOCATE|SET |CREATE |LISTEN ", query.text)
    else:
        _explain(logins[_who(query)], query, {})


@pytest.mark.parametrize(
    "query", [each for each in every_query() if each.kind == "page"], ids=lambda query: query.statement.decode()
)
def test_a_list_names_every_column_of_any_length(logins: dict[str, psycopg.Connection[Any]], query: Query) -> None:
    """By them its pages are bounded in bytes."""
    stem, _, attribute = query.name.partition(".")
    with psycopg.RawCursor(logins[_who(query)]) as cursor:
        cursor.execute(query.text.encode(), [None] * len(query.parameters))
        assert cursor.description is not None
        long = {each.name for each in cursor.description if each.type_code in OF_ANY_LENGTH}
    assert long == set(getattr(load(stem), attribute).sized)


def test_who_runs_what_names_queries_that_exist() -> None:
    names = {query.name for query in every_query()}
    assert not (COMMANDS | BY_ADMINISTRATOR | BY_SERVICE | BY_OWNER) - names


def _called() -> set[str]:
    """The names of the queries that the sources mention."""
    files = [
        path
        for source in SOURCES
        for path in ([ROOT / source] if source.endswith(".py") else sorted((ROOT / source).glob("**/*.py")))
    ]
    texts = {path: path.read_text("utf-8") for path in files}
    classes: dict[str, str] = {}
    imported: dict[str, str] = {}
    heirs: list[tuple[str, str]] = []  # the queries of a class, and another class that calls some of them for it
    bodies: dict[str, str] = {}
    for text in texts.values():
        declared = r"^class (\w+)\((\w*).*?:\n(.*?)(?=^class |\Z)"
        for name, base, body in re.findall(declared, text, flags=re.MULTILINE | re.DOTALL):
            bodies[name] = body
            if loaded := re.search(r'queries = load\("(\w+)"\)', body):
                classes[name] = loaded[1]
                if base != "Repository":  # which looks for reasons with a `get` that has to be called by itself too
                    heirs.append((loaded[1], base))
        imported |= dict(re.findall(r'^([A-Z_]+) = load\("(\w+)"\)', text, flags=re.MULTILINE))
    called = {
        f"{stem}.{attribute}"
        for stem, base in heirs
        for attribute in re.findall(r"self\.queries\.(\w+)", bodies.get(base, ""))
    }
    for text in texts.values():
        local = dict(re.findall(r'^([A-Z_]+) = load\("(\w+)"\)', text, flags=re.MULTILINE))
        own = re.findall(r'queries = load\("(\w+)"\)', text)
        for owner, attribute in re.findall(r"\b(\w+)\.(?:queries\.)?([a-z_]+)", text):
            stem = local.get(owner) or imported.get(owner) or classes.get(owner)
            if stem is not None:
                called.add(f"{stem}.{attribute}")
            elif own and owner in ("self", "queries"):
                called |= {f"{each}.{attribute}" for each in own}
    return called


def test_every_query_is_called() -> None:
    assert {query.name for query in every_query()} - _called() == set()


def test_the_search_for_callers_finds_none_where_there_is_none() -> None:
    assert "integrations.get" in _called()
    assert "integrations.no_such_query" not in _called()
