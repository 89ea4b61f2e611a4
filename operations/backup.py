"""Backups as dumps: create, list, verify, prune (ruling 24).

A backup is a pg_dump archive in the custom format, which is compressed already, and beside it a manifest: the
archive's checksum, for every table the number of rows and a digest of its content at the moment of the dump, and the
settings of the database, which a dump does not hold.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from database.queries import load
from database.server_account import other_owner
from operations.postgresql_programs import BackupError, fitting, flush, run

QUERIES = load("backups")
MIGRATOR = load("schema_migrations")
RETENTION = timedelta(days=30)
ATTEMPTS = 5
LOCK_WAIT = "60s"  # pg_dump gives up rather than queue behind whoever holds a table, with everybody behind it

Digests = dict[str, list[Any]]


@dataclass(frozen=True)
class Backup:
    """One backup.

    :param tables: number of rows and digest of each table.
    :param properties: encoding, locale, owner, grants and settings of the database; None in manifests of before.
    """

    path: str
    created_at: str
    database: str
    server_version: int
    sha256: str
    size_bytes: int
    tables: Digests
    properties: dict[str, Any] | None = None


def create_backup(url: str, folder: Path, stop: threading.Event | None = None) -> Backup:
    """Dump a database while others write into it.

    :param url: a login that reads everything: of `ccb_backup`, or a superuser's. Another one is refused.
    :param stop: breaks the dump off when it is set; with it somebody else who works in the folder is waited for.
    :raises BackupError: the dump failed, or the folder is not free; nothing is left behind.
    """
    moment = datetime.now(UTC)
    archive = folder / f"full_backup_{moment:%Y%m%d_%H%M%S_%f}.dump"
    unfinished = archive.with_suffix(".unfinished")
    with sole_use(folder, stop):
        _remove_leftovers(folder)
        try:
            with _reading(url) as (connection, arguments):
                snapshot, tables = _one_moment(connection)
                properties = row(connection, QUERIES.properties.text)["properties"]
                version = connection.info.server_version // 10000
                unfinished.touch(mode=0o600)
                arguments += ["--format=custom", f"--snapshot={snapshot}", f"--file={unfinished}"]
                run(fitting(version, "pg_dump").bin / "pg_dump", arguments, url=url, stop=stop)
            flush(unfinished)
            backup = Backup(
                str(archive),
                moment.isoformat(),
                database_name(url),
                version,
                checksum(unfinished),
                unfinished.stat().st_size,
                tables,
                properties,
            )
            manifest = _manifest(archive)
            manifest.touch(mode=0o600)
            manifest.write_text(json.dumps(asdict(backup), indent=1), "utf-8")
            flush(manifest)
            if owner := other_owner(folder):
                for each in (unfinished, manifest):
                    owner.own(each)  # their worker reads both, to prove and to prune them
            unfinished.rename(archive)
            flush(folder)
        except OSError as error:
            raise BackupError(f"the backup cannot be written: {error}") from error
        finally:
            unfinished.unlink(missing_ok=True)
            if not archive.exists():
                _manifest(archive).unlink(missing_ok=True)
    record(url, archive.name, backup.size_bytes, backup.sha256, is_verified=False)
    return backup


def list_backups(folder: Path) -> list[Backup]:
    """The backups of a folder, oldest first.

    :raises BackupError: a manifest cannot be read.
    """
    found = []
    for archive in sorted(folder.glob("full_backup_*.dump")):
        if _manifest(archive).exists():
            try:
                found.append(Backup(**{**json.loads(_manifest(archive).read_text("utf-8")), "path": str(archive)}))
            except (ValueError, TypeError) as error:
                raise BackupError(f"{_manifest(archive)} cannot be read: {error}") from error
    return found


def prune_backups(folder: Path, keep: timedelta = RETENTION, stop: threading.Event | None = None) -> list[Path]:
    """Remove backups that are older than the retention; the newest always stays.

    :param stop: as for :func:`sole_use`.
    :return: the archives that were removed.
    :raises BackupError: somebody makes a backup into this folder now.
    """
    limit = datetime.now(UTC) - keep
    with sole_use(folder, stop):
        expired = [each for each in list_backups(folder)[:-1] if datetime.fromisoformat(each.created_at) < limit]
        for backup in expired:
            Path(backup.path).unlink()
            _manifest(Path(backup.path)).unlink()
        _remove_leftovers(folder)
    return [Path(backup.path) for backup in expired]


def record(url: str, name: str, size_bytes: int, sha256: str, *, is_verified: bool, kind: str = "dump") -> None:
    """Note a backup in the database, where its age is watched; one that keeps no such record is left as it is.

    :param url: a login of `ccb_backup`, or an administrator's.
    :param kind: `dump` or `base`.
    """
    with psycopg.connect(url, row_factory=dict_row) as connection:
        there = row(connection, QUERIES.has_record.text)
        if there["is_there"]:
            if there["may_become_owner"]:
                connection.execute(MIGRATOR.become_owner.text)
            row(connection, QUERIES.record.text, name, size_bytes, sha256, is_verified, kind)


@contextmanager
def sole_use(folder: Path, stop: threading.Event | None = None) -> Iterator[None]:
    """Nobody else writes backups into this folder meanwhile; the lock ends with the process.

    :param stop: wait until it is free, or this is set; without it do not wait.
    :raises BackupError: it is not free.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BackupError(f"{folder} cannot be used: {error.strerror}") from error
    try:
        while not _locked(descriptor):
            if stop is None or stop.wait(0.5):
                raise BackupError(f"somebody else works in {folder} at this moment")
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def database_name(url: str) -> str:
    """The database that a login leads to."""
    values = conninfo_to_dict(url)
    return str(values.get("dbname") or values.get("user") or "postgres")


