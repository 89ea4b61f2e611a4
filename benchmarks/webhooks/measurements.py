"""`bin/bench --webhooks`: deliveries a second by the bare loop's, delay on an idle system, and fairness."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import processor_time
from benchmarks.database import KEYS, BenchmarkDatabase, benchmark_server, loaded_database
from benchmarks.webhooks import processes
from config import ROOT
from tests.worker.hooks import Hooks

CLIENTS = 64
BACKLOG = 100_000
DELAYS = 100


def run(rounds: int, seconds: float) -> None:
    """Measure all three and print what came out."""
    with benchmark_server() as server, loaded_database(server, teams=KEYS, integrations_per_team=20) as database:
        hooks = Hooks(database.admin_url, database.settings.encryption_keys[0])
        try:
            for workers in sorted({1, os.cpu_count() or 1}):
                throughput(database, hooks, rounds, seconds, workers)
            delay(database, hooks)
            fairness(database, hooks)
        finally:
            hooks.close()


def throughput(database: BenchmarkDatabase, hooks: Hooks, rounds: int, seconds: float, workers: int) -> None:
    """Deliveries of 1 kB to a local endpoint by what the bare loop posts to it, in turn.

    :param workers: processes that deliver; the bare loop is one.
    """
    port, log = processes.free_port(), _log()
    ratios = []
    with processes.receiver(port, log) as receiver:
        webhooks = [
            hooks.webhook(hooks.organization(), f"http://127.0.0.1:{port}/{n}", max_concurrency=100) for n in range(20)
        ]
        for number in range(rounds):
            bare, bare_time = _bare(port, seconds)
            for each in webhooks:
                hooks.deliver(each, int(bare * (seconds + 2) / len(webhooks)), payload=_payload())
            database.settle()
            with ExitStack() as stack:
                delivering = [stack.enter_context(_worker(database, log)) for _ in range(workers)]
                watched = ([each.pid for each in delivering], [database.process()], [receiver.pid])
                before = _count(port)
                _until(lambda before=before: _count(port) > before + 1000 * workers)  # type: ignore[misc]
                spent = [sum(map(processor_time.of_tree, pids)) for pids in watched]
                began, first = time.perf_counter(), _count(port)
                time.sleep(seconds)
                number_delivered = _count(port) - first
                delivered = number_delivered / (time.perf_counter() - began)
                costs = [
                    1e6 * (sum(map(processor_time.of_tree, pids)) - before) / number_delivered
                    for pids, before in zip(watched, spent, strict=True)
                ]
                for worker in delivering:
                    worker.stop()
            hooks.run("DELETE FROM webhook_deliveries")
            hooks.run("VACUUM webhook_deliveries, webhook_delivery_leases")
            ratios.append(delivered / bare)
            print(
                f"  {number + 1}/{rounds} bare {bare:7.0f}/s ({bare_time:.0f} µs)  delivered {delivered:7.0f}/s"
                f" (workers {costs[0]:.0f} µs, PostgreSQL {costs[1]:.0f}, receiver {costs[2]:.0f})"
                f"  load {os.getloadavg()[0]:.1f}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    print(
        f"deliveries of {workers} worker(s) by the bare loop's: {statistics.median(ratios):.2f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f}), wanted 0.50"
    )


def delay(database: BenchmarkDatabase, hooks: Hooks) -> None:
    """From the commit of the change to the arrival at the receiver, one at a time on an idle system."""
    port, log, requests = processes.free_port(), _log(), _log()
    with processes.receiver(port, log, requests=requests), _worker(database, log):
        webhook = hooks.webhook(hooks.organization(), f"http://127.0.0.1:{port}/")
        hooks.run("UPDATE webhooks SET events = '{integration.updated}' WHERE id = %s", webhook)
        rename = "UPDATE integrations SET name = %s WHERE id = (SELECT integration_id FROM webhooks WHERE id = %s)"
        hooks.run(rename, "warm", webhook)
        _until(lambda: bool(requests.read_text()))
        delays = []
        for number in range(DELAYS):
            hooks.run(rename, f"name {number}", webhook)
            committed = time.time()
            _until(lambda number=number: len(requests.read_text().splitlines()) == number + 2)  # type: ignore[misc]
            delays.append(1000 * (float(requests.read_text().splitlines()[-1].split(" ")[2]) - committed))
    ordered = sorted(delays)
    print(
        f"commit to arrival: median {statistics.median(ordered):.1f} ms, p99 {ordered[int(0.99 * DELAYS)]:.1f} ms,"
        " wanted a median below 50"
    )


def fairness(database: BenchmarkDatabase, hooks: Hooks) -> None:
    """How long another organization's first delivery takes while one organization has 100,000 waiting."""
    port, log, requests = processes.free_port(), _log(), _log()
    with processes.receiver(port, log), processes.receiver(other := processes.free_port(), log, requests=requests):
        noisy = hooks.organization()
        for number in range(10):
            webhook = hooks.webhook(noisy, f"http://127.0.0.1:{port}/{number}")
            hooks.deliver(webhook, BACKLOG // 10, payload=_payload())
        quiet = [hooks.webhook(hooks.organization(), f"http://127.0.0.1:{other}/{number}") for number in range(10)]
        with _worker(database, log):
            _until(lambda: _count(port) > 1000)
            delays = []
            for number, each in enumerate(quiet):
                hooks.deliver(each)
                committed = time.time()
                _until(lambda number=number: len(requests.read_text().splitlines()) == number + 1)  # type: ignore[misc]
                delays.append(float(requests.read_text().splitlines()[-1].split(" ")[2]) - committed)
        waiting = hooks.run("SELECT count(*) AS n FROM webhook_deliveries WHERE status = 'pending'")[0]["n"]
    print(
        f"behind {BACKLOG:,} of another organization ({waiting:,} still wait): {max(delays):.2f} s at most, wanted 1.00"
    )


def _worker(database: BenchmarkDatabase, log: Path) -> processes.Process:
    return processes.worker(replace(database.settings), log)


def _bare(port: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and microseconds of processor time for each."""
    command = [sys.executable, "-m", "benchmarks.webhooks.bare_loop", str(port), str(seconds), str(CLIENTS)]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split()
    return float(printed[0]), float(printed[1])


def _count(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return int(connection.getresponse().read())
    except OSError:
        return 0
    finally:
        connection.close()


def _until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the worker does not deliver")
        time.sleep(0.005)


def _payload() -> str:
    return '{"type": "integration.updated", "timestamp": "2026-01-01T00:00:00Z", "data": "' + "x" * 940 + '"}'


def _log() -> Path:
    return Path(tempfile.mkstemp(prefix="bench-webhooks-", suffix=".log")[1])
