"""What goes wrong around a running service: it says so, and works again as soon as it can."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Database, Databases
from tests.service import Answer, Client, Person, Service
from tests.waiting import eventually, is_running
from tests.web.raw import request
from tests.web.tcp_proxy import TcpProxy


@pytest.fixture(scope="module")
def fragile_database(databases: Databases) -> Iterator[Database]:
    """The database behind the proxy."""
    clone = databases.clone()
    yield clone
    databases.drop(clone.name)


@pytest.fixture(scope="module")
def proxy(fragile_database: Database) -> Iterator[TcpProxy]:
    """What the service takes for its database."""
    made = TcpProxy(fragile_database.logins.service)
    yield made
    made.close()


@pytest.fixture(scope="module")
def fragile(fragile_database: Database, proxy: TcpProxy) -> Iterator[Service]:
    """A service with one worker, one database connection and little patience."""
    settings = fragile_database.settings(
        service_database_url=proxy.url, web_workers=1, pool_min_size=1, pool_max_size=1, pool_timeout=0.5
    )
    with Service(settings) as running:
        running.database = fragile_database
        yield running


@pytest.fixture(scope="module")
def flo(fragile: Service) -> Person:
    """Somebody who uses it."""
    return fragile.person("Flo")


@contextmanager
def held(database: Database, path: str) -> Iterator[None]:
    """Hold an integration's row, so that whoever changes it waits."""
    with database.admin() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM integrations WHERE id = %s FOR UPDATE", [path.rpartition("/")[2]])
        yield
        connection.execute("COMMIT")


def waiting(database: Database) -> bool:
    """Whether a request waits for a row."""
    with database.admin() as connection:
        row = connection.execute(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
        return bool(row["n"])  # type: ignore[index]


def connections(database: Database) -> int:
    """How many connections the service holds."""
    with database.admin() as connection:
        row = connection.execute(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND usename = 'ccb_service'"
        ).fetchone()
        return int(row["n"])  # type: ignore[index]


def assert_unavailable(answer: Answer) -> None:
    """The answer asks to come back."""
    assert answer.status == 503, answer.body
    assert answer.code == "unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def rename(person: Person, path: str, name: str) -> Answer:
    """Change an integration's name."""
    return person.patch(path, {"name": name}, headers={"If-Match": "*"})


def workers(service: Service) -> set[int]:
    """The processes that gunicorn's master keeps."""
    master = service._process.pid  # type: ignore[union-attr]
    return {int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()}


def test_no_connection_is_free(fragile: Service, flo: Person) -> None:
    path = f"/integrations/{flo.integration()['id']}"
    with ThreadPoolExecutor(1) as thread:
        with held(fragile.database, path):
            first = thread.submit(rename, flo, path, "first")
            eventually(lambda: waiting(fragile.database), "the only connection waits")
            assert_unavailable(flo.get(path))
            assert_unavailable(flo.client.get("!/readyz"))
            assert flo.client.get("!/healthz").status == 200
        assert first.result().status == 200
    assert flo.get(path).json["name"] == "first"


def test_the_database_goes_away_and_comes_back(fragile: Service, flo: Person, proxy: TcpProxy) -> None:
    path, processes = f"/integrations/{flo.integration()['id']}", workers(fragile)
    proxy.cut()
    try:
        for _ in range(2):
            assert_unavailable(flo.get(path))
        assert_unavailable(rename(flo, path, "lost"))
        assert_unavailable(fragile.client().post("/auth/login", {"email": flo.email, "password": "whatever"}))
        assert_unavailable(fragile.client().get("!/readyz"))
        assert fragile.client().get("!/healthz").json == {"status": "up"}
        # what needs no database is answered without it
        assert fragile.client().get("/me", headers={"X-API-Key": f"ccb_{'x' * 36}"}).code == "unauthenticated"
        assert fragile.client().get("!/openapi.json").status == 200
    finally:
        proxy.mend()
    eventually(lambda: fragile.client().get("!/readyz").status == 200, "it is ready again")
    assert flo.get(path).json["name"] == "Stripe"
    assert rename(flo, path, "kept").status == 200
    assert workers(fragile) == processes


def test_the_database_breaks_off_in_the_middle(fragile: Service, flo: Person, proxy: TcpProxy) -> None:
    path = f"/integrations/{flo.integration()['id']}"
    with ThreadPoolExecutor(1) as thread, held(fragile.database, path):
        broken = thread.submit(rename, flo, path, "broken")
        eventually(lambda: waiting(fragile.database), "the request waits")
        proxy.cut()
        try:
            assert_unavailable(broken.result())
        finally:
            proxy.mend()
    eventually(lambda: flo.get(path).status == 200, "it works again")
    assert flo.get(path).json["name"] == "Stripe"


def test_the_server_ends_all_connections(fragile: Service, flo: Person) -> None:
    path = f"/integrations/{flo.integration()['id']}"
    with fragile.database.admin() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ccb_service'"
                           " AND datname = current_database()")  # fmt: skip
    answer = flo.get(path)
    if answer.status != 200:
        assert_unavailable(answer)
    eventually(lambda: flo.get(path).status == 200, "it works again")


