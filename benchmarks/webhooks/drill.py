"""The crash drill: workers, PostgreSQL and the receiver are killed under load, and every delivery and request counted.

A request beyond the first of an attempt is a repetition. Only what was in flight when a worker or PostgreSQL was
killed may be repeated: each repetition is matched with the leases and connections of that moment.
"""

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

import psutil
import psycopg
from cryptography.fernet import Fernet

from benchmarks.webhooks import processes
from benchmarks.webhooks.receipts import Account, Kill, account, read
from config import Settings
from database.embedded import EmbeddedServer
from database.provision import provision
from tests.worker.hooks import Hooks

SCHEDULE = [0, *[1] * 60]  # seconds; long enough that a third of failures exhausts nothing by chance
LEASE_SECONDS = 4.0


@dataclass(frozen=True)
class Outcome:
    """What became of the deliveries.

    :param count: how many there were.
    :param statuses: how many ended how.
    :param unheard: delivered by the records, but not accepted by the receiver's log.
    :param account: of requests and attempts.
    :param in_flight: leases that existed when a worker or PostgreSQL was killed.
    :param kills: of workers, of PostgreSQL and of the receiver.
    """

    count: int
    statuses: dict[str, int]
    unheard: int
    account: Account
    in_flight: int
    requests: int
    kills: dict[str, int]
    seconds: float

    def faults(self) -> list[str]:
        """What is not as it is promised."""
        ended = self.statuses.get("delivered", 0) + self.statuses.get("exhausted", 0)
        checks = {
            f"{self.count - ended} deliveries are lost": ended != self.count,
            f"{self.unheard} deliveries and {self.account.unheard} attempts are made up": self.unheard
            or self.account.unheard,
            f"requests were repeated that were not in flight: {self.account.unexplained}": self.account.unexplained,
            f"not everything was killed: {self.kills}": len(self.kills) < 3,
        }
        return [text for text, failed in checks.items() if failed]

    def __str__(self) -> str:
        return (
            f"{self.count:,} deliveries in {self.seconds:,.0f} s: {self.statuses}; {self.requests:,} requests, of which"
            f" {self.account.repeated} repeated, of {self.in_flight} leases in flight at {self.kills};"
            f" {len(self.account.unexplained)} others repeated, {self.unheard + self.account.unheard} made up"
        )


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
        self._kills: list[Kill] = []
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
                if done > self._count / 4 and not self._killed()["postgresql"]:
                    self._kill_postgresql()
                if done > self._count / 2 and not self._killed()["receiver"]:
                    receiver.kill()
                    receiver.start()
                    # what it did not answer is a failure like another, and recorded: nothing to explain
                    self._note("receiver", frozenset(), frozenset())
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

    def _leased(self) -> frozenset[str]:
        with psycopg.connect(self._server.url, connect_timeout=5) as connection:
            rows = connection.execute("SELECT delivery_id::text FROM webhook_delivery_leases").fetchall()
        return frozenset(row[0] for row in rows)

    def _note(self, what: str, leased: frozenset[str], ports: frozenset[int] | None, until: float = 0.0) -> None:
        self._kills.append(Kill(what, time.time(), leased, ports, until or time.time() + 0.5))

    def _killed(self) -> Counter[str]:
        return Counter(each.what for each in self._kills)

    def _kill_worker(self, worker: processes.Process) -> None:
        os.kill(worker.pid, signal.SIGSTOP)  # so that its connections and leases can be read
        connections = psutil.Process(worker.pid).net_connections("tcp4")
        ports = frozenset(each.laddr.port for each in connections if each.raddr)
        leased = self._leased()
        worker.kill()
        self._note("worker", leased, ports)
        worker.start()

    def _kill_postgresql(self) -> None:
        pid = self._server.pid
        assert pid is not None
        before = self._leased()
        os.kill(pid, signal.SIGKILL)
        self._server.stop(immediate=True)
        self._server.start()
        # attempts go on meanwhile, and are lost where a lease ran out before their report came through
        self._note("postgresql", before | self._leased(), None, time.time() + LEASE_SECONDS)

    def _counted(self, seconds: float) -> Outcome:
        hooks = self._hooks()
        rows = hooks.run("SELECT id::text AS id, status, attempts FROM webhook_deliveries")
        hooks.close()
        receipts = read(self._requests)
        accepted = {each.delivery for each in receipts if each.status == 200}
        return Outcome(
            count=self._count,
            statuses=dict(Counter(row["status"] for row in rows)),
            unheard=sum(row["status"] == "delivered" and row["id"] not in accepted for row in rows),
            account=account(receipts, {row["id"]: row["attempts"] for row in rows}, self._kills),
            in_flight=sum(len(each.leased) for each in self._kills),
            requests=len(receipts),
            kills=dict(self._killed()),
            seconds=round(seconds, 1),
        )
