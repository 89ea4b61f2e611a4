"""Requests as no client library would send them: bytes on a socket."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from typing import Any

from tests.service import Answer


def exchange(port: int, *parts: bytes, timeout: float = 30, ended: bool = False) -> Answer:
    """Send bytes and read one answer. A server that has answered may close before it has read everything.

    :param ended: whether the client says that it sends nothing more.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            if ended:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer is there already
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return Answer(answer.status, answer.headers, answer.read())


def request(method: str, target: str | bytes, headers: Mapping[str, Any], body: bytes = b"") -> bytes:
    """A request's bytes; header values may be bytes that no text stands for."""
    target = target if isinstance(target, bytes) else target.encode()
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost", b"Connection: close"]
    for name, value in headers.items():
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def chunked(*chunks: bytes) -> bytes:
    """A body in chunks, without the last one, which ends it."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
