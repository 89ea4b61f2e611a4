"""Workers and receivers as processes: started, killed, started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from config import ROOT, Settings
from database.child_processes import on_parent_death


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A program that is killed and started again. Ends with its context."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=on_parent_death(signal.SIGKILL),
            )

    def kill(self) -> None:
        """SIGKILL: it finishes nothing."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM: it finishes what it holds. Gives its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        status = self._process.wait(60)
        self._process = None
        return status


def worker(settings: Settings, log: Path, **variables: object) -> Process:
    """A worker on this database that may reach this machine; `variables` are further settings, in capitals."""
    environment = {
        "WORKER_DATABASE_URL": settings.worker_database_url,
        "ENCRYPTION_KEYS": ",".join(settings.encryption_keys),
        "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8",
        "DATA_DIR": str(settings.data_dir),
        "FLASK_SKIP_DOTENV": "1",
        "DATABASE_URL": "",
        **{name: str(value) for name, value in variables.items()},
    }
    return Process([sys.executable, "-m", "flask", "--app", "cli", "worker"], environment, log)


def receiver(port: int, log: Path, *, failing: float = 0.0, requests: Path | None = None) -> Process:
    """An endpoint on a port; see `benchmarks/webhooks/receiver.py`."""
    command = [sys.executable, "-m", "benchmarks.webhooks.receiver", str(port), str(failing)]
    return Process([*command, str(requests)] if requests else command, {}, log)
