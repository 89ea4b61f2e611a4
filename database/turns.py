"""Whose turn it is, where there is less of something than are asking for it."""

from __future__ import annotations

import collections
import queue
import threading
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Turns(Generic[Thing]):
    """So many may have a turn at a time; who asks first is first.

    A plain queue would give what is put into it to whoever comes by while the one that waits for it is waking up.
    """

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._asking: collections.deque[queue.SimpleQueue[Thing | None]] = collections.deque()
        self.free = count
        self.waits = 0

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._asking)

    def ask(self) -> queue.SimpleQueue[Thing | None] | None:
        """Begin a turn. Where none is free, what it will come through: with a thing that is handed on, or None."""
        with self._lock:
            if self.free:
                self.free -= 1
                return None
            turn: queue.SimpleQueue[Thing | None] = queue.SimpleQueue()
            self._asking.append(turn)
            self.waits += 1
            return turn

    def withdraw(self, turn: queue.SimpleQueue[Thing | None]) -> bool:
        """Wait no longer; False where the turn has come meanwhile and has to be ended."""
        with self._lock:
            if turn not in self._asking:
                return False
            self._asking.remove(turn)
            return True

    def hand_on(self, thing: Thing) -> bool:
        """End a turn by handing a thing to whoever waits longest; False, and the turn goes on, where nobody does."""
        with self._lock:
            turn = self._asking.popleft() if self._asking else None
        if turn is None:
            return False
        turn.put(thing)
        return True

    def end(self) -> None:
        """End a turn, with empty hands."""
        with self._lock:
            turn = self._asking.popleft() if self._asking else None
            if turn is None:
                self.free += 1
        if turn is not None:
            turn.put(None)
