"""Health checks in the worker: what it finds, and whose a check is at any moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry

from config import Settings
from database import Nobody, Pool, statement
from outbound import OutboundClient
from repositories.health_check_queue import Finding, HealthCheck, HealthCheckQueue
from tests.conftest import Database
from tests.outbound.receiver import Receiver, Request, answering, raw
from tests.sql.people import People
from worker.context import Context, Stop
from worker.health_checks import HealthChecks, begin, find_out

LOOPBACK = ("127.0.0.0/8",)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


class World:
    """A team whose integrations are checked, and a worker's pool."""

    def __init__(self, database: Database) -> None:
        self.people = People(database)
        self.owner = self.people.register()
        self.team = self.people.team(self.owner)
        self.admin = database.admin()
        self.pool = Pool(database.logins.worker, database.settings())
        self.pool.open()

    def close(self) -> None:
        self.pool.close()
        self.admin.close()
        self.people.close()

    def check(self, url: str | None, team: str | None = None, owner: str | None = None) -> str:
        """A check of a new integration; gives its id."""
        organization_id = team or self.team
        integration = self.people.integration(owner or self.owner, organization_id, health_check_url=url)
        row = self.admin.execute(
            "INSERT INTO integration_health_checks (organization_id, integration_id) VALUES (%s, %s) RETURNING id",
            [organization_id, integration],
        ).fetchone()
        assert row is not None
        return str(row["id"])

    def row(self, check: str) -> dict[str, Any]:
        row = self.admin.execute("SELECT * FROM integration_health_checks WHERE id = %s", [check]).fetchone()
        assert row is not None
        return row

    def claim(self, batch: int = 10, lease_seconds: float = 60.0) -> list[HealthCheck]:
        with statement(Nobody(self.pool)) as connection:
            return HealthCheckQueue(connection).claim(batch, lease_seconds)

    def complete(self, check: HealthCheck, finding: Finding) -> bool:
        with statement(Nobody(self.pool)) as connection:
            return HealthCheckQueue(connection).complete(check, finding)

    def let_leases_end(self) -> None:
        self.admin.execute(
            "UPDATE integration_health_checks SET run_after = now(), lease_expires_at = now() WHERE status = 'pending'"
        )


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database)
    yield made
    made.close()


def test_what_a_check_finds() -> None:
    async def ask() -> None:
        async with OutboundClient(LOOPBACK) as client, Receiver(answering(204, b"")) as well:
            found = await find_out(client, well.url("/health"))
            assert (found.status, found.http_status, found.error_message) == ("healthy", 204, None)
            assert found.latency_ms is not None
            assert (well.requests[0].method, well.requests[0].target) == ("GET", "/health")
            async with Receiver(answering(301, Location="/health")) as moved:  # in a circle
                assert (await find_out(client, moved.url())).status == "unhealthy"
            async with Receiver(answering(503, b"x" * 100_000)) as ill:
                found = await find_out(client, ill.url())
                assert (found.status, found.http_status) == ("unhealthy", 503)
                assert found.error_message == "The answer was 503."
            async with Receiver(raw(b"nonsense\r\n\r\n", close=True)) as broken:
                found = await find_out(client, broken.url())
                assert (found.status, found.http_status) == ("unhealthy", None)
            found = await find_out(client, ill.url())  # nobody listens any more
            assert (found.status, found.http_status) == ("unhealthy", None)
            assert found.error_message
        async with OutboundClient() as guarded, Receiver(answering()) as internal:
            found = await find_out(guarded, internal.url())
            assert (found.status, found.error_message) == ("failed", "The address is not public.")
            assert internal.connections == 0
            assert (await find_out(guarded, "ftp://example.org/")).status == "failed"
            assert (await find_out(guarded, None)).status == "failed"

    run(ask())


def test_a_batch_is_done(world: World) -> None:
    async def work() -> None:
        async with OutboundClient(LOOPBACK) as client, Receiver(answering()) as well, Receiver(answering(500)) as ill:
            checks = HealthChecks(world.pool, client)
            asked = [world.check(well.url()), world.check(ill.url()), world.check(None)]
            assert await checks.look() == 3
            assert await checks.look() == 0
            first, second, third = map(world.row, asked)
            assert (first["status"], first["http_status"], first["attempt"]) == ("healthy", 200, 1)
            assert (second["status"], second["http_status"]) == ("unhealthy", 500)
            assert (third["status"], third["http_status"]) == ("failed", None)
            assert first["lease_token"] is first["lease_expires_at"] is None

    run(work())


