"""What notify_event() tells of: changes of aggregates, heard on a connection of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import orjson
import psycopg

from database.queries import load

QUERIES = load("notifications")
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before connecting again
LOOK_UP = 1.0  # seconds after which a quiet listener looks whether it is to stop

logger = logging.getLogger("ccb.notifications")


class Listener:
    """Hears changes in a thread of its own, and connects again when the connection breaks.

    :param url: a login; behind a pooler, one whose sessions are its own.
    :param hear: is told of each change: `table`, `action`, `id` and `organization` (None for nobody's); and of None
        when the listener has begun to hear, because whatever changed before it did not.
    """

    def __init__(self, url: str, hear: Callable[[dict[str, Any] | None], None]) -> None:
        self._url = url
        self._hear = hear
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_hearing = False

    def start(self) -> None:
        """Begin to listen, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop for good."""
        self._stopped.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopped.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True, connect_timeout=5, **_LIVELY) as connection:
                    connection.execute(QUERIES.listen.text)
                    self.is_hearing, pause = True, FIRST_PAUSE
                    self._hear(None)
                    while not self._stopped.is_set():
                        for each in connection.notifies(timeout=LOOK_UP):
                            self._hear(orjson.loads(each.payload))
            except psycopg.Error as error:
                logger.warning("listening again in %.1f s: %s", pause, " ".join(str(error).split()))
            finally:
                self.is_hearing = False
            self._stopped.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


# a peer that vanished without a word is noticed within half a minute
_LIVELY: dict[str, Any] = {
    "application_name": "claude-code-bot listener", "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 3, "tcp_user_timeout": 30_000,
}  # fmt: skip
