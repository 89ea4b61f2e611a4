"""The floor: signs and posts 1 kB as fast as the same HTTP client can, without any database.

`python -m benchmarks.webhooks.bare_loop PORT SECONDS CLIENTS` prints the requests a second, and the microseconds of
processor time that it spent on each.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time

import aiohttp
import uvloop

from security.webhook_signatures import signature_header


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, deadline: float) -> int:
    key, done = os.urandom(24), 0
    while time.perf_counter() < deadline:
        now = int(time.time())
        identifier = f"msg_{done}"
        headers = {
            "Content-Type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": str(now),
            "webhook-signature": signature_header([key], identifier, now, body),
        }
        async with session.post(url, data=body, headers=headers) as response:
            await response.read()
        done += 1
    return done


async def _measure(port: int, seconds: float, clients: int) -> tuple[float, float]:
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context())
    async with aiohttp.ClientSession(connector=connector) as session:
        began, spent = time.perf_counter(), time.process_time()
        url, body = f"http://127.0.0.1:{port}/", b"x" * 1024
        done = await asyncio.gather(*(_post(session, url, body, began + seconds) for _ in range(clients)))
        return sum(done) / (time.perf_counter() - began), 1e6 * (time.process_time() - spent) / sum(done)


if __name__ == "__main__":
    print(*uvloop.run(_measure(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
