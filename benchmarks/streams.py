"""What open event streams cost one web process, and how soon an event arrives: `bin/bench --streams`."""

from __future__ import annotations

import resource
import select
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import http_load
from benchmarks.calls import CALLS, HttpRequest
from benchmarks.database import KEYS, TEAMS, BenchmarkDatabase, benchmark_database, identifier
from benchmarks.web_process import WebProcess, gunicorn, service_environment

NUMBERS = (0, 100, 1000, 2000)  # of open streams
EVENTS = 40  # whose arrival is timed
AT_ONCE = 50  # streams that are opened side by side
STEADY = 1.0  # seconds after opening before anything is measured


@dataclass(frozen=True)
class Cost:
    """What was measured with a number of streams open."""

    streams: int
    memory_kb: int
    rate: float
    p99: float
    idle_share: float
    delays_ms: list[float]
    last_ms: float

    def row(self, base: Cost) -> str:
        """A line of the table."""
        each = (self.memory_kb - base.memory_kb) / self.streams if self.streams else 0
        delays = sorted(self.delays_ms) or [0.0]
        return (
            f"{self.streams:7} {self.memory_kb / 1024:9.0f} {each:12.0f} {100 * self.idle_share:8.1f} {self.rate:10.0f}"
            f" {self.p99:8.1f} {statistics.median(delays):8.1f} {delays[-1]:8.1f} {self.last_ms:10.0f}"
        )


HEAD = (
    "streams  process   each stream     idle   requests      p99    event    event  event to all\n"
    "             MB            KB    CPU %   a second       ms   p50 ms   max ms  streams: last ms"
)


def run(seconds: float, clients: int) -> None:
    """Measure with more and more streams in one process, and print a table."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with benchmark_database() as database:
        costs = [_measure(database, number, seconds, clients) for number in NUMBERS]
    print(HEAD)
    for cost in costs:
        print(cost.row(costs[0]))


def _measure(database: BenchmarkDatabase, number: int, seconds: float, clients: int) -> Cost:
    call = CALLS[0]
    with _server(database) as server:
        server.measure(call, 1, clients)  # warm
        worker = server.workers()[0]
        with _open(server.port, database.keys, number) as streams:
            time.sleep(STEADY)
            began, used = time.monotonic(), _processor_seconds(worker)
            time.sleep(seconds)
            idle = (_processor_seconds(worker) - used) / (time.monotonic() - began)
            memory = _memory_kb(worker)
            measured = server.measure(call, seconds, clients)
            delays = _delays(database, streams) if number else []
    with _server(database) as server, _open(server.port, database.keys[:1], number) as crowd:
        time.sleep(STEADY)
        last = _delays(database, crowd, events=1, everybody=True)[0] if number else 0.0
    return Cost(number, memory, measured.rate, measured.p99, idle, delays, last)


def _server(database: BenchmarkDatabase) -> WebProcess:
    environment = {"WEB_WORKERS": "1", "EVENT_STREAMS_MAX": str(max(NUMBERS))}
    return WebProcess(
        "streams",
        gunicorn("wsgi:app"),
        service_environment(database.settings) | environment,
        lambda call: call.requests(database.keys),
        database.settings.data_dir / "streams.log",
    )


@contextmanager
def _open(port: int, keys: list[str], number: int) -> Iterator[list[socket.socket]]:
    """Streams of the keys' callers in turn; the first one belongs to the first key."""
    streams: list[socket.socket] = []
    try:
        for first in range(0, number, AT_ONCE):
            opened = [_ask(port, keys[place % len(keys)]) for place in range(first, min(first + AT_ONCE, number))]
            streams += opened
            for stream in opened:
                _await_beginning(stream)
        yield streams
    finally:
        for stream in streams:
            stream.close()


def _ask(port: int, key: str) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), timeout=http_load.TIMEOUT)
    stream.sendall(HttpRequest("GET", "/api/v1/events/stream").encode(Authorization=f"Bearer {key}"))
    return stream


def _await_beginning(stream: socket.socket) -> None:
    received = b""
    while b"retry:" not in received:
        chunk = stream.recv(65536)
        received += chunk
        if not chunk or (b"\r\n\r\n" in received and b" 200 " not in received):
            raise http_load.UnexpectedAnswer(received.decode(errors="replace"))
    stream.setblocking(False)


def _delays(
    database: BenchmarkDatabase, streams: list[socket.socket], events: int = EVENTS, *, everybody: bool = False
) -> list[float]:
    """Milliseconds from a commit to its event's arrival at the first stream of its team, or at the last of all."""
    delays = []
    poller = select.epoll()
    for stream in streams:
        poller.register(stream, select.EPOLLIN)
    by_descriptor = {stream.fileno(): stream for stream in streams}
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        for number in range(events):
            team = number % min(KEYS, len(streams)) + 1 if not everybody else 1
            expected = set(by_descriptor) if everybody else {streams[team - 1].fileno()}
            connection.execute(
                "UPDATE integrations SET description = %s WHERE id = %s",
                [str(time.monotonic()), identifier("integration", team + TEAMS)],
            )
            committed = time.perf_counter()
            while expected:
                ready = poller.poll(http_load.TIMEOUT)
                if not ready:
                    raise http_load.UnexpectedAnswer("an event did not arrive")
                for descriptor, _ in ready:
                    if b"event: integration.updated" in by_descriptor[descriptor].recv(1 << 18):
                        expected.discard(descriptor)
            delays.append(1000 * (time.perf_counter() - committed))
    poller.close()
    return delays


def _memory_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
