"""Point-in-time recovery: base backups, and data directories that recover to a moment (ruling 25).

An archive folder holds both: `wal`, the segments that the server archives (:mod:`database.archiving`), and `base`, the
base backups that a recovery starts from.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from database.archiving import SUFFIX, archiving_settings, quoted
from operations.backup import checksum, record, sole_use
from operations.postgresql_programs import BackupError, fitting, flush, run

RETENTION = timedelta(days=14)
NAME = "base_%Y%m%d_%H%M%S_%f"

_START = re.compile(r"^START WAL LOCATION: .*\(file ([0-9A-F]{24})\)$", re.MULTILINE)
_SEGMENT = re.compile(r"[0-9A-F]{24}")  # which the names of timelines' histories do not begin with


@dataclass(frozen=True)
class BaseBackup:
    """A copy of a server's data directory.

    :param created_at: when it was complete: what it can be recovered to begins here.
    :param first_segment: the first WAL segment that a recovery needs.
    :param timeline: of the log, at its end.
    :param end: the place in the log where it is whole.
    """

    path: Path
    created_at: datetime
    first_segment: str
    timeline: int
    end: int
    size_bytes: int


def create_base_backup(url: str, archive: Path, stop: threading.Event | None = None) -> BaseBackup:
    """Copy a running server's data directory, with the log that makes the copy whole.

    :param url: a superuser's login, or another one that may replicate.
    :param archive: the archive folder.
    :param stop: breaks it off when it is set.
    :raises BackupError: pg_basebackup failed, or somebody makes one now; nothing is left behind.
    """
    folder = archive / "base"
    unfinished = folder / "unfinished"
    with psycopg.connect(url) as connection:
        version = connection.info.server_version // 10000
    with sole_use(folder, stop):
        _remove(unfinished)
        try:
            arguments = [
                f"--pgdata={unfinished}",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--manifest-checksums=SHA256",
            ]
            run(fitting(version, "pg_basebackup").bin / "pg_basebackup", arguments, url=url, stop=stop)
            target = folder / datetime.now(UTC).strftime(NAME)
            unfinished.rename(target)
            flush(folder)
        finally:
            _remove(unfinished)
    made = _read(target)
    record(url, target.name, made.size_bytes, checksum(target / "backup_manifest"), is_verified=False, kind="base")
    return made


def list_base_backups(archive: Path) -> list[BaseBackup]:
    """The base backups of an archive folder, oldest first.

    :raises BackupError: one of them cannot be read.
    """
    return [_read(each) for each in sorted((archive / "base").glob("base_*"))]


def prune_base_backups(archive: Path, keep: timedelta = RETENTION, stop: threading.Event | None = None) -> list[Path]:
    """Remove base backups and log that no recovery to a moment of the last days needs.

    The newest base backup that is older than the retention stays: with it each of its days can be recovered to.

    :param stop: as for :func:`operations.backup.sole_use`.
    :return: what was removed.
    :raises BackupError: somebody makes a base backup now.
    """
    limit = datetime.now(UTC) - keep
    with sole_use(archive / "base", stop):
        there = list_base_backups(archive)
        old = [each for each in there if each.created_at < limit][:-1]
        for each in old:
            _remove(each.path)
    kept = [each for each in there if each not in old]
    if not kept:
        return []
    first = min(each.first_segment[8:] for each in kept)  # as pg_archivecleanup does: whatever the timeline
    segments = [
        each
        for each in sorted((archive / "wal").glob(f"*{SUFFIX}"))
        if _SEGMENT.match(each.name) and each.name[8:24] < first
    ]
    for segment in segments:
        segment.unlink()
    return [*(each.path for each in old), *segments]


def base_for(archive: Path, until: datetime | None) -> BaseBackup:
    """The newest base backup from which a moment can be reached.

    :param until: the moment; None for the end of the log.
    :raises BackupError: there is none.
    """
    there = list_base_backups(archive)
    forks = _forks(archive / "wal")
    able = [
        each
        for each in there
        if (until is None or each.created_at <= until) and each.end <= forks.get(each.timeline, each.end)
    ]
    if not able:
        known = f"the oldest is of {there[0].created_at.isoformat()}" if there else "there is none"
        raise BackupError(f"no base backup in {archive / 'base'} is from before that moment; {known}")
    return able[-1]


def prepare_recovery(
    base: BaseBackup, data_directory: Path, archive: Path, until: datetime | None, *, lost: Path | None = None
) -> None:
    """Make a data directory out of a base backup that recovers to a moment when the server starts on it.

    :param archive: the archive folder.
    :param until: the moment to recover to: what was committed by then is there, nothing later is. None: all there is.
    :param lost: the data directory that is replaced; log of it that was not archived yet is taken along.
    :raises BackupError: the data directory exists already, or the base backup was changed; nothing is left behind.
    """
    if data_directory.exists():
        raise BackupError(f"{data_directory} is there already; put it away first")
    _expect_whole(base.path)
    unfinished = data_directory.with_name(f".{data_directory.name}-unfinished-recovery")
    try:
        _remove(unfinished)
        shutil.copytree(base.path, unfinished, symlinks=True)
        unfinished.chmod(0o700)
        _take_along(lost, unfinished, archive / "wal")
        settings = {
            "restore_command": archiving_settings((archive / "wal").absolute())["restore_command"],
            "recovery_target_time": "" if until is None else until.astimezone(UTC).isoformat(),
            "recovery_target_action": "promote",
        }
        with (unfinished / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{quoted(value)}'\n" for name, value in settings.items())
        (unfinished / "recovery.signal").touch()
        unfinished.rename(data_directory)
    except OSError as error:
        raise BackupError(f"{data_directory} cannot be made: {error}") from error
    finally:
        _remove(unfinished)


def _expect_whole(path: Path) -> None:
    """Compare every file with the manifest: as pg_verifybackup does, which crashes in the wheel's PostgreSQL 18."""
    for each in json.loads((path / "backup_manifest").read_text("utf-8"))["Files"]:
        file = path / (each["Path"] if "Path" in each else bytes.fromhex(each["Encoded-Path"]).decode())
        if not file.exists() or file.stat().st_size != each["Size"] or checksum(file) != each["Checksum"]:
            raise BackupError(f"{path} is not the base backup that was made: {file.relative_to(path)} differs")


