"""`flask events verify`: nothing wrong after many writers side by side, and every tampering found."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest

from config import ROOT
from operations.event_verification import Fault, verify_events
from tests.conftest import Database
from tests.sql.test_rulings_time import INSERTS, Workload

WRITERS, STEPS = 4, 60


class Written:
    """A database after a random workload, with one aggregate of each kind to tamper with."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.first = self._workload(0)
        shared = self.first.alive["integrations"]
        errors: list[BaseException] = []

        def write(seed: int) -> None:
            try:
                workload = self._workload(seed)
                for step in range(STEPS):
                    workload.step()
                    with self.first.people.acting(self.first.owner, keep=True, connection=workload.people.connection):
                        workload.people.connection.execute(
                            "UPDATE integrations SET description = %s WHERE id = %s",
                            [f"{seed} {step}", random.Random(seed + step).choice(shared)],
                        )
                workload.close()
                workload.admin.close()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=[seed]) for seed in range(1, WRITERS + 1)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert not errors, errors

    def _workload(self, seed: int) -> Workload:
        made = Workload(self.database, self.database.admin(), seed=seed)
        for table in ("integrations", "workflows", *INSERTS):
            made._insert(table)
        return made

    def tamper(self, statement: str, *values: object) -> None:
        """Change something behind the back of the triggers."""
        self.first.admin.execute("SET session_replication_role = replica")
        try:
            assert self.first.admin.execute(statement, values).rowcount != 0
        finally:
            self.first.admin.execute("RESET session_replication_role")


@pytest.fixture(scope="module")
def written(module_database: Database) -> Iterator[Written]:
    made = Written(module_database)
    yield made
    made.first.close()
    made.first.admin.close()


