"""Runs PostgreSQL's own programs: the fitting version, no password where others see it, and nothing outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from database.binaries import Installation, installations
from database.child_processes import on_parent_death

LOOK_EVERY = 0.2  # seconds between looks whether to stop


class BackupError(Exception):
    """A backup cannot be made, or is not what it should be; the message says why."""


def fitting(server_version: int, program: str) -> Installation:
    """The oldest installation that is not older than the server: pg_dump refuses newer servers.

    :param server_version: the major version.
    :raises BackupError: there is none.
    """
    able = [each for each in installations() if each.version >= server_version and (each.bin / program).exists()]
    if not able:
        raise BackupError(f"there is no {program} for PostgreSQL {server_version}")
    return min(able, key=lambda each: each.version)


def run(program: Path, arguments: list[str], *, url: str = "", stop: threading.Event | None = None) -> None:
    """Run a program to its end.

    :param url: the login it connects with, in `--dbname`. The password goes by the environment, which only the same
        user can read; arguments everybody can.
    :param stop: ends the program when it is set.
    :raises BackupError: it failed, or was stopped.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    if url:
        values = conninfo_to_dict(url)
        if password := values.pop("password", None):
            environment["PGPASSWORD"] = str(password)
        named = {name: str(value) for name, value in values.items()}
        arguments = [f"--dbname={make_conninfo('', **named)}", *arguments]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=on_parent_death(signal.SIGTERM),
        )
        try:
            is_running = True
            while is_running:
                if stop is not None and stop.is_set():
                    raise BackupError(f"{program.name} was stopped")
                is_running = _runs(process)
        finally:
            process.kill()
            process.wait()
        if process.returncode != 0:
            output.seek(0)
            told = " ".join(output.read().decode(errors="replace").split())
            raise BackupError(f"{program.name} failed: {told[-500:] or f'it ended with {process.returncode}'}")


def _runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(LOOK_EVERY)
    except subprocess.TimeoutExpired:
        return True
    return False


def flush(path: Path) -> None:
    """Have a file or directory on the disk before what comes next."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
