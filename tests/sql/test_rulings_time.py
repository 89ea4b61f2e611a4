"""Ruling 29: the state of an aggregate at any moment is read back from its events."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from database import load
from tests.conftest import Database
from tests.sql.people import People
from tests.sql.statements import named_statements
from tests.sql.test_rulings_events import AGGREGATES

STATE_AS_OF = load("events").state_as_of
CURRENT = (
    "SELECT to_jsonb(current) - secret_columns() - bookkeeping_columns('{table}') AS state FROM {table}"
    " AS current WHERE id = '{id}'"
)
STATUSES = ("validating", "generating", "testing", "draft", "failed", "reviewing", "deploying", "active", "inactive")


class Workload:
    """Random changes of every aggregate, and what they left behind after each."""

    def __init__(self, database: Database, admin: psycopg.Connection[Any], seed: int) -> None:
        self.admin, self.random, self.people = admin, random.Random(seed), People(database)
        # lists of numbers would otherwise be parsed as what they are: only the text of the state counts here
        self.folding = psycopg.connect(
            database.admin_url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
        )
        self.owner, self.member = self.people.register(), self.people.register()
        self.team = self.people.team(self.owner)
        self.alive: dict[str, list[str]] = {table: [] for table in AGGREGATES}
        self.alive["users"] = [self.owner, self.member]
        self.alive["organizations"] = [self.team]
        self.history: list[tuple[datetime, str, str, Any]] = []

    def close(self) -> None:
        """Close the connections."""
        self.people.close()
        self.folding.close()

    def step(self) -> None:
        """One change of something."""
        tables = [table for table in AGGREGATES if table != "organization_members"]
        table = self.random.choice(tables)
        choices: list[Callable[[str], None]] = [self._insert, self._change, self._change, self._remove]
        self.random.choice(choices)(table)

    def folded(self, table: str, identifier: str, moment: datetime | None) -> Any:
        """The state that the events give at a moment; None for none."""
        values = {"aggregate_type": AGGREGATES[table][0], "aggregate_id": identifier, "as_of": moment or datetime.max}
        row = self.folding.execute(STATE_AS_OF.text, [values[name] for name in STATE_AS_OF.parameters]).fetchone()
        return None if row is None else row["state"]

    def current(self, table: str, identifier: str) -> Any:
        """The state that the row has now; None without one."""
        row = self.admin.execute(CURRENT.format(table=table, id=identifier)).fetchone()
        return None if row is None else row["state"]

    def _insert(self, table: str) -> None:
        if table in ("users", "organizations"):
            return
        parents = {
            name: self.random.choice(self.alive[name]) if self.alive[name] else None
            for name in ("integrations", "workflows")
        }
        values = {"team": self.team, "owner": self.owner, "unique": uuid.uuid4().hex, **parents}
        if "%(integrations)s" in INSERTS[table] and parents["integrations"] is None:
            return
        with self.people.acting(self.owner, keep=True) as connection:
            row = connection.execute(f"{INSERTS[table]} RETURNING id", values).fetchone()
        assert row is not None
        self.alive[table].append(str(row["id"]))
        self._note(table, str(row["id"]))

    def _change(self, table: str) -> None:
        if not self.alive[table]:
            return
        identifier = self.random.choice(self.alive[table])
        change = self.random.choice(CHANGES[table])
        values = {"text": self.random.choice(("a", "β", "", "it's", '{"x": 1}')), "number": self.random.randrange(100)}
        self.admin.execute(f"UPDATE {table} SET {change} WHERE id = '{identifier}'", values)
        self._note(table, identifier)

    def _remove(self, table: str) -> None:
        if table in ("users", "organizations", "integrations") or not self.alive[table]:
            return
        identifier = self.random.choice(self.alive[table])
        if table in ("integration_dependencies", "integration_executions"):
            self.admin.execute(f"DELETE FROM {table} WHERE id = '{identifier}'")
            self.alive[table].remove(identifier)
        elif "deleted_at" in self.current(table, identifier):
            self.admin.execute(
                f"UPDATE {table} SET deleted_at = CASE WHEN deleted_at IS NULL THEN now() END WHERE id = '{identifier}'"
            )
        self._note(table, identifier)

    def _note(self, table: str, identifier: str) -> None:
        moment = self.admin.execute("SELECT clock_timestamp() AS moment").fetchone()
        assert moment is not None
        self.history.append((moment["moment"], table, identifier, self.current(table, identifier)))


INSERTS = named_statements("workload")
CHANGES = {
    "users": ["name = %(text)s", "preferences = jsonb_build_object('n', %(number)s::integer)", "last_login_at = now()"],
    "organizations": ["description = %(text)s", "limits = '{}'", "usage_stats = '{\"a\": 1}'"],
    "organization_invitations": ["role = 'admin'", "status = 'accepted', accepted_at = now()"],
    "api_keys": [
        "name = %(text)s",
        "last_used_at = now()",
        "rate_limit = %(number)s::integer + 1",
        "expires_at = now()",
    ],
    "integrations": [
        "description = %(text)s",
        "capabilities = ARRAY[%(text)s::text]",
        "config = '{\"c\": [1, 2.50, null]}'",
        "last_execution_at = now()",
        "description = NULL",
    ],
    "integration_versions": ["changelog = %(text)s", "source_code_url = %(text)s"],
    "integration_dependencies": ["dependency_version = %(text)s", "is_required = NOT is_required"],
    "integration_templates": ["name = %(text)s", "usage_count = %(number)s::integer", "service_type = %(text)s"],
    "integration_executions": [
        "status = 'completed'",
        "status = status",
    ],
    "workflows": [
        "definition = jsonb_build_object('x', %(text)s::text)",
        "is_active = NOT is_active",
        "version = %(text)s",
    ],
    "workflow_executions": [
        "status = CASE status WHEN 'pending' THEN 'running' ELSE status END",
        "progress = %(number)s::integer",
        "status = CASE status WHEN 'running' THEN 'completed' ELSE status END, progress = 100",
        "attempt = attempt + 1",
    ],
    "schedules": ["is_active = NOT is_active", "next_run_at = now()", "time_zone = %(text)s"],
    "webhooks": [
        "is_active = NOT is_active",
        "failure_count = failure_count + 1",
        "url = 'https://' || %(text)s",
        "events = array_append(events, 'workflow.*')",
        "secret = 'gAAAAy'",
    ],
}


@pytest.fixture(scope="module")
def workload(module_database: Database) -> Iterator[Workload]:
    with module_database.admin() as admin:
        made = Workload(module_database, admin, seed=29)
        for table in ("integrations", "workflows", *INSERTS):
            made._insert(table)
        for status in STATUSES[:3]:
            admin.execute(f"UPDATE integrations SET status = '{status}' WHERE id = '{made.alive['integrations'][0]}'")
        for _ in range(500):
            made.step()
        yield made
        made.close()


def test_folding_all_events_gives_the_rows_as_they_are(workload: Workload) -> None:
    identifiers = {(table, identifier) for _, table, identifier, _ in workload.history}
    assert len(identifiers) > 80
    for table, identifier in identifiers:
        current = workload.current(table, identifier)
        if current is not None:
            assert workload.folded(table, identifier, None) == current, table


def test_the_state_at_any_moment_is_what_it_was_then(workload: Workload) -> None:
    for moment, table, identifier, state in workload.history:
        if state is not None:
            assert workload.folded(table, identifier, moment) == state, table


def test_what_was_deleted_for_good_is_not_there_any_more(workload: Workload) -> None:
    gone = [(moment, table, identifier) for moment, table, identifier, state in workload.history if state is None]
    assert gone
    for moment, table, identifier in gone:
        assert workload.folded(table, identifier, moment) is None


def test_nothing_is_there_before_it_was_created(workload: Workload) -> None:
    for moment, table, identifier, _ in workload.history[:20]:
        created = workload.admin.execute(f"SELECT created_at FROM {table} WHERE id = '{identifier}'").fetchone()
        if created is not None:
            assert created["created_at"] <= moment
            assert workload.folded(table, identifier, created["created_at"]) is not None
            before = workload.admin.execute(
                "SELECT %s::timestamptz - interval '1 microsecond' AS moment", [created["created_at"]]
            )
            assert workload.folded(table, identifier, before.fetchone()["moment"]) is None  # type: ignore[index]


def test_versions_of_every_aggregate_are_whole(workload: Workload) -> None:
    broken = workload.admin.execute(
        "SELECT aggregate_type, aggregate_id FROM events GROUP BY 1, 2"
        " HAVING count(*) <> max(version) OR min(version) <> 1 OR count(DISTINCT version) <> count(*)"
    ).fetchall()
    assert not broken


def test_an_execution_that_moves_to_another_month_goes_on_as_the_same(workload: Workload) -> None:
    """A row that changes its partition is deleted and inserted by the database; to its readers it only changed."""
    integration = workload.alive["integrations"][0]
    row = workload.admin.execute(
        "INSERT INTO integration_executions (organization_id, integration_id, trigger_type, started_at)"
        " VALUES (%s, %s, 'manual', '2025-01-31') RETURNING id",
        [workload.team, integration],
    ).fetchone()
    assert row is not None
    try:
        with workload.people.acting(workload.owner, keep=True) as connection:
            connection.execute("UPDATE integration_executions SET started_at = '2025-02-01' WHERE id = %s", [row["id"]])
    except psycopg.DatabaseError as refusal:
        assert refusal.sqlstate in ("42501", "CB008")
    versions = workload.admin.execute(
        "SELECT version FROM events WHERE aggregate_id = %s ORDER BY 1", [row["id"]]
    ).fetchall()
    assert [each["version"] for each in versions] == list(range(1, len(versions) + 1))
