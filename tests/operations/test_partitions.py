"""Drills: years of months, and whatever gets in the way of those who make, drop and archive them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from cli import app
from config import ROOT, Settings
from operations.maintenance import TASKS, Run, archive, clean_up, run_task
from operations.partitions import Interrupted, NoSuchMonth, Partitions
from tests.conftest import Database
from tests.sql.test_rulings_partitions import INSERTS, TIME_COLUMNS, Clock, month, partition_name
from tests.waiting import eventually

TASK = {task.name: task for task in TASKS}
MARKS = {
    "webhook_deliveries": "event_type = 'x'", "events": "event_type = 'x'", "integration_executions": "true",
    "audit_logs": "action = 'x'", "metrics": "metric_name = 'x'",
}  # fmt: skip
LONG = 60.0  # seconds


@pytest.fixture
def clock(database: Database) -> Iterator[Clock]:
    with database.admin() as admin:
        yield Clock(database, admin)


@pytest.fixture
def settings(database: Database) -> Settings:
    # nobody keeps audit logs for two years only; seven would make the drill as long
    return database.settings(retention_audit_logs_years=2, retention_batch_rows=2)


@pytest.fixture
def run(database: Database, settings: Settings) -> Iterator[Run]:
    with psycopg.connect(
        database.logins.worker, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
    ) as worker:
        yield Run(settings, worker, threading.Event())


@pytest.fixture
def partitions(database: Database) -> Iterator[Partitions]:
    with Partitions.opened(database.logins.maintenance, threading.Event()) as opened:
        yield opened


def months_of(admin: psycopg.Connection[dict[str, Any]], table: str, schema: str = "public") -> set[str]:
    """The names of the months of a table."""
    rows = admin.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND relname ~ %s",
        [schema, f"^{table}_y[0-9]{{4}}m[0-9]{{2}}$"],
    )
    return {row["relname"] for row in rows}


def moments(clock: Clock, table: str, *, archived: bool = True) -> list[datetime]:
    """When the rows of a table are of that the drill wrote, those in the archive among them."""
    column = TIME_COLUMNS[table]
    places = [table]
    if table == "events" and archived:
        places += [f"archive.{name}" for name in months_of(clock.admin, table, "archive")]
    found = []
    for place in places:
        rows = clock.admin.execute(f"SELECT {column} AS moment FROM {place} WHERE {MARKS[table]}").fetchall()
        found += [row["moment"] for row in rows]
    return sorted(found)


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


def test_rows_go_a_batch_at_a_time(clock: Clock, database: Database, run: Run) -> None:
    """Where a month straddles the limit, and in transactions of their own: what is done stays done."""
    now = datetime.now(UTC)
    limit = back(now, days=90)
    clean_up(run, now)  # the document's months, which would wait for whoever holds a row
    clock.make_month("webhook_deliveries", limit)
    clock.insert("webhook_deliveries", *[limit - timedelta(seconds=each) for each in (1, 2, 3, 4, 5)], limit)
    last = [limit - timedelta(seconds=5)]
    with database.admin() as holder, holder.transaction():
        holder.execute("SELECT FROM webhook_deliveries WHERE created_at = %s FOR UPDATE", last)
        with working(lambda: clean_up(run, now)) as has_ended:
            eventually(lambda: moments(clock, "webhook_deliveries") == [*last, limit], "two batches are gone", LONG)
            assert not has_ended()
            holder.execute("COMMIT")
            eventually(has_ended, "the rest is gone", LONG)
    assert moments(clock, "webhook_deliveries") == [limit]


def test_it_stops_when_it_is_asked_to(clock: Clock, database: Database, run: Run) -> None:
    clock.make_month("webhook_deliveries", month(-9))
    with reading(database, "webhook_deliveries"):
        with pytest.raises(Interrupted), working(lambda: clean_up(run)):
            eventually(lambda: _pending(clock, "webhook_deliveries"), "half detached", LONG)
            run.stop.set()
    run.stop.clear()
    clean_up(run)
    assert partition_name("webhook_deliveries", month(-9)) not in months_of(clock.admin, "webhook_deliveries")


class Writers:
    """Writes all the time, and remembers how long a row had to wait at most."""

    def __init__(self, clock: Clock, table: str) -> None:
        self._clock, self._table = clock, table
        self._stop = threading.Event()
        self.written = 0
        self.longest = 0.0
        self.faults: list[BaseException] = []
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        try:
            with self._clock.database.admin() as admin:
                writer = Clock.__new__(Clock)
                writer.admin, writer.values = admin, self._clock.values
                while not self._stop.is_set():
                    began = time.monotonic()
                    writer.insert(self._table, datetime.now(UTC))
                    self.longest = max(self.longest, time.monotonic() - began)
                    self.written += 1
        except BaseException as fault:
            self.faults.append(fault)

    def go_on(self) -> None:
        """Wait until rows were written that began from now on."""
        before = self.written
        eventually(lambda: self.written > before + 20 or self.faults, "writers go on", LONG)
        assert not self.faults


@contextmanager
def working(work: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Work in another thread; gives whether it has ended. What it raises is raised in the end."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: not thread.is_alive()
    finally:
        thread.join(LONG)
        assert not thread.is_alive()
    if faults:
        raise faults[0]


def test_months_ahead_beside_writers(clock: Clock, database: Database) -> None:
    """One writes and does not commit: the month waits for that, and the others do not wait for the month."""
    settings = database.settings(partitions_ahead_months=4)
    task, name = TASK["create-partitions"], partition_name("events", month(4))
    with database.admin() as open_writer, Writers(clock, "events") as writers:
        with open_writer.transaction():
            open_writer.execute("INSERT INTO events (organization_id, aggregate_type, aggregate_id, event_type, event_data, "
                                "version) VALUES (%(team)s, 'x', gen_random_uuid(), 'open', '{}', 1)", clock.values)  # fmt: skip
            with working(lambda: run_task(task, datetime.now(UTC), settings, threading.Event())) as has_ended:
                for _ in range(5):
                    waits = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                    eventually(lambda: clock.admin.execute(waits).rowcount, "maintenance waits", LONG)
                    writers.go_on()
                assert not has_ended()
                assert name not in months_of(clock.admin, "events")
                open_writer.execute("COMMIT")
                eventually(has_ended, "the month is made", LONG)
                writers.go_on()
    assert name in months_of(clock.admin, "events")
    # the lock time-out of each of the few locks, and a machine that others use too
    assert writers.longest < 1.5
    assert len(clock.places("events", month(0), month(4))) >= writers.written + 1
    rows = clock.admin.execute("SELECT outcome FROM maintenance_runs WHERE task = 'create-partitions'").fetchall()
    assert rows == [{"outcome": "succeeded"}]


def _pending(clock: Clock, parent: str) -> bool:
    return bool(
        clock.admin.execute(
            "SELECT FROM pg_inherits WHERE inhparent = %s::regclass AND inhdetachpending", [parent]
        ).rowcount
    )


@contextmanager
def reading(database: Database, table: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Somebody who reads a table for long."""
    with database.admin() as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute(f"SELECT count(*) FROM {table}")
        yield reader


