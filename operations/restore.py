"""Bringing dumps back: into a scratch database to prove them, or in the place of a database (ruling 24)."""

from __future__ import annotations

import re
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from database.binaries import bundled
from database.embedded import EmbeddedServer
from database.provision import create_roles
from database.queries import load
from operations.backup import Backup, checksum, database_name, digests, record, row, sole_use
from operations.postgresql_programs import BackupError, fitting, run

QUERIES = load("backups")
SCRATCH = {"fsync": "off", "max_connections": "20"}
SWAPS = 10  # attempts to be faster than clients that connect again
# what belongs to the server rather than to the database: pg_cron lives in one database of it
NOT_OURS = re.compile(
    r"\d+; \d+ \d+ (EXTENSION - pg_cron|COMMENT - EXTENSION pg_cron|(SCHEMA|ACL) - (SCHEMA )?cron|[A-Z ]+ cron) "
)
# holds nothing but what its server counts; where that is not installed, and the wheel has none, nothing is lost
STATISTICS = re.compile(r"\d+; \d+ \d+ (EXTENSION - |COMMENT - EXTENSION )pg_stat_statements ")


def verify_backup(url: str, backup: Backup, *, record_at: str = "", stop: threading.Event | None = None) -> None:
    """Restore a backup into a scratch database and compare every table.

    :param url: an administrator's login to the server that lends the scratch database.
    :param record_at: the login to the database that is told of it; `url` by default.
    :param stop: breaks it off when it is set.
    :raises BackupError: the archive was changed, cannot be restored, or holds something else than was dumped.
    """
    with _restored(url, backup, stop):
        pass
    name = Path(backup.path).name
    record(record_at or url, name, backup.size_bytes, backup.sha256, is_verified=True)


@contextmanager
def scratch_server(folder: Path, version: int, stop: threading.Event | None = None) -> Iterator[str]:
    """A server of its own to restore into, as a new machine would be; it needs no rights on the real one.

    :param folder: where its data directory may be; a killed predecessor's is cleared away.
    :param version: the oldest major version that will do.
    :param stop: as for :func:`operations.backup.sole_use`; breaks the start off, too.
    :return: its administrator's login.
    :raises BackupError: somebody else works in the folder.
    :raises database.embedded.EmbeddedServerError: it does not start.
    """
    with sole_use(folder, stop):
        # initdb and postgres before 16 lose their way below a directory that is closed to the server's account
        able = [each for each in bundled() if each.version >= version] or [fitting(version, "initdb")]
        server = EmbeddedServer(folder / "scratch", min(able, key=lambda each: each.version), SCRATCH)
        server.remove()
        try:
            yield server.start(stop=stop)
        finally:
            server.remove()


def restore_backup(url: str, backup: Backup, *, overwrite: bool = False) -> None:
    """Put a backup in the place of the database that `url` names.

    It is restored beside the present one and verified first: until the very end nothing is lost, and then both
    change names in one transaction.

    :param url: an administrator's login.
    :param overwrite: whether a database that is in use, or holds anything, may be replaced.
    :raises BackupError: it may not, or the backup is no good.
    """
    name = database_name(url)
    if not overwrite:
        _expect_unused(url, name)
    with _restored(url, backup) as scratch:
        _endow(make_conninfo(url, dbname=scratch), backup)
        if not overwrite:
            _expect_unused(url, name)  # it may have come into use meanwhile
        replaced = _swap(url, scratch, name, overwrite)
    with _elsewhere(url) as connection:
        _drop(connection, replaced, by_force=True)


@contextmanager
def _restored(url: str, backup: Backup, stop: threading.Event | None = None) -> Iterator[str]:
    """A scratch database with the verified content of a backup; dropped unless it was renamed meanwhile."""
    archive = Path(backup.path)
    if not archive.exists() or checksum(archive) != backup.sha256:
        raise BackupError(f"{archive} is not the file that was written: its checksum differs")
    _remove_leftovers(url)
    scratch = f"ccb_restore_{secrets.token_hex(6)}"
    target = make_conninfo(url, dbname=scratch)
    try:
        with _elsewhere(url) as connection:
            version = connection.info.server_version // 10000
            _create(connection, scratch, backup)
        # who is connected keeps it from being taken for a leftover
        with psycopg.connect(target, autocommit=True):
            create_roles(target)  # a new server has none
            _fill(target, archive, max(version, backup.server_version), stop)
            with psycopg.connect(target) as inside:
                found = digests(inside)
        differing = sorted(name for name in found.keys() | backup.tables if found.get(name) != backup.tables.get(name))
        if differing:
            raise BackupError(f"{archive} does not hold what was dumped: {', '.join(differing)}")
        yield scratch
    finally:
        with _elsewhere(url) as connection:
            _drop(connection, scratch, by_force=True)


