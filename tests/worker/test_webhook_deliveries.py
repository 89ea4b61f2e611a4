"""The worker as a process: what it delivers, how it stops, and what it tells of itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from benchmarks.webhooks.processes import Process, free_port, receiver, worker
from config import Settings
from tests.conftest import Database
from tests.service import encryption_key
from tests.waiting import eventually
from tests.worker.hooks import Hooks


@pytest.fixture(scope="module")
def hooks(module_database: Database) -> Iterator[Hooks]:
    made = Hooks(module_database.admin_url, encryption_key())
    yield made
    made.close()


@pytest.fixture(scope="module")
def status_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module")
def running(module_database: Database, hooks: Hooks, status_port: int, folder: Path) -> Iterator[Process]:
    with worker(module_database.settings(), folder / "log", WORKER_PORT=status_port) as process:
        # with the partitions made, which lock out whoever arranges things
        done = "SELECT count(*) FILTER (WHERE outcome = 'succeeded') AS n FROM maintenance_runs"
        eventually(lambda: hooks.run(done)[0]["n"] >= 4, "maintenance has run")
        yield process


@pytest.fixture(scope="module")
def endpoint(folder: Path) -> Iterator[str]:
    port = free_port()
    with receiver(port, folder / "log", requests=folder / "requests"):
        eventually(lambda: ask(port, "/")[0] == 200, "the receiver is up")
        yield f"http://127.0.0.1:{port}/"


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_change_arrives(hooks: Hooks, running: Process, endpoint: str, folder: Path) -> None:
    webhook = hooks.webhook(hooks.organization(), endpoint)
    hooks.run("UPDATE webhooks SET events = '{integration.updated}' WHERE id = %s", webhook)
    hooks.run(
        "UPDATE integrations SET name = 'Adyen' WHERE id = (SELECT integration_id FROM webhooks WHERE id = %s)", webhook
    )
    eventually(lambda: hooks.statuses(webhook) == {"delivered": 1}, "the delivery is reported")
    [row] = hooks.run("SELECT id::text AS id, attempts FROM webhook_deliveries WHERE webhook_id = %s", webhook)
    heard = [line for line in (folder / "requests").read_text().splitlines() if line.startswith(row["id"])]
    assert len(heard) == 1
    [attempt] = row["attempts"]
    assert (attempt["number"], attempt["response_status"], attempt["response_body"]) == (1, 200, "ok")


def test_what_fails_is_tried_again_until_the_schedule_ends(hooks: Hooks, running: Process) -> None:
    webhook = hooks.webhook(hooks.organization([0, 0, 0]), f"http://127.0.0.1:{free_port()}/nobody")
    [delivery] = hooks.deliver(webhook)
    eventually(lambda: hooks.get(delivery)["status"] == "exhausted", "the schedule ends")
    row = hooks.get(delivery)
    assert [attempt["number"] for attempt in row["attempts"]] == [1, 2, 3]
    assert all(attempt["error"].startswith("connection_failed") for attempt in row["attempts"])
    assert row["response_status"] is None


def test_it_tells_of_itself(hooks: Hooks, running: Process, status_port: int) -> None:
    eventually(lambda: ask(status_port, "/readyz")[0] == 200, "the worker is ready")
    assert json.loads(ask(status_port, "/healthz")[1]) == {"status": "up"}
    text = ask(status_port, "/metrics")[1]
    for name in ("ccb_webhook_attempts_total", "ccb_webhook_attempt_seconds_bucket", "ccb_webhook_due ",
                 "ccb_webhook_oldest_due_seconds", "ccb_webhook_claims_total", "ccb_webhook_in_flight"):  # fmt: skip
        assert name in text


def test_a_worker_that_is_asked_to_stop_leaves_no_lease(
    hooks: Hooks, module_database: Database, endpoint: str, folder: Path, running: Process
) -> None:
    webhook = hooks.webhook(hooks.organization(), endpoint)
    hooks.deliver(webhook, 200)
    eventually(lambda: hooks.statuses(webhook)["delivered"] > 20, "it is at work")
    assert running.stop() == 0
    assert hooks.run("SELECT count(*) AS n FROM webhook_delivery_leases") == [{"n": 0}]
    running.start()
    eventually(lambda: hooks.statuses(webhook) == {"delivered": 200}, "the rest is delivered")
    heard = [line.split(" ")[0] for line in (folder / "requests").read_text().splitlines()]
    mine = {str(row["id"]) for row in hooks.run("SELECT id FROM webhook_deliveries WHERE webhook_id = %s", webhook)}
    assert sorted(each for each in heard if each in mine) == sorted(mine), "each once"


def test_it_finds_its_work_when_nobody_wakes_it(hooks: Hooks, running: Process, endpoint: str) -> None:
    webhook = hooks.webhook(hooks.organization(), endpoint)
    listening = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'claude-code-bot worker listening'"
        " AND datname = current_database()"
    )
    eventually(lambda: hooks.run(listening), "it listens")
    ended = hooks.run(f"SELECT pg_terminate_backend(pid) FROM ({listening}) AS found")
    assert len(ended) == 1
    hooks.deliver(webhook)
    eventually(lambda: hooks.statuses(webhook) == {"delivered": 1}, "it looks by itself", 5)
    eventually(lambda: hooks.run(listening), "it listens again")


def test_a_report_that_is_refused_holds_up_no_other(hooks: Hooks, running: Process, endpoint: str) -> None:
    webhook = hooks.webhook(hooks.organization(), endpoint)
    hooks.run("UPDATE webhooks SET is_active = false WHERE id = %s", webhook)
    poison, *others = hooks.deliver(webhook, 20, status="held")
    hooks.run("ALTER TABLE webhook_deliveries ADD CONSTRAINT ck_poison"
              f" CHECK (id <> '{poison}' OR response_body IS NULL) NOT VALID")  # fmt: skip
    hooks.run("UPDATE webhooks SET is_active = true WHERE id = %s", webhook)
    hooks.run("UPDATE webhook_deliveries SET status = 'pending' WHERE webhook_id = %s", webhook)
    eventually(lambda: hooks.statuses(webhook) == {"delivered": 20}, "all are reported")
    hooks.run("ALTER TABLE webhook_deliveries DROP CONSTRAINT ck_poison")
    assert (hooks.get(poison)["response_status"], hooks.get(poison)["response_body"]) == (200, None)
    assert all(hooks.get(each)["response_body"] == "ok" for each in others)


async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An endpoint that never answers."""
    await asyncio.sleep(60)


