"""An installed PostgreSQL server that archives its log, with a data directory that can be lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from cli import app
from database.binaries import Installation
from database.server_account import server_account, within_reach
from tests.waiting import eventually


class Cluster:
    """A server in a folder.

    :param environment: what its own commands, such as archive_command, find in the environment.
    """

    def __init__(self, folder: Path, installation: Installation, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.account = server_account()
        self.installation = within_reach(installation, self.account)
        self.archive = folder / "archive"
        (self.archive / "wal").mkdir(parents=True)
        self.own(folder)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's login."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port=5432"

    def initialise(self, data_directory: Path, configuration: str = "") -> None:
        """Make a data directory.

        :param configuration: lines for its postgresql.conf; those that our command prints by default.
        """
        program = str(self.installation.bin / "initdb")
        self.run(program, "-D", str(data_directory), "-A", "trust", "-U", "postgres", "--no-sync")
        with (data_directory / "postgresql.conf").open("a") as file:
            file.write(configuration or self.flask("backup", "archive-settings"))

    def start(self, data_directory: Path) -> None:
        """Start on a data directory, and wait until it is out of recovery."""
        options = ["-k", str(self.folder), "-c", "listen_addresses=", "-c", "max_connections=20"]
        self.own(data_directory)
        self._process = subprocess.Popen(
            [str(self.installation.bin / "postgres"), "-D", str(data_directory), *options],
            cwd="/",
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "server.log").open("ab"),
            **self._as,
        )
        eventually(self._is_promoted, "the server accepts writes", 60)

    def kill(self) -> None:
        """As a power failure does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def run(self, program: str, *arguments: str) -> str:
        """Run a program as the server's account; gives what it prints."""
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, cwd="/", env=self._environment, **self._as
        )
        assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def flask(self, *arguments: str) -> str:
        """Run a command of ours; gives what it says."""
        environment = {
            "DATABASE_URL": self.url,
            "WAL_ARCHIVE_DIR": str(self.archive),
            "DATA_DIR": str(self.folder / "var"),
        }
        done = app.test_cli_runner().invoke(args=arguments, env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    def own(self, path: Path) -> None:
        """Give a directory to the server's account."""
        if self.account is not None:
            self.account.own(path)

    def write(self, text: str) -> datetime:
        """Commit a row and give the time after it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS notes (text text)")
            connection.execute("INSERT INTO notes (text) VALUES (%s)", [text])
            row = connection.execute("SELECT clock_timestamp()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment

    def read(self) -> list[str]:
        """What was written."""
        with psycopg.connect(self.url) as connection:
            return [text for (text,) in connection.execute("SELECT text FROM notes")]

    def finish_segment(self) -> str:
        """Have the server archive what has been committed; gives the segment."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_logical_emit_message(true, 'test', '')")  # an empty one is not finished
            row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
        return str(row[0])

    def archived(self) -> None:
        """Have our archive hold what has been committed."""
        segment = self.finish_segment()
        eventually((self.archive / "wal" / f"{segment}.gz").exists, "the segment is archived")

    def _is_promoted(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "server.log").read_text()
        try:
            with psycopg.connect(self.url) as connection:
                return connection.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,)
        except psycopg.OperationalError:
            return False

    @property
    def _as(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}


@contextmanager
def short_folder() -> Iterator[Path]:
    """A short path that the server's account can reach: a socket lives there."""
    folder = Path(tempfile.mkdtemp(prefix="pit-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)
