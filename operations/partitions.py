"""Partitions detached, dropped, archived and brought back while others read and write.

DETACH … CONCURRENTLY is no part of a transaction, so each step here is one by itself, on a connection of the owner's:
whatever interrupts them leaves a state from which the next run goes on. What needs an exclusive lock waits for it a
tenth of a second and tries again later; those who wait behind it wait no longer than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from config import ROOT
from database.queries import Query, load, templates

QUERIES = load("partitions")
MIGRATOR = load("schema_migrations")
STATEMENTS = templates(ROOT / "sql" / "partitions.sql")

LOCK_TIMEOUT = "100ms"
ATTEMPTS = 30
LONGEST_PAUSE = 5.0  # seconds between two attempts

Connection = psycopg.Connection[dict[str, Any]]
Result = TypeVar("Result")


class Interrupted(Exception):
    """The process was asked to stop; the next run goes on from here."""


class NoSuchMonth(Exception):
    """There is no such month to archive."""


def persistently(step: Callable[[], Result], stop: threading.Event, attempts: int = ATTEMPTS) -> Result:
    """Do something that may not get its locks, with growing pauses in between.

    :param stop: asks to give up.
    :raises psycopg.errors.LockNotAvailable: it never got them.
    :raises Interrupted: `stop` was set.
    """
    for attempt in range(1, attempts + 1):
        if stop.is_set():
            raise Interrupted("The process was asked to stop.")
        try:
            return step()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if attempt == attempts:
                raise
            stop.wait(min(LONGEST_PAUSE, 0.1 * 2**attempt))
    raise AssertionError("unreachable")


class Partitions:
    """What can be done to the months of partitioned tables.

    :param connection: a login that can become the owner, in autocommit; it becomes the owner.
    :param stop: asks to give up between two steps.
    """

    def __init__(self, connection: Connection, stop: threading.Event) -> None:
        self._connection = connection
        self._stop = stop
        connection.execute(MIGRATOR.become_owner.text)
        connection.execute(sql.SQL("SET lock_timeout = {}").format(LOCK_TIMEOUT))
        connection.execute(sql.SQL("SET timezone = {}").format("UTC"))

    @classmethod
    @contextmanager
    def opened(cls, url: str, stop: threading.Event) -> Iterator[Partitions]:
        """On a connection of its own.

        :param url: a login that can become the owner.
        :raises psycopg.Error: the database cannot be reached, or the login is another.
        """
        with psycopg.connect(
            url, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor,
            application_name="claude-code-bot partitions", connect_timeout=5,
        ) as connection:  # fmt: skip
            yield cls(connection, stop)

    def drop_expired(self, parent: str, keep: str, moment: datetime) -> int:
        """Drop the months of a table that ended before what is kept.

        :param keep: an interval, such as `90 days`.
        :param moment: now.
        :return: how many rows went, as the statistics estimate them.
        :raises psycopg.errors.LockNotAvailable: somebody held on to a lock for minutes.
        :raises Interrupted: it was asked to stop.
        """
        self._retire(self._many(QUERIES.expired, parent=parent, keep=keep, moment=moment), parent)
        return self._settle(parent, keep, moment, lambda name: self._run("drop", partition=name))

    def archive(self, keep: str, moment: datetime) -> int:
        """Move months of events that ended before that to the archive, except those that were brought back.

        :return: how many rows went, as the statistics estimate them.
        :raises psycopg.errors.LockNotAvailable: somebody held on to a lock for minutes.
        :raises Interrupted: it was asked to stop.
        """
        self._retire(self._many(QUERIES.archivable, keep=keep, moment=moment), "events")
        return self._settle("events", keep, moment, lambda name: self._execute(QUERIES.shelve, name=name))

    def archive_month(self, name: str) -> None:
        """Move one month of events to the archive, whatever its age.

        :param name: such as `events_y2025m01`.
        :raises NoSuchMonth: no month of events is attached under that name.
        :raises psycopg.errors.LockNotAvailable: somebody held on to a lock for minutes.
        """
        found = self._many(QUERIES.month_of_events, name=name)
        if not found:
            raise NoSuchMonth(f"there is no month {name} to archive")
        self._retire(found, "events")
        persistently(lambda: self._execute(QUERIES.shelve, name=name), self._stop)

    def bring_back(self, name: str) -> None:
        """Attach a month of the archive again; it stays until somebody archives it by its name.

        :param name: such as `events_y2025m01`.
        :raises psycopg.errors.UndefinedTable: the archive has no such month.
        :raises psycopg.errors.LockNotAvailable: somebody held on to a lock for minutes.
        """
        persistently(lambda: self._execute(QUERIES.prepare, name=name), self._stop)
        persistently(lambda: self._execute(QUERIES.bring_back, name=name), self._stop)

    def _retire(self, months: list[dict[str, Any]], parent: str) -> None:
        """Take months out of a table, each replaced at once by a filler."""
        pending = self._many(QUERIES.pending, parent=parent)  # a table has room for one
        for month in [*pending, *months]:
            persistently(lambda name=month["name"]: self._detach(parent, name), self._stop)  # type: ignore[misc]
            persistently(lambda: self._execute(QUERIES.cover, parent=parent), self._stop)

    def _detach(self, parent: str, name: str) -> None:
        if any(row["name"] == name for row in self._many(QUERIES.pending, parent=parent)):
            self._run("finish_detaching", parent=parent, partition=name)
        elif self._many(QUERIES.is_attached, name=name)[0]["is_attached"]:
            self._run("detach", parent=parent, partition=name)

    def _settle(self, parent: str, keep: str, moment: datetime, finish: Callable[[str], None]) -> int:
        """Finish with the months that stand alone, of this run and of those before it.

        What is not over by these limits goes back: they are longer than they were when it was detached.
        """
        persistently(lambda: self._execute(QUERIES.cover, parent=parent), self._stop)
        gone = 0
        for month in self._many(QUERIES.stranded, parent=parent, keep=keep, moment=moment):
            if month["is_over"]:
                persistently(lambda name=month["name"]: finish(name), self._stop)  # type: ignore[misc]
                gone += month["row_estimate"]
            else:
                bounds = {key: month[key] for key in ("name", "lower_bound", "upper_bound")}
                persistently(lambda b=bounds: self._execute(QUERIES.place, parent=parent, **b), self._stop)  # type: ignore[misc]
        return gone

    def _run(self, statement: str, **tables: str) -> None:
        names = {place: sql.Identifier(name) for place, name in tables.items()}
        self._connection.execute(STATEMENTS[statement].format(**names))

    def _many(self, query: Query, **values: object) -> list[dict[str, Any]]:
        return self._connection.execute(query.text, [values[name] for name in query.parameters]).fetchall()

    def _execute(self, query: Query, **values: object) -> None:
        self._connection.execute(query.text, [values[name] for name in query.parameters])
