"""Maintenance beside those who read, write, hold on to what they have, or kill it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from config import ROOT
from operations.maintenance import Run, clean_up, run_task
from operations.partitions import Interrupted
from tests.conftest import Database
from tests.operations.partitions.months import (
    LONG,
    TASK,
    WAITS,
    Writers,
    insert,
    is_pending,
    moments,
    months_of,
    reading,
    working,
)
from tests.sql.test_rulings_partitions import Clock, month, partition_name
from tests.waiting import eventually


def test_rows_go_a_batch_at_a_time(clock: Clock, database: Database, run: Run) -> None:
    """Where a month straddles the limit, and in transactions of their own: what is done stays done."""
    now = datetime.now(UTC)
    limit = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=90)
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
    with reading(database, "webhook_deliveries"), pytest.raises(Interrupted), working(lambda: clean_up(run)):
        eventually(lambda: is_pending(clock, "webhook_deliveries"), "half detached", LONG)
        run.stop.set()
    run.stop.clear()
    clean_up(run)
    assert partition_name("webhook_deliveries", month(-9)) not in months_of(clock.admin, "webhook_deliveries")


def test_months_ahead_beside_writers(clock: Clock, database: Database) -> None:
    """One writes and does not commit: the month waits for that, and the others do not wait for the month."""
    settings = database.settings(partitions_ahead_months=4)
    task, name = TASK["create-partitions"], partition_name("events", month(4))
    with database.admin() as open_writer, Writers(clock, "events") as writers, open_writer.transaction():
        insert(open_writer, clock, "events", datetime.now(UTC))
        with working(lambda: run_task(task, datetime.now(UTC), settings, threading.Event())) as has_ended:
            for _ in range(5):
                eventually(lambda: clock.admin.execute(WAITS).rowcount, "maintenance waits", LONG)
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


def test_archiving_beside_a_long_reader_and_writers(clock: Clock, database: Database) -> None:
    old = month(-14)
    name = partition_name("events", old)
    clock.make_month("events", old)
    clock.insert("events", old, old + timedelta(days=3))
    counting = f"SELECT count(*) AS n FROM events WHERE created_at < '{month(-13)}' AND event_type = 'x'"
    task = TASK["archive-old-partitions"]
    with (
        Writers(clock, "events") as writers,
        reading(database, "events") as reader,
        working(lambda: run_task(task, datetime.now(UTC), database.settings(), threading.Event())) as has_ended,
    ):
        eventually(lambda: is_pending(clock, "events"), "half detached", LONG)
        for _ in range(3):
            writers.go_on()
        assert not has_ended()
        with pytest.raises(psycopg.errors.CheckViolation):  # the document's first month goes first: decision 0028
            clock.insert("events", datetime(2025, 1, 15, tzinfo=UTC))
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
    with (
        Writers(clock, "webhook_deliveries") as writers,
        database.admin() as open_writer,
        open_writer.transaction(),
    ):
        insert(open_writer, clock, "webhook_deliveries", datetime.now(UTC))
        with working(lambda: clean_up(run)) as has_ended:
            eventually(lambda: is_pending(clock, "webhook_deliveries"), "half detached", LONG)
            for _ in range(3):
                writers.go_on()
            assert not has_ended()
            open_writer.execute("COMMIT")
            eventually(has_ended, "the month is dropped", LONG)
    assert name not in months_of(clock.admin, "webhook_deliveries")
    assert not writers.faults
    assert writers.longest < 1.5
    assert len(moments(clock, "webhook_deliveries")) == writers.written + 1


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
            eventually(lambda: is_pending(clock, "events"), "half detached", LONG)
        finally:
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        left = "SELECT FROM pg_stat_activity WHERE application_name = 'claude-code-bot partitions'"
        eventually(lambda: not clock.admin.execute(left).rowcount, "its connection is gone", LONG)
        assert is_pending(clock, "events")
        reader.execute("COMMIT")
    soon = datetime.now(UTC)
    eventually(lambda: run_task(task, soon, database.settings(), stop), "taken over", LONG)
    rows = clock.admin.execute("SELECT outcome, error_message FROM maintenance_runs ORDER BY started_at").fetchall()
    assert [row["outcome"] for row in rows] == ["failed", "succeeded"], rows
    assert "interrupted" in rows[0]["error_message"]
    assert names <= months_of(clock.admin, "events", "archive")
    assert not is_pending(clock, "events")
    assert moments(clock, "events") == written
    clock.assert_nothing_is_refused()
