"""The server that the tests run on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from database.binaries import bundled
from tests.postgresql import OwnServer, start_server
from tests.waiting import eventually, is_running

ROOT = Path(__file__).parents[1]


def directory_of(url: str) -> Path:
    return Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"])).parent


def test_a_chosen_postgresql_is_used_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("TEST_POSTGRESQL_BIN", str(bundled()[0].bin))
    server = start_server()
    assert isinstance(server, OwnServer)
    pid, directory = server.pid, directory_of(server.url)
    with psycopg.connect(server.url) as connection:
        assert (connection.info.server_version // 10000, server.version) == (18, 18)
    server.stop()
    assert pid is not None
    assert not is_running(pid)
    assert not directory.exists()


def test_the_server_of_database_url_is_used_and_left_running(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    own = start_server()
    monkeypatch.setenv("DATABASE_URL", own.url)
    given = start_server()
    assert (given.url, given.version) == (own.url, own.version)
    given.stop()
    psycopg.connect(own.url).close()
    own.stop()


def test_a_directory_without_a_server_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("TEST_POSTGRESQL_BIN", str(tmp_path))
    with pytest.raises(RuntimeError, match="TEST_POSTGRESQL_BIN"):
        start_server()


def test_the_server_ends_with_tests_that_are_killed():
    code = (
        "import sys; from tests.postgresql import start_server\n"
        "server = start_server(); print(server.pid); print(server.url, flush=True); sys.stdin.read()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        directory = directory_of(tests.stdout.readline().strip())
        assert is_running(pid)
        tests.kill()
    eventually(lambda: not is_running(pid), "the end of the server")
    shutil.rmtree(directory)
