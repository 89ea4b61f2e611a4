"""The catalogue of event types, held against what the triggers make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import psycopg
import pytest

from tests.conftest import Database
from tests.service import Person
from tests.sql.tenancy_world import World
from tests.sql.test_rulings_events import AGGREGATES


@pytest.fixture(scope="module")
def world(module_database: Database) -> Iterator[World]:
    made = World(module_database)
    yield made
    made.close()


@pytest.fixture
def catalogue(ann: Person) -> dict[str, Any]:
    return {each["name"]: each for each in ann.get("/event-types").json["items"]}


def test_examples_are_what_the_schemas_say(catalogue: dict[str, Any]) -> None:
    assert len(catalogue) > 50
    for name, each in catalogue.items():
        jsonschema_rs.meta.validate(each["schema"])
        jsonschema_rs.validator_for(each["schema"], validate_formats=True).validate(each["example"])
        assert each["example"]["type"] == name
        assert each["description"].endswith(".")


def test_filter(ann: Person) -> None:
    found = ann.get("/event-types?aggregate_type=integration").json["items"]
    assert [each["name"] for each in found] == [
        "integration.created", "integration.deleted", "integration.restored", "integration.status_changed",
        "integration.updated",
    ]  # fmt: skip


def test_one_by_its_name(ann: Person, catalogue: dict[str, Any]) -> None:
    for name in ("integration.created", "webhook.ping", "workflow_execution.completed"):
        assert ann.get(f"/event-types/{name}").json == catalogue[name]
    assert ann.get("/event-types/integration.created?fields=name").json == {"name": "integration.created"}
    for name in ("integration.*", "nonsense", "Integration.created"):
        assert ann.get(f"/event-types/{name}").code == "not_found"


def test_no_secret_is_in_a_schema(catalogue: dict[str, Any]) -> None:
    for each in catalogue.values():
        columns = each["schema"]["properties"]["data"]["properties"].get("new", {}).get("properties", {})
        assert not {"secret", "previous_secret", "key_hash", "password_hash", "token_hash"} & columns.keys()


def _queued(admin: psycopg.Connection[Any]) -> dict[str, Any]:
    rows = admin.execute("SELECT event_type, payload FROM webhook_deliveries WHERE event_id IS NOT NULL")
    return {row["event_type"]: row["payload"] for row in rows}


def test_the_catalogue_is_what_the_triggers_make(
    world: World, module_database: Database, catalogue: dict[str, Any]
) -> None:
    """Every table's row goes through all that may become of it; what was queued of that is compared."""
    with module_database.admin() as admin:
        admin.execute("UPDATE webhooks SET events = '{*}'")
        statuses = admin.execute(
            "SELECT conrelid::regclass::text AS name,"
            " ARRAY(SELECT (regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g'))[1]) AS words"
            " FROM pg_constraint WHERE conname = 'ck_' || conrelid::regclass || '_status' AND coninhcount = 0"
        ).fetchall()
        words = {row["name"]: row["words"] for row in statuses if row["name"] in AGGREGATES}
        for table, (_, change, _) in AGGREGATES.items():
            admin.execute(f"UPDATE {table} SET created_at = created_at WHERE id = %s", [world.rows[table]])
            admin.execute(f"UPDATE {table} SET {change} WHERE id = %s", [world.rows[table]])
        _turns(admin, world, words)
        payloads = _queued(admin)
        made = {row["event_type"] for row in admin.execute("SELECT DISTINCT event_type FROM events")}
    assert catalogue.keys() - made == {"webhook.ping"}
    assert made <= catalogue.keys()
    assert len(payloads) > 40  # the rest is of people, before there was a webhook, and after it was gone
    for name, payload in payloads.items():
        jsonschema_rs.validator_for(catalogue[name]["schema"], validate_formats=True).validate(payload)


def _turns(admin: psycopg.Connection[Any], world: World, words: dict[str, list[str]]) -> None:
    """Each status after another, deletion and restoration, and a password: past the rules of what may follow what."""
    admin.execute("UPDATE users SET password_hash = 'another' WHERE id = %s", [world.rows["users"]])
    for table in ("integration_versions", "webhooks"):
        for _ in range(2):
            admin.execute(f"UPDATE {table} SET is_active = NOT is_active WHERE id = %s", [world.rows[table]])
    for table in AGGREGATES:
        rules = admin.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgparentid = 0"
            " AND tgname !~ '_(event|event_update|updated_at)$'", [table]
        ).fetchall()  # fmt: skip
        for rule in rules:
            admin.execute(f"ALTER TABLE {table} DISABLE TRIGGER {rule['tgname']}")
        if table in words:  # which may tie the status to other columns
            admin.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_status")
        for word in [*words.get(table, []), *words.get(table, [])]:
            admin.execute(f"UPDATE {table} SET status = %s WHERE id = %s", [word, world.rows[table]])
        if table in world.soft_deleting:
            for moment in ("now()", "NULL"):
                admin.execute(f"UPDATE {table} SET deleted_at = {moment} WHERE id = %s", [world.rows[table]])
    for row in admin.execute(
        "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS statement"
        " FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace"
    ).fetchall():  # what hangs on a row stays behind
        admin.execute(row["statement"])
    for table in set(AGGREGATES) - world.soft_deleting:
        admin.execute(f"DELETE FROM {table} WHERE id = %s", [world.rows[table]])
