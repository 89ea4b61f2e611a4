"""Drills: years of months go by, and what was interrupted is taken up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cli import app
from operations.maintenance import Run, archive, clean_up, run_task
from operations.partitions import NoSuchMonth, Partitions
from tests.conftest import Database
from tests.operations.partitions.months import TASK, moments, months_of
from tests.sql.test_rulings_partitions import INSERTS, Clock, month, partition_name


def create_ahead(run: Run, moment: datetime, months_ahead: int = 3) -> None:
    """As the task does it, at another time."""
    while run.connection.execute("SELECT create_next_partition($1, $2) AS n", [months_ahead, moment]).fetchone() != {
        "n": None
    }:
        continue


def back(moment: datetime, *, months: int = 0, days: int = 0) -> datetime:
    """The beginning of a day so long ago, as the document counts it."""
    number = moment.year * 12 + moment.month - 1 - months
    day = moment.replace(year=number // 12, month=number % 12 + 1, hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=days)


def test_three_years(clock: Clock, run: Run, partitions: Partitions) -> None:
    """Month by month: rows are written, partitions made ahead, expired ones dropped, old ones archived and attached."""
    written: dict[str, list[datetime]] = {table: [] for table in INSERTS}
    held: set[str] = set()
    first, last = -40, -4
    for number in range(first, last + 1):
        moment = month(number) + timedelta(days=14, hours=5)
        create_ahead(run, moment)
        for table in INSERTS:
            for ahead in range(4):
                name = partition_name(table, month(number + ahead))
                assert name in months_of(clock.admin, table), "months ahead are there"
            times = [month(number), moment, month(number + 1) - timedelta(microseconds=1)]
            clock.insert(table, *times)
            written[table] += times
            assert clock.places(table, month(number), month(number + 1)) == [partition_name(table, month(number))] * 3

        clean_up(run, moment)
        archive(run, moment)
        if number % 7 == 0 and number > first + 14:
            name = partition_name("events", month(number - 13))
            partitions.bring_back(name)
            held.add(name)
            archive(run, moment)

        limits = {
            "webhook_deliveries": back(moment, days=90),
            "integration_executions": back(moment, months=6),
            "audit_logs": back(moment, months=24),
        }
        for table, times in written.items():
            limit = limits.get(table, month(first))
            assert moments(clock, table) == [each for each in sorted(times) if each >= limit], (table, moment)
            if table in limits:
                # no month is there that has ended before the limit
                assert min(
                    months_of(clock.admin, table) - {f"{table}_y2025m01", f"{table}_y2025m02"}
                ) >= partition_name(table, limit)
        oldest = month(number - 12)
        here = [each for each in written["events"] if each >= oldest or partition_name("events", each) in held]
        assert moments(clock, "events", archived=False) == here
        assert held <= months_of(clock.admin, "events")
        if number % 12 == 0:
            clock.assert_nothing_is_refused()

    assert len(held) >= 3
    for name in sorted(held):
        partitions.archive_month(name)
    assert moments(clock, "events") == written["events"]
    assert not held & months_of(clock.admin, "events")
    clock.assert_nothing_is_refused()
    # as many fillers as there were gaps, not one for each month that went
    for table in INSERTS:
        fillers = clock.admin.execute("SELECT FROM partition_ranges(%s) WHERE NOT is_month", [table]).rowcount
        assert fillers <= 6, table


def test_twice_changes_nothing(clock: Clock, run: Run) -> None:
    clock.make_month("events", month(-14))
    clock.insert("events", month(-14), month(-11))
    now = datetime.now(UTC)
    archive(run, now)
    clean_up(run, now)
    inventory = clock.inventory()
    assert archive(run, now) == 0
    assert clean_up(run, now) == 0
    assert clock.inventory() == inventory


def test_a_month_that_was_left_standing_alone(clock: Clock, run: Run) -> None:
    """Killed between detaching and what comes after: dropped or archived if it is still due, else attached again."""
    now = datetime.now(UTC)
    for table, number in (("webhook_deliveries", -9), ("webhook_deliveries", -1), ("events", -14), ("events", -2)):
        clock.make_month(table, month(number))
        clock.insert(table, month(number) + timedelta(days=2))
        clock.admin.execute(f"ALTER TABLE {table} DETACH PARTITION {partition_name(table, month(number))} CONCURRENTLY")
    clean_up(run, now)
    archive(run, now)
    assert moments(clock, "webhook_deliveries") == [month(-1) + timedelta(days=2)]
    assert moments(clock, "events") == [month(-14) + timedelta(days=2), month(-2) + timedelta(days=2)]
    assert partition_name("webhook_deliveries", month(-9)) not in months_of(clock.admin, "webhook_deliveries")
    assert partition_name("events", month(-14)) in months_of(clock.admin, "events", "archive")
    assert partition_name("events", month(-2)) in clock.places("events", month(-2), month(-1))
    clock.assert_nothing_is_refused()


def test_without_a_login_that_becomes_the_owner(clock: Clock, database: Database) -> None:
    """The document's functions do the same, in a transaction."""
    settings = database.settings(maintenance_database_url="", retention_webhook_deliveries_days=30)
    clock.make_month("events", month(-14))
    clock.insert("events", month(-14))
    clock.insert("webhook_deliveries", datetime.now(UTC) - timedelta(days=40), datetime.now(UTC) - timedelta(days=20))
    for name in ("cleanup-old-data", "archive-old-partitions"):
        assert run_task(TASK[name], datetime.now(UTC), settings, threading.Event())
    assert len(moments(clock, "webhook_deliveries")) == 1
    assert partition_name("events", month(-14)) in months_of(clock.admin, "events", "archive")
    outcomes = clock.admin.execute("SELECT DISTINCT outcome FROM maintenance_runs").fetchall()
    assert outcomes == [{"outcome": "succeeded"}]


def test_the_command_line(clock: Clock, database: Database) -> None:
    name = partition_name("events", month(-14))

    def ops(*arguments: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["ops", *arguments], env={"DATABASE_URL": database.admin_url})
        return result.exit_code, result.output

    clock.make_month("events", month(-14))
    clock.insert("events", month(-14))
    written = moments(clock, "events")
    assert ops("archive", name) == (0, f"{name} is in the archive\n")
    assert moments(clock, "events", archived=False) == []
    assert ops("archive", name) == (1, f"Error: there is no month {name} to archive\n")
    assert ops("attach", name) == (0, f"{name} is attached\n")
    assert moments(clock, "events", archived=False) == written
    status, output = ops("attach", name)
    assert (status, "there is no archived partition" in output) == (1, True)
    assert ops("archive", "users")[0] == 1


def test_what_there_is_not(partitions: Partitions) -> None:
    with pytest.raises(NoSuchMonth):
        partitions.archive_month("events_past")
    with pytest.raises(psycopg.errors.UndefinedTable):
        partitions.bring_back("events_past")
