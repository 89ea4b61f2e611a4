"""The guarded HTTP client: asynchronous, for one event loop.

What guards it is the socket: it is made for an address that the rules permit, or not at all. So neither a name that
resolves differently the second time nor an odd spelling gets past, and redirects are not special. A connection
that is used again has been through it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from outbound.addresses import AddressRules
from outbound.failures import OutboundFailure
from outbound.resolving import Resolve, Resolver

TIMEOUT = 15.0  # seconds, from the name's resolution to the last byte that is read
BODY_LIMIT = 16 * 1024  # bytes
LONGEST_URL = 2048

# What the client decides by itself: to set these would be to contradict it, or to smuggle a second request.
_OWN_HEADERS = frozenset({"connection", "content-length", "host", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "accept-encoding"})  # fmt: skip
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class AddressRefusedError(OSError):
    """A socket was asked for that leads somewhere it should not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    :param headers: names in lower case; several values of one name joined by commas.
    :param body: its beginning, where `truncated` says that there was more. Never decompressed.
    :param url: where it came from in the end.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool
    url: str


class OutboundClient:
    """Requests to where users point us. An asynchronous context: connections are kept inside, and closed behind it.

    Names are resolved at most every ten seconds. TLS is verified against the system's authorities (`SSL_CERT_FILE`
    adds others). Proxies in the environment are not used, cookies not kept.

    :param allowed: networks that may be reached although they are not public (OUTBOUND_ALLOWED_NETWORKS).
    :param resolve: in the place of the system's resolver.
    :raises ValueError: an allowed network is none.
    """

    def __init__(self, allowed: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        self._rules = AddressRules(allowed)
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> OutboundClient:
        connector = aiohttp.TCPConnector(
            limit=0,  # whoever asks has limits of its own
            resolver=Resolver(self._resolve),
            socket_factory=self._guarded_socket,
            keepalive_timeout=4,  # many servers close after five
            ttl_dns_cache=10,
            ssl=ssl.create_default_context(),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,  # a small answer that grows large is no answer to keep
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "claude-code-bot/1", "Accept-Encoding": "identity"},
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = TIMEOUT,
        body_limit: int = BODY_LIMIT,
        redirects: int = 0,
    ) -> Answer:
        """Send a request and read the answer.

        :param timeout: seconds for all of it, redirects included.
        :param body_limit: bytes of the answer that are read; where there are more, the connection is dropped.
        :param redirects: how many are followed, to the same host and scheme only. 0: the redirect is the answer.
        :raises OutboundFailure: there is no answer.
        """
        if headers and not _OWN_HEADERS.isdisjoint(map(str.lower, headers)):
            raise OutboundFailure("invalid_request", "A header that the client sets by itself cannot be given.")
        target = self._target(url)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    answer = await self._send(method, target, headers, body, body_limit)
                    if answer.status not in _REDIRECTS or "location" not in answer.headers or not redirects:
                        return answer
                    redirects -= 1
                    method, target, body = _redirected(method, target, body, answer)
                    self._target(str(target))
                    if not redirects:
                        raise OutboundFailure("redirect_refused", "There were too many redirects.")
        except TimeoutError as error:
            raise OutboundFailure("timed_out", f"There was no whole answer within {timeout:g} s.") from error

    def _target(self, url: str) -> URL:
        target, literal = parse_url(url)
        if literal and not self._rules.permit(literal):
            raise OutboundFailure("address_refused", "The address is not public.")
        return target

    def _guarded_socket(self, address: Any) -> socket.socket:
        family, kind, protocol, _, place = address
        if family not in (socket.AF_INET, socket.AF_INET6) or not self._rules.permit(place[0]):
            raise AddressRefusedError("the address is not public")
        return socket.socket(family, kind, protocol)

    async def _send(
        self, method: str, url: URL, headers: Mapping[str, str] | None, body: bytes | None, body_limit: int
    ) -> Answer:
        if self._session is None:
            raise RuntimeError("the client is used outside of its context")
        try:
            # who names a type of content spares the other way, which copies all headers
            skipped = None if headers and "Content-Type" in headers else ("Content-Type",)
            response = await self._session.request(
                method, url, headers=headers, data=body, skip_auto_headers=skipped,
                allow_redirects=False, timeout=_NO_TIMEOUT,
            )  # fmt: skip
            try:
                content, truncated = await _read(response, body_limit)
            finally:
                response.release()
        except (aiohttp.ClientError, OSError, ValueError, ssl.SSLError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise _failure(error) from error
        return Answer(response.status, _plain(response.raw_headers), content, truncated, str(url))


_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)