def _forks(wal: Path) -> dict[int, int]:
    """Where the timelines that led to the present one were left; what came later on them is abandoned."""
    histories = sorted(wal.glob(f"*.history{SUFFIX}"))
    if not histories:
        return {}
    lines = [line.split() for line in gzip.decompress(histories[-1].read_bytes()).decode().splitlines()]
    return {int(line[0]): _place(line[1]) for line in lines if line and line[0].isdigit()}


def _place(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def _take_along(lost: Path | None, data_directory: Path, wal: Path) -> None:
    """Segments of the old data directory that the archive does not have: the last minute before it was lost."""
    if lost is None:
        return
    for segment in (lost / "pg_wal").glob("[0-9A-F]*"):
        if _SEGMENT.fullmatch(segment.name) and not (wal / f"{segment.name}{SUFFIX}").exists():
            shutil.copy2(segment, data_directory / "pg_wal" / segment.name)


def _read(path: Path) -> BaseBackup:
    try:
        found = _START.search((path / "backup_label").read_text("utf-8"))
        created_at = datetime.strptime(path.name, NAME).replace(tzinfo=UTC)
        ranges = json.loads((path / "backup_manifest").read_text("utf-8"))["WAL-Ranges"]
    except (OSError, ValueError) as error:
        raise BackupError(f"{path} is no base backup: {error}") from error
    if found is None:
        raise BackupError(f"{path} is no base backup: its backup_label names no segment")
    size = sum(each.lstat().st_size for each in path.rglob("*") if not each.is_dir())
    return BaseBackup(path, created_at, found[1], ranges[-1]["Timeline"], _place(ranges[-1]["End-LSN"]), size)


def _remove(directory: Path) -> None:
    if directory.exists():
        shutil.rmtree(directory)
