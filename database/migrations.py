"""Migrations: plain SQL files, forward only, safe to start from many processes at once."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from config import ROOT
from database.queries import load

MIGRATIONS = ROOT / "sql" / "migrations"
LOCK = 0x636362  # "ccb": one migrator at a time in a database
LOCK_TIMEOUT = "2s"  # a migration that waits for a lock makes everybody behind it wait
ATTEMPTS = 10

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
QUERIES = load("schema_migrations")


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


def migrate(url: str, known: Sequence[Migration] | None = None) -> list[str]:
    """Bring a database up to date.

    :param url: an administrator's login; the files run as `ccb_owner`.
    :param known: the migrations, those of `sql/migrations` by default.
    :return: the names of the migrations that ran.
    :raises MigrationError: a migration that ran has been edited, or the database is ahead of the files.
    :raises psycopg.Error: a migration failed; what it did is undone.
    """
    known = migrations() if known is None else known
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(QUERIES.lock.text, [LOCK])  # released with the connection
        _run(connection, QUERIES.use_utc.text)
        _run(connection, QUERIES.become_owner.text)
        _run(connection, QUERIES.create_table.text)
        done = pending(connection, known)
        for migration in done:
            _apply(connection, migration)
        return [migration.name for migration in done]


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


def _run(connection: psycopg.Connection[Any], text: str) -> None:
    connection.execute(text)


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    connection.execute(sql.SQL("SET lock_timeout = {}").format(LOCK_TIMEOUT))
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if migration.transactional:
                with connection.transaction():
                    _run(connection, migration.text)
                    connection.execute(QUERIES.record.text, [migration.number, migration.name, migration.checksum])
            else:
                for part in _statements(migration.text):
                    _run(connection, part)
                connection.execute(QUERIES.record.text, [migration.number, migration.name, migration.checksum])
            return
        except psycopg.errors.LockNotAvailable:
            if attempt == ATTEMPTS:
                raise
            time.sleep(min(2.0, 0.1 * 2**attempt))


def _statements(text: str) -> list[str]:
    """The statements of a migration without a transaction, which are sent one by one."""
    return [part for part in re.split(r";\s*$", text, flags=re.MULTILINE) if part.strip()]
