"""Recovery of the embedded database to a point in time, and the drill that proves that it would work (ruling 25)."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from config import Settings
from database.archiving import SUFFIX
from database.embedded import EmbeddedServer, EmbeddedServerError, last_fatal
from database.queries import load
from database.server_account import other_owner
from operations.backup import checksum, digests, record, row, sole_use
from operations.point_in_time import BaseBackup, base_for, prepare_recovery
from operations.postgresql_programs import BackupError, fitting
from operations.serve import embedded_server, lock_data_dir

QUERIES = load("backups")
LONGEST = 7 * 86400.0  # seconds that a recovery may take
ARCHIVED_WITHIN = 120.0
UNSEEN = {"hot_standby": "off"}  # so it is ready when it has recovered, and not before

_NEXT = """\
{directory} is ready to recover from {base} when the server starts on it. Now:
  1. chown -R postgres: {directory}    (the account that the server runs as)
  2. start the server on it; its log says "recovery stopping before commit" and "archive recovery complete"
  3. psql -c 'SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()'    (false, and the last transaction)
  4. flask migrate, start the service, and make a new base backup: flask backup base"""


@dataclass(frozen=True)
class Recovered:
    """A database that was recovered.

    :param last_commit: the last transaction that is in it; None where the log held none.
    :param put_away: where the data directory of before is now; None where there was none.
    """

    base: BaseBackup
    last_commit: datetime | None
    put_away: Path | None


def recover(settings: Settings, archive: Path, until: datetime | None, data_directory: Path | None) -> str:
    """Recover, and say what to do next.

    :param archive: the archive folder.
    :param until: as for :func:`recover_embedded`.
    :param data_directory: of a server that others start; None for bin/serve's.
    :raises BackupError: as for :func:`recover_embedded`, or the data directory is there already.
    """
    if data_directory is not None:
        base = base_for(archive, until)
        prepare_recovery(base, data_directory.absolute(), archive, until)
        return _NEXT.format(directory=data_directory.absolute(), base=base.path.name)
    done = recover_embedded(settings, archive, until)
    lines = [f"Recovered from {done.base.path.name}; the last transaction is of {done.last_commit or 'before it'}."]
    if done.put_away is not None:
        lines.append(f"The data directory of before is {done.put_away}; delete it when nothing is missed.")
    return "\n".join([*lines, "Now start bin/serve, look, and have a new base backup made: flask backup base"])


def recover_embedded(settings: Settings, archive: Path, until: datetime | None) -> Recovered:
    """Bring the embedded database of DATA_DIR to a moment, while bin/serve is stopped.

    The data directory of before is put beside it, and comes back when the recovery fails.

    :param archive: the archive folder.
    :param until: what was committed by then is there, nothing later is. None: all that the log holds.
    :raises BackupError: the moment cannot be reached, or the log ends before it.
    :raises operations.serve.ServeError: bin/serve runs.
    """
    data_directory = settings.data_dir / "postgresql"
    with lock_data_dir(settings.data_dir):
        base = base_for(archive, until)
        put_away = _put_away(data_directory)
        try:
            prepare_recovery(base, data_directory, archive, until, lost=put_away)
            if owner := other_owner(put_away or settings.data_dir):
                owner.own(data_directory)  # bin/serve goes on as the same user
            last_commit = _replay(embedded_server(replace(settings, wal_archive_dir=archive), **UNSEEN))
        except BaseException:
            if put_away is not None:
                shutil.rmtree(data_directory, ignore_errors=True)
                put_away.rename(data_directory)
            raise
    return Recovered(base, last_commit, put_away)


def drill(url: str, archive: Path, stop: threading.Event | None = None) -> BaseBackup:
    """Recover the newest base backup elsewhere, up to now, and read every row of it.

    :param url: a superuser's login to the server that archives.
    :param archive: its archive folder.
    :param stop: breaks it off when it is set.
    :return: the base backup that was proven.
    :raises BackupError: the recovery fails, or lacks what had been committed.
    """
    base = base_for(archive, None)
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        committed = row(connection, QUERIES.leave_mark.text)
        database = connection.info.dbname
        _await_archived(archive, row(connection, QUERIES.finish_segment.text)["segment"], stop)
    place = archive / "scratch"
    with sole_use(archive, stop):
        version = fitting(int((base.path / "PG_VERSION").read_text()), "initdb")
        server = EmbeddedServer(place, version, {**UNSEEN, "archive_mode": "off", "fsync": "off"}, archive / "wal")
        server.remove()
        try:
            prepare_recovery(base, place, archive, None)
            server.start(LONGEST, stop)
            with psycopg.connect(server.url, dbname=database) as inside:
                if row(inside, QUERIES.reached.text, committed["place"])["is_reached"] is not True:
                    raise BackupError(f"{base.path} and its log lack what was committed at {committed['moment']}")
                digests(inside)
        except EmbeddedServerError as error:
            raise BackupError(_explained(error, place)) from error
        finally:
            server.remove()
    name, digest = base.path.name, checksum(base.path / "backup_manifest")
    record(url, name, base.size_bytes, digest, is_verified=True, kind="base")
    return base


def _put_away(data_directory: Path) -> Path | None:
    if not data_directory.exists():
        return None
    target = data_directory.with_name(f"{data_directory.name}.before_{datetime.now(UTC):%Y%m%d_%H%M%S}")
    data_directory.rename(target)
    return target


def _replay(server: EmbeddedServer) -> datetime | None:
    """Start the server until it has recovered, and stop it; gives the moment of the last transaction."""
    try:
        with psycopg.connect(server.start(LONGEST)) as connection:
            return row(connection, QUERIES.recovered.text)["last_commit"]  # type: ignore[no-any-return]
    except EmbeddedServerError as error:
        raise BackupError(_explained(error, server.data_dir)) from error
    finally:
        server.stop()


def _explained(error: EmbeddedServerError, data_directory: Path) -> str:
    """What the server's own log says of the end."""
    told = last_fatal(data_directory)
    return f"the recovery failed: {told}" if told else str(error)


def _await_archived(archive: Path, segment: str, stop: threading.Event | None) -> None:
    deadline = time.monotonic() + ARCHIVED_WITHIN
    while not (archive / "wal" / f"{segment}{SUFFIX}").exists():
        if time.monotonic() > deadline or (stop is not None and stop.is_set()):
            raise BackupError(f"the segment {segment} did not come to {archive / 'wal'}; see pg_stat_archiver")
        time.sleep(0.1)