def test_archiving_beside_a_long_reader_and_writers(clock: Clock, database: Database) -> None:
    old = month(-14)
    name = partition_name("events", old)
    clock.make_month("events", old)
    clock.insert("events", old, old + timedelta(days=3))
    counting = f"SELECT count(*) AS n FROM events WHERE created_at < '{month(-13)}' AND event_type = 'x'"
    task = TASK["archive-old-partitions"]
    with Writers(clock, "events") as writers:
        with reading(database, "events") as reader:
            with working(
                lambda: run_task(task, datetime.now(UTC), database.settings(), threading.Event())
            ) as has_ended:
                eventually(lambda: _pending(clock, "events"), "half detached", LONG)
                for _ in range(3):
                    writers.go_on()
                assert not has_ended()
                assert reader.execute(counting).fetchone() == {"n": 2}
                reader.execute("COMMIT")
                eventually(has_ended, "the month is archived", LONG)
                writers.go_on()
    assert clock.admin.execute(f"SELECT count(*) AS n FROM archive.{name}").fetchone() == {"n": 2}
    assert not writers.faults
    assert writers.longest < 1.5
    rows = clock.admin.execute("SELECT outcome FROM maintenance_runs").fetchall()
    assert rows == [{"outcome": "succeeded"}]
    clock.assert_nothing_is_refused()


