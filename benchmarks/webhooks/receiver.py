"""An endpoint that takes as little processor time as it can: `python -m benchmarks.webhooks.receiver PORT FAILING LOG`.

It answers 503 to a share of the requests, and appends a line to the log for each: the webhook-id, the status, the time
of arrival in seconds since 1970 and the sender's port, divided by spaces. Without a log it only counts, and `GET /`
tells the number.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time

import uvloop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"


class Endpoint(asyncio.Protocol):
    """One connection."""

    received = 0
    failing = 0.0
    log: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._port: int = transport.get_extra_info("peername")[1]
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        rest = self._rest + data if self._rest else data
        while (end := rest.find(b"\r\n\r\n")) >= 0:
            head = rest[:end].lower()
            length = int(_value(head, b"content-length") or 0)
            if len(rest) < end + 4 + length:
                break
            rest = rest[end + 4 + length :]
            self._answer(head)
        self._rest = rest

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"get"):
            count = str(Endpoint.received).encode()
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(count), count)
        else:
            Endpoint.received += 1
            fails = Endpoint.failing > 0 and random.random() < Endpoint.failing
            answer = BUSY if fails else OK
            if Endpoint.log is not None:
                line = (
                    f"{_value(head, b'webhook-id').decode()} {503 if fails else 200} {time.time():.6f} {self._port}\n"
                )
                os.write(Endpoint.log, line.encode())
        self._transport.write(answer)  # type: ignore[attr-defined]


def _value(head: bytes, name: bytes) -> bytes:
    start = head.find(b"\r\n" + name + b": ")
    if start < 0:
        return b""
    return head[start + len(name) + 4 :].split(b"\r\n", 1)[0]


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    Endpoint.failing = float(sys.argv[2])
    if len(sys.argv) > 3:
        Endpoint.log = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    uvloop.run(_serve(int(sys.argv[1])))
