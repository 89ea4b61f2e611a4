"""Web servers under measurement: started, awaited, measured over HTTP, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import http_load
from benchmarks.calls import CALLS, Call
from benchmarks.measurement import Measurement
from config import ROOT, Settings
from database.child_processes import on_parent_death

START_TIMEOUT = 60.0


class WebProcess:
    """A web server on a port of its own. A context: it is up inside, and gone behind it.

    :param command: may hold `{port}`.
    :param requests: what to send for a call.
    :param log: where its output goes.
    :param port_variable: the environment variable that tells it its port.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        requests: Callable[[Call], list[bytes]],
        log: Path,
        port_variable: str = "PORT",
    ) -> None:
        self.name = name
        self.port = _free_port()
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self._environment = {**os.environ, **environment, port_variable: str(self.port)}
        self._requests = requests
        self._prepared: dict[str, list[bytes]] = {}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> WebProcess:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=on_parent_death(signal.SIGTERM),
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"{self.name} did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    @property
    def process(self) -> int | None:
        """The process that began the others."""
        return None if self._process is None else self._process.pid

    def measure(self, call: Call, seconds: float, clients: int) -> Measurement:
        """Send the call's requests.

        :raises http_load.UnexpectedAnswer: an answer that is no success.
        """
        if call.name not in self._prepared:
            self._prepared[call.name] = self._requests(call)
        try:
            return http_load.measure(self.port, self._prepared[call.name], seconds, clients)
        except (OSError, http_load.UnexpectedAnswer) as error:
            end = self._log.read_text(errors="replace")[-2000:]
            raise http_load.UnexpectedAnswer(f"{self.name}, {call.name}: {error}\n{end}") from error

    def workers(self) -> list[int]:
        """The process ids of its worker processes."""
        assert self._process is not None
        pid = self._process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _answers(self) -> bool:
        try:
            http_load.measure(self.port, self._requests(CALLS[0])[:1], 0, 1)
        except (OSError, http_load.UnexpectedAnswer):
            return False
        return True


def gunicorn(application: str) -> list[str]:
    """The command that serves an application as the service is served."""
    return [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", application]


def service_environment(settings: Settings) -> dict[str, str]:
    """The environment of a service with these settings."""
    return {
        "SERVICE_DATABASE_URL": settings.service_database_url,
        "SIGNING_KEYS": ",".join(settings.signing_keys),
        "ENCRYPTION_KEYS": ",".join(settings.encryption_keys),
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": "",
        "WORKER_DATABASE_URL": "",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
