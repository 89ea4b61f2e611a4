"""Live events (`text/event-stream`): many open streams in one process, which cost a request next to nothing.

A stream waits until it is woken: by a notification about one of its organizations, or when it is time to look
anyway. Then it reads what is new through its caller's own identity, so that whoever may no longer see something does
not see it here either. Between reads it holds no database connection.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, current_app

from config import Settings
from database import Identity, Row, statement, transaction
from database.notifications import Listener
from database.translation import refusal
from errors import DomainError, NotFound, Unavailable
from repositories.events import Events
from repositories.repository import Order, Page
from web.answers import encoded
from web.paging import cursors

PAGE = 100  # events that a stream reads at a time at most
LOOK_EVERY, POLL_EVERY = 60.0, 3.0  # seconds between looks, with a listener and without one
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5  # seconds before asking again for what is not settled yet
AWAY = 1.0  # seconds before asking a database again that could not be reached
RECONNECT_MS = 2000  # after which a client whose stream ended should come back
PROBE_EVERY, PROBE_AGAIN = 1.0, 0.2  # seconds between looks for clients that have gone, and between two writes of one
EXPIRED = 0.05  # seconds behind the moment at which a credential expires: then it surely has
WATCH_EVERY = 0.25  # seconds between looks whether the process is to stop

# what changes whose events a caller may see, and whether they may see any
RIGHTS = ("api_keys", "organization_members", "organizations", "user_sessions", "users")

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Authorization, X-API-Key"}


class EventStreams:
    """The open streams of one process, and what wakes them.

    :param url: the login of the listener.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        self.is_process_alive: Callable[[], bool] = lambda: True
        self.is_closing = False
        # reads of streams leave the other connections to requests, however many streams an event wakes
        self.reading = threading.BoundedSemaphore(max(1, settings.pool_max_size // 2))
        self._listener = Listener(url, self._hear)
        self._streams: set[EventStream] = set()
        self._concerned: defaultdict[str, set[EventStream]] = defaultdict(set)
        self._watcher: threading.Thread | None = None
        self._probed = 0.0

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def look_every(self) -> float:
        """Seconds after which a stream looks for news that nobody told of."""
        return LOOK_EVERY if self._listener.is_hearing else POLL_EVERY

    def enter(self, stream: EventStream) -> None:
        """Take a stream in.

        :raises errors.Unavailable: this process carries as many as it may.
        """
        if self.is_closing or len(self._streams) >= self.settings.event_streams_max:
            self._find_gone()
            raise Unavailable(
                f"This process carries {len(self._streams)} streams; there is no place for one more.",
                headers={"Retry-After": "5"},
            )
        self._streams.add(stream)
        self._listener.start()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="streams", daemon=True)
            self._watcher.start()

    def leave(self, stream: EventStream) -> None:
        """Let a stream go."""
        self._streams.discard(stream)
        self.expect(stream, stream.concerns, frozenset())

    def expect(self, stream: EventStream, before: frozenset[str], after: frozenset[str]) -> None:
        """Wake a stream by what concerns it now, and no longer by what did before."""
        for name in before - after:
            self._concerned[name].discard(stream)
            if not self._concerned[name]:
                del self._concerned[name]
        for name in after - before:
            self._concerned[name].add(stream)

    def close(self) -> None:
        """End every stream, for good."""
        self.is_closing = True
        self._listener.stop()
        for each in list(self._streams):
            each.tell()

    def _find_gone(self) -> None:
        """Have each stream write something: only so does it notice that its client has hung up."""
        now = time.monotonic()
        if now >= self._probed + PROBE_EVERY:
            self._probed = now
            for each in self._streams:
                each.probe()

    def _hear(self, change: dict[str, Any] | None) -> None:
        if change is None:
            woken = set(self._streams)
        else:
            woken = self._concerned.get(change["organization"], set()) | self._concerned.get(change["id"], set())
        rights = change is None or change["table"] in RIGHTS
        for each in woken:
            each.tell(rights=rights)

    def _watch(self) -> None:
        while self.is_process_alive():
            time.sleep(WATCH_EVERY)
        self.close()


class EventStream:
    """One stream: what a caller sees of events, from a place on.

    :param cursor: makes the id of an event out of its place.
    :param start: what :meth:`repositories.events.Events.stream` answered.
    :raises errors.Forbidden: the caller may read nobody's events.
    :raises errors.NotFound: the filters name an organization that is none for the caller.
    :raises errors.Unavailable: there is no place for one more.
    """

    def __init__(
        self,
        streams: EventStreams,
        identity: Identity,
        filters: dict[str, Any],
        place: list[str] | None,
        cursor: Callable[[list[str]], str],
        start: Row,
    ) -> None:
        self._woken = threading.Event()
        self._has_news = False
        self._probes = 0
        self.concerns: frozenset[str] = frozenset()
        self._streams = streams
        self._identity = identity
        self._filters = filters
        # behind whatever is settled now
        self._place = place or [str(int(start["horizon"]) - 1), str(2**63 - 1)]
        self._cursor = cursor
        self._silence = streams.settings.event_stream_heartbeat
        self._learned, self._expires = time.monotonic(), math.inf
        organizations = self._readable(start)
        streams.enter(self)
        self._learn(start, organizations)

    def tell(self, *, rights: bool = False) -> None:
        """There may be something new.

        :param rights: whether it may concern what the caller is allowed to see.
        """
        if rights:
            self._learned = -math.inf
        self._has_news = True
        self._woken.set()

    def probe(self) -> None:
        """Write something soon, and once more: what a client that has gone is sent first, it only refuses."""
        self._probes = 2
        self._woken.set()

    def leave(self) -> None:
        """Give its place to others."""
        self._streams.leave(self)

    def messages(self) -> Iterator[bytes]:
        """What is sent, as it happens, until the caller may see no more or the process stops."""
        yield f"retry: {RECONNECT_MS}\nid: {self._cursor(self._place)}\n\n".encode()
        spoken, pause = time.monotonic(), FIRST_PAUSE
        while not self._streams.is_closing:
            self._has_news = False
            try:
                rows = self._read()
            except Unavailable:
                settled, wait = [], AWAY
            except DomainError as error:
                yield _message("end", {"code": error.code, "detail": error.detail})
                return
            else:
                settled = [row for row in rows if row.pop("is_settled")]
                # what is settled later is not told of: another transaction's end does it
                pause = FIRST_PAUSE if settled else min(pause * 2, LONGEST_PAUSE)
                wait = pause if len(settled) < len(rows) else 0.0 if rows.more else self._streams.look_every
            if settled:
                yield b"".join(map(self._written, settled))
                spoken = time.monotonic()
            until = min(time.monotonic() + wait, max(self._expires, time.monotonic()))
            while not self._has_news and time.monotonic() < until:
                if self._probes or time.monotonic() >= spoken + self._silence:
                    self._probes = max(0, self._probes - 1)
                    yield b": still here\n\n"
                    spoken = time.monotonic()
                limit = spoken + (PROBE_AGAIN if self._probes else self._silence)
                self._woken.wait(max(0.0, min(until, limit) - time.monotonic()))
                self._woken.clear()
        yield _message("end", {"code": "stopping", "detail": "This process stops; come back to another one."})

    def _read(self) -> Page:
        """What is new; and, when it is time, which organizations the caller has now. Counts as no request."""
        order, now = Order("position", False, PAGE, self._place), time.monotonic()
        with self._streams.reading:
            if now < min(self._learned + self._streams.look_every, self._expires):
                with statement(self._identity) as connection:
                    return Events(connection).follow(order=order, **self._filters)
            # before it is asked: who is told meanwhile asks again
            self._learned = now
            try:
                with transaction(self._identity) as connection:
                    events = Events(connection)
                    row = events.stream()
                    self._learn(row, self._readable(row))
                    return events.follow(order=order, **self._filters)
            except Unavailable:
                self._learned = -math.inf
                raise

    def _readable(self, row: Row) -> set[str]:
        """The organizations whose events the caller may read here."""
        wanted, organizations = self._filters.get("organization_id"), {str(each) for each in row["organizations"]}
        if not organizations:
            raise refusal("events:read")
        if wanted is not None and str(wanted) not in organizations:
            raise NotFound("There is no such organization, or its events are not for you.")
        return organizations if wanted is None else {str(wanted)}

    def _learn(self, row: Row, organizations: set[str]) -> None:
        left = row["seconds_left"]
        self._expires = math.inf if left is None else time.monotonic() + max(left, 0.0) + EXPIRED
        caller = self._identity
        callers = {name for name in (caller.user_id, caller.api_key_id, caller.session_id) if name is not None}
        before, self.concerns = self.concerns, frozenset(organizations | callers)
        self._streams.expect(self, before, self.concerns)

    def _written(self, row: Row) -> bytes:
        self._place = Order("position", False, 1).place_of(row)
        return _message(row["event_type"], row, self._cursor(self._place))


def stream(identity: Identity, query: dict[str, Any]) -> Response:
    """An answer that goes on as long as there may be events.

    :param query: the checked query parameters, with `after` where the stream goes on behind a place.
    :raises errors.Forbidden: the caller may read nobody's events.
    :raises errors.NotFound: the filters name an organization that is none for the caller.
    :raises errors.Unavailable: this process carries as many streams as it may.
    """
    filters = {name: value for name, value in query.items() if name not in ("cursor", "sort", "after")}
    with statement(identity) as connection:
        start = Events(connection).stream()
    streams: EventStreams = current_app.extensions["event_streams"]
    opened = EventStream(streams, identity, filters, query.get("after"), cursors(sort="position"), start)
    answer = Response(opened.messages(), headers=HEADERS, content_type="text/event-stream; charset=utf-8")
    answer.call_on_close(opened.leave)
    return answer


def _message(name: str, content: dict[str, Any], cursor: str | None = None) -> bytes:
    head = f"event: {name}\ndata: " if cursor is None else f"id: {cursor}\nevent: {name}\ndata: "
    return head.encode() + encoded(content) + b"\n\n"
