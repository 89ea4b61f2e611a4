"""The schedule in pg_cron, with the extension's own process: on a server of the module's own that loads it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from config import Settings
from database import Pool
from database.provision import provision
from operations.maintenance import TASKS
from operations.pg_cron import HISTORY, register
from tests.postgresql import OwnServer, Server
from tests.waiting import eventually
from worker.maintenance import Schedule

Admin = psycopg.Connection[dict[str, Any]]

NOW = threading.Event()
EVERY_MINUTE = "* * * * *"  # pg_cron knows seconds from 1.5 on only
JOBS = "SELECT jobid, jobname, schedule, command, active FROM cron.job WHERE username = 'ccb_worker' ORDER BY jobid"


@pytest.fixture(scope="module")
def url(server: Server) -> Iterator[str]:
    """The administrator's login to a database in which pg_cron runs."""
    with psycopg.connect(server.url) as connection:
        available = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_cron'").rowcount
    if not available or not isinstance(server, OwnServer):
        pytest.skip(f"pg_cron is not installed for PostgreSQL {server.version}; Debian has postgresql-15-cron")
    cron = {"shared_preload_libraries": "pg_cron", "cron.use_background_workers": "on", "max_worker_processes": "20"}
    started = OwnServer(server.installation, **cron)  # its database_name is postgres
    yield started.url
    started.stop()


