"""The worker's own pages, and who may read its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.webhooks.processes import free_port, worker
from tests.conftest import Database
from tests.service import Client
from tests.waiting import eventually


@contextmanager
def running(database: Database, folder: Path, **settings: str) -> Iterator[Client]:
    """A worker that answers."""
    port = free_port()
    client = Client(port)

    def answers() -> bool:
        try:
            return client.get("!/readyz").status == 200
        except OSError:
            return False

    with worker(database.settings(), folder / "log", WORKER_PORT=port, **settings):
        eventually(answers, "the worker is ready", 30)
        yield client


def test_only_this_machine_reads_metrics_without_a_token(module_database: Database, tmp_path: Path) -> None:
    with running(module_database, tmp_path) as client:
        scrape = client.get("!/metrics")
        assert scrape.status == 200
        text = scrape.body.decode()
        for name in ("ccb_pool_connections", "ccb_pool_connections_in_use", "ccb_pool_waiting", "ccb_pool_waits_total"):
            assert f"\n{name} " in text
        for header in ("X-Forwarded-For", "Forwarded"):
            refused = client.get("!/metrics", headers={header: "127.0.0.1"})
            assert (refused.status, b"ccb_" in refused.body) == (403, False)


def test_with_a_token_nobody_does_without_it(module_database: Database, tmp_path: Path) -> None:
    with running(module_database, tmp_path, METRICS_TOKEN="a token") as client:
        for headers in ({}, {"Authorization": "Bearer another"}, {"Authorization": "Basic a token"},
                        {"Authorization": "Bearer \xe9"}):  # fmt: skip
            refused = client.get("!/metrics", headers=headers)
            assert (refused.status, b"ccb_" in refused.body) == (401, False), headers
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        through = {"Authorization": "Bearer a token", "X-Forwarded-For": "192.0.2.1"}
        assert client.get("!/metrics", headers=through).status == 200
        assert client.get("!/healthz").status == 200
