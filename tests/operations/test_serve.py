"""The supervisor behind bin/serve: a real database and real processes, with small programs for web and worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgresql import start_server
from tests.waiting import eventually, is_running

ROOT = Path(__file__).parents[2]

# Runs serve() with programs that say what they were given and the order in which they were stopped.
PROGRAM = """
import json, logging, os, sys
from types import SimpleNamespace
from pathlib import Path
import psycopg
from config import Settings
from operations.serve import serve

directory = Path(sys.argv[1])

def prepare(admin_url, settings):
    (directory / "preparing").touch()
    logging.getLogger("psycopg").warning("error ignored in rollback")  # as when a signal interrupts a statement
    with psycopg.connect(admin_url) as connection:
        connection.execute(os.environ.get("TEST_PREPARE", "SELECT 1"))
    (settings.data_dir / "demo.json").write_text(json.dumps({"api_key": "ccb_demo"}))
    (directory / "admin_url").write_text(admin_url)
    return SimpleNamespace(
        service="postgresql://service", worker="postgresql://worker", maintenance="postgresql://maintenance",
        backup="postgresql://backup"
    )

child = [sys.executable, str(directory / "child.py"), str(directory)]
sys.exit(serve(Settings.from_environment(), prepare=prepare, web=[*child, "web"], worker=[*child, "worker"]))
"""

CHILD = """
import http.server, json, os, signal, subprocess, sys
from pathlib import Path

directory, name = Path(sys.argv[1]), sys.argv[2]
if os.environ.get("TEST_FAILS") == name:
    sys.exit("no such module: frobnicate")

def stop(*_):
    if os.environ.get("TEST_STUBBORN") == name:
        return
    database = (Path(os.environ["DATA_DIR"]) / "postgresql" / "postmaster.pid").exists()
    with (directory / "stopped").open("a") as file:
        print(name, "with" if database else "without", "database", file=file)
    own.kill()
    os._exit(0)

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/readyz" and os.environ.get("TEST_FAILS") is None
        self.send_response(200 if ready else 503)
        self.end_headers()

signal.signal(signal.SIGTERM, stop)
own = subprocess.Popen(["sleep", "600"])
(directory / f"{name}.json").write_text(json.dumps(dict(os.environ)))
(directory / f"{name}.pid").write_text(str(os.getpid()))
if name == "web":
    http.server.HTTPServer.allow_reuse_address = True
    http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Answer).serve_forever()
while True:
    signal.pause()
