"""How child processes are started so that none is lost: not to a signal, not to the death of its parent."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
_HELD = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
_LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGINT, SIGTERM and SIGHUP back until the block is left.

    A signal handler that raises could otherwise do so between the start of a child and the assignment that
    remembers it. Children started in the block need `on_parent_death`, which lets the signals through again.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def on_parent_death(death_signal: signal.Signals) -> Callable[[], None]:
    """What a child runs between fork and exec so that the kernel signals it when its parent dies (`preexec_fn`).

    The parent is the thread that starts the child: start long-lived children from the main thread.

    :param death_signal: the signal that the child receives.
    """
    parent = os.getpid()

    def arrange() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return arrange
