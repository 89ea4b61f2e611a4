"""Ruling 22: maintenance without pg_cron, by the clock, one runner at a time, every run a row."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from database import Pool
from operations.maintenance import TASKS, Run, Task, run_task
from tests.conftest import Database
from tests.waiting import eventually
from worker.maintenance import Schedule, last_due

RUNS = "SELECT task, count(*) AS runs FROM maintenance_runs WHERE outcome = 'succeeded' GROUP BY task"
ONCE = {task.name: 1 for task in TASKS}
# due since the last leap day and not again while the tests run
UNHURRIED = [replace(task, cron="0 0 29 2 *") for task in TASKS]
NOW = threading.Event()


@pytest.fixture
def worker_pool(database: Database) -> Iterator[Pool]:
    pool = Pool(database.logins.worker, database.settings(pool_max_size=10))
    pool.open()
    yield pool
    pool.close()


@pytest.fixture
def schedule(database: Database, worker_pool: Pool) -> Schedule:
    return Schedule(worker_pool, database.settings(), UNHURRIED)


def _runs(database: Database) -> dict[str, int]:
    with database.admin() as admin:
        return {row["task"]: row["runs"] for row in admin.execute(RUNS)}


def _task(name: str) -> Task:
    return next(task for task in UNHURRIED if task.name == name)


def _run(database: Database, task: Task, due_since: datetime) -> bool:
    return run_task(task, due_since, database.settings(), NOW)


def test_ruling_22_the_documents_schedules() -> None:
    crons = {task.name: task.cron for task in TASKS}
    assert crons["cleanup-old-data"] == "0 2 * * *"
    assert crons["refresh-views"] == "*/15 * * * *"
    ours = {"create-partitions", "archive-old-partitions", "cleanup-mail"}
    assert set(crons) == {"cleanup-old-data", "refresh-views"} | ours


@pytest.mark.parametrize(
    ("cron", "moment", "due"),
    [
        ("0 2 * * *", "2026-11-27T02:00:00", "2026-11-27T02:00:00"),
        ("0 2 * * *", "2026-11-27T01:59:59.999999", "2026-11-26T02:00:00"),
        ("0 2 * * *", "2026-11-27T23:00:00", "2026-11-27T02:00:00"),
        ("*/15 * * * *", "2026-11-27T00:14:59", "2026-11-27T00:00:00"),
        ("*/15 * * * *", "2026-11-27T00:15:00.5", "2026-11-27T00:15:00"),
        ("0 */6 * * *", "2026-01-01T05:00:00", "2026-01-01T00:00:00"),
    ],
)
def test_ruling_22_by_the_clock(cron: str, moment: str, due: str) -> None:
    assert last_due(cron, datetime.fromisoformat(moment).replace(tzinfo=UTC)) == datetime.fromisoformat(due + "+00:00")


def test_ruling_22_a_machine_elsewhere_goes_by_utc() -> None:
    kathmandu = datetime.fromisoformat("2026-11-27T07:46:00+05:45")
    assert last_due("0 2 * * *", kathmandu) == datetime(2026, 11, 27, 2, tzinfo=UTC)


def test_ruling_22_each_task_runs_once_however_many_runners(database: Database, schedule: Schedule) -> None:
    runners = 6
    start = threading.Barrier(runners)
    ran: list[str] = []

    def run() -> None:
        start.wait()
        ran.extend(schedule.run_due(threading.Event()))

    threads = [threading.Thread(target=run) for _ in range(runners)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == sorted(ONCE)
    assert _runs(database) == ONCE


def test_ruling_22_a_task_is_due_when_its_time_comes(database: Database, schedule: Schedule) -> None:
    assert set(schedule.run_due(NOW)) == set(ONCE)
    assert schedule.run_due(NOW) == []
    task = _task("refresh-views")
    with database.admin() as admin:
        row = admin.execute("SELECT started_at FROM maintenance_runs WHERE task = 'refresh-views'").fetchone()
        assert row is not None
        assert not _run(database, task, row["started_at"])
        assert _run(database, task, row["started_at"] + timedelta(microseconds=1))
        assert _runs(database)["refresh-views"] == 2
        admin.execute("DELETE FROM maintenance_runs")
    stopping = threading.Event()
    stopping.set()
    assert schedule.run_due(stopping) == []


def test_ruling_22_a_clock_that_was_set_back_keeps_no_task_from_being_done(
    database: Database, schedule: Schedule
) -> None:
    """Runs of a time to come count neither as done nor as failed just now."""
    assert set(schedule.run_due(NOW)) == set(ONCE)
    with database.admin() as admin:
        admin.execute("UPDATE maintenance_runs SET started_at = started_at + '1 year', ended_at = ended_at + '1 year'")
        assert admin.execute("SELECT views_refreshed_at() AS at").fetchall() == [{"at": None}]
        admin.execute("UPDATE maintenance_runs SET outcome = 'failed' WHERE task = 'refresh-views'")
        admin.execute(
            "INSERT INTO backups (name, size_bytes, sha256, created_at, verified_at)"
            " VALUES ('early', 1, repeat('0', 64), now() + '1 year', now() + '1 year')"
        )
        told = admin.execute(
            "SELECT gauge FROM (SELECT * FROM operational_gauges() UNION ALL SELECT * FROM backup_gauges()) AS told"
            " WHERE gauge LIKE 'maintenance%' OR gauge ~ '(backup|drill)_age'"
        ).fetchall()
    assert told == []
    assert set(schedule.run_due(NOW)) == set(ONCE)
    assert schedule.run_due(NOW) == []


def test_ruling_22_a_runner_that_died_is_taken_over(database: Database, schedule: Schedule) -> None:
    """At once, though not before: it may take as long as it likes."""
    holder = psycopg.connect(database.logins.worker, autocommit=True)
    for task in UNHURRIED:
        holder.execute("SELECT begin_maintenance(%s, NULL, 'worker')", [task.name])
    with database.admin() as admin:
        admin.execute("UPDATE maintenance_runs SET started_at = started_at - interval '3 hours'")
        assert schedule.run_due(NOW) == []
        holder.close()
        taken_over: list[str] = []

        def all_taken_over() -> bool:
            taken_over.extend(schedule.run_due(NOW))
            return sorted(taken_over) == sorted(ONCE)

        eventually(all_taken_over, "the server notices that the connection is gone", 10)
        left = admin.execute("SELECT task, ended_at, error_message FROM maintenance_runs WHERE outcome = 'failed'")
        rows = left.fetchall()
        assert {row["task"] for row in rows} == set(ONCE)
        assert all(row["ended_at"] and "interrupted" in row["error_message"] for row in rows)
        counted = admin.execute("SELECT count(*) AS n FROM maintenance_runs WHERE outcome = 'running'").fetchone()
    assert counted == {"n": 0}
    assert _runs(database) == ONCE


def test_ruling_22_what_was_asked_for_is_taken_up_again_too(database: Database, schedule: Schedule) -> None:
    schedule.run_due(NOW)
    with psycopg.connect(database.logins.worker, autocommit=True) as worker:
        worker.execute("SELECT ask_for_maintenance('cleanup-mail'), ask_for_maintenance('cleanup-mail')")
        worker.execute("SELECT begin_maintenance('cleanup-mail', now() - interval '1 hour', 'worker')")
    assert eventually(lambda: schedule.run_due(NOW), "taken over", 10) == ["cleanup-mail"]
    assert _runs(database) == {**ONCE, "cleanup-mail": 2}


def test_ruling_22_a_failure_is_noted_and_tried_again(database: Database, schedule: Schedule) -> None:
    with database.admin() as admin:
        admin.execute("REVOKE EXECUTE ON FUNCTION refresh_materialized_views() FROM ccb_worker")
        assert set(schedule.run_due(NOW)) == set(ONCE)
        failed = admin.execute(
            "SELECT task, error_message, ended_at FROM maintenance_runs WHERE outcome = 'failed'"
        ).fetchall()
        assert [row["task"] for row in failed] == ["refresh-views"]
        assert "permission denied" in failed[0]["error_message"]
        assert failed[0]["ended_at"]
        # after a minute, then after two, and within about an hour in the end
        for failures, minutes in enumerate((1, 2, 4), start=1):
            assert schedule.run_due(NOW) == []
            ago = "UPDATE maintenance_runs SET ended_at = now() - make_interval(secs => %s) WHERE outcome = 'failed'"
            admin.execute(ago, [60 * minutes - 20])
            assert schedule.run_due(NOW) == []
            admin.execute(ago, [60 * minutes + 1])
            assert schedule.run_due(NOW) == ["refresh-views"]
            counted = admin.execute("SELECT count(*) AS n FROM maintenance_runs WHERE outcome = 'failed'").fetchone()
            assert counted == {"n": failures + 1}
        admin.execute("GRANT EXECUTE ON FUNCTION refresh_materialized_views() TO ccb_worker")
        admin.execute("UPDATE maintenance_runs SET ended_at = now() - interval '65 minutes' WHERE outcome = 'failed'")
    assert schedule.run_due(NOW) == ["refresh-views"]
    assert _runs(database) == ONCE


def test_ruling_22_whatever_a_task_raises_is_in_its_row(database: Database) -> None:
    def work(run: Run) -> int:
        raise LookupError("no such\nthing")

    assert _run(database, Task("backup", "0 1 * * *", work), datetime.now(UTC))
    with database.admin() as admin:
        row = admin.execute("SELECT outcome, error_message, row_count FROM maintenance_runs").fetchone()
    assert row == {"outcome": "failed", "error_message": "no such thing", "row_count": None}


def test_ruling_22_procedures_are_the_workers_alone(database: Database) -> None:
    with psycopg.connect(database.logins.service, autocommit=True) as service:
        for call in ("create_partitions()", "cleanup_old_data()", "refresh_materialized_views()",
                     "archive_old_partitions()", "attach_archived_partition('events_y2025m01')", "cleanup_mail()",
                     "create_next_partition()", "delete_expired('audit_logs', '1 day')",
                     "begin_maintenance('cleanup-mail', NULL, 'worker')", "ask_for_maintenance('cleanup-mail')",
                     "maintenance_step('refresh-views', 0, 3)"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                service.execute(f"SELECT {call}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("CALL run_maintenance('refresh-views')")


def test_ruling_22_a_run_of_pg_cron_is_a_row(database: Database) -> None:
    """Whatever becomes of it; none where another has the task."""
    seen = "SELECT task, outcome, row_count, runner, error_message FROM maintenance_runs ORDER BY started_at"
    with (
        psycopg.connect(database.logins.worker, autocommit=True) as cron,
        psycopg.connect(database.logins.worker, autocommit=True) as other,
        database.admin() as admin,
    ):
        cron.execute("CALL run_maintenance('create-partitions', 5)")
        admin.execute("REVOKE EXECUTE ON FUNCTION refresh_materialized_views() FROM ccb_worker")
        cron.execute("CALL run_maintenance('refresh-views')")
        other.execute("SELECT begin_maintenance('cleanup-mail', NULL, 'worker')")
        cron.execute("CALL run_maintenance('cleanup-mail')")
        made, failed, held = admin.execute(seen).fetchall()
        assert made == {"task": "create-partitions", "outcome": "succeeded", "row_count": 10, "runner": "pg_cron",
                        "error_message": None}  # fmt: skip
        assert (failed["outcome"], failed["runner"]) == ("failed", "pg_cron")
        assert "permission denied" in failed["error_message"]
        assert (held["outcome"], held["runner"]) == ("running", "worker")
        locks = admin.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'").rowcount
        assert locks == 1  # the other's
