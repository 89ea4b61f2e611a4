"""The server below the application: what a connection is, how long it waits, and how it ends."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import Settings
from tests.service import Service
from tests.waiting import eventually, is_running
from tests.web.raw import chunked, exchange, request
from tests.web.test_faults import workers

PATIENCE = 0.6  # seconds


class Served(Service):
    """The application of these tests under the service's gunicorn, with little patience."""

    application = "tests.web.served_application:app"
    probe = "/process"


@pytest.fixture
def two_workers() -> Iterator[Served]:
    """Two processes, for the test alone."""
    running = Served(Settings(read_timeout=PATIENCE, web_workers=2))
    with running:
        yield running


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One process."""
    running = Served(Settings(read_timeout=PATIENCE, web_workers=1))
    with running:
        yield running


def connect(served: Service) -> http.client.HTTPConnection:
    """A connection that is kept."""
    return http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection, and sent nothing more."""
    return connection.recv(1) == b""


def assert_too_late(served: Service, *parts: bytes, pause: float = 0.0) -> None:
    """Send something that is no whole request: it is answered 408 in time, and the connection closed."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 408
        answer.read()
        assert is_closed(connection)
    assert PATIENCE * 0.9 < time.monotonic() - began < PATIENCE + 3


def test_a_request_line_that_stops(served: Service) -> None:
    assert_too_late(served, b"GET /proc")


def test_headers_that_drip(served: Service) -> None:
    drops = [b"X-Drop: %d\r\n" % number for number in range(6)]
    assert_too_late(served, b"GET /process HTTP/1.1\r\nHost: localhost\r\n", *drops, pause=PATIENCE / 7)


def test_a_body_that_does_not_come(served: Service) -> None:
    assert_too_late(served, request("POST", "/length", {"Content-Length": "100"}) + b"only this")


def test_chunks_that_do_not_come(served: Service) -> None:
    assert_too_late(served, request("POST", "/length", {"Transfer-Encoding": "chunked"}) + chunked(b"a"))


def test_a_body_that_comes_slowly_but_surely(served: Service) -> None:
    head = request("POST", "/length", {"Content-Length": "40000"})
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(head)
        for _ in range(4):
            connection.sendall(b"x" * 10_000)
            time.sleep(PATIENCE / 3)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"40000")


def test_a_body_that_nobody_reads_and_that_does_not_come(served: Service) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"unread")
        assert is_closed(connection)


def test_clients_that_break_off(served: Service) -> None:
    for sent in (b"GET /proc", request("POST", "/length", {"Content-Length": "100"}) + b"only this"):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
            connection.sendall(sent)
            time.sleep(PATIENCE / 4)
    assert exchange(served.port, request("GET", "/three", {})).status == 200
    assert "rror" not in (text := served.log.read_text()), text


def test_a_connection_is_kept(served: Service) -> None:
    connection = connect(served)
    for method, path, body, expected in (
        ("POST", "/length", b"abc", b"3"),
        ("POST", "/unread", b"x" * 100_000, b"unread"),  # which is no request
        ("HEAD", "/large", None, b""),
        ("GET", "/three", None, b"one two three"),
        ("GET", "/large", None, b"x" * 8_000_000),
        ("POST", "/length", iter([b"ab", b"cd"]), b"4"),
    ):
        connection.request(method, path, body)
        used = connection.sock
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, expected), path
        assert connection.sock is used, path
    time.sleep(PATIENCE * 2)  # no request has begun, so there is no hurry
    connection.request("GET", "/three")
    assert connection.getresponse().read() == b"one two three"


def test_requests_behind_one_another(served: Service) -> None:
    both = b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab" + request("GET", "/three", {})
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(both)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert received.endswith(b"5\r\nthree\r\n0\r\n\r\n")


def test_old_clients(served: Service) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"GET /process HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.headers["Connection"] == "keep-alive"
        assert answer.read()
        connection.sendall(b"GET /three HTTP/1.0\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"one two three"


def test_a_client_that_asks_before_it_sends(served: Service) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(request("POST", "/length", {"Content-Length": "3", "Expect": "100-continue"}))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.read() == b"3"


def test_a_client_that_asks_in_vain(served: Service) -> None:
    """What is answered without a look at the body is answered at once, and the body is not asked for."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        head = b"POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in received
    assert received.endswith(b"\r\n\r\nunread")


