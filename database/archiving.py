"""Continuous archiving of the write-ahead log (ruling 25): the server settings, and the way to the archive.

PostgreSQL hands over each finished segment. The command copies it compressed under another name, flushes it and
renames it, so that half a segment is never taken for a whole one. A segment that is there already is not written again:
the command succeeds where it is the same, as after a crash before PostgreSQL could note it, and fails otherwise.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from database.server_account import Account

SUFFIX = ".gz"  # a segment that was cut short to be archived in time is nearly all zeros


def archiving_settings(archive: Path) -> dict[str, str]:
    """The server settings of continuous archiving, and of recovery from the same archive.

    :param archive: the directory of segments; the server's account must be able to write there.
    """
    folder = shlex.quote(str(archive))
    kept = f"{folder}/%f{SUFFIX}"
    copied = f"{folder}/%f.unfinished"
    same = f"gzip -dc {kept} | cmp -s - %p"
    copy = f"gzip -1 -c %p > {copied} && sync {copied} && mv {copied} {kept} && sync {folder}"
    return {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_timeout": "60s",
        "archive_command": f"if test -f {kept}; then {same}; else {copy}; fi",
        "restore_command": f"test -f {kept} && gzip -dc {kept} > %p",
    }


def configuration(archive: Path) -> str:
    """The settings as lines of a postgresql.conf.

    :param archive: as for :func:`archiving_settings`.
    """
    return "\n".join(f"{name} = '{quoted(value)}'" for name, value in archiving_settings(archive).items())


def quoted(value: str) -> str:
    """A value as it stands between apostrophes in a configuration file."""
    return value.replace("\\", "\\\\").replace("'", "''")


@contextmanager
def archive_open(archive: Path, account: Account | None) -> Iterator[int]:
    """A descriptor of the archive's directory, through which the server's account reaches it below a barred one.

    :param account: whom the server runs as, where that is not us.
    """
    archive.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None and archive.stat().st_uid != account.uid:
        account.own(archive)
    descriptor = os.open(archive, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
