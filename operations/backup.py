"""Backups as dumps: create, verify, restore, prune (ruling 24).

A backup is a pg_dump archive in the custom format, which is compressed already, and beside it a manifest: the
archive's checksum, and for every table the number of rows and a digest of its content at the moment of the dump.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from database.binaries import Installation, installations
from database.queries import load

QUERIES = load("backups")
MIGRATOR = load("schema_migrations")
RETENTION = timedelta(days=30)

Digests = dict[str, list[Any]]


class BackupError(Exception):
    """A backup cannot be made, or is not what it should be; the message says why."""


@dataclass(frozen=True)
class Backup:
    """One backup; `tables` holds number of rows and digest of each table."""

    path: str
    created_at: str
    database: str
    server_version: int
    sha256: str
    size_bytes: int
    tables: Digests


def create_backup(url: str, folder: Path) -> Backup:
    """Dump a database.

    :param url: an administrator's login that row level security does not bind; another one is refused by pg_dump.
    :raises BackupError: pg_dump failed; nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    moment = datetime.now(UTC)
    archive = folder / f"full_backup_{moment:%Y%m%d_%H%M%S_%f}.dump"
    unfinished = archive.with_suffix(".unfinished")
    try:
        with psycopg.connect(url, row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            snapshot = _row(connection, QUERIES.export_snapshot.text)["snapshot"]
            tables = _digests(connection)
            version = connection.info.server_version // 10000
            unfinished.touch(mode=0o600)
            arguments = ["--format=custom", f"--snapshot={snapshot}", f"--file={unfinished}", f"--dbname={url}"]
            _run(version, "pg_dump", arguments)
        backup = Backup(
            str(archive),
            moment.isoformat(),
            str(conninfo_to_dict(url).get("dbname") or "postgres"),
            version,
            _checksum(unfinished),
            unfinished.stat().st_size,
            tables,
        )
        _manifest(archive).write_text(json.dumps(asdict(backup), indent=1), "utf-8")
        unfinished.rename(archive)
    finally:
        unfinished.unlink(missing_ok=True)
    _record(url, backup, is_verified=False)
    return backup


def list_backups(folder: Path) -> list[Backup]:
    """The backups of a folder, oldest first."""
    found = []
    for archive in sorted(folder.glob("full_backup_*.dump")):
        if _manifest(archive).exists():
            values = json.loads(_manifest(archive).read_text("utf-8"))
            found.append(Backup(**{**values, "path": str(archive)}))
    return found


def verify_backup(url: str, backup: Backup) -> None:
    """Restore a backup into a scratch database and compare every table.

    :param url: an administrator's login to the server that lends the scratch database.
    :raises BackupError: the archive was changed, cannot be restored, or holds something else than was dumped.
    """
    with _restored(url, backup):
        _record(url, backup, is_verified=True)


def restore_backup(url: str, backup: Backup, *, overwrite: bool = False) -> None:
    """Put a backup in the place of the database that `url` names.

    It is restored beside the present one and verified first: until the very end nothing is lost.

    :param overwrite: whether a database that is in use may be replaced.
    :raises BackupError: it is in use, or the backup is no good.
    """
    name = str(conninfo_to_dict(url).get("dbname") or "postgres")
    with _elsewhere(url) as connection:
        used = _row(connection, QUERIES.is_used.text, name)
        if used["is_there"] and not overwrite:
            raise BackupError(
                f"the database {name} is there already, with {used['connections']} connections; say so if it may go"
            )
    with _restored(url, backup) as scratch, _elsewhere(url) as connection:
        put_away = f"{name}_{secrets.token_hex(4)}"
        if used["is_there"]:
            connection.execute(QUERIES.cut_connections.text, [name])
            _rename(connection, name, put_away)
        _rename(connection, scratch, name)
        if used["is_there"]:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(put_away)))


def prune_backups(folder: Path, keep: timedelta = RETENTION) -> list[Path]:
    """Remove backups that are older than the retention; the newest always stays.

    :return: the archives that were removed.
    """
    limit = datetime.now(UTC) - keep
    expired = [each for each in list_backups(folder)[:-1] if datetime.fromisoformat(each.created_at) < limit]
    for backup in expired:
        Path(backup.path).unlink()
        _manifest(Path(backup.path)).unlink()
    return [Path(backup.path) for backup in expired]


@contextmanager
def _restored(url: str, backup: Backup) -> Iterator[str]:
    """A scratch database with the verified content of a backup; dropped unless it was renamed meanwhile."""
    archive = Path(backup.path)
    if not archive.exists() or _checksum(archive) != backup.sha256:
        raise BackupError(f"{archive} is not the file that was written: its checksum differs")
    scratch = f"ccb_restore_{secrets.token_hex(6)}"
    target = make_conninfo(url, dbname=scratch)
    with _elsewhere(url) as connection:
        version = connection.info.server_version // 10000
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(scratch)))
    try:
        # row security on: materialized views are refreshed as their owner, whom policies let see everything
        arguments = ["--exit-on-error", "--enable-row-security", f"--dbname={target}", str(archive)]
        _run(version, "pg_restore", arguments)
        with psycopg.connect(target, row_factory=dict_row) as inside:
            found = _digests(inside)
        differing = sorted(name for name in found.keys() | backup.tables if found.get(name) != backup.tables.get(name))
        if differing:
            raise BackupError(f"{archive} does not hold what was dumped: {', '.join(differing)}")
        yield scratch
    finally:
        with _elsewhere(url) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(scratch)))


@contextmanager
def _elsewhere(url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A connection to another database of the same server, from which databases can be made and renamed."""
    elsewhere = make_conninfo(url, dbname="template1")
    connection = psycopg.connect(elsewhere, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor)
    with connection:
        yield connection


def _record(url: str, backup: Backup, *, is_verified: bool) -> None:
    """Note it in the database, where its age is watched; one that keeps no record is left as it is."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        if _row(connection, QUERIES.has_record.text)["is_there"]:
            connection.execute(MIGRATOR.become_owner.text)
            values = Path(backup.path).name, backup.size_bytes, backup.sha256, is_verified
            _row(connection, QUERIES.record.text, *values)


def _rename(connection: psycopg.Connection[Any], name: str, new_name: str) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new_name)))


def _row(connection: psycopg.Connection[Any], text: str, *values: Any) -> dict[str, Any]:
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        return dict(cursor.execute(text, values or None).fetchone() or {})


def _digests(connection: psycopg.Connection[dict[str, Any]]) -> Digests:
    rows = connection.execute(QUERIES.digests.text).fetchall()
    return {row["name"]: [row["row_count"], row["digest"]] for row in rows}


def _run(server_version: int, program: str, arguments: list[str]) -> None:
    command = [str(_fitting(server_version).bin / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise BackupError(f"{program} failed: {' '.join(done.stderr.split())[:500]}")


def _fitting(server_version: int) -> Installation:
    """The oldest installation that is not older than the server: pg_dump refuses newer servers."""
    able = [each for each in installations() if each.version >= server_version and (each.bin / "pg_dump").exists()]
    if not able:
        raise BackupError(f"there is no pg_dump for PostgreSQL {server_version}")
    return min(able, key=lambda each: each.version)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(archive: Path) -> Path:
    return archive.with_suffix(".json")