def test_a_statement_takes_too_long(fragile: Service, flo: Person) -> None:
    path = f"/integrations/{flo.integration()['id']}"
    with fragile.database.admin() as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER ROLE ccb_service IN DATABASE {name} SET statement_timeout = '300ms'")
    test_the_server_ends_all_connections(fragile, flo)
    try:
        with held(fragile.database, path):
            assert_unavailable(rename(flo, path, "late"))
    finally:
        with fragile.database.admin() as connection:
            connection.execute(f"ALTER ROLE ccb_service IN DATABASE {name} RESET statement_timeout")
        test_the_server_ends_all_connections(fragile, flo)
    assert flo.get(path).json["name"] == "Stripe"


def test_a_client_goes_away_while_it_sends(fragile: Service, flo: Person) -> None:
    before = len(flo.get("/integrations?limit=200").json["items"])
    headers = {**flo.client.headers, "Content-Type": "application/json", "Content-Length": "100"}
    for sent in (
        request("POST", "/api/v1/integrations", headers) + b'{"name": "gone", "serv',
        b"POST /api/v1/integ",
        b"",
    ):
        with socket.create_connection(("127.0.0.1", fragile.port)) as connection:
            connection.sendall(sent)
    assert flo.get("/me").status == 200
    assert len(flo.get("/integrations?limit=200").json["items"]) == before


def test_a_client_goes_away_while_it_waits(fragile: Service, flo: Person) -> None:
    path = f"/integrations/{flo.integration()['id']}"
    headers = {**flo.client.headers, "Content-Type": "application/json", "If-Match": "*"}
    with held(fragile.database, path), socket.create_connection(("127.0.0.1", fragile.port)) as connection:
        connection.sendall(request("PATCH", f"/api/v1{path}", headers, b'{"name": "done all the same"}'))
        eventually(lambda: waiting(fragile.database), "the request waits")
    # its connection to the database, the only one, is free again
    eventually(lambda: flo.get(path).status == 200, "the connection came back")
    assert flo.get(path).json["name"] == "done all the same"


@pytest.fixture
def sturdy(databases: Databases) -> Iterator[Service]:
    """A service with two workers, for the test alone."""
    clone = databases.clone()
    with Service(clone.settings()) as running:
        running.database = clone
        yield running
    databases.drop(clone.name)


def test_a_worker_is_killed(sturdy: Service) -> None:
    gil, before = sturdy.person("Gil"), workers(sturdy)
    path = f"/integrations/{gil.integration()['id']}"
    assert len(before) == 2
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: not is_running(victim), "the worker is gone")

    def answers() -> bool:
        try:
            return gil.get(path).status == 200
        except ConnectionError:  # taken by the worker in its last moment
            return False

    eventually(answers, "the other one answers")
    eventually(lambda: len(workers(sturdy) - before) == 1, "another one took its place")
    eventually(lambda: connections(sturdy.database) >= 2, "it has opened its connection to the database")
    assert [gil.get(path).status for _ in range(20)] == [200] * 20


def test_running_requests_are_finished_on_sigterm(sturdy: Service) -> None:
    ida = sturdy.person("Ida")
    path = f"/integrations/{ida.integration()['id']}"
    process = sturdy._process
    assert process is not None
    with ThreadPoolExecutor(1) as thread:
        with held(sturdy.database, path):
            running: Future[Answer] = thread.submit(rename, ida, path, "finished")
            eventually(lambda: waiting(sturdy.database), "the request waits")
            process.send_signal(signal.SIGTERM)
            eventually(lambda: refuses(sturdy.client()), "nothing new is taken")
            assert not running.done()
        assert running.result().json["name"] == "finished"
    assert process.wait(30) == 0


def refuses(client: Client) -> bool:
    """Whether no connection is accepted any more."""
    try:
        with socket.create_connection(("127.0.0.1", client.port), timeout=1):
            return False
    except OSError:
        return True
