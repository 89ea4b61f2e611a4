"""Rulings 22 and 23: maintenance without pg_cron, one runner at a time, and what an operator asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from database import Nobody, Pool, transaction
from errors import DomainError
from repositories.operations import Operations
from tests.conftest import Database
from worker.maintenance import TASKS, Maintenance

RUNS = "SELECT task, count(*) AS runs FROM maintenance_runs WHERE outcome = 'succeeded' GROUP BY task"
ONCE = {task.name: 1 for task in TASKS}


@pytest.fixture
def worker_pool(database: Database) -> Iterator[Pool]:
    pool = Pool(database.logins.worker, database.settings(pool_max_size=10))
    pool.open()
    yield pool
    pool.close()


def _runs(database: Database) -> dict[str, int]:
    with database.admin() as admin:
        return {row["task"]: row["runs"] for row in admin.execute(RUNS)}


def test_ruling_22_the_documents_schedules() -> None:
    crons = {task.name: task.cron for task in TASKS}
    assert crons["cleanup-old-data"] == "0 2 * * *"
    assert crons["refresh-views"] == "*/15 * * * *"
    ours = {"create-partitions", "archive-old-partitions", "cleanup-mail"}
    assert set(crons) == {"cleanup-old-data", "refresh-views"} | ours


def test_ruling_22_each_task_runs_once_however_many_runners(database: Database, worker_pool: Pool) -> None:
    runners = 6
    start = threading.Barrier(runners)
    ran: list[str] = []

    def run() -> None:
        maintenance = Maintenance(worker_pool)
        start.wait()
        ran.extend(maintenance.run_due(threading.Event()))

    threads = [threading.Thread(target=run) for _ in range(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == sorted(ONCE)
    assert _runs(database) == ONCE


def test_ruling_22_a_task_is_due_again_after_its_period(database: Database, worker_pool: Pool) -> None:
    maintenance, stop = Maintenance(worker_pool), threading.Event()
    assert set(maintenance.run_due(stop)) == set(ONCE)
    assert maintenance.run_due(stop) == []
    with database.admin() as admin:
        admin.execute("UPDATE maintenance_runs SET started_at = started_at - interval '16 minutes'")
    assert maintenance.run_due(stop) == ["refresh-views"]
    with database.admin() as admin:
        admin.execute("UPDATE maintenance_runs SET started_at = started_at - interval '1 day'")
    assert set(maintenance.run_due(stop)) == set(ONCE)
    stop.set()
    with database.admin() as admin:
        admin.execute("DELETE FROM maintenance_runs")
    assert maintenance.run_due(stop) == []


def test_ruling_22_a_runner_that_died_is_taken_over(database: Database, worker_pool: Pool) -> None:
    with database.admin() as admin:
        admin.execute("INSERT INTO maintenance_runs (task) SELECT unnest(%s::text[])", [sorted(ONCE)])
        assert Maintenance(worker_pool).run_due(threading.Event()) == []
        admin.execute("UPDATE maintenance_runs SET started_at = started_at - interval '61 minutes'")
    assert set(Maintenance(worker_pool).run_due(threading.Event())) == set(ONCE)


def test_ruling_22_a_failure_is_noted_and_tried_again(database: Database, worker_pool: Pool) -> None:
    with database.admin() as admin:
        admin.execute("REVOKE EXECUTE ON FUNCTION refresh_materialized_views() FROM ccb_worker")
        assert set(Maintenance(worker_pool).run_due(threading.Event())) == set(ONCE)
        failed = admin.execute(
            "SELECT task, error_message, ended_at FROM maintenance_runs WHERE outcome = 'failed'"
        ).fetchall()
        assert [row["task"] for row in failed] == ["refresh-views"]
        assert failed[0]["error_message"]
        assert failed[0]["ended_at"]
        assert Maintenance(worker_pool).run_due(threading.Event()) == []
        admin.execute("GRANT EXECUTE ON FUNCTION refresh_materialized_views() TO ccb_worker")
        admin.execute("UPDATE maintenance_runs SET ended_at = ended_at - interval '2 minutes' WHERE outcome = 'failed'")
    assert Maintenance(worker_pool).run_due(threading.Event()) == ["refresh-views"]


def test_ruling_22_procedures_are_the_workers_alone(database: Database) -> None:
    with psycopg.connect(database.logins.service, autocommit=True) as service:
        for call in ("create_partitions()", "cleanup_old_data()", "refresh_materialized_views()",
                     "archive_old_partitions()", "attach_archived_partition('events_y2025m01')"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(f"SELECT {call}")


def test_a_partition_that_was_archived_comes_back(database: Database, worker_pool: Pool) -> None:
    with transaction(Nobody(worker_pool)) as connection:
        connection.execute(Operations.queries.archive_old_partitions)
    with database.admin() as admin:
        assert admin.execute("SELECT to_regclass('archive.events_y2025m01') IS NOT NULL AS archived").fetchone() == {
            "archived": True
        }
    with transaction(Nobody(worker_pool)) as connection:
        Operations(connection).attach_archived_partition("events_y2025m01")
    with database.admin() as admin:
        assert admin.execute("SELECT to_regclass('archive.events_y2025m01') IS NOT NULL AS archived").fetchone() == {
            "archived": False
        }
    with pytest.raises((psycopg.Error, DomainError)), transaction(Nobody(worker_pool)) as connection:
        Operations(connection).attach_archived_partition("events_y2025m01")
