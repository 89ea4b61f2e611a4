"""Point-in-time recovery: continuous archiving and base backups (ruling 25).

PostgreSQL hands over each finished WAL segment; `archive_command` copies it under another name, flushes it and renames
it, so that a half-written segment is never taken for a whole one and an archived one is never overwritten.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from database.binaries import Installation
from operations.backup import BackupError


def archiving_settings(archive: Path) -> dict[str, str]:
    """The server settings of continuous archiving.

    :param archive: the folder for WAL segments; the server's account must be able to write there.
    """
    folder = shlex.quote(str(archive))
    target = f"{folder}/%f"
    copied = f"{target}.unfinished"
    copy = f"test ! -f {target} && cp %p {copied} && sync {copied} && mv {copied} {target}"
    return {"wal_level": "replica", "archive_mode": "on", "archive_timeout": "60s", "archive_command": copy}


def recovery_settings(archive: Path, until: datetime) -> dict[str, str]:
    """The server settings of a recovery.

    :param until: the moment to recover to: what was committed by then is there, nothing later is.
    """
    return {
        "restore_command": f"cp {shlex.quote(str(archive))}/%f %p",
        "recovery_target_time": until.astimezone(UTC).isoformat(),
        "recovery_target_action": "promote",
    }


def create_base_backup(url: str, folder: Path, installation: Installation) -> Path:
    """Copy a running server's data directory.

    :param url: a login that may replicate.
    :param installation: of the server's own major version.
    :return: the copy, named by its moment.
    :raises BackupError: pg_basebackup failed; nothing is left behind.
    """
    target = folder / f"base_{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [str(installation.bin / "pg_basebackup"), f"--dbname={url}", f"--pgdata={target}", "--wal-method=none"]
    done = subprocess.run([*command, "--checkpoint=fast"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        raise BackupError(f"pg_basebackup failed: {' '.join(done.stderr.split())[:500]}")
    return target


def prepare_recovery(base: Path, data_directory: Path, archive: Path, until: datetime) -> None:
    """Make a data directory out of a base backup that recovers to a moment when the server starts on it.

    :raises BackupError: the data directory exists already.
    """
    if data_directory.exists():
        raise BackupError(f"{data_directory} is there already; put it away first")
    shutil.copytree(base, data_directory, symlinks=True)
    data_directory.chmod(0o700)
    lines = [f"{name} = '{_quoted(value)}'\n" for name, value in recovery_settings(archive, until).items()]
    with (data_directory / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.writelines(lines)
    (data_directory / "recovery.signal").touch()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
