"""Migrations while requests run: nobody sees an error, and nobody waits for long."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest

from database.migrations import LOCK_TIMEOUT, migrate, migrations
from tests.conftest import Database
from tests.service import Answer, Person, Service
from tests.waiting import eventually

FILES = migrations(Path(__file__).parent / "migrations_under_load")
CLIENTS = 4
LONGEST = 3.0  # seconds: several migrations may get in one request's way, for a quarter of a second each


@dataclass
class Load:
    """Clients who call without a pause, and what they met."""

    person: Person
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    calls: int = 0
    rounds: list[int] = field(default_factory=lambda: [0] * CLIENTS)
    ended: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call for as long as the block runs."""
        with ThreadPoolExecutor(CLIENTS) as threads:
            clients = [threads.submit(self._client, number) for number in range(CLIENTS)]
            try:
                self.every_client_goes_round()
                yield
                self.every_client_goes_round()
            finally:
                self.ended.set()
            for client in clients:
                client.result()

    def every_client_goes_round(self) -> None:
        """Wait until each client has made all its calls from the first to the last."""
        before = list(self.rounds)
        eventually(
            lambda: self.faults or all(now > then + 1 for now, then in zip(self.rounds, before, strict=True)),
            "every client makes every call",
            60,
        )

    def _client(self, number: int) -> None:
        person, key = self.person, self.person.key("*")
        own = person.integration(name=f"Under load {number}")
        path = f"/integrations/{own['id']}"
        for turn in itertools.count():
            if self.ended.is_set():
                return
            once = {"Idempotency-Key": f"{number}-{turn}"}
            made = {"name": f"Under load {number}, turn {turn}", "service_type": "rest"}
            both = {"items": [{"operation": "create", "body": made}] * 2}
            team = {"name": "Team", "slug": f"under-load-{number}-{turn}"}
            self._call(200, key.get, path)
            self._call(200, person.get, "/integrations?limit=5")
            self._call(200, key.patch, path, {"name": made["name"]}, headers={"If-Match": "*"})
            self._call(201, key.post, "/integrations", made, headers=once)
            self._call(201, key.post, "/integrations", made, headers=once)
            self._call(207, key.post, "/integrations/bulk", both)
            self._call(201, person.post, f"{path}/versions", {"version": f"1.0.{turn}"})
            self._call(200, person.get, f"/events?aggregate_id={own['id']}&limit=5")
            self._call(200, key.get, "/api-keys/self")
            self._call(200, person.get, "/api-keys?limit=5")
            self._call(201, person.post, "/organizations", team)
            self._call(200, person.get, "/organizations?limit=5")
            self._call(200, key.get, f"/organizations/{person.personal_organization_id}/members")
            self._call(200, person.get, "/me")
            self.rounds[number] += 1

    def _call(self, expected: int, call: Callable[..., Answer], *arguments: Any, **names: Any) -> None:
        began = time.monotonic()
        answer = call(*arguments, **names)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.calls += 1
        if answer.status != expected:
            self.faults.append(f"{answer.status} instead of {expected}: {answer.body.decode()}")
            self.ended.set()


@pytest.fixture
def person(database: Database) -> Iterator[Person]:
    """Somebody who uses a service that stays up."""
    with Service(database.settings()) as running:
        running.database = database
        yield running.person("Lou")


def waits(database: Database) -> bool:
    """Whether the migrator waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%ALTER TABLE%'"
    return bool(database.look(waiting))


def test_nobody_notices(database: Database, person: Person) -> None:
    load = Load(person)
    with load.running(), ThreadPoolExecutor(1) as thread:
        for number in range(1, len(FILES) + 1):
            known = [*migrations(), *FILES[:number]]
            with psycopg.connect(database.admin_url) as slow:
                # somebody is in the middle of a long transaction that has read what is to be changed
                slow.execute("LOCK TABLE integrations, events, users, api_key_listings IN ACCESS SHARE MODE")
                migrating: Future[list[str]] = thread.submit(migrate, database.admin_url, known)
                if number == 1:
                    for _ in range(3):
                        eventually(lambda: waits(database), "the migration waits")
                        eventually(lambda: not waits(database), "the migration lets others pass", 2)
                    assert not migrating.done()
            assert migrating.result(60) == [FILES[number - 1].name]
            load.every_client_goes_round()
            assert load.faults == []
    assert load.faults == []
    assert load.slowest < LONGEST, f"of {load.calls} calls the slowest took {load.slowest:.2f} s"
    assert '"status":5' not in person.service.log.read_text()
    assert person.get("/integrations?limit=1").json["items"][0]["region"] is None
    print(f"{load.calls} calls, the slowest {load.slowest:.2f} s, lock time-out {LOCK_TIMEOUT}")