def test_dropping_beside_a_writer_in_mid_transaction(clock: Clock, database: Database, run: Run) -> None:
    """It holds what the drop needs: the month is off, nobody waits for long, and the drop comes when it can."""
    expired = month(-9)
    name = partition_name("webhook_deliveries", expired)
    clock.make_month("webhook_deliveries", expired)
    clock.insert("webhook_deliveries", expired, expired + timedelta(days=1))
    with database.admin() as open_writer, Writers(clock, "webhook_deliveries") as writers:
        with open_writer.transaction():
            open_writer.execute("INSERT INTO webhook_deliveries (organization_id, webhook_id, event_type, payload)"
                                " VALUES (%(team)s, %(webhook)s, 'open', '{}')", clock.values)  # fmt: skip
            with working(lambda: clean_up(run)) as has_ended:
                eventually(lambda: _pending(clock, "webhook_deliveries"), "half detached", LONG)
                for _ in range(3):
                    writers.go_on()
                assert not has_ended()
                open_writer.execute("COMMIT")
                eventually(has_ended, "the month is dropped", LONG)
    assert name not in months_of(clock.admin, "webhook_deliveries")
    assert not writers.faults
    assert writers.longest < 1.5
    assert len(moments(clock, "webhook_deliveries")) == writers.written


KILLED = """
import json, sys, threading
from datetime import UTC, datetime
from config import Settings
from operations.maintenance import TASKS, run_task

task = next(each for each in TASKS if each.name == sys.argv[1])
run_task(task, datetime.now(UTC), Settings(**json.loads(sys.argv[2])), threading.Event())
"""


def test_a_runner_that_is_killed_in_the_middle(clock: Clock, database: Database) -> None:
    """A month is half detached then. The next run closes the row, finishes it and goes on; nothing is lost."""
    for number in (-15, -14):
        clock.make_month("events", month(number))
        clock.insert("events", month(number), month(number) + timedelta(days=3))
    names = {partition_name("events", month(number)) for number in (-15, -14)}
    written = moments(clock, "events")
    logins = {"worker_database_url": database.logins.worker, "maintenance_database_url": database.logins.maintenance}
    task, stop = TASK["archive-old-partitions"], threading.Event()
    with reading(database, "events") as reader:
        killed = subprocess.Popen([sys.executable, "-c", KILLED, task.name, json.dumps(logins)], cwd=ROOT)
        try:
            eventually(lambda: _pending(clock, "events"), "half detached", LONG)
        finally:
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        reader.execute("COMMIT")
    soon = datetime.now(UTC)
    eventually(lambda: run_task(task, soon, database.settings(), stop), "taken over", LONG)
    rows = clock.admin.execute("SELECT outcome, error_message FROM maintenance_runs ORDER BY started_at").fetchall()
    assert [row["outcome"] for row in rows] == ["failed", "succeeded"], rows
    assert "interrupted" in rows[0]["error_message"]
    assert names <= months_of(clock.admin, "events", "archive")
    assert not _pending(clock, "events")
    assert moments(clock, "events") == written
    clock.assert_nothing_is_refused()


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
