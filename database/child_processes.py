"""How child processes are started so that none is lost: not to a signal, not to the death of its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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


def end(processes: list[int], how: signal.Signals, seconds: float = 10.0) -> None:
    """Send a signal to processes that may be nobody's children any more, and wait until they are gone, or so long."""
    for pid in processes:
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            continue
    await_end(processes, seconds)


def await_end(processes: list[int], seconds: float) -> None:
    """Wait until none of them runs, or so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(is_running(pid) for pid in processes):
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