async def _read(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """The body up to a limit, and whether there was more; then the connection is of no further use."""
    if response.content.at_eof():
        return b"", False
    parts: list[bytes] = []
    room = limit
    async for part in response.content.iter_any():
        if len(part) > room:
            parts.append(part[:room])
            response.close()
            return b"".join(parts), True
        parts.append(part)
        room -= len(part)
    return b"".join(parts), False


def _plain(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as text that can be stored, whatever bytes they were."""
    plain: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace").replace("\0", "�")
        plain[key] = f"{plain[key]}, {text}" if key in plain else text
    return plain


@lru_cache(4096)
def parse_url(url: str) -> tuple[URL, str]:
    """The URL as it is requested, and its host where that is an address by itself.

    :raises OutboundFailure: it is no URL that may be requested.
    """
    if len(url) > LONGEST_URL or not url.isprintable() or "\\" in url or " " in url:
        raise OutboundFailure("invalid_url", "This is not a URL.")
    try:
        target = URL(url)
        host, port = target.host, target.port
    except ValueError as error:
        raise OutboundFailure("invalid_url", "This is not a URL.") from error
    if target.scheme not in ("http", "https"):
        raise OutboundFailure("invalid_url", "Only http and https can be requested.")
    if not host or port == 0:
        raise OutboundFailure("invalid_url", "The URL names no host.")
    if "@" in target.raw_authority:
        raise OutboundFailure("invalid_url", "A URL with a user name in it is not requested.")
    literal = host.strip("[]") if ":" in host else host if host.replace(".", "").isdigit() else ""
    try:
        if literal:
            ip_address(literal)
    except ValueError as error:
        raise OutboundFailure("invalid_url", "The host is a malformed address.") from error
    if url.isascii():  # as it was given: a signature in the query may not survive being quoted anew
        given = URL(url, encoded=True)
        target = given if given.raw_authority == target.raw_authority else target
    return target.with_fragment(None), literal


def _redirected(method: str, url: URL, body: bytes | None, answer: Answer) -> tuple[str, URL, bytes | None]:
    try:
        target = url.join(URL(answer.headers["location"]))
    except ValueError as error:
        raise OutboundFailure("redirect_refused", "The redirect leads to no URL.") from error
    if target.origin() != url.origin():
        raise OutboundFailure("redirect_refused", "The redirect leads to another host.")
    if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
        return "GET", target, None
    return method, target, body


def _failure(error: Exception) -> OutboundFailure:
    """What an error of aiohttp's stands for, in words that give away nothing of our own network."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, AddressRefusedError):
        return OutboundFailure("address_refused", "The name leads to an address that is not public.")
    match error:
        case aiohttp.ClientConnectorDNSError():
            return OutboundFailure("name_not_resolved", "The host's name does not resolve.")
        case aiohttp.ClientConnectorCertificateError():
            return OutboundFailure("tls_failed", f"The certificate is not valid: {cause}"[:500])
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return OutboundFailure("tls_failed", f"No TLS connection: {cause}"[:500])
        case aiohttp.InvalidURL():
            return OutboundFailure("invalid_url", "The host is a malformed address.")
        case aiohttp.ClientConnectorError():
            return OutboundFailure("connection_failed", error.os_error.strerror or "No connection could be made.")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return OutboundFailure("connection_failed", "The connection was closed before the answer.")
        case aiohttp.ClientPayloadError():
            return OutboundFailure("connection_failed", "The connection was closed within the answer.")
        case aiohttp.ClientResponseError():
            return OutboundFailure("invalid_answer", "What came back is not HTTP, or its headers are too large.")
        case ValueError():
            return OutboundFailure("invalid_request", "The method or a header holds characters that cannot be sent.")
    return OutboundFailure("connection_failed", "The request failed.")
