"""Passwords: bcrypt, off the event loop, the same time whether or not there is an account."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import bcrypt

MAX_BYTES = 72  # bcrypt reads no further: a longer password would be cut silently


def hash_password(password: str, cost: int) -> str:
    """The bcrypt hash of a password.

    :param cost: log2 of the rounds, at least 4.
    :raises ValueError: the password is longer than 72 bytes.
    """
    if len(password.encode()) > MAX_BYTES:
        raise ValueError("the password is longer than 72 bytes")
    return str(_aside(bcrypt.hashpw, password.encode(), bcrypt.gensalt(cost)).decode())


def verify_password(password: str, password_hash: str | None, cost: int) -> bool:
    """Whether a password belongs to a hash; without a hash it takes as long and is False."""
    candidate = password.encode()
    if len(candidate) > MAX_BYTES:
        return False
    known = password_hash if password_hash is not None else _nobodys_hash(cost)
    return bool(_aside(bcrypt.checkpw, candidate, known.encode())) and password_hash is not None


@functools.cache
def _nobodys_hash(cost: int) -> str:
    return bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost)).decode()


def _aside(function: Callable[..., Any], *arguments: Any) -> Any:
    """Under gevent a quarter of a second of computing would stop every request of the process."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return function(*arguments)
    import gevent

    return gevent.get_hub().threadpool.apply(function, arguments)
