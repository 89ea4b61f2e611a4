"""What the drills of partitions share: looking at months, and getting in the way of maintenance."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from operations.maintenance import TASKS
from tests.conftest import Database
from tests.sql.test_rulings_partitions import INSERTS, TIME_COLUMNS, Clock
from tests.waiting import eventually

Admin = psycopg.Connection[dict[str, Any]]

TASK = {task.name: task for task in TASKS}
MARKS = {
    "webhook_deliveries": "event_type = 'x'", "events": "event_type = 'x'", "integration_executions": "true",
    "audit_logs": "action = 'x'", "metrics": "metric_name = 'x'",
}  # fmt: skip
LONG = 60.0  # seconds
WAITS = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"


def months_of(admin: Admin, table: str, schema: str = "public") -> set[str]:
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


def insert(writer: Admin, clock: Clock, table: str, moment: datetime) -> None:
    """A row, on a connection of another."""
    writer.execute(INSERTS[table], {**clock.values, "moments": [moment]})


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
                while not self._stop.is_set():
                    began = time.monotonic()
                    insert(admin, self._clock, self._table, datetime.now(UTC))
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


def is_pending(clock: Clock, parent: str) -> bool:
    """Whether a month of a table is half detached."""
    return bool(
        clock.admin.execute(
            "SELECT FROM pg_inherits WHERE inhparent = %s::regclass AND inhdetachpending", [parent]
        ).rowcount
    )


@contextmanager
def reading(database: Database, table: str) -> Iterator[Admin]:
    """Somebody who reads a table for long."""
    with database.admin() as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute(f"SELECT count(*) FROM {table}")
        yield reader
