"""Migrations: plain SQL files, forward only, safe to start from many processes at once and while requests run.

A file is one transaction. One whose first line says `-- no transaction` holds exactly one statement, for what
PostgreSQL does outside of transactions only; it has to be repeatable, because it can be done without being recorded.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from config import ROOT
from database.indexes import build_index
from database.queries import load

MIGRATIONS = ROOT / "sql" / "migrations"
LOCK = 0x636362  # "ccb": one migrator at a time in a database
LOCK_TIMEOUT = "250ms"  # a migration that waits for a lock makes everybody behind it wait
PATIENCE = 600.0  # seconds of trying again
LOOK_EVERY, LONGEST_PAUSE = 0.1, 2.0  # seconds

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
QUERIES = load("schema_migrations")

logger = logging.getLogger("ccb.migrations")


class MigrationError(Exception):
    """The migrations and the database do not fit together; the message says which."""


@dataclass(frozen=True)
class Migration:
    """One file."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, so that a migration that was edited after it ran is noticed."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def transactional(self) -> bool:
        """False where the first line says `-- no transaction`, as CREATE INDEX CONCURRENTLY needs."""
        return not self.text.startswith("-- no transaction")


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations of a folder in their order.

    :raises MigrationError: a name is malformed or a number is there twice.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} should be named NNNN_verb_noun.sql")
        found.append(Migration(int(match[1]), path.stem, path.read_text("utf-8")))
    if len({each.number for each in found}) != len(found):
        raise MigrationError("two migrations have the same number")
    return found


def migrate(url: str, known: Sequence[Migration] | None = None, *, patience: float = PATIENCE) -> list[str]:
    """Bring a database up to date, while it is used.

    :param url: an administrator's login; the files run as `ccb_owner`.
    :param known: the migrations, those of `sql/migrations` by default.
    :param patience: seconds that a migration goes on trying to get its locks.
    :return: the names of the migrations that ran.
    :raises MigrationError: a migration that ran has been edited, the database is ahead of the files, a file cannot be
        run as it is written, or others held for too long what it needs.
    :raises psycopg.Error: a migration failed; what it did is undone.
    """
    known = migrations() if known is None else known
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        take_turn(connection)
        for setting in (QUERIES.use_utc, QUERIES.take_time, QUERIES.become_owner, QUERIES.create_table):
            connection.execute(setting.text)
        done = pending(connection, known)
        for migration in done:
            _apply(connection, migration, patience)
        return [migration.name for migration in done]


def take_turn(connection: psycopg.Connection[Any]) -> None:
    """Wait until nobody else prepares this database; released with the connection.

    Asking again, rather than waiting inside the server, keeps no snapshot open: CREATE INDEX CONCURRENTLY of whoever
    has the turn waits for all that are open, and so for us, while we would wait for it.
    """
    while connection.execute(QUERIES.lock.text, [LOCK]).fetchone() != (True,):
        time.sleep(LOOK_EVERY)


def pending(connection: psycopg.Connection[Any], known: Sequence[Migration]) -> list[Migration]:
    """The migrations that have not run yet.

    :raises MigrationError: as :func:`migrate`.
    """
    ran = dict(connection.execute(QUERIES.ran.text).fetchall())
    for migration in known:
        if migration.number in ran and ran[migration.number] != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it ran; write a new migration instead")
    if set(ran) - {migration.number for migration in known}:
        raise MigrationError(f"the database has migrations up to {max(ran)}, newer than this program")
    return [migration for migration in known if migration.number not in ran]


def _apply(connection: psycopg.Connection[Any], migration: Migration, patience: float) -> None:
    deadline = time.monotonic() + patience
    for attempt in itertools.count(1):
        try:
            if migration.transactional:
                with connection.transaction():
                    connection.execute(QUERIES.limit_waiting.text, [LOCK_TIMEOUT, True])
                    connection.execute(migration.text)
                    _record(connection, migration)
            else:
                _apply_alone(connection, migration)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            pause = min(LONGEST_PAUSE, LOOK_EVERY * 2**attempt)
            if time.monotonic() + pause > deadline:
                raise MigrationError(
                    f"{migration.name} did not get its locks within {patience:.0f} s; `flask ops locks` tells who holds"
                    " them. Nothing of it was done: migrate again."
                ) from error
            logger.warning("%s waits for a lock; trying again in %.1f s", migration.name, pause)
            time.sleep(pause)


def _apply_alone(connection: psycopg.Connection[Any], migration: Migration) -> None:
    """Run the one statement of a migration without a transaction.

    Its record is written behind it, so it may run again after a process that died between the two.
    """
    # what works CONCURRENTLY may wait for as long as it takes, because nobody has to wait for it
    patient = re.search(r"\bCONCURRENTLY\b", migration.text, re.IGNORECASE)
    connection.execute(QUERIES.limit_waiting.text, ["0" if patient else LOCK_TIMEOUT, False])
    if not build_index(connection, migration.text, LOCK_TIMEOUT):
        try:
            connection.execute(migration.text, binary=True)  # the extended protocol, which takes one statement only
        except psycopg.errors.SyntaxError as error:
            raise MigrationError(f"{migration.name}: {error.diag.message_primary}") from error
    _record(connection, migration)


def _record(connection: psycopg.Connection[Any], migration: Migration) -> None:
    connection.execute(QUERIES.record.text, [migration.number, migration.name, migration.checksum])
