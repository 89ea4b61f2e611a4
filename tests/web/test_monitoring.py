"""What Prometheus is told, by gunicorn's processes together."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Database
from tests.service import Answer, Client, Service
from tests.waiting import eventually

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(answer: Answer) -> Samples:
    """What a scrape holds, by name and labels."""
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.body.decode())
    found = [sample for family in families for sample in family.samples]
    made = {(each.name, frozenset(each.labels.items())): each.value for each in found}
    assert len(made) == len(found)  # nothing is told twice
    return made


def value(scraped: Samples, name: str, **labels: str) -> float:
    """One number; 0 for what has not happened."""
    return scraped.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture(scope="module")
def watched(module_database: Database) -> Iterator[Service]:
    """Two processes that nobody else asks."""
    with Service(
        module_database.settings(web_workers=2, data_dir=module_database.databases.folder / "watched")
    ) as made:
        made.database = module_database
        yield made


def test_requests_of_all_processes_are_counted(watched: Service) -> None:
    client = watched.client()
    before = samples(client.get("!/metrics"))
    for number in range(20):
        client.get("/me")
        client.call("BREW", f"/nowhere/{number}")
        client.get("/integrations/0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11")
    after: Samples = {}

    def counted(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    def all_told() -> bool:
        # the other process takes down its counts every other second
        after.update(samples(client.get("!/metrics")))
        return counted("ccb_http_requests_total", route="/api/v1/me", method="GET", status="401") == 20

    eventually(all_told, "all processes have taken down their counts", 10)
    one = "/api/v1/integrations/<uuid:integration_id>"
    assert counted("ccb_http_requests_total", route=one, method="GET", status="401") == 20
    assert counted("ccb_http_requests_total", route="unmatched", method="other", status="404") == 20
    assert counted("ccb_http_request_seconds_count", route="/api/v1/me", method="GET") == 20
    assert counted("ccb_http_request_seconds_bucket", route="/api/v1/me", method="GET", le="+Inf") == 20
    assert 0 < counted("ccb_http_request_seconds_sum", route="/api/v1/me", method="GET") < 20
    routes = {dict(labels).get("route", "") for _, labels in after}
    assert not [route for route in routes if "nowhere" in route or "0b0f3f1e" in route]


def test_the_pool_and_the_database(watched: Service) -> None:
    scraped = samples(watched.client().get("!/metrics"))
    assert value(scraped, "ccb_database_up") == 1
    assert value(scraped, "ccb_pool_connections") >= 1
    assert ("ccb_pool_waits_total", frozenset()) in scraped
    for queue in ("deliveries", "executions", "mail", "health_checks"):
        assert ("ccb_queue_depth", frozenset({("queue", queue)})) in scraped
    assert 3 <= value(scraped, "ccb_partitions_ahead_months") <= 4.1
    assert not [name for name, _ in scraped if name in ("ccb_backup_age_seconds", "ccb_last_backup_age_seconds")]


def test_what_waits_and_what_fails(watched: Service) -> None:
    with watched.database.admin() as admin:
        admin.execute(
            "INSERT INTO mail_messages (kind, recipient, run_after) VALUES ('reset_password', 'a@example.org', now() -"
            " interval '1 hour'), ('reset_password', 'b@example.org', now() + interval '1 hour')"
        )
        admin.execute(
            "INSERT INTO maintenance_runs (task, outcome, started_at, ended_at) VALUES"
            " ('one', 'succeeded', now() - interval '2 hours', now() - interval '2 hours'),"
            " ('one', 'failed', now() - interval '1 hour', now() - interval '1 hour'),"
            " ('two', 'failed', now() - interval '2 hours', now() - interval '2 hours'),"
            " ('two', 'succeeded', now() - interval '1 hour', now() - interval '1 hour'),"
            " ('two', 'running', now(), NULL)"
        )
        admin.execute("SELECT record_backup('a.dump', 1, 'abc', false)")
        admin.execute("UPDATE backups SET created_at = now() - interval '1 hour'")
        admin.execute("SELECT record_backup('base_1', 1, 'abc', true, 'base')")
    scraped = samples(watched.client().get("!/metrics"))
    assert value(scraped, "ccb_queue_depth", queue="mail") == 1
    assert value(scraped, "ccb_queue_oldest_seconds", queue="mail") == pytest.approx(3600, abs=60)
    assert value(scraped, "ccb_maintenance_failing", task="one") == 1
    assert value(scraped, "ccb_maintenance_failing", task="two") == 0
    assert value(scraped, "ccb_maintenance_age_seconds", task="one") == pytest.approx(7200, abs=60)
    assert value(scraped, "ccb_maintenance_age_seconds", task="two") == pytest.approx(3600, abs=60)
    assert 0 <= value(scraped, "ccb_backup_age_seconds") < 60
    assert 0 <= value(scraped, "ccb_last_backup_age_seconds", kind="base") < 60
    assert 3600 <= value(scraped, "ccb_last_backup_age_seconds", kind="dump") < 3660
    assert 0 <= value(scraped, "ccb_last_drill_age_seconds", kind="base") < 60
    assert [name for name, _ in scraped].count("ccb_last_drill_age_seconds") == 1


def test_a_process_that_died_has_nothing_open(watched: Service) -> None:
    """Its gauges go, its counters stay."""
    client = watched.client()
    before: Samples = {}

    def counted() -> bool:
        client.get("/me")
        before.update(samples(client.get("!/metrics")))
        return value(before, "ccb_http_requests_total", route="/api/v1/me", method="GET", status="401") >= 1

    eventually(counted, "something was counted", 10)
    folder = watched.settings.data_dir / f"metrics-{watched.port}"
    (first, *_) = sorted(folder.glob("gauge_livesum_*.db"))
    os.kill(int(first.stem.rpartition("_")[2]), signal.SIGKILL)
    eventually(lambda: not first.exists(), "the master has noticed", 15)
    after = samples(eventually_answered(watched))
    name, labels = "ccb_http_requests_total", {"route": "/api/v1/me", "method": "GET", "status": "401"}
    assert value(after, name, **labels) >= value(before, name, **labels) >= 1


def eventually_answered(service: Service) -> Answer:
    """A scrape, once the connections that the killed process had accepted are gone."""
    answers: list[Answer] = []

    def answered() -> bool:
        try:
            answers.append(service.client().get("!/metrics"))
        except OSError:
            return False
        return True

    eventually(answered, "somebody answers", 15)
    return answers[-1]


def test_only_this_machine_is_let_in_without_a_token(watched: Service) -> None:
    client = watched.client()
    for header in ("X-Forwarded-For", "Forwarded"):
        answer = client.get("!/metrics", headers={header: "127.0.0.1"})
        assert (answer.status, answer.code) == (403, "permission_denied")
    assert Client(watched.port, source="127.1.0.7").get("!/metrics").status == 200


def test_with_a_token_nobody_is_let_in_without_it(module_database: Database) -> None:
    with Service(module_database.settings(metrics_token="a token", web_workers=1)) as service:
        client = service.client()
        for headers in ({}, {"Authorization": "Bearer another"}, {"Authorization": "Basic a token"},
                        {"Authorization": "Bearer \xe9"}):  # fmt: skip
            answer = client.get("!/metrics", headers=headers)
            assert (answer.status, answer.code) == (401, "unauthenticated"), headers
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        through = {"Authorization": "Bearer a token", "X-Forwarded-For": "192.0.2.1"}
        assert samples(client.get("!/metrics", headers=through))


def test_without_the_database_the_rest_is_told(module_database: Database) -> None:
    nowhere = "postgresql://ccb_service@127.0.0.1:1/nowhere"
    settings = module_database.settings(service_database_url=nowhere, pool_timeout=0.2, web_workers=1)
    with Service(settings) as service:
        scraped = samples(service.client().get("!/metrics"))
    assert value(scraped, "ccb_database_up") == 0
    assert value(scraped, "ccb_http_requests_total", route="/healthz", method="GET", status="200") >= 1
    assert not [name for name, _ in scraped if name == "ccb_queue_depth"]
