"""The point-in-time drill: write, note the time, destroy, restore, find exactly what had been committed (ruling 25)."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database.binaries import Installation
from database.server_account import server_account, within_reach
from operations.backup import BackupError
from operations.point_in_time import archiving_settings, create_base_backup, prepare_recovery
from tests.postgresql import _installation
from tests.waiting import eventually


class Cluster:
    """A PostgreSQL server that archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.account = server_account()
        self.installation: Installation = within_reach(_installation(), self.account)
        self.archive = folder / "wal"
        self.archive.mkdir()
        self._own(folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's login."""
        return f"postgresql://postgres@/postgres?host={self.folder}&port=5432"

    def initialise(self, data_directory: Path) -> None:
        """Make a data directory."""
        self._run("initdb", "-D", str(data_directory), "-A", "trust", "-U", "postgres", "--no-sync")

    def start(self, data_directory: Path) -> None:
        """Start on a data directory."""
        settings = {**archiving_settings(self.archive), "listen_addresses": "", "max_connections": "20"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.installation.bin / "postgres"), "-D", str(data_directory), "-k", str(self.folder), *options]
        self._own(data_directory)
        self._process = subprocess.Popen(
            command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._as
        )
        eventually(self._is_promoted, "the server accepts writes", 60)

    def kill(self) -> None:
        """As a power failure does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def _is_promoted(self) -> bool:
        try:
            with psycopg.connect(self.url) as connection:
                return connection.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,)
        except psycopg.OperationalError:
            return False

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.installation.bin / program), *arguments], check=True, capture_output=True, cwd="/", **self._as
        )

    def _own(self, path: Path) -> None:
        if self.account is not None:
            self.account.own(path)

    @property
    def _as(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        return {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    # a short path that the server's account can reach: a socket lives there
    folder = Path(
        subprocess.run(["mktemp", "-d", "/tmp/pit-XXXXXX"], capture_output=True, text=True, check=True).stdout.strip()
    )
    made = Cluster(folder)
    yield made
    made.kill()
    shutil.rmtree(folder)


def write(cluster: Cluster, text: str) -> datetime:
    """Commit a row and give the time after it."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("INSERT INTO notes (text) VALUES (%s)", [text])
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]


def test_the_drill(cluster: Cluster) -> None:
    first, second = cluster.folder / "first", cluster.folder / "second"
    cluster.initialise(first)
    cluster.start(first)
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text)")
    write(cluster, "before the base backup")
    base = create_base_backup(cluster.url, cluster.folder / "base", cluster.installation)
    moment = write(cluster, "after the base backup")
    write(cluster, "after the moment")
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert row is not None
    eventually((cluster.archive / row[0]).exists, "the segment is archived")
    cluster.kill()
    shutil.rmtree(first)

    prepare_recovery(base, second, cluster.archive, moment)
    cluster.start(second)
    with psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [
            ("before the base backup",),
            ("after the base backup",),
        ]
    with pytest.raises(BackupError, match="there already"):
        prepare_recovery(base, second, cluster.archive, moment)


def test_an_archived_segment_is_never_overwritten(tmp_path: Path) -> None:
    segment, archive = tmp_path / "segment", tmp_path / "it's here"
    archive.mkdir()
    command = (
        archiving_settings(archive)["archive_command"]
        .replace("%p", str(segment))
        .replace("%f", "000000010000000000000001")
    )
    segment.write_text("first")
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    segment.write_text("second")
    assert subprocess.run(["sh", "-c", command], check=False).returncode != 0
    assert (archive / "000000010000000000000001").read_text() == "first"
    assert [each.name for each in archive.iterdir()] == ["000000010000000000000001"]
