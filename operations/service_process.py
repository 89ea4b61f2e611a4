"""One process of the service under the supervisor: its group, its log file, and when it may start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from database.child_processes import on_parent_death, signals_held

LARGEST_LOG = 64 * 1024 * 1024  # bytes
LONGEST_PAUSE = 30.0  # seconds
STEADY_AFTER = 60.0


class RestartPause:
    """When something that ended may start again: after 1 s, twice as long each time, up to half a minute.

    What had been up for a minute begins anew at 1 s.
    """

    def __init__(self) -> None:
        self._pause = 0.0
        self._started = self._due = time.monotonic()

    def started(self) -> None:
        """It has just been started."""
        self._started = time.monotonic()

    def ended(self) -> float:
        """It has just ended or could not start; returns the seconds until it may start again."""
        now = time.monotonic()
        self._pause = 1.0 if now - self._started > STEADY_AFTER else min(max(2 * self._pause, 1.0), LONGEST_PAUSE)
        self._due = now + self._pause
        return self._pause

    def is_over(self) -> bool:
        """Whether it may start now."""
        return time.monotonic() >= self._due


class ServiceProcess:
    """A child process that leads a process group of its own, so that none of its own children is left behind.

    The kernel sends it SIGTERM when the supervisor dies. What it prints goes to a log file; one that has grown too
    large is kept as `NAME.log.1` and begun anew.

    :param name: how messages call it.
    :param command: program and arguments.
    :param environment: all its environment variables.
    :param directory: its working directory.
    :param log: the file its output is appended to.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path
    ) -> None:
        self.name = name
        self.log = log
        self.pause = RestartPause()
        self._command = list(command)
        self._environment = dict(environment)
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, or None when it has not been started or its end has been noticed."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start it. Does nothing when it is running.

        :raises OSError: the program or the log file cannot be opened.
        """
        if self._process is not None:
            return
        with open(self.log, "ab", opener=_open_private) as output, signals_held():
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=on_parent_death(signal.SIGTERM),
            )
        self.pause.started()

    def ended(self) -> str | None:
        """How it ended, once after its end; None while it runs and when it has not been started."""
        if self._process is None:
            return None
        # Not reaped yet, so that its process id still names its group and nothing else.
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self._signal_group(signal.SIGKILL)
        status = self._process.wait()
        self._process = None
        return f"exit status {status}" if status >= 0 else f"signal {-status}"

    def stop(self, seconds: float) -> None:
        """Ask it to end and wait; kill it and its children when it has not ended in time.

        :param seconds: how long to wait; 0 kills at once.
        """
        if self._process is None:
            return
        if seconds > 0:
            os.kill(self._process.pid, signal.SIGTERM)  # not reaped, so the number is still its own
        deadline = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() >= deadline:
                self._signal_group(signal.SIGKILL)
            time.sleep(0.02)

    def limit_log(self) -> None:
        """Move the log away when it has grown too large. The process appends, so it goes on at the beginning."""
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
            os.truncate(self.log, 0)

    def last_line(self) -> str:
        """The last line of its log that is not empty."""
        with open(self.log, "rb") as file:
            file.seek(max(0, self.log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def _signal_group(self, which: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, which)
            except ProcessLookupError:
                pass


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