def test_a_client_that_asks_and_does_not_wait(served: Service) -> None:
    answer = exchange(served.port, request("POST", "/length", {"Expect": "100-continue"}, b"abc"))
    assert (answer.status, answer.body) == (200, b"3")


@pytest.mark.parametrize(
    "lines", [b"X-A: one\r\n two", b"X-A: one\r\n\ttwo", b"X-A:\r\n two", b"Content-Length: 0\r\n 4", b" X-A: one"]
)
def test_headers_that_go_on_in_another_line(served: Service, lines: bytes) -> None:
    head = b"GET /three HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + lines + b"\r\n\r\n"
    answer = exchange(served.port, head)
    assert (answer.status, answer.code) == (400, "malformed_request"), answer.body
    assert "olding" in answer.json["detail"]


def test_a_stream_that_breaks_off_is_not_taken_for_whole(served: Service) -> None:
    connection = connect(served)
    connection.request("GET", "/broken")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    assert exchange(served.port, request("GET", "/three", {})).body == b"one two three"


def test_what_a_proxy_says_is_not_believed(served: Service) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1", "Remote_Addr": "192.0.2.1"}
    assert exchange(served.port, request("GET", "/seen", headers)).body == b"http from 127.0.0.1"


def test_connections_are_shared_out(two_workers: Served) -> None:
    def process() -> bytes:
        return exchange(two_workers.port, request("GET", "/process", {})).body

    eventually(lambda: len({process() for _ in range(10)}) == 2, "both processes answer")
    connections = [connect(two_workers) for _ in range(40)]
    for connection in connections:
        connection.connect()
    answered: Counter[bytes] = Counter()
    for connection in connections:
        connection.request("GET", "/process")
        answered[connection.getresponse().read()] += 1
    assert min(answered.values()) >= 8, answered


def test_a_stream_lasts_until_the_service_stops(two_workers: Served) -> None:
    stream, idle = connect(two_workers), connect(two_workers)
    idle.request("GET", "/three")
    idle.getresponse().read()
    stream.request("GET", "/ticks")
    answer = stream.getresponse()
    began = time.monotonic()
    while time.monotonic() < began + 4 * PATIENCE:
        assert answer.readline()
    assert two_workers._process is not None
    two_workers._process.send_signal(signal.SIGTERM)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    assert two_workers._process.wait(10) == 0
    assert time.monotonic() - began < 4 * PATIENCE + 5
    assert "the ticks were ended" in two_workers.log.read_text()


def test_a_client_that_leaves_a_stream(served: Served) -> None:
    before = served.log.read_text().count("the ticks were ended")
    stream = connect(served)
    stream.request("GET", "/ticks")
    assert stream.getresponse().readline() == b"0\n"
    stream.close()
    eventually(lambda: served.log.read_text().count("the ticks were ended") > before, "the stream is ended")


def test_a_worker_that_is_still_loading_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = tmp_path / "hold"
    monkeypatch.setenv("TEST_HOLDS_UP_LOADING", str(hold))
    slow = Served(Settings(read_timeout=PATIENCE, web_workers=2))
    slow.application = "tests.web.slow_to_load:app"
    with slow:
        eventually(lambda: len(workers(slow)) == 2, "two processes")
        before = workers(slow)
        hold.touch()
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: workers(slow) - before, "another one takes its place")
        began = time.monotonic()
        slow.stop()
        assert time.monotonic() - began < 10


def test_a_worker_hears_that_it_is_to_stop_as_soon_as_it_exists(two_workers: Served) -> None:
    before = workers(two_workers)
    os.kill(min(before), signal.SIGKILL)
    eventually(lambda: workers(two_workers) - before, "another one takes its place")
    (young,) = workers(two_workers) - before
    os.kill(young, signal.SIGTERM)
    eventually(lambda: not is_running(young), "it has stopped", 10)
