"""Samples that workers take, and what becomes of them in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from database import Nobody, Pool, statement
from errors import Unavailable
from repositories.samples import Samples
from tests.conftest import Database
from worker.sampling import Sampling

# in the minute that was whole last, and in the one that will be if it ends meanwhile
EVENT = (
    "INSERT INTO events (aggregate_type, aggregate_id, event_type, event_data, version, created_at)"
    " SELECT 'workflow_execution', gen_random_uuid(), %s, '{}', 1, date_trunc('minute', now()) - before"
    " FROM unnest('{10 seconds,0}'::interval[]) AS before"
)
TAKEN = (
    "INSERT INTO operations_samples (name, taken_at, value) SELECT 'database_connections', date_trunc('minute', now())"
    " + after, 1 FROM unnest('{0,1 minute}'::interval[]) AS after ON CONFLICT DO NOTHING"
)


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    """The worker's login."""
    made = Pool(database.logins.worker, database.settings())
    made.open()
    yield made
    made.close()


def kept(database: Database, name: str) -> dict[str, float]:
    """The samples of a name, by label, added up."""
    with database.admin() as admin:
        found = admin.execute(
            "SELECT label, sum(value) AS value FROM operations_samples WHERE name = %s GROUP BY label", [name]
        )
        return {row["label"]: row["value"] for row in found}


def test_levels_are_taken_once_a_minute(database: Database, pool: Pool) -> None:
    with database.admin() as admin:
        for event_type in ("workflow_execution.completed", "workflow_execution.completed", "workflow_execution.faulted",
                           "workflow_execution.running"):  # fmt: skip
            admin.execute(EVENT, [event_type])
        admin.execute("INSERT INTO mail_messages (kind, recipient) VALUES ('reset_password', 'a@example.org')")
    with statement(Nobody(pool)) as connection:
        assert Samples(connection).take()
    depths = kept(database, "queue_depth")
    assert depths == {"deliveries": 0, "executions": 0, "mail": 1, "health_checks": 0}
    assert kept(database, "executions") == {"workflow completed": 2, "workflow faulted": 1}
    assert kept(database, "database_connections")[""] >= 1
    with database.admin() as admin:
        admin.execute(TAKEN)
    with statement(Nobody(pool)) as connection:
        assert not Samples(connection).take()


def test_attempts_are_told_as_they_are_counted(database: Database, pool: Pool) -> None:
    registry = CollectorRegistry()
    attempts = Counter("ccb_webhook_attempts", "Attempts.", ["outcome"], registry=registry)
    sampling, stop = Sampling(pool, registry), threading.Event()
    attempts.labels("delivered").inc(3)
    sampling.look(stop)
    attempts.labels("delivered").inc(2)
    attempts.labels("failed").inc()
    sampling.look(stop)
    sampling.look(stop)
    assert kept(database, "attempts") == {"delivered": 5, "failed": 1}


def test_what_could_not_be_told_is_told_later(database: Database, pool: Pool) -> None:
    registry = CollectorRegistry()
    attempts = Counter("ccb_webhook_attempts", "Attempts.", ["outcome"], registry=registry)
    away = Pool("postgresql://ccb_worker@127.0.0.1:1/nowhere", database.settings(pool_timeout=0.2))
    away.open()
    sampling = Sampling(away, registry)
    attempts.labels("delivered").inc(3)
    with pytest.raises(Unavailable):
        sampling.look(threading.Event())
    away.close()
    sampling._identity = Nobody(pool)
    sampling.look(threading.Event())
    assert kept(database, "attempts") == {"delivered": 3}


def test_old_samples_are_thinned_and_then_forgotten(database: Database) -> None:
    with database.admin() as admin:
        admin.execute(
            "INSERT INTO operations_samples (name, taken_at, label, value) SELECT name, date_trunc('day', now(), 'UTC')"
            " - make_interval(days => days) + make_interval(mins => minute), '', minute + 1"
            " FROM unnest('{requests,queue_depth,table_bytes}'::text[]) AS name, unnest('{1,5,20,100}'::integer[]) AS"
            " days, generate_series(0, 59) AS minute"
        )
        admin.execute("SET ROLE ccb_definer")
        for _ in range(2):  # twice changes nothing
            admin.execute("SELECT thin_samples()")
            found = admin.execute(
                "SELECT name, date_trunc('day', now(), 'UTC')::date - (taken_at AT TIME ZONE 'UTC')::date AS days,"
                " array_agg(value ORDER BY taken_at) AS values FROM operations_samples GROUP BY name, days"
            )
            values = {(row["name"], row["days"]): row["values"] for row in found}
            assert {key: len(each) for key, each in values.items() if key[1] == 1} == {
                ("requests", 1): 60, ("queue_depth", 1): 60, ("table_bytes", 1): 60,
            }  # fmt: skip
            assert values["requests", 5] == [
                sum(range(1, 16)),
                sum(range(16, 31)),
                sum(range(31, 46)),
                sum(range(46, 61)),
            ]
            assert values["queue_depth", 5] == [15, 30, 45, 60]
            assert values["table_bytes", 5] == values["table_bytes", 20] == [60]
            assert {days for name, days in values if name != "table_bytes"} == {1, 5}
            assert {days for name, days in values if name == "table_bytes"} == {1, 5, 20}


def test_sizes_are_taken_once_an_hour_and_never_held_up(database: Database, pool: Pool) -> None:
    sampling, stop = Sampling(pool, CollectorRegistry()), threading.Event()
    with database.admin() as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE integration_templates")
        with pytest.raises(Unavailable):
            sampling.look(stop)
        assert kept(database, "table_bytes") == {}
        assert kept(database, "queue_depth")  # what matters more was taken all the same
        holder.execute("ROLLBACK")
    sampling.look(stop)
    sizes = kept(database, "table_bytes")
    assert sizes["mail_messages"] > 0
    assert sizes["events"] > 0  # with its partitions
    assert not [name for name in sizes if "_y20" in name]
    sampling.look(stop)
    assert kept(database, "table_bytes") == sizes
