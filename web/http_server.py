"""HTTP/1.1 on a worker's sockets: requests are read, handed to the application, and answered.

It takes the place of gunicorn's own loop, which cost nearly as much as the application (docs/performance.md). What a
request is and where it ends is still for gunicorn's parser to say.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any, Protocol

import gevent
from gevent.socket import socket
from gunicorn.http.errors import InvalidHeader, NoMoreData, ObsoleteFolding
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader
from gunicorn.util import unquote_to_wsgi_str
from werkzeug.exceptions import RequestTimeout

from web.unreadable_requests import write_problem

Address = tuple[Any, ...]
Head = tuple[str, list[tuple[str, str]]]  # status and headers

PIECE = 1 << 16  # bytes that are read at a time
LAST_WORDS = 2.0  # seconds for streams to end by themselves when the server does
SLOWEST = 10_000  # bytes a second: who has more to send or to take gets more time

logger = logging.getLogger("ccb.http")


class Settings(Protocol):
    """gunicorn's settings as plain attributes: its parser looks a dozen of them up for each request."""

    keepalive: float
    workers: int


class ClientGone(Exception):
    """The client does not take what it is sent."""


class Reader(Unreader):
    """What a client sends, for gunicorn's parser.

    :param patience: seconds that a request may take to arrive, on top of one for each `SLOWEST` bytes of it.
    """

    def __init__(self, client: socket, patience: float) -> None:
        super().__init__()
        self._client = client
        self._patience = patience
        self._deadline = 0.0
        self.gave_up = False
        self.owes_continue = False  # whether the client waits for our word before it sends the body

    def begin(self) -> bool:
        """Wait for the beginning of a request, however long; whether there is one."""
        if not self.buf.tell():
            self._client.settimeout(None)
            try:
                self.buf.write(self._client.recv(PIECE))
            except OSError:
                return False
        self._deadline = time.monotonic() + self._patience
        return bool(self.buf.tell())

    def chunk(self) -> bytes:
        """More of a request that has begun.

        :raises werkzeug.exceptions.RequestTimeout: it takes too long.
        """
        self._client.settimeout(max(self._deadline - time.monotonic(), 0.001))
        try:
            if self.owes_continue:  # only now, so that a refusal comes in its place and the body never does
                self.owes_continue = False
                self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            data: bytes = self._client.recv(PIECE)
        except TimeoutError:
            self.gave_up = True
            raise RequestTimeout("The request did not arrive in time.") from None
        except OSError:
            return b""  # a connection that was reset has ended, too
        self._deadline += len(data) / SLOWEST
        return data

    def discard(self, request: Request) -> bool:
        """Read what the application left of a request's body; whether there can be another request behind it."""
        self._deadline = end = time.monotonic() + self._patience
        try:
            while request.body.read(PIECE):
                if time.monotonic() > end:
                    return False
        except (OSError, RequestTimeout):  # malformed chunks are OSErrors, too
            return False
        return not self.gave_up


