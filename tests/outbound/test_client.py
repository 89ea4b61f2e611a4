"""The guarded client, against servers and names that mean no good."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from outbound import OutboundClient, OutboundFailure
from outbound.resolving import Resolve
from tests.outbound.certificates import server_certificate
from tests.outbound.receiver import Behaviour, Receiver, Request, answering, raw

LOOPBACK = ("127.0.0.0/8",)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def names(addresses: dict[str, str]) -> Resolve:
    """A resolver that knows these names, and numbers as the system's does."""

    async def resolve(host: str) -> list[str]:
        found = "127.0.0.1" if host.startswith("0x7f") else addresses.get(host.rstrip("."))
        if found is None:
            raise OSError(f"{host} is not known")
        return found.split()

    return resolve


async def failure(client: OutboundClient, url: str, method: str = "GET", **options: Any) -> str:
    with pytest.raises(OutboundFailure) as caught:
        await client.request(method, url, **options)
    return str(caught.value.code)


# Each leads to the loopback, the local network or nowhere, and a server listens on every local port that it can reach.
SPELLINGS = [
    "http://127.0.0.1:{port}/", "http://127.0.0.1.:{port}/", "http://2130706433:{port}/", "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/", "http://0177.0.0.1:{port}/", "http://017700000001:{port}/", "http://127.1:{port}/",
    "http://127.0.1:{port}/", "http://0:{port}/", "http://0.0.0.0:{port}/", "http://127.0.0.1%2f@8.8.8.8:{port}/",
    "http://[::1]:{port}/", "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/", "http://[::127.0.0.1]:{port}/", "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[2002:7f00:1::]:{port}/", "http://[2001:0:7f00:1::]:{port}/", "http://[fe80::1%25lo]:{port}/",
    "http://[::1%25lo]:{port}/", "http://localhost:{port}/", "http://localhost.:{port}/", "http://LOCALHOST:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/", "http://ⓛocalhost:{port}/", "http://127。0。0。1:{port}/", "http://private.example:{port}/",
    "http://private.example.:{port}/", "http://six.example:{port}/", "http://mapped.example:{port}/",
    "http://nat64.example:{port}/", "http://metadata.example:{port}/", "http://several.example:{port}/",
    "http://user@127.0.0.1:{port}/", "http://8.8.8.8@127.0.0.1:{port}/", "http://203.0.113.9#@127.0.0.1:{port}/",
    "http://8.8.8.8\\@127.0.0.1:{port}/", "http://127.0.0.1\t:{port}/", "ftp://127.0.0.1:{port}/", "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http:///", "http://", "http://[::1", "http://127.0.0.1:0/",
    "http://127.0.0.1:99999/", "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/",
    "http://xn--80ak6aa92e.example:{port}/", "http://bücher.example:{port}/", "http://256.256.256.256/", "http://1.2.3/",
]  # fmt: skip
RESOLVED = names(
    {
        "localhost": "127.0.0.1 ::1",
        "private.example": "127.0.0.1",
        "six.example": "::1",
        "mapped.example": "::ffff:127.0.0.1",
        "nat64.example": "64:ff9b::7f00:1",
        "several.example": "127.0.0.1 10.0.0.1 ::1",
        "metadata.example": "169.254.169.254",
        "metadata.google.internal": "169.254.169.254",
        "xn--80ak6aa92e.example": "127.0.0.1",
        "xn--bcher-kva.example": "127.0.0.1",
        "llocalhost": "127.0.0.1",
    }
)


def test_no_spelling_gets_past() -> None:
    async def work() -> None:
        async with Receiver(answering()) as receiver, OutboundClient(resolve=RESOLVED) as client:
            codes = {each: await failure(client, each.format(port=receiver.port), timeout=2) for each in SPELLINGS}
            assert {each: code for each, code in codes.items() if code not in ("address_refused", "invalid_url")} == {}
            assert receiver.connections == 0

    run(work())


def test_the_systems_resolver_is_guarded_too() -> None:
    async def work() -> None:
        async with Receiver(answering()) as receiver, OutboundClient() as client:
            assert await failure(client, receiver.url(host="localhost")) == "address_refused"
            assert await failure(client, "http://no-such-name.invalid/") == "name_not_resolved"
            assert receiver.connections == 0

    run(work())


def test_a_name_that_resolves_differently_the_second_time() -> None:
    turns = itertools.chain(["192.0.2.55"], itertools.repeat("127.0.0.1"))

    async def rebind(host: str) -> list[str]:
        return [next(turns)]

    async def work() -> None:
        async with Receiver(answering()) as receiver:
            for _ in range(3):
                async with OutboundClient(["192.0.2.0/24"], resolve=rebind) as client:
                    await failure(client, receiver.url(host="rebind.example"), timeout=0.2)
            assert receiver.connections == 0

    run(work())