def test_a_check_is_claimed_by_one_at_a_time(world: World) -> None:
    check = world.check("https://example.org/")
    (mine,) = world.claim()
    assert (mine.id, mine.url) == (check, "https://example.org/")
    assert world.claim() == []
    world.let_leases_end()
    (theirs,) = world.claim()
    assert theirs.id == check
    assert theirs.lease_token != mine.lease_token
    # whoever comes back too late is refused, and changes nothing
    assert not world.complete(mine, Finding("unhealthy", 500, 1, "late"))
    assert world.row(check)["status"] == "pending"
    assert world.complete(theirs, Finding("healthy", 200, 1))
    assert not world.complete(theirs, Finding("unhealthy", 500, 1, "again"))
    done = world.row(check)
    assert (done["status"], done["http_status"], done["attempt"]) == ("healthy", 200, 2)
    assert world.claim() == []


def test_what_another_transaction_claims_is_passed_over(world: World, database: Database) -> None:
    checks = {world.check("https://example.org/") for _ in range(4)}
    with psycopg.connect(database.logins.worker) as other:
        claimed = other.execute("SELECT id::text FROM claim_health_checks(2, interval '1 minute')").fetchall()
        rest = world.claim(4)  # does not wait for the other one to commit
        assert {each.id for each in rest} | {row[0] for row in claimed} == checks
        assert len(rest) == len(claimed) == 2


def test_nobody_waits_behind_a_noisy_organization(world: World) -> None:
    noisy = [world.check("https://example.org/") for _ in range(6)]
    quiet_owner = world.people.register()
    quiet = world.check("https://example.org/", world.people.team(quiet_owner), quiet_owner)
    first = {each.id for each in world.claim(2)}
    assert quiet in first
    assert {each.id for each in world.claim(10)} == {*noisy, quiet} - first


def test_what_nobody_ever_reports_on_is_given_up(world: World) -> None:
    check = world.check("https://example.org/")
    for attempt in range(5):
        assert [each.id for each in world.claim()] == [check], attempt
        world.let_leases_end()
    assert world.claim() == []
    given_up = world.row(check)
    assert (given_up["status"], given_up["attempt"], given_up["lease_token"]) == ("failed", 5, None)
    assert given_up["error_message"] == "Taken up 5 times, and never reported on."


def test_an_integration_that_is_gone_is_not_asked(world: World) -> None:
    check = world.check("https://example.org/")
    world.admin.execute(
        "UPDATE integrations SET deleted_at = now() WHERE id = %s", [world.row(check)["integration_id"]]
    )
    (claimed,) = world.claim()
    assert (claimed.id, claimed.url) == (check, None)


def test_the_newest_hundred_are_kept(world: World) -> None:
    check = world.check("https://example.org/")
    integration = world.row(check)["integration_id"]
    world.admin.execute(
        "INSERT INTO integration_health_checks (organization_id, integration_id, status, created_at)"
        " SELECT %s, %s, 'healthy', now() - n * interval '1 hour' FROM generate_series(1, 120) AS n",
        [world.team, integration],
    )
    (claimed,) = world.claim()
    assert world.complete(claimed, Finding("healthy", 200, 1))
    row = world.admin.execute(
        "SELECT count(*), min(created_at) > now() - interval '99 hours 1 minute' AS newest, bool_or(id = %s) AS kept"
        " FROM integration_health_checks WHERE integration_id = %s",
        [check, integration],
    ).fetchone()
    assert row == {"count": 100, "newest": True, "kept": True}


def test_a_request_wakes_workers(world: World) -> None:
    with psycopg.connect(world.admin.info.dsn, password="", autocommit=True) as listener:
        listener.execute("LISTEN table_changes")
        check = world.check("https://example.org/")
        payloads = [each.payload for each in listener.notifies(timeout=10, stop_after=2)]
    assert any(check in payload and "integration_health_checks" in payload for payload in payloads)


def test_only_the_worker_claims_and_reports(world: World) -> None:
    world.check("https://example.org/")
    for statement_ in (
        "SELECT claim_health_checks(1, interval '1 minute')",
        "SELECT complete_health_check(gen_random_uuid(), gen_random_uuid(), 'healthy', 200, 1, NULL)",
        "UPDATE integration_health_checks SET status = 'healthy'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), world.people.acting(world.owner) as connection:
            connection.execute(statement_)
    assert not world.complete(HealthCheck(str(uuid.uuid4()), str(uuid.uuid4()), None), Finding("healthy"))


def test_the_worker_does_what_is_asked_for_and_finishes_it_when_it_stops(world: World) -> None:
    async def work() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
            entered.set()
            await leave.wait()
            await answering(200)(request, writer)

        stop = Stop()
        async with OutboundClient(LOOPBACK) as client, Receiver(answering(200)) as well, Receiver(slowly) as slow:
            settings, loop = Settings(), asyncio.get_running_loop()
            kind = begin(Context(settings, world.pool, client, CollectorRegistry(), stop, loop))
            running = asyncio.create_task(kind.run())
            first = world.check(well.url())
            while world.row(first)["status"] == "pending":
                await asyncio.sleep(0.01)
            second = world.check(slow.url())
            await entered.wait()
            stop.ask()
            leave.set()
            await running
            assert [world.row(each)["status"] for each in (first, second)] == ["healthy", "healthy"]

    run(work())
