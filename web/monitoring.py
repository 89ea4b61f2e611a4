"""What Prometheus is told: requests, the pool, streams, and the state of the database.

With `PROMETHEUS_MULTIPROC_DIR`, which gunicorn.conf.py sets, all web processes count into files there, and each of them
answers for all. Otherwise the process answers for itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

from flask import Flask, Response, request
from flask.globals import app_ctx, request_ctx
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from database import Identity, Nobody, Pool, statement
from errors import DomainError, Forbidden, Unauthenticated
from repositories.operations import Operations
from repositories.samples import Samples
from security import scrapers
from web.caller import address, nobody, settings
from web.event_streams import EventStreams

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SAMPLE_EVERY = 2.0  # seconds

TELL_EVERY = 15.0  # seconds
SLOW = 1  # seconds, one of SECONDS
TAKE_THEIR_TIME = ("/stream", "/export")

# gauges read from the database: name → description, and the labels that it is told apart by
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "queue_depth": ("What is due and waits, up to a million.", ("queue",)),
    "queue_oldest_seconds": ("For how long the oldest of it has waited.", ("queue",)),
    "executions_last_hour": ("Executions begun in the last hour, up to 100,000 of each kind.", ("kind", "status")),
    "webhooks_failing": ("Webhooks of which the last attempt failed.", ()),
    "partitions_ahead_months": ("Months until rows fall into fillers, of the partitioned table nearest to it.", ()),
    "partition_filler_rows": ("Rows in fillers that a month should have, up to 10,000 of each.", ("table",)),
    "backup_age_seconds": ("Since the last backup of any kind was made.", ()),
    "last_backup_age_seconds": ("Since the last backup was made.", ("kind",)),
    "last_drill_age_seconds": ("Since one was last restored elsewhere and found to be what it should.", ("kind",)),
    "wal_archiving_failing": ("1 where the last segment could not be archived.", ()),
    "wal_archiving_age_seconds": ("Since a segment was last archived.", ()),
    "maintenance_age_seconds": ("Since the last successful run ended.", ("task",)),
    "maintenance_failing": ("1 where the last run failed.", ("task",)),
    "database_connections": ("Connections to the server, of whomever.", ()),
    "database_connections_max": ("How many it takes.", ()),
    "transaction_id_age": ("Of the oldest database; at 2,147,483,648 the server stops.", ()),
    "replication_lag_bytes": ("Log that a standby has yet to take in.", ("standby",)),
    "replication_lag_seconds": ("By how much a standby is behind.", ("standby",)),
    "replication_slot_retained_bytes": ("Log that is kept for a slot.", ("slot",)),
}

logger = logging.getLogger("ccb.monitoring")


class Counted:
    """What was counted of one kind of answer since the last sample.

    The library's own counters lie in shared files and cost 27 µs a request; these cost 4.
    """

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(SECONDS) + 1)
        self.seconds = 0.0


class Monitoring:
    """What one process counts, and the text that it answers with.

    :param pool: the process's connections.
    :param streams: its open streams.
    """

    def __init__(self, pool: Pool, streams: EventStreams) -> None:
        self._pool = pool
        self._streams = streams
        self._own = CollectorRegistry()
        self._requests = Counter(
            "ccb_http_requests", "Answers by route and status.", ["route", "method", "status"], registry=self._own
        )
        self._seconds = Histogram(
            "ccb_http_request_seconds", "Until the answer began.", ["route", "method"], buckets=SECONDS,
            registry=self._own,
        )  # fmt: skip
        self._size = self._gauge("ccb_pool_connections", "Database connections.")
        self._in_use = self._gauge("ccb_pool_connections_in_use", "Database connections in use.")
        self._waiting = self._gauge("ccb_pool_waiting", "Requests that wait for a database connection.")
        self._open_streams = self._gauge("ccb_event_streams", "Open event streams.")
        self._waits = Counter("ccb_pool_waits", "Requests that had to wait for one.", registry=self._own)
        self._waits_seen = 0
        self._counted: dict[tuple[str, str, int], Counted] = {}
        self._untold: defaultdict[tuple[str, str], float] = defaultdict(float)

    def count(self, answer: Response) -> Response:
        """Count an answer."""
        asked = request_ctx.request
        rule = asked.url_rule
        # what matches no route may be of any method and any path, each of which would be kept for ever
        route, method = ("unmatched", "other") if rule is None else (rule.rule, asked.method)
        key = route, method, answer.status_code
        counted = self._counted.get(key)
        if counted is None:
            counted = self._counted[key] = Counted()
        seconds = time.perf_counter() - app_ctx.g.began
        counted.buckets[bisect_left(SECONDS, seconds)] += 1
        counted.seconds += seconds
        return answer

    def sample(self) -> None:
        """Take down what was counted since, and how the pool and the streams are."""
        counted, self._counted = self._counted, {}
        for (route, method, status), each in counted.items():
            self._requests.labels(route, method, str(status)).inc(sum(each.buckets))
            seconds = self._seconds.labels(route, method)
            # observe() takes one at a time
            seconds._sum.inc(each.seconds)
            for bucket, number in zip(seconds._buckets, each.buckets, strict=True):
                if number:
                    bucket.inc(number)
            self._keep(route, method, status, each)
        now = self._pool.statistics()
        self._size.set(now["pool_size"])
        self._in_use.set(now["in_use"])
        self._waiting.set(now["requests_waiting"])
        self._open_streams.set(len(self._streams))
        self._waits.inc(now["waits"] - self._waits_seen)
        self._waits_seen = now["waits"]

    def tell(self) -> None:
        """Add what was sampled since to the database's samples, of which the operators' page draws its charts."""
        told, self._untold = self._untold, defaultdict(float)
        if not told:
            return
        try:
            with statement(Nobody(self._pool)) as connection:
                Samples(connection).add(told)
        except DomainError as error:
            logger.info("samples are kept for later: %s", error)
            for key, amount in told.items():
                self._untold[key] += amount

    def begin(self) -> None:
        """Sample from now on, as long as the process lives: another process may be the one that is asked."""

        def sampling() -> None:
            told = time.monotonic()
            while True:
                self.sample()
                if time.monotonic() > told + TELL_EVERY:
                    self.tell()
                    told = time.monotonic()
                time.sleep(SAMPLE_EVERY)

        threading.Thread(target=sampling, name="monitoring", daemon=True).start()

    def text(self, identity: Identity) -> bytes:
        """Everything, in Prometheus's text format.

        :param identity: reads the gauges of the database.
        """
        self.sample()
        state = CollectorRegistry()
        state.register(DatabaseCollector(identity))
        return generate_latest(self._of_all()) + generate_latest(state)

    def answers(self) -> dict[str, int]:
        """How many answers of each status all processes have given since the service began."""
        self.sample()
        found: defaultdict[str, int] = defaultdict(int)
        for family in self._of_all().collect():
            for sample in family.samples:
                if sample.name == "ccb_http_requests_total":
                    found[sample.labels["status"]] += round(sample.value)
        return dict(found)

    def _of_all(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._own
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry

    def _keep(self, route: str, method: str, status: int, each: Counted) -> None:
        number = sum(each.buckets)
        self._untold["requests", ""] += number
        self._untold["request_seconds", ""] += each.seconds
        if status >= 500:
            self._untold["failed_requests", f"{method} {route}"] += number
        slow = sum(each.buckets[SECONDS.index(SLOW) + 1 :])
        if slow and not route.endswith(TAKE_THEIR_TIME):
            self._untold["slow_requests", f"{method} {route}"] += slow

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(name, description, registry=self._own, multiprocess_mode="livesum")


class DatabaseCollector(Collector):
    """Asks the database when Prometheus asks; without it the rest is told all the same."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def collect(self) -> Iterator[Metric]:
        """The gauges, and whether they could be read."""
        rows: Iterable[dict[str, object]] = ()
        up = 1
        try:
            with statement(self._identity) as connection:
                rows = Operations(connection).gauges()
        except DomainError as error:
            up = 0
            logger.warning("the database could not be measured: %s", error)
        yield GaugeMetricFamily("ccb_database_up", "Whether the database could be asked.", up)
        for name, (description, labels) in GAUGES.items():
            family = GaugeMetricFamily(f"ccb_{name}", description, labels=labels)
            for row in rows:
                if row["gauge"] == name:
                    given = str(row["label"]).split(" ", len(labels) - 1) if labels else []
                    family.add_metric(given, float(str(row["value"])))
            yield family

    def describe(self) -> Iterator[Metric]:
        """Nothing: so that registering asks no database."""
        return iter(())


def register(app: Flask) -> None:
    """Count every answer of `app`."""
    monitoring = Monitoring(app.extensions["pool"], app.extensions["event_streams"])
    app.extensions["monitoring"] = monitoring
    app.after_request(monitoring.count)


def expect_scraper() -> None:
    """Let Prometheus in: by METRICS_TOKEN where there is one, from this machine otherwise.

    :raises errors.Unauthenticated: the token is missing or wrong.
    :raises errors.Forbidden: there is no token, and the request comes from elsewhere, or through a proxy.
    """
    token = settings().metrics_token
    if token:
        if not scrapers.bears(request.headers.get("Authorization", ""), token):
            raise Unauthenticated(scrapers.MISSING_TOKEN)
        return
    forwarded = bool({"HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED"} & request.environ.keys())
    if not scrapers.is_this_machine(address(), forwarded=forwarded):
        raise Forbidden(scrapers.FROM_ELSEWHERE)


def metrics(monitoring: Monitoring) -> Response:
    """The answer to Prometheus."""
    return Response(monitoring.text(nobody()), content_type=CONTENT_TYPE_LATEST)