def test_a_request_and_its_answer() -> None:
    async def work() -> None:
        behaviour = raw(b"HTTP/1.1 202 OK\r\nA: 1\r\nA: \xff\xfe\r\nContent-Length: 4\r\n\r\nfine")
        async with Receiver(behaviour) as receiver, OutboundClient(LOOPBACK) as client:
            for _ in range(3):
                answer = await client.request(
                    "POST", receiver.url("/hook?a=%2F"), headers={"webhook-id": "m1"}, body=b"{}"
                )
            assert (answer.status, answer.body, answer.truncated) == (202, b"fine", False)
            assert answer.headers["a"] == "1, ��"
            assert receiver.connections == 1, "the connection is kept"
            sent = receiver.requests[0]
            assert (sent.method, sent.target, sent.body) == ("POST", "/hook?a=%2F", b"{}")
            assert sent.headers["webhook-id"] == "m1"
            assert not {"cookie", "authorization", "content-type"} & sent.headers.keys()

    run(work())


async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def never(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (drip, "timed_out"),
        (never, "timed_out"),
        (raw(b"", close=True), "connection_failed"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", close=True), "connection_failed"),
        (raw(b"SSH-2.0-OpenSSH\r\n\r\n"), "invalid_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n"), "invalid_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n"), "invalid_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "invalid_answer"),
    ],
)
def test_servers_that_do_not_answer(behaviour: Behaviour, code: str) -> None:
    async def work() -> None:
        async with Receiver(behaviour) as receiver, OutboundClient(LOOPBACK) as client:
            began = time.monotonic()
            assert await failure(client, receiver.url(), timeout=0.3) == code
            assert time.monotonic() - began < 2

    run(work())


def test_nobody_listens() -> None:
    async def work() -> None:
        async with Receiver(answering()) as receiver, OutboundClient(LOOPBACK) as client:
            url = receiver.url()
        async with OutboundClient(LOOPBACK) as client:
            assert await failure(client, url) == "connection_failed"

    run(work())


def test_only_the_beginning_of_a_huge_answer_is_read() -> None:
    written = 0

    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async def work() -> None:
        async with Receiver(endless) as receiver, OutboundClient(LOOPBACK) as client:
            answer = await client.request("GET", receiver.url(), body_limit=16 * 1024)
            assert (answer.status, answer.truncated, len(answer.body)) == (200, True, 16 * 1024)
            await client.request("GET", receiver.url(), body_limit=10)
            assert receiver.connections == 2, "the first was dropped"
            assert written < 50_000_000

    run(work())


def test_a_compressed_answer_stays_so() -> None:
    async def work() -> None:
        zipped = answering(body=b"\x1f\x8b", Content_Encoding="gzip")
        async with Receiver(zipped) as receiver, OutboundClient(LOOPBACK) as client:
            assert (await client.request("GET", receiver.url())).body == b"\x1f\x8b"

    run(work())


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"Transfer-Encoding": "chunked"}, {"content-length": "1"}, {"X": "a\r\nY: b"}, {"X\nY": "b"}],
)
def test_headers_that_cannot_be_given(headers: dict[str, str]) -> None:
    async def work() -> None:
        async with Receiver(answering()) as receiver, OutboundClient(LOOPBACK) as client:
            assert await failure(client, receiver.url(), headers=headers) == "invalid_request"
            assert receiver.requests == []

    run(work())


async def redirecting(request: Request, writer: asyncio.StreamWriter) -> None:
    places = {
        "/": "/here",
        "/loop": "/loop",
        "/away": "http://127.0.0.2/",
        "/tls": "https://127.0.0.1/",
        "/bad": "http://[",
    }
    if request.target in places:
        head = f"HTTP/1.1 302 Found\r\nLocation: {places[request.target]}\r\nContent-Length: 0\r\n\r\n"
    else:
        head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    writer.write(head.encode())


def test_redirects() -> None:
    async def work() -> None:
        async with Receiver(redirecting) as receiver, OutboundClient(LOOPBACK) as client:
            assert (await client.request("POST", receiver.url("/"), body=b"x")).status == 302
            assert len(receiver.requests) == 1
            followed = await client.request("POST", receiver.url("/"), body=b"x", redirects=3)
            assert (followed.status, followed.url) == (200, receiver.url("/here"))
            assert (receiver.requests[-1].method, receiver.requests[-1].body) == ("GET", b"")
            for path in ("/loop", "/away", "/tls", "/bad"):
                assert await failure(client, receiver.url(path), redirects=3) == "redirect_refused"

    run(work())


def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, tls = server_certificate(tmp_path, "hook.example")

    async def work() -> None:
        resolve = names({"hook.example": "127.0.0.1", "other.example": "127.0.0.1"})
        async with Receiver(answering(), tls) as receiver:
            async with OutboundClient(LOOPBACK, resolve=resolve) as client:
                assert await failure(client, receiver.url(host="hook.example", scheme="https")) == "tls_failed"
            monkeypatch.setenv("SSL_CERT_FILE", str(authority))
            async with OutboundClient(LOOPBACK, resolve=resolve) as client:
                assert (await client.request("GET", receiver.url(host="hook.example", scheme="https"))).status == 200
                assert await failure(client, receiver.url(host="other.example", scheme="https")) == "tls_failed"

    run(work())