def test_a_second_signal_gives_back_what_is_under_way(hooks: Hooks, running: Process) -> None:
    with serving(keep) as port:
        webhook = hooks.webhook(hooks.organization(), f"http://127.0.0.1:{port}/")
        hooks.deliver(webhook, 5)
        leases = "SELECT count(*) AS n FROM webhook_delivery_leases WHERE webhook_id = %s"
        eventually(lambda: hooks.run(leases, webhook)[0]["n"] == 5, "they are under way")
        os.kill(running.pid, signal.SIGTERM)
        assert running.stop() == 0
        assert hooks.run(leases, webhook) == [{"n": 0}]
        assert hooks.statuses(webhook) == {"pending": 5}
        hooks.run("UPDATE webhooks SET deleted_at = now() WHERE id = %s", webhook)
    running.start()


def test_many_slow_endpoints_of_one_organization_delay_nobody(
    hooks: Hooks, endpoint: str, folder: Path, running: Process
) -> None:
    slow, quiet = hooks.organization(), hooks.webhook(hooks.organization(), endpoint)
    with serving(keep) as port:
        for number in range(300):
            hooks.deliver(hooks.webhook(slow, f"http://127.0.0.1:{port}/{number}"), 3)
        flying = "SELECT count(*) AS n FROM webhook_delivery_leases WHERE organization_id = %s"
        most = Settings().webhook_organization_concurrency
        eventually(lambda: hooks.run(flying, slow)[0]["n"] == most, "it has all places that it may have")
        for _ in range(5):
            [delivery] = hooks.deliver(quiet)
            queued = time.time()
            line = eventually(
                lambda delivery=delivery: arrived(folder, delivery),  # type: ignore[misc]
                "the other organization's arrives",
                10,
            )
            assert float(line.split(" ")[2]) - queued < 1.0
        assert hooks.run(flying, slow)[0]["n"] <= most
        hooks.run("UPDATE webhooks SET deleted_at = now() WHERE organization_id = %s", slow)


def arrived(folder: Path, delivery: str) -> str:
    """What the receiver noted of a delivery."""
    lines = (folder / "requests").read_text().splitlines()
    return next((line for line in lines if line.startswith(delivery)), "")


@contextmanager
def serving(handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> Iterator[int]:
    """A server in a thread of its own; gives its port."""
    loop, port = asyncio.new_event_loop(), free_port()

    async def begin() -> None:
        await asyncio.start_server(handle, "127.0.0.1", port, backlog=1000)

    loop.run_until_complete(begin())
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