@pytest.fixture(scope="module")
def settings(url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    logins = provision(url, settings)
    assert not register(url, settings)  # the extension is not there yet
    return replace(settings, worker_database_url=logins.worker, maintenance_database_url=logins.maintenance)


@pytest.fixture(scope="module")
def admin(url: str, settings: Settings) -> Iterator[Admin]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("CREATE EXTENSION pg_cron")
        yield connection


@pytest.fixture(scope="module")
def pool(settings: Settings) -> Iterator[Pool]:
    pool = Pool(settings.worker_database_url, settings)
    pool.open()
    yield pool
    pool.close()


def test_every_task_is_registered_once(url: str, settings: Settings, admin: Admin) -> None:
    assert register(url, settings)
    jobs = admin.execute(JOBS).fetchall()
    assert {job["jobname"]: job["schedule"] for job in jobs} == {
        **{task.name: task.cron for task in TASKS}, HISTORY: "45 2 * * *"
    }  # fmt: skip
    commands = {job["jobname"]: job["command"] for job in jobs}
    assert commands["refresh-views"] == "CALL public.run_maintenance('refresh-views', 3)"
    assert commands["cleanup-old-data"] == "SELECT public.ask_for_maintenance('cleanup-old-data')"
    assert register(url, settings)
    assert admin.execute(JOBS).fetchall() == jobs


def test_what_changed_is_changed_and_what_is_gone_is_removed(url: str, settings: Settings, admin: Admin) -> None:
    register(url, settings)
    jobs = admin.execute(JOBS).fetchall()
    admin.execute("SELECT cron.schedule_in_database('of-old', '1 1 * * *', 'SELECT 1', 'postgres', 'ccb_worker')")
    admin.execute("SELECT cron.schedule('somebody-elses', '1 1 * * *', 'SELECT 1')")
    admin.execute("SELECT cron.alter_job(%s, schedule => '7 7 * * *')", [jobs[0]["jobid"]])
    register(url, replace(settings, partitions_ahead_months=5))
    changed = admin.execute(JOBS).fetchall()
    assert changed[0]["command"] == "CALL public.run_maintenance('create-partitions', 5)"
    assert [{**job, "command": ""} for job in changed] == [{**job, "command": ""} for job in jobs]
    assert admin.execute("SELECT FROM cron.job WHERE jobname = 'somebody-elses'").rowcount == 1


def test_the_worker_leaves_them_alone_unless_pg_cron_is_late(
    url: str, settings: Settings, admin: Admin, pool: Pool
) -> None:
    register(url, settings)
    tasks = [replace(task, cron=EVERY_MINUTE) for task in TASKS]
    schedule, names = Schedule(pool, settings, tasks), {task.name for task in tasks}
    assert set(schedule.run_due(NOW)) == names  # nobody ever did
    ago = "UPDATE maintenance_runs SET started_at = now() - make_interval(mins => %s)"
    admin.execute(ago, [5])
    assert schedule.run_due(NOW) == []
    admin.execute("SELECT cron.alter_job(jobid, active => false) FROM cron.job WHERE jobname = 'cleanup-mail'")
    assert schedule.run_due(NOW) == ["cleanup-mail"]
    admin.execute("SELECT cron.alter_job(jobid, active => true) FROM cron.job WHERE jobname = 'cleanup-mail'")
    admin.execute(ago, [12])
    assert set(schedule.run_due(NOW)) == names


def test_pg_cron_runs_them(url: str, settings: Settings, admin: Admin, pool: Pool) -> None:
    """One goes through, one fails, and for one the worker is asked."""
    register(url, settings)
    schedule = Schedule(pool, settings, [replace(task, cron="0 0 29 2 *") for task in TASKS])
    schedule.run_due(NOW)
    admin.execute(
        "DELETE FROM maintenance_runs WHERE task IN ('refresh-views', 'create-partitions', 'cleanup-old-data')"
    )
    admin.execute("REVOKE EXECUTE ON FUNCTION create_next_partition(integer, timestamptz) FROM ccb_worker")
    for name in ("refresh-views", "create-partitions", "cleanup-old-data"):
        admin.execute(
            "SELECT cron.alter_job(jobid, schedule => %s) FROM cron.job WHERE jobname = %s", [EVERY_MINUTE, name]
        )

    def runs() -> dict[str, dict[str, Any]]:
        rows = admin.execute(
            "SELECT DISTINCT ON (task) task, outcome, runner, row_count, started_at, ended_at, error_message"
            " FROM maintenance_runs WHERE task IN ('refresh-views', 'create-partitions', 'cleanup-old-data')"
            " AND outcome <> 'running' ORDER BY task, created_at"
        )
        return {row["task"]: row for row in rows}

    found = eventually(lambda: len(runs()) == 3 and runs(), "pg_cron's own process ran the jobs", 150)
    assert found
    succeeded, failed, asked = found["refresh-views"], found["create-partitions"], found["cleanup-old-data"]
    assert (succeeded["outcome"], succeeded["runner"], succeeded["row_count"]) == ("succeeded", "pg_cron", 2)
    assert succeeded["started_at"] <= succeeded["ended_at"]
    assert (failed["outcome"], failed["runner"]) == ("failed", "pg_cron")
    assert "create_next_partition" in failed["error_message"]
    assert asked["outcome"] == "requested"
    gauges = admin.execute(
        "SELECT label, value FROM operational_gauges() WHERE gauge = 'maintenance_failing'"
    ).fetchall()
    failing = {row["label"]: row["value"] for row in gauges}
    assert (failing["refresh-views"], failing["create-partitions"]) == (0, 1)
    assert "cleanup-old-data" in schedule.run_due(NOW)
    assert runs()["cleanup-old-data"]["runner"] == "worker"
    # pg_cron's own history, as the worker's login that prunes it sees it
    with psycopg.connect(settings.worker_database_url) as worker:
        assert worker.execute("SELECT FROM cron.job_run_details WHERE command LIKE 'CALL%'").rowcount >= 2


def test_a_library_that_is_not_loaded(admin: Admin, pool: Pool, settings: Settings) -> None:
    """The jobs are still there then, and nobody looks at them."""
    admin.execute("CREATE OR REPLACE FUNCTION is_pg_cron_running() RETURNS boolean LANGUAGE sql RETURN false")
    tasks = [replace(task, cron=EVERY_MINUTE) for task in TASKS if task.name == "cleanup-mail"]
    admin.execute("UPDATE maintenance_runs SET started_at = now() - interval '5 minutes'")
    assert Schedule(pool, settings, tasks).run_due(NOW) == ["cleanup-mail"]
