"""Waiting for a condition, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

_NEVER = threading.Event()


def eventually(condition: Callable[[], Found], what: str, seconds: float = 30.0) -> Found:
    """Ask until the answer is true, and return it.

    :param condition: what is asked, every hundredth of a second.
    :param what: what is waited for, for the failure's message.
    :param seconds: the deadline.
    :raises AssertionError: the deadline has passed.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        _NEVER.wait(0.01)
    return found


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