"""


class Service:
    """One DATA_DIR, and the supervisors that are started on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data_dir = directory / "data dir"
        self.marker = uuid.uuid4().hex
        self.started: list[subprocess.Popen[str]] = []
        (directory / "child.py").write_text(textwrap.dedent(CHILD))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(self.data_dir),
            "PORT": str(self.port),
            "TEST_MARKER": self.marker,
        }

    def start(self, **environment: str) -> subprocess.Popen[str]:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, self.directory],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=(self.directory / "out").open("w"),
            stderr=(self.directory / "err").open("w"),
            text=True,
        )
        self.started.append(supervisor)
        return supervisor

    def start_and_wait(self, **environment: str) -> subprocess.Popen[str]:
        supervisor = self.start(**environment)
        eventually(lambda: "Ctrl-C" in self.out or supervisor.poll() is not None, "the announcement")
        assert supervisor.poll() is None, self.err
        eventually(lambda: (self.directory / "worker.pid").exists(), "the worker")
        return supervisor

    def fail(self, **environment: str) -> tuple[int, str]:
        """Exit status and message of a start that fails, which leaves no process."""
        status = self.start(**environment).wait(60)
        assert self.processes() == []
        assert self.err.count("\n") == 1, self.err
        return status, self.err

    @property
    def out(self) -> str:
        return (self.directory / "out").read_text()

    @property
    def err(self) -> str:
        return (self.directory / "err").read_text()

    def pid(self, name: str) -> int:
        return int((self.directory / f"{name}.pid").read_text())

    def postmaster(self) -> int:
        return int((self.data_dir / "postgresql" / "postmaster.pid").read_text().splitlines()[0])

    def given(self, name: str) -> dict[str, str]:
        environment: dict[str, str] = json.loads((self.directory / f"{name}.json").read_text())
        return environment

    def processes(self) -> list[str]:
        """Whatever runs of the service: by its environment, or by its directory."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                ours = self.marker.encode() in (entry / "environ").read_bytes()
                if ours or (entry / "cwd").readlink().is_relative_to(self.data_dir):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    for each in service.started:
        if each.poll() is None:
            each.send_signal(signal.SIGTERM)
            each.wait(60)


def test_it_starts_everything_and_stops_it_in_order(service: Service):
    supervisor = service.start_and_wait()
    assert f"http://127.0.0.1:{service.port}/docs" in service.out
    assert "ccb_demo" in service.out
    assert str(service.data_dir / "demo.json") in service.out
    assert service.data_dir.stat().st_mode & 0o777 == 0o700
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0
    assert (service.directory / "stopped").read_text() == "web with database\nworker with database\n"
    assert service.processes() == []


def test_each_process_is_given_its_own_login_and_no_other(service: Service):
    service.start_and_wait(SMTP_URL="smtp://mail.example")
    web, worker = service.given("web"), service.given("worker")
    logins = ("DATABASE_URL", "SERVICE_DATABASE_URL", "WORKER_DATABASE_URL", "MAINTENANCE_DATABASE_URL")
    assert [web.get(name) for name in logins] == [None, "postgresql://service", None, None]
    assert [worker.get(name) for name in logins] == [None, None, "postgresql://worker", "postgresql://maintenance"]
    backups = ("BACKUP_DATABASE_URL", "BACKUP_DIR")
    assert [web.get(name) for name in backups] == [None, None]
    assert [worker.get(name) for name in backups] == ["postgresql://backup", str(service.data_dir / "backups")]
    assert web["SMTP_URL"] == worker["SMTP_URL"] == "smtp://mail.example"
    kept = service.data_dir / "secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    keys = json.loads(kept.read_text())
    for given in (web, worker):
        assert [given["SIGNING_KEYS"]] == keys["signing_keys"]
        assert [given["ENCRYPTION_KEYS"]] == keys["encryption_keys"]


def test_generated_keys_stay_the_same_and_given_ones_win(service: Service):
    for environment in ({}, {}, {"SIGNING_KEYS": "s" * 32 + "," + "t" * 32}):
        supervisor = service.start_and_wait(**environment)
        given = service.given("web")
        keys = json.loads((service.data_dir / "secrets.json").read_text())
        assert given["ENCRYPTION_KEYS"] == keys["encryption_keys"][0]
        assert given["SIGNING_KEYS"] == environment.get("SIGNING_KEYS", keys["signing_keys"][0])
        supervisor.send_signal(signal.SIGINT)
        assert supervisor.wait(60) == 0


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_starts(service: Service):
    supervisor = service.start_and_wait()
    assert len(service.processes()) > 5
    supervisor.kill()
    supervisor.wait()
    service.start_and_wait()
    service.started[-1].kill()
    eventually(lambda: service.processes() == [], "the end of all")
    service.start_and_wait()


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_process_that_ends_is_started_again(service: Service, name: str):
    service.start_and_wait()
    first = service.pid(name)
    grandchildren = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    assert grandchildren
    os.kill(first, signal.SIGKILL)
    eventually(lambda: service.pid(name) != first, "another process")
    assert f"{name} ended with signal 9" in service.err
    assert not any(is_running(int(each)) for each in grandchildren)


def test_a_database_that_ends_is_started_again_under_the_same_login(service: Service):
    service.start_and_wait()
    first = service.postmaster()
    url = (service.directory / "admin_url").read_text()
    os.kill(first, signal.SIGKILL)

    def answers() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return False
        return service.postmaster() != first

    eventually(answers, "another postmaster")
    assert "PostgreSQL ended" in service.err


def test_a_second_signal_does_not_wait(service: Service):
    supervisor = service.start_and_wait(TEST_STUBBORN="worker")
    supervisor.send_signal(signal.SIGINT)
    eventually(lambda: (service.directory / "stopped").exists(), "the end of the web process")
    assert supervisor.poll() is None
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(20) == 1
    assert service.processes() == []


def test_a_stop_during_the_start_is_a_stop(service: Service):
    supervisor = service.start(TEST_PREPARE="SELECT pg_sleep(600)")
    eventually(lambda: (service.directory / "preparing").exists(), "the preparation of the database")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(60) == 0
    assert service.processes() == []
    assert service.err == "bin/serve: stopping\n"


def test_one_supervisor_for_each_data_dir(service: Service):
    first = service.start_and_wait()
    second = service.start()
    assert second.wait(30) == 1
    assert f"in use by a running bin/serve (process {first.pid})" in service.err
    assert first.poll() is None
    assert is_running(service.pid("web"))


def test_a_port_in_use_is_one_line(service: Service):
    with socket.socket() as other:
        other.bind(("127.0.0.1", service.port))
        other.listen()
        status, message = service.fail()
    assert status == 1
    assert f"cannot listen on 127.0.0.1 port {service.port}: Address already in use" in message
    assert not (service.data_dir / "postgresql").exists()


@pytest.mark.parametrize("name", ["web", "worker"])
def test_a_process_that_cannot_start_is_one_line_with_its_reason(service: Service, name: str):
    status, message = service.fail(TEST_FAILS=name)
    assert status == 1
    assert f"{name} ended with exit status 1 before it was ready" in message
    assert "no such module: frobnicate" in message


def test_an_error_while_preparing_is_one_line(service: Service):
    status, message = service.fail(TEST_PREPARE="SELECT no_such_function()")
    assert status == 1
    assert "no_such_function() does not exist" in message


KEYS = {"SIGNING_KEYS": "s" * 44, "ENCRYPTION_KEYS": "A" * 43 + "="}
UNREACHABLE = "postgresql://admin:hunter2@127.0.0.1:1/postgres"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DATABASE_URL": UNREACHABLE, **KEYS}, (1, "DATABASE_URL: connection")),
        ({"DATABASE_URL": UNREACHABLE}, (2, "SIGNING_KEYS is not set")),
        ({"DATABASE_URL": UNREACHABLE, "SIGNING_KEYS": "s" * 44}, (2, "ENCRYPTION_KEYS is not set")),
        ({"DATABASE_URL": "hunter2", **KEYS}, (2, "DATABASE_URL is not a PostgreSQL connection URL")),
        ({"SIGNING_KEYS": "hunter2"}, (2, "SIGNING_KEYS holds a key of less than 32 characters")),
        ({"ENCRYPTION_KEYS": "hunter2" * 9}, (2, "ENCRYPTION_KEYS holds something else")),
        ({"PORT": "99999"}, (2, "PORT should be between")),
        ({"DATA_DIR": "/dev/null/data"}, (2, "DATA_DIR: /dev/null/data cannot be made")),
    ],
)
def test_a_wrong_configuration_is_one_line_that_names_the_variable(
    service: Service, environment: dict[str, str], expected: tuple[int, str]
):
    status, message = service.fail(**environment)
    assert (status, expected[1] in message) == (expected[0], True), message
    assert "hunter2" not in message


def test_with_database_url_no_server_is_started(service: Service):
    server: Any = start_server()
    try:
        supervisor = service.start_and_wait(DATABASE_URL=server.url, **KEYS)
        assert (service.directory / "admin_url").read_text() == server.url
        assert "DATABASE_URL" not in service.given("web")
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(60) == 0
        assert not (service.data_dir / "postgresql").exists()
        assert not (service.data_dir / "secrets.json").exists()
        psycopg.connect(server.url).close()
    finally:
        server.stop()