def _create(connection: psycopg.Connection[Any], scratch: str, backup: Backup) -> None:
    plain = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(scratch))
    if backup.properties is None:
        connection.execute(plain)
        return
    try:
        connection.execute(row(connection, QUERIES.creation.text, scratch, Jsonb(backup.properties))["statement"])
    except (psycopg.errors.WrongObjectType, psycopg.errors.InvalidParameterValue, psycopg.errors.SyntaxError):
        connection.execute(plain)  # the machine does not know that locale


def _fill(target: str, archive: Path, version: int, stop: threading.Event | None) -> None:
    program = fitting(version, "pg_restore").bin / "pg_restore"
    listed = subprocess.run([program, "--list", archive], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise BackupError(f"{archive} cannot be read: {listed.stderr.strip()[-500:]}")
    with psycopg.connect(target) as connection:
        counts = row(connection, QUERIES.counts_statements.text)["counts"]
    left_out = (NOT_OURS,) if counts else (NOT_OURS, STATISTICS)
    with tempfile.NamedTemporaryFile("w", prefix="restore-") as wanted:
        lines = [line for line in listed.stdout.splitlines() if not any(each.match(line) for each in left_out)]
        wanted.writelines(f"{line}\n" for line in lines)
        wanted.flush()
        # row security on: materialized views are refreshed as their owner, whom policies let see everything
        arguments = ["--exit-on-error", "--enable-row-security", f"--use-list={wanted.name}", str(archive)]
        run(program, arguments, url=target, stop=stop)


def _endow(target: str, backup: Backup) -> None:
    """Give it the grants and settings that the database had."""
    if backup.properties is not None:
        with psycopg.connect(target, cursor_factory=psycopg.RawCursor) as connection:
            for (statement,) in connection.execute(QUERIES.endowment.text, [Jsonb(backup.properties)]).fetchall():
                connection.execute(statement)


def _expect_unused(url: str, name: str) -> None:
    with _elsewhere(url) as connection:
        use = row(connection, QUERIES.use.text, name)
    if not use["is_there"]:
        return
    if use["connections"]:
        raise BackupError(
            f"the database {name} is in use, by {use['connections']} connections; --overwrite replaces it"
        )
    with psycopg.connect(url) as inside:
        if not row(inside, QUERIES.is_empty.text)["is_empty"]:
            raise BackupError(f"the database {name} is there already; --overwrite replaces it")


def _swap(url: str, scratch: str, name: str, overwrite: bool) -> str:
    """Give the scratch database its name; what had it before gets another one, which is returned."""
    put_away = f"ccb_replaced_{secrets.token_hex(6)}"
    with _elsewhere(url) as connection:
        for attempt in range(1, SWAPS + 1):
            try:
                with connection.transaction():
                    if row(connection, QUERIES.use.text, name)["is_there"]:
                        if overwrite:
                            connection.execute(QUERIES.cut_connections.text, [name])
                        _rename(connection, name, put_away)  # from here on nobody new gets in
                    _rename(connection, scratch, name)
                break
            except psycopg.errors.ObjectInUse as error:
                if attempt == SWAPS or not overwrite:
                    raise BackupError(f"the database {name} is in use: {error}") from error
            except psycopg.errors.DuplicateDatabase as error:
                raise BackupError(f"somebody has made a database {name} meanwhile") from error
    return put_away


def _remove_leftovers(url: str) -> None:
    """Drop what a killed restore left behind; databases that somebody is connected to stay."""
    with _elsewhere(url) as connection:
        for each in connection.execute(QUERIES.leftovers.text).fetchall():
            try:
                _drop(connection, each["name"], by_force=False)
            except psycopg.errors.ObjectInUse:
                continue


@contextmanager
def _elsewhere(url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A connection to another database of the same server, from which databases can be made and renamed."""
    # not template1 where it can be helped: nobody can copy it meanwhile
    elsewhere = make_conninfo(url, dbname="template1" if database_name(url) == "postgres" else "postgres")
    connection = psycopg.connect(elsewhere, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor)
    with connection:
        yield connection


def _drop(connection: psycopg.Connection[Any], name: str, *, by_force: bool) -> None:
    how = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)") if by_force else sql.SQL("DROP DATABASE IF EXISTS {}")
    connection.execute(how.format(sql.Identifier(name)))


def _rename(connection: psycopg.Connection[Any], name: str, new_name: str) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new_name)))