class HttpServer:
    """Serves connections, each in a greenlet of its own.

    :param application: a WSGI application.
    :param patience: seconds that a client may take to send a request, or to take a piece of an answer.
    :param refuse: answers what gunicorn's parser could not read, and logs it.
    """

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        settings: Settings,
        patience: float,
        refuse: Callable[[None, socket, Address, Exception], None],
    ) -> None:
        self._application = application
        self._settings = settings
        self._patience = patience
        self._refuse = refuse
        self._ending = False
        self._ended_at = 0.0
        # who may be ended: idle connections, with the time since when they are, and answers without a known end
        self._idle: dict[gevent.Greenlet, float] = {}
        self._streaming: set[gevent.Greenlet] = set()
        self._environ = {
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": settings.workers > 1,
            "wsgi.run_once": False,
            "SERVER_SOFTWARE": "gunicorn",
            "SCRIPT_NAME": "",
        }

    def serve(self, client: socket, address: Address) -> None:
        """Answer one request after the other, until either side has enough."""
        reader = Reader(client, self._patience)
        server = client.getsockname()
        environ = {
            **self._environ,
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "REMOTE_ADDR": address[0],
            "REMOTE_PORT": str(address[1]),
        }
        greenlet = gevent.getcurrent()
        try:
            while not self._ending:
                self._idle[greenlet] = time.monotonic()
                begun = reader.begin()
                del self._idle[greenlet]
                if not begun:
                    return
                request = self._read(reader, client, address)
                if request is None or not self._answer(request, reader, client, environ.copy()):
                    return
                if not reader.discard(request):
                    return
        except ClientGone:
            logger.debug("a client did not take its answer")
        except Exception as error:
            self._refuse(None, client, address, error)
        finally:
            self._idle.pop(greenlet, None)
            self._streaming.discard(greenlet)
            client.close()

    def end_idle(self) -> None:
        """End connections that were left unused for longer than `keepalive`; for gevent's hub to call."""
        oldest = time.monotonic() - self._settings.keepalive
        for greenlet in [greenlet for greenlet, since in self._idle.items() if since < oldest]:
            greenlet.throw()

    def end(self) -> None:
        """Take no more requests, and end what might last; for gevent's hub to call until there are no connections."""
        if not self._ending:
            self._ending, self._ended_at = True, time.monotonic()
        patient = time.monotonic() < self._ended_at + LAST_WORDS
        for greenlet in [*self._idle, *(() if patient else self._streaming)]:
            greenlet.throw()

    def _read(self, reader: Reader, client: socket, address: Address) -> Request | None:
        try:
            request = Request(self._settings, reader, address)
            if request.version >= (1, 1) and not any(name == "HOST" for name, _ in request.headers):
                raise InvalidHeader("HOST")  # RFC 9112, 3.2
            return request
        except NoMoreData:
            return None
        except RequestTimeout as error:
            write_problem(client, 408, "Request Timeout", str(error.description))
        except Exception as error:
            self._refuse(None, client, address, error)
        return None

    def _answer(self, request: Request, reader: Reader, client: socket, environ: dict[str, Any]) -> bool:
        """Have a request answered; whether the connection may be used again.

        :raises gunicorn.http.errors.ObsoleteFolding: a header goes on in another line (RFC 9112, 5.2).
        """
        complete_environ(environ, request)
        if "HTTP_" in environ:  # a line without a name, as gunicorn's parser hands on what continues the one before
            raise ObsoleteFolding("a line that begins with white space")
        reader.owes_continue = request._expected_100_continue
        heads: list[Head] = []
        answer = self._application(environ, lambda status, headers, exc_info=None: heads.append((status, headers)))
        try:
            status, headers = heads[-1]
            known_length = (
                any(name.lower() == "content-length" for name, _ in headers)
                or request.method == "HEAD"
                or status[:3] in ("204", "304")
            )
            old = request.version < (1, 1)
            done = reader.gave_up or reader.owes_continue  # nobody knows whether the rest of the body will come
            keep = not (self._ending or done or request.should_close() or (old and not known_length))
            connection = "close" if not keep else "keep-alive" if old else None
            if known_length:
                pieces = iter(answer)
                self._send(client, head(status, headers, connection) + next(pieces, b""))
                for piece in pieces:
                    self._send(client, piece)
            else:
                self._stream(client, answer, head(status, headers, connection, chunked=not old), chunked=not old)
            return keep
        except ClientGone:
            raise
        except Exception:
            logger.exception("an answer broke off")
            return False
        finally:
            if hasattr(answer, "close"):
                answer.close()

    def _stream(self, client: socket, answer: Iterable[bytes], head: bytes, *, chunked: bool) -> None:
        """Send pieces as they come, for as long as they come."""
        greenlet = gevent.getcurrent()
        self._streaming.add(greenlet)
        self._send(client, head)
        for piece in answer:
            if piece:
                self._send(client, b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        self._streaming.discard(greenlet)
        if chunked:
            self._send(client, b"0\r\n\r\n")

    def _send(self, client: socket, data: bytes) -> None:
        try:
            client.settimeout(self._patience + len(data) / SLOWEST)
            sent = client.send(data)
            if sent < len(data):
                client.sendall(data[sent:])
        except OSError as error:
            raise ClientGone from error


def complete_environ(environ: dict[str, Any], request: Request) -> None:
    """Add to an environment (PEP 3333) what belongs to one request."""
    environ["REQUEST_METHOD"] = request.method
    environ["PATH_INFO"] = unquote_to_wsgi_str(request.path)
    environ["QUERY_STRING"] = request.query
    environ["SERVER_PROTOCOL"] = "HTTP/1.0" if request.version < (1, 1) else "HTTP/1.1"
    environ["wsgi.url_scheme"] = request.scheme
    environ["wsgi.input"] = request.body
    for name, value in request.headers:
        if name == "CONTENT-TYPE":
            environ["CONTENT_TYPE"] = value
        elif name == "CONTENT-LENGTH":
            environ["CONTENT_LENGTH"] = value
        else:
            key = "HTTP_" + name.replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    if "CONTENT_LENGTH" not in environ:  # otherwise werkzeug counts, and notices a body that ends before its time
        environ["wsgi.input_terminated"] = True


def head(status: str, headers: list[tuple[str, str]], connection: str | None, *, chunked: bool = False) -> bytes:
    """The head of an answer."""
    lines = [f"HTTP/1.1 {status}", f"Date: {_date(int(time.time()))}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if connection is not None:
        lines.append(f"Connection: {connection}")
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
