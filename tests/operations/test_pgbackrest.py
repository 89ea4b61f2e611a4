"""The point-in-time drill with pgBackRest and the configuration in deploy/, where Debian's package is installed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import ROOT
from database.binaries import installed
from tests.operations.cluster import Cluster, short_folder
from tests.waiting import eventually

CONFIGURATION = ROOT / "deploy" / "pgbackrest" / "pgbackrest.conf"
STANZA = "claude-code-bot"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server as the configuration describes it, but for where things are."""
    program = shutil.which("pgbackrest")
    servers = installed()
    if program is None or not servers:
        pytest.skip("apt-get install pgbackrest postgresql: they are not installed here")
    with short_folder() as folder:
        shutil.copy(CONFIGURATION, folder / "pgbackrest.conf")
        places = {
            "CONFIG": folder / "pgbackrest.conf",
            "PG1_PATH": folder / "data",
            "PG1_SOCKET_PATH": folder,
            "REPO1_PATH": folder / "repository",
            "LOG_PATH": folder / "log",
            "LOCK_PATH": folder / "lock",
            "SPOOL_PATH": folder / "spool",
        }
        for name in ("log", "lock", "spool", "repository"):
            (folder / name).mkdir()
        environment = {f"PGBACKREST_{name}": str(place) for name, place in places.items()}
        # Debian's pgbackrest knows Debian's PostgreSQL
        made = Cluster(folder, min(servers, key=lambda each: each.version), environment)
        yield made
        made.kill()


def settings() -> str:
    """What the configuration's comment says that postgresql.conf should have."""
    lines = [
        line[1:].strip() for line in CONFIGURATION.read_text("utf-8").splitlines() if line.startswith("#   archive_")
    ]
    assert len(lines) == 3
    return "\n".join(lines)


def pgbackrest(cluster: Cluster, *arguments: str) -> str:
    """Run it as the server's account."""
    return cluster.run("pgbackrest", f"--stanza={STANZA}", *arguments)


def test_the_drill(cluster: Cluster) -> None:
    data: Path = cluster.folder / "data"
    cluster.initialise(data, settings())
    cluster.start(data)
    pgbackrest(cluster, "stanza-create")
    pgbackrest(cluster, "check")
    cluster.write("one")
    pgbackrest(cluster, "backup", "--type=full")
    finished = int(time.time())  # it notes the second only, and asks for a moment behind that
    eventually(lambda: int(time.time()) > finished, "the next second")
    moment = cluster.write("two")
    cluster.write("three")
    segment = cluster.finish_segment()
    archived = cluster.folder / "repository" / "archive" / STANZA
    eventually(lambda: list(archived.glob(f"*/*/{segment}-*.zst")), "the segment is archived")
    cluster.kill()
    shutil.rmtree(data)
    data.mkdir(mode=0o700)
    cluster.own(data)

    pgbackrest(cluster, "restore", "--type=time", f"--target={moment.isoformat(' ')}", "--target-action=promote")
    cluster.start(data)
    assert cluster.read() == ["one", "two"]
    pgbackrest(cluster, "check")
    assert "status: ok" in pgbackrest(cluster, "info")