def row(connection: psycopg.Connection[Any], text: str, *values: Any) -> dict[str, Any]:
    """The one row of a statement with $ parameters."""
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return dict(cursor.execute(text, values or None).fetchone() or {})


def digests(connection: psycopg.Connection[Any]) -> Digests:
    """What a database's tables hold: number of rows and digest of each."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(QUERIES.digests.text).fetchall()
    return {each["name"]: [each["row_count"], each["digest"]] for each in found}


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _one_moment(connection: psycopg.Connection[Any]) -> tuple[str, Digests]:
    """A snapshot for pg_dump, and what it holds. Reading a table locks it, so that it is still there for pg_dump."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return row(connection, QUERIES.export_snapshot.text)["snapshot"], digests(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.SyntaxError) as error:
            # a month was dropped after the snapshot and before the lock: its name has become a number
            connection.rollback()
            if attempt == ATTEMPTS:
                raise BackupError(f"tables come and go too fast: {error}") from error
    raise AssertionError


@contextmanager
def _reading(url: str) -> Iterator[tuple[psycopg.Connection[Any], list[str]]]:
    """A connection that sees everything of one moment, and what pg_dump has to be told to read as much.

    :raises BackupError: row level security would keep rows of some table out of it.
    """
    arguments = [f"--lock-wait-timeout={LOCK_WAIT}"]
    # pg_cron's own tables; its jobs are registered by `flask migrate`, in whichever database that is
    arguments.append("--exclude-schema=cron")
    with psycopg.connect(url) as connection:
        connection.autocommit = True
        reading = row(connection, QUERIES.reading.text)
        if reading["has_to_ask"]:
            connection.execute(QUERIES.open_to_backups.text)
        connection.autocommit = False
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        if not reading["bypasses"]:
            hidden = connection.execute(QUERIES.hidden_tables.text).fetchall()
            if hidden:
                names = ", ".join(name for (name,) in hidden[:5])
                raise BackupError(f"{reading['name']} does not see all rows of {len(hidden)} tables: {names}")
            arguments.append("--enable-row-security")
        yield connection, arguments


def _remove_leftovers(folder: Path) -> None:
    """What a killed process left: half an archive, a manifest without its archive."""
    for each in folder.glob("full_backup_*.unfinished"):
        each.unlink()
    for each in folder.glob("full_backup_*.json"):
        if not each.with_suffix(".dump").exists():
            each.unlink()


def _manifest(archive: Path) -> Path:
    return archive.with_suffix(".json")
