"""The crash drill: workers, PostgreSQL and the receiver are killed under load, and every delivery is counted."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from cryptography.fernet import Fernet

from benchmarks.webhooks import processes
from config import Settings
from database.embedded import EmbeddedServer
from database.provision import provision
from tests.worker.hooks import Hooks

SCHEDULE = [0, *[1] * 60]  # seconds; long enough that a third of failures exhausts nothing by chance
LEASE_SECONDS = 2.0


@dataclass(frozen=True)
class Outcome:
    """What became of the deliveries.

    :param statuses: how many ended how.
    :param unheard: delivered by the records, but not accepted by the receiver's log.
    :param repeated: requests that the receiver logged and no attempt records: their worker or database died first.
    :param in_flight: leases that existed when something was killed: as many as may be repeated.
    :param kills: of workers, of PostgreSQL and of the receiver.
    """

    statuses: dict[str, int]
    unheard: int
    repeated: int
    in_flight: int
    requests: int
    kills: dict[str, int]
    seconds: float


def drill(count: int, *, kill_every: float, workers: int = 2, deadline: float = 600) -> Outcome:
    """Deliver under fire on a server of the drill's own.

    :param count: deliveries, over twenty webhooks of ten organizations.
    :param kill_every: seconds between two kills of workers.
    :raises TimeoutError: they did not all end.
    """
    directory = Path(tempfile.mkdtemp(prefix="drill-", dir="/tmp"))
    server = EmbeddedServer(directory / "postgresql")
    try:
        admin_url = server.start()
        settings = replace(Settings(), data_dir=directory, encryption_keys=(Fernet.generate_key().decode(),))
        settings = replace(settings, worker_database_url=provision(admin_url, settings).worker)
        return _Drill(directory, server, settings, count, kill_every, deadline).run(workers)
    finally:
        server.stop(immediate=True)
        shutil.rmtree(directory, ignore_errors=True)


class _Drill:
    def __init__(
        self,
        directory: Path,
        server: EmbeddedServer,
        settings: Settings,
        count: int,
        kill_every: float,
        deadline: float,
    ) -> None:
        self._directory = directory
        self._server = server
        self._settings = settings
        self._count = count
        self._kill_every = kill_every
        self._deadline = deadline
        self._kills: Counter[str] = Counter()
        self._in_flight = 0
        self._requests = directory / "requests.log"

    def run(self, workers: int) -> Outcome:
        """Queue, kill, wait, count."""
        log, port = self._directory / "processes.log", processes.free_port()
        hooks = self._hooks()
        for number in range(10):
            organization = hooks.organization(SCHEDULE)
            for half in range(2):
                webhook = hooks.webhook(organization, f"http://127.0.0.1:{port}/{number}/{half}", max_concurrency=50)
                hooks.deliver(webhook, self._count // 20)
        hooks.close()
        began = time.monotonic()
        with ExitStack() as stack:
            receiver = processes.receiver(port, log, failing=1 / 3, requests=self._requests)
            stack.enter_context(receiver)
            running = [
                stack.enter_context(
                    processes.worker(self._settings, log, WEBHOOK_LEASE_SECONDS=LEASE_SECONDS, WEBHOOK_CONCURRENCY=64)
                )
                for _ in range(workers)
            ]
            next_kill, seen = began + self._kill_every, 0
            while (waiting := self._waiting()) is None or waiting > 0:
                if time.monotonic() > began + self._deadline:
                    raise TimeoutError(f"{waiting} deliveries wait:\n{log.read_text()[-4000:]}")
                time.sleep(0.1)
                done = self._count - (waiting if waiting is not None else self._count)
                heard = self._requests.stat().st_size if self._requests.exists() else 0
                if time.monotonic() >= next_kill and waiting and heard > seen:  # not before it has begun anything
                    self._kill_worker(random.choice(running))
                    next_kill, seen = time.monotonic() + self._kill_every, heard
                if not self._kills["postgresql"] and done > self._count / 4:
                    self._kill_postgresql()
                if not self._kills["receiver"] and done > self._count / 2:
                    self._kills["receiver"] += 1
                    receiver.kill()
                    receiver.start()
        return self._counted(time.monotonic() - began)

    def _hooks(self) -> Hooks:
        return Hooks(self._server.url, self._settings.encryption_keys[0])

    def _ask(self, text: str) -> int | None:
        try:
            with psycopg.connect(self._server.url, connect_timeout=5) as connection:
                row = connection.execute(text.encode()).fetchone()
        except psycopg.OperationalError:
            return None  # it was killed a moment ago
        return int(row[0]) if row else 0

    def _waiting(self) -> int | None:
        return self._ask("SELECT count(*) FROM webhook_deliveries WHERE status NOT IN ('delivered', 'exhausted')")

    def _count_leases(self) -> None:
        self._in_flight += self._ask("SELECT count(*) FROM webhook_delivery_leases") or 0

    def _kill_worker(self, worker: processes.Process) -> None:
        self._kills["worker"] += 1
        worker.kill()
        self._count_leases()
        worker.start()

    def _kill_postgresql(self) -> None:
        self._kills["postgresql"] += 1
        pid = self._server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._server.stop(immediate=True)
        self._server.start()
        self._count_leases()

    def _counted(self, seconds: float) -> Outcome:
        hooks = self._hooks()
        rows = hooks.run(
            "SELECT id::text AS id, status, jsonb_array_length(jsonb_path_query_array("
            "attempts, '$[*] ? (@.response_status != null)')) AS answered FROM webhook_deliveries"
        )
        hooks.close()
        logged: Counter[str] = Counter()
        accepted = set()
        lines = self._requests.read_text().splitlines()
        for line in lines:
            identifier, status, _ = line.split(" ")
            logged[identifier] += 1
            if status == "200":
                accepted.add(identifier)
        answered = {row["id"]: row["answered"] for row in rows}
        return Outcome(
            statuses=dict(Counter(row["status"] for row in rows)),
            unheard=sum(row["status"] == "delivered" and row["id"] not in accepted for row in rows),
            repeated=sum(max(0, number - answered[identifier]) for identifier, number in logged.items()),
            in_flight=self._in_flight,
            requests=len(lines),
            kills=dict(self._kills),
            seconds=round(seconds, 1),
        )
