"""A load generator that leaves the processor to what it measures: one thread, raw sockets, requests made beforehand.

Each of its clients keeps a connection and sends its next request when the last one was answered. wrk, written in C,
gives the same figures (docs/performance.md); this one needs no installation.
"""

from __future__ import annotations

import gc
import itertools
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence

from benchmarks.measurement import Measurement

TIMEOUT = 10.0  # seconds without any answer

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class UnexpectedAnswer(Exception):
    """A contestant did not answer, or not with success."""


class _Client:
    """One connection with one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self.received = b""

    def send(self, request: bytes) -> None:
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Read what has come; whether the answer is complete.

        :raises UnexpectedAnswer: the connection was closed, or the status says no success.
        """
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise UnexpectedAnswer("the connection was closed")
        self.received = received = self.received + chunk if self.received else chunk
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = _LENGTH.search(received, 0, end + 2)
        if length is None:
            complete = received.endswith(b"\r\n0\r\n\r\n")  # chunked
        else:
            complete = len(received) >= end + 4 + int(length[1])
        if complete and received[9:10] != b"2":
            raise UnexpectedAnswer(received.decode(errors="replace")[:2000])
        if complete:
            self.received = b""
        return complete


def measure(port: int, requests: Sequence[bytes], seconds: float, clients: int) -> Measurement:
    """Send requests to a port of this machine, in turn, from many clients.

    :raises UnexpectedAnswer: an answer that is no success.
    """
    return Measurement.of(*_run(port, itertools.cycle(requests), seconds, clients))


def _run(port: int, requests: Iterator[bytes], seconds: float, clients: int) -> tuple[list[float], float]:
    poller = select.epoll()
    by_descriptor: dict[int, _Client] = {}
    latencies: list[float] = []
    gc.disable()
    try:
        for _ in range(clients):
            client = _Client(port)
            by_descriptor[client.socket.fileno()] = client
            poller.register(client.socket, select.EPOLLIN)
        began = time.perf_counter()
        deadline = began + seconds
        for client in by_descriptor.values():
            client.send(next(requests))
        waiting = clients
        while waiting:
            ready = poller.poll(TIMEOUT)
            if not ready:
                raise UnexpectedAnswer(f"no answer within {TIMEOUT:.0f} s")
            for descriptor, _ in ready:
                client = by_descriptor[descriptor]
                if client.receive():
                    now = time.perf_counter()
                    latencies.append(now - client.sent)
                    if now < deadline:
                        client.send(next(requests))
                    else:
                        waiting -= 1
        return latencies, time.perf_counter() - began
    finally:
        gc.enable()
        poller.close()
        for client in by_descriptor.values():
            client.socket.close()
