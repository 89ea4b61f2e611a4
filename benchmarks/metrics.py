"""`bin/bench --metrics`: how fast points go in, and how long a query over a month of them takes."""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import psycopg

from benchmarks import http_load, report
from benchmarks.calls import HttpRequest
from benchmarks.database import BenchmarkDatabase, benchmark_server, identifier, loaded_database
from benchmarks.web_process import WebProcess, gunicorn, service_environment
from database import ApiKey, Pool, statement, transaction
from repositories.metrics import Metrics
from schemas.metrics import MAX_BUCKETS, MetricQuery
from web.caller import digest

TEAMS, INTEGRATIONS_PER_TEAM = 100, 20
BATCHES = (1_000, 10_000)
STATEMENT_RATIO, HTTP_RATIO = 0.4, 0.2  # of a superuser's COPY of the same rows, at least
QUERY_SECONDS = 1.0

MONTH = Path(__file__).with_name("month_of_metrics.sql")

_COPY = """
COPY metrics (metric_name, metric_type, value, labels, integration_id, user_id, organization_id, recorded_at) FROM STDIN
"""
_QUERIES: dict[str, dict[str, str]] = {
    "by the hour": {"bucket": "PT1H"},
    "of one region": {"bucket": "PT1H", "labels": '{"region": "eu"}'},
    "of one integration": {"bucket": "PT1H", "integration_id": identifier("integration", 1)},
    "percentiles": {"bucket": "PT1H", "percentiles": "50,95,99"},
    "by the day and region": {"bucket": "P1D", "group_by": "region"},
}

Point = dict[str, Any]
Way = Callable[[list[Point]], Callable[[], object]]  # makes points ready, and gives what writes them


def main(*, rounds: int, rows: int, check: bool) -> int:
    """Measure; gives the exit status.

    :param rows: points of the month.
    """
    with benchmark_server() as server, loaded_database(server, TEAMS, INTEGRATIONS_PER_TEAM) as database:
        with _service(database) as port, _identity(database) as identity:
            ways = {"copy": _copier(database), "statement": _writer(identity), "http": _sender(database, port)}
            ingest = {batch: _ingest(database, ways, batch, rounds) for batch in BATCHES}
            queries = _query(database, identity, port, rows)
        conditions = {"postgresql": database.version(), "rounds": rounds, "rows": rows}
    print(f"\n{'batch':>9}{'COPY/s':>10}{'statement/s':>13}{'of COPY':>9}{'HTTP/s':>9}{'of COPY':>9}")
    for batch, rates in ingest.items():
        copied, stated, sent = (statistics.median(rates[name]) for name in ("copy", "statement", "http"))
        ratios = _ratio(rates, "statement"), _ratio(rates, "http")
        print(f"{batch:9}{copied:10.0f}{stated:13.0f}{ratios[0]:9.2f}{sent:9.0f}{ratios[1]:9.2f}")
    head = f"query of {rows:,} points"
    print(f"\n{head:36}{'buckets':>8}{'HTTP ms':>9}{'statement ms':>14}{'of it processor':>17}")
    for name, found in queries.items():
        print(f"{name:36}{found['buckets']:8}{found['http']:9.0f}{found['statement']:14.0f}{found['processor']:17.0f}")
    print(f"\nEverything: {report.keep({'conditions': conditions, 'ingest': ingest, 'queries': queries})}")
    reached = (
        all(_ratio(rates, "statement") >= STATEMENT_RATIO for rates in ingest.values())
        and all(_ratio(rates, "http") >= HTTP_RATIO for rates in ingest.values())
        and all(found["http"] <= 1000 * QUERY_SECONDS for found in queries.values())
    )
    print("reached" if reached else "missed")
    return 1 if check and not reached else 0