def flask(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    environment = {**os.environ, "DATABASE_URL": database.admin_url}
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_rows_are_what_their_events_tell(written: Written) -> None:
    found = verify_events(written.database.admin_url)
    assert found.faults == []
    row = written.first.admin.execute(
        "SELECT count(*) AS events, count(DISTINCT aggregate_id) AS aggregates FROM events"
    ).fetchone()
    assert row == {"events": found.events, "aggregates": found.aggregates}
    assert found.events > 2 * WRITERS * STEPS


TAMPERINGS = {
    "a value": ("UPDATE integrations SET name = 'tampered' WHERE id = %s", "integrations", "differs", "name"),
    "an object": ("UPDATE workflows SET definition = '{}' WHERE id = %s", "workflows", "differs", "definition"),
    "a null": ("UPDATE webhooks SET deleted_at = now() WHERE id = %s", "webhooks", "differs", "deleted_at"),
    "a text id": ("UPDATE integration_templates SET name = 'x' || name WHERE id = %s", "integration_templates",
                  "differs", "name"),
    "a row gone": ("DELETE FROM schedules WHERE id = %s", "schedules", "the row is missing", None),
    "an event gone": ("DELETE FROM events WHERE aggregate_id = %s AND version = 1", "integrations",
                      "a version is missing", None),
    "all events gone": ("DELETE FROM events WHERE aggregate_id = %s", "webhooks", "the row has no events", None),
    "an event twice": ("INSERT INTO events (aggregate_type, aggregate_id, event_type, event_data, version)"
                       " SELECT aggregate_type, aggregate_id, event_type, event_data, version FROM events"
                       " WHERE aggregate_id = %s AND version = 1", "integrations", "a version is there twice", None),
    "a deletion": ("INSERT INTO events (aggregate_type, aggregate_id, event_type, event_data, version)"
                   " SELECT aggregate_type, aggregate_id, 'webhook.deleted', '{}', max(version) + 1 FROM events"
                   " WHERE aggregate_id = %s GROUP BY 1, 2", "webhooks", "the row was deleted", None),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(written: Written, name: str) -> None:
    statement, table, fault, column = TAMPERINGS[name]
    identifier = written.first.alive[table][0]
    copies = f"CREATE TEMPORARY TABLE kept_{{0}} AS SELECT * FROM {{0}} WHERE {{1}} = aggregate_uuid('{identifier}')"
    admin = written.first.admin
    admin.execute(copies.format(table, "aggregate_uuid(id::text)"))
    admin.execute(copies.format("events", "aggregate_id"))
    try:
        written.tamper(statement, identifier)
        faults = verify_events(written.database.admin_url).faults
        aggregate = admin.execute("SELECT aggregate_uuid(%s)::text AS id", [identifier]).fetchone()["id"]  # type: ignore[index]
        assert (table.removesuffix("s"), aggregate, fault, column) in [
            (each.aggregate, each.aggregate_id, each.fault, each.column) for each in faults
        ]
        assert {each.aggregate_id for each in faults} == {aggregate}
    finally:
        admin.execute("SET session_replication_role = replica")
        admin.execute("DELETE FROM events WHERE aggregate_id = aggregate_uuid(%s)", [identifier])
        admin.execute(f"DELETE FROM {table} WHERE id = %s", [identifier])
        for each in (table, "events"):
            admin.execute(f"INSERT INTO {each} SELECT * FROM kept_{each}")
            admin.execute(f"DROP TABLE kept_{each}")
        admin.execute("RESET session_replication_role")


def test_the_command_reports_and_fails(written: Written) -> None:
    done = flask(written.database, "events", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert " 0 faults in " in done.stdout
    identifier = written.first.alive["integrations"][0]
    row = written.first.admin.execute("SELECT name FROM integrations WHERE id = %s", [identifier]).fetchone()
    written.tamper("UPDATE integrations SET name = 'tampered' WHERE id = %s", identifier)
    try:
        done = flask(written.database, "events", "verify")
    finally:
        written.tamper("UPDATE integrations SET name = %s WHERE id = %s", row["name"], identifier)  # type: ignore[index]
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"integration {identifier} name differs"
    assert " 1 faults in " in done.stdout


def test_archived_months_count(written: Written) -> None:
    admin = written.first.admin
    identifier = written.first.alive["integrations"][0]
    written.tamper("UPDATE events SET created_at = '2025-01-15' WHERE aggregate_id = %s AND version = 1", identifier)
    admin.execute("SET ROLE ccb_owner")
    admin.execute("SELECT archive_old_partitions()")
    admin.execute("RESET ROLE")
    archived = admin.execute("SELECT count(*) AS n FROM archive.events_y2025m01").fetchone()
    assert archived == {"n": 1}
    assert verify_events(written.database.admin_url).faults == []
    # its past is not made up of the events that are left
    assert written.first.folded("integrations", identifier, None) is None


def test_a_column_that_came_later_has_its_default(database: Database) -> None:
    workload = Workload(database, database.admin(), seed=5)
    for table in ("integrations", "webhooks"):
        workload._insert(table)
    workload.admin.execute("ALTER TABLE webhooks ADD COLUMN later integer NOT NULL DEFAULT 5")
    workload.admin.execute("ALTER TABLE integrations ADD COLUMN later text")
    assert verify_events(database.admin_url).faults == []
    workload.admin.execute("SET session_replication_role = replica")
    workload.admin.execute("UPDATE webhooks SET later = 6")
    assert verify_events(database.admin_url).faults == [
        Fault("webhook", workload.alive["webhooks"][0], "differs", "later")
    ]
    workload.close()
    workload.admin.close()


def test_executions_that_retention_removed_are_not_missed(database: Database) -> None:
    workload = Workload(database, database.admin(), seed=6)
    for table in ("integrations", "integration_executions"):
        workload._insert(table)
    workload.admin.execute(
        "INSERT INTO integration_executions (organization_id, integration_id, trigger_type, started_at)"
        " VALUES (%s, %s, 'manual', '2025-01-31')",
        [workload.team, workload.alive["integrations"][0]],
    )
    workload.admin.execute("SET ROLE ccb_owner")
    workload.admin.execute("SELECT cleanup_old_data()")
    workload.admin.execute("RESET ROLE")
    kept = workload.admin.execute("SELECT count(*) AS n FROM integration_executions").fetchone()
    assert kept == {"n": 1}
    assert verify_events(database.admin_url).faults == []
    workload.close()
    workload.admin.close()


def test_a_login_that_sees_only_a_part_verifies_nothing(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        verify_events(database.logins.service)
