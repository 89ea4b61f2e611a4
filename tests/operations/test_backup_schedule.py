"""Backups and their drills by themselves: what is due, whose logins they take, and that the outcome is told."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from operations.backup import list_backups, sole_use
from operations.backup_schedule import NAMES, scheduled
from operations.maintenance import run_task
from operations.reports import request_maintenance
from operations.restore import restore_backup
from schemas.operations import BACKUP_TASKS
from tests.conftest import Database
from tests.operations.test_backup import fill
from tests.waiting import eventually
from worker.maintenance import last_due

STOP = threading.Event()
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """A worker's that makes dumps."""
    return database.settings(backup_database_url=database.logins.backup, backup_dir=tmp_path / "backups")


def run(settings: Settings, name: str, stop: threading.Event = STOP) -> bool:
    """Run one of the tasks."""
    (task,) = (each for each in scheduled(settings) if each.name == name)
    return run_task(task, LONG_AGO, settings, stop)


def runs(database: Database) -> list[dict[str, Any]]:
    """What became of the runs."""
    with database.admin() as connection:
        return connection.execute(
            "SELECT task, outcome, row_count, error_message FROM maintenance_runs ORDER BY created_at, id"
        ).fetchall()


def gauges(database: Database) -> dict[tuple[str, str], float]:
    """What /metrics tells."""
    with database.admin() as connection:
        rows = connection.execute("SELECT * FROM backup_gauges()").fetchall()
    return {(row["gauge"], row["label"]): row["value"] for row in rows}


def test_a_dump_and_its_drill_with_the_workers_logins_alone(database: Database, settings: Settings) -> None:
    fill(database)
    assert gauges(database) == {}
    assert run(settings, "create-backup")
    assert set(gauges(database)) == {("last_backup_age_seconds", "dump")}
    assert run(settings, "verify-backup")
    assert 0 <= gauges(database)["last_drill_age_seconds", "dump"] < 60
    (backup,) = list_backups(settings.backups)
    assert {Path(backup.path), Path(backup.path).with_suffix(".json")} == set(settings.backups.iterdir())
    made, verified = runs(database)
    assert (made["task"], made["outcome"], made["error_message"]) == ("create-backup", "succeeded", None)
    assert (verified["task"], verified["outcome"], verified["error_message"]) == ("verify-backup", "succeeded", None)
    assert made["row_count"] == verified["row_count"] > 2
    with database.admin() as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'ccb_restore_%'").fetchall()
    assert left == []


def test_on_the_first_start_one_dump_is_made_and_proven(database: Database, settings: Settings) -> None:
    with ThreadPoolExecutor(1) as threads:
        verification = threads.submit(run, settings, "verify-backup")
        eventually(lambda: runs(database), "the verification runs")
        assert run(settings, "create-backup")
        assert verification.result()
    assert [(each["task"], each["outcome"]) for each in runs(database)] == [
        ("verify-backup", "succeeded"),
        ("create-backup", "succeeded"),
    ]
    assert len(list_backups(settings.backups)) == 1


def test_a_drill_without_a_dump_makes_one(database: Database, settings: Settings) -> None:
    assert run(settings, "verify-backup")
    assert runs(database)[-1]["outcome"] == "succeeded"
    assert len(list_backups(settings.backups)) == 1


def test_statistics_that_the_scratch_server_cannot_have_are_no_failure(database: Database, settings: Settings) -> None:
    with database.admin() as connection:
        if not connection.execute("SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'").fetchall():
            pytest.skip("the server has no pg_stat_statements; Debian's has")
        connection.execute("CREATE EXTENSION pg_stat_statements")
    assert run(settings, "create-backup")
    assert run(settings, "verify-backup")
    assert [each["error_message"] for each in runs(database)] == [None, None]
    (backup,) = list_backups(settings.backups)
    restore_backup(database.admin_url, backup, overwrite=True)
    with database.admin() as connection:  # a server that has them keeps them
        assert connection.execute("SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'").fetchall()


def test_a_failure_is_told(database: Database, settings: Settings) -> None:
    assert run(settings, "create-backup")
    (backup,) = list_backups(settings.backups)
    Path(backup.path).write_bytes(b"nothing")
    assert run(settings, "verify-backup")
    failed = runs(database)[-1]
    assert failed["outcome"] == "failed"
    assert "its checksum differs" in failed["error_message"]
    assert ("last_drill_age_seconds", "dump") not in gauges(database)


def test_who_is_asked_to_stop_waits_for_nobody_and_leaves_nothing(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    stop.set()
    with sole_use(settings.backups):
        assert run(settings, "create-backup", stop)
    assert "somebody else works in" in runs(database)[-1]["error_message"]
    request_maintenance(database.admin_url, "create-backup")
    assert run(settings, "create-backup", stop)
    assert "pg_dump was stopped" in runs(database)[-1]["error_message"]
    assert list(settings.backups.iterdir()) == []
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []  # a stop is no fault


def test_what_is_scheduled_goes_by_the_settings(settings: Settings, tmp_path: Path) -> None:
    def names(settings: Settings) -> list[str]:
        return [each.name for each in scheduled(settings)]

    assert names(settings) == ["create-backup", "verify-backup"]
    assert names(replace(settings, backup_hour=-1)) == []
    assert names(replace(settings, backup_database_url="")) == []
    (tmp_path / "postgresql").mkdir()
    archiving = replace(settings, data_dir=tmp_path, wal_archive_dir=tmp_path / "archive", backup_hour=4)
    assert names(archiving) == list(NAMES) == list(BACKUP_TASKS)
    tuesday = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
    due = {each.name: last_due(each.cron, tuesday) for each in scheduled(archiving)}
    assert due["create-backup"] == datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    assert due["verify-backup"] == datetime(2026, 11, 23, 4, 20, tzinfo=UTC)
    assert due["drill-recovery"] == datetime(2026, 11, 23, 4, 50, tzinfo=UTC)