def _ingest(database: BenchmarkDatabase, ways: dict[str, Way], batch: int, rounds: int) -> dict[str, list[float]]:
    """Rows a second, round by round: the three ways write the same points, in turn."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        database.settle()
        points = _points(batch)
        for name in ways if number % 2 else reversed(ways):
            write = ways[name](points)
            began = time.perf_counter()
            for _ in range(max(1, 10_000 // batch)):
                write()
            seconds = time.perf_counter() - began
            if number >= 0:  # the first time everything is new
                rates[name].append(round(max(batch, 10_000) / seconds))
                print(
                    f"  {batch} {number + 1}/{rounds} {name:10} {rates[name][-1]:8.0f}/s", file=sys.stderr, flush=True
                )
    return rates


def _query(database: BenchmarkDatabase, identity: ApiKey, port: int, rows: int) -> dict[str, dict[str, float]]:
    """Milliseconds, the median of five: over HTTP, and of the statement in the database, its processor time too."""
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = (first - timedelta(days=1)).replace(day=1)
    with psycopg.connect(database.admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for part in MONTH.read_text("utf-8").split(";\n"):  # VACUUM is no part of a transaction
            connection.execute(part.encode(), {"month": month, "rows": rows})
    return {name: _ask(database, identity, port, {**query, **_span(month)}) for name, query in _QUERIES.items()}


def _ask(database: BenchmarkDatabase, identity: ApiKey, port: int, query: dict[str, str]) -> dict[str, float]:
    request = HttpRequest("GET", f"/api/v1/metrics/query?{urlencode(query)}")
    sent = request.encode(Authorization=f"Bearer {database.keys[0]}")
    http, stated, processor, buckets = [], [], [], 0
    for _ in range(5):
        http.append(http_load.measure(port, [sent], 0, 1).p50)
        with statement(identity) as connection:
            backend = connection._psycopg.info.backend_pid
            before, began = _processor_time(backend), time.perf_counter()
            buckets = len(Metrics(connection).buckets(most=MAX_BUCKETS, **MetricQuery().load(query)))
            stated.append(1000 * (time.perf_counter() - began))
            processor.append(1000 * (_processor_time(backend) - before))
    medians = {"http": http, "statement": stated, "processor": processor}
    return {"buckets": buckets, **{name: round(statistics.median(each), 1) for name, each in medians.items()}}


def _span(month: datetime) -> dict[str, str]:
    moments = {"recorded_after": month, "recorded_before": month + timedelta(days=31)}
    return {"metric_name": "request_seconds", **{name: f"{moment:%FT%TZ}" for name, moment in moments.items()}}


def _points(count: int) -> list[Point]:
    chance, now = random.Random(7), datetime.now(UTC)
    return [
        {
            "metric_name": chance.choice(("requests", "request_seconds", "queue_length", "errors")),
            "metric_type": "gauge",
            "value": round(1000 * chance.random(), 3),
            "labels": {"region": chance.choice(("eu", "us", "ap")), "host": f"web-{chance.randrange(20)}"},
            "integration_id": identifier("integration", 1 + TEAMS * chance.randrange(INTEGRATIONS_PER_TEAM)),
            "recorded_at": (now - timedelta(seconds=chance.randrange(3600))).isoformat(),
        }
        for _ in range(count)
    ]


def _copier(database: BenchmarkDatabase) -> Way:
    """A superuser's COPY: no policies, nothing to parse but text; the same foreign keys and indexes."""
    connection = psycopg.connect(database.admin_url, autocommit=True)
    whose = f"{identifier('user', 1)}\t{identifier('team', 1)}"

    def ready(points: list[Point]) -> Callable[[], object]:
        text = "".join(
            f"{each['metric_name']}\t{each['metric_type']}\t{each['value']}\t{orjson.dumps(each['labels']).decode()}"
            f"\t{each['integration_id']}\t{whose}\t{each['recorded_at']}\n"
            for each in points
        )

        def copy() -> None:
            with connection.cursor().copy(_COPY) as sink:
                sink.write(text)

        return copy

    return ready


def _writer(identity: ApiKey) -> Way:
    """The service's own way from checked points on, without HTTP and checks."""

    def ready(points: list[Point]) -> Callable[[], object]:
        def write() -> None:
            with transaction(identity) as connection:
                Metrics(connection).write(points, identifier("team", 1))

        return write

    return ready


def _sender(database: BenchmarkDatabase, port: int) -> Way:
    """POST /metrics, from a client that has its request ready."""

    def ready(points: list[Point]) -> Callable[[], object]:
        body: dict[str, object] = {"organization_id": identifier("team", 1), "points": points}
        request = HttpRequest("POST", "/api/v1/metrics", body).encode(Authorization=f"Bearer {database.keys[0]}")
        return lambda: http_load.measure(port, [request], 0, 1)

    return ready


@contextmanager
def _service(database: BenchmarkDatabase) -> Iterator[int]:
    log = database.settings.data_dir / "metrics.log"
    ready = [HttpRequest("GET", "/readyz").encode()]
    environment = service_environment(database.settings)
    with WebProcess("service", gunicorn("wsgi:app"), environment, lambda _: ready, log) as process:
        yield process.port


@contextmanager
def _identity(database: BenchmarkDatabase) -> Iterator[ApiKey]:
    pool = Pool(database.settings.service_database_url, database.settings)
    pool.open()
    try:
        yield ApiKey(pool, credential=digest(database.keys[0]))
    finally:
        pool.close()


def _processor_time(pid: int) -> float:
    """Seconds of processor time that a process has taken; 0 for one of another machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / 100


def _ratio(rates: dict[str, list[float]], way: str) -> float:
    """The median over the rounds of a way's rate by COPY's."""
    return statistics.median(mine / copied for mine, copied in zip(rates[way], rates["copy"], strict=True))
