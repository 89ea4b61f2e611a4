"""A client of an event stream: reads what comes, for as long as it comes."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.service import API, Client
from tests.waiting import eventually


@dataclass
class Message:
    """One message of a stream."""

    fields: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, Any]:
        """Its data."""
        return dict(json.loads(self.fields["data"]))


class Listening:
    """An open stream. A context: it is closed in the end.

    :param client: whose it is.
    :param query: behind `/events/stream`.
    """

    def __init__(self, client: Client, query: str = "", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
        self._connection.request("GET", f"{API}/events/stream{query}", headers={**client.headers, **headers})
        self.socket = self._connection.sock
        self.answer = self._connection.getresponse()
        self.messages: list[Message] = []
        self.comments = 0
        self.has_ended = False
        if self.answer.status == 200:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
            eventually(lambda: self.messages, "the stream has begun")

    def __enter__(self) -> Listening:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(2)
        self._connection.close()

    @property
    def last_id(self) -> str:
        """What `Last-Event-ID` would be."""
        return [each.fields["id"] for each in self.messages if "id" in each.fields][-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events that came."""
        return [each.data for each in self.messages if each.fields.get("event") not in (None, "end")]

    @classmethod
    def of(cls, client: Client, query: str = "", **headers: str) -> Listening:
        """An open stream, as soon as there is a place for one: it takes a moment to notice who has hung up."""

        def open_one() -> Listening | None:
            stream = cls(client, query, **headers)
            if stream.answer.status == 503:
                stream.close()
                return None
            assert stream.answer.status == 200, stream.answer.read()
            return stream

        found = eventually(open_one, "a place for a stream")
        assert found is not None
        return found

    def names(self) -> list[str]:
        """The kinds of messages that came, the opening one apart."""
        return [each.fields["event"] for each in self.messages[1:]]

    def expect(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many events have come."""
        return eventually(lambda: self.events if len(self.events) >= count else [], f"{count} events on the stream")

    def _read(self) -> None:
        message = Message()
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := self.answer.readline():
                text = line.decode().removesuffix("\n")
                if text.startswith(":"):
                    self.comments += 1
                elif text:
                    name, _, value = text.partition(": ")
                    message.fields[name] = value
                elif message.fields:
                    self.messages.append(message)
                    message = Message()
        self.has_ended = True
        self.close()
