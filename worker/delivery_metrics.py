"""What the worker counts of webhook deliveries."""

from __future__ import annotations

import logging
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from database import statement
from repositories.delivery_queue import Delivery, DeliveryQueue, Report
from worker.context import PASSING, Context

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)

logger = logging.getLogger("ccb.webhooks")


class DeliveryMetrics:
    """Counters of one worker process, and the state of the queue that all share.

    :param in_flight: how many deliveries this process holds.
    """

    def __init__(self, context: Context, in_flight: Callable[[], int]) -> None:
        registry = context.registry
        self._attempts = Counter(
            "ccb_webhook_attempts", "Attempts by what became of them.", ["outcome"], registry=registry
        )
        self._seconds = Histogram(
            "ccb_webhook_attempt_seconds", "How long attempts took.", buckets=SECONDS, registry=registry
        )
        self._waited = Histogram(
            "ccb_webhook_wait_seconds", "From being due to being claimed.", buckets=SECONDS, registry=registry
        )
        self._claims = Counter("ccb_webhook_claims", "Claims, empty ones too.", registry=registry)
        Gauge("ccb_webhook_in_flight", "Claimed and not yet reported.", registry=registry).set_function(in_flight)
        registry.register(QueueCollector(context))

    def claimed(self, deliveries: Sequence[Delivery]) -> None:
        """Count a claim."""
        self._claims.inc()
        for each in deliveries:
            self._waited.observe(each.waited)

    def reported(self, reports: Sequence[Report], taken: set[str]) -> None:
        """Count reports; those that were not taken in are `stale`."""
        outcomes = Tally(each.outcome if each.delivery.id in taken else "stale" for each in reports)
        for outcome, number in outcomes.items():
            self._attempts.labels({"pending": "failed"}.get(outcome, outcome)).inc(number)
        for each in reports:
            self._seconds.observe(each.seconds)


class QueueCollector(Collector):
    """Asks the database when Prometheus asks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """The queue's depth, up to a million, and the age of what has been due for longest."""
        try:
            with statement(self._context.identity()) as connection:
                waiting = DeliveryQueue(connection).waiting()
        except PASSING as error:
            logger.warning("the queue could not be measured: %s", error)
            return
        yield GaugeMetricFamily("ccb_webhook_due", "Deliveries that are due, up to a million.", waiting["due"])
        yield GaugeMetricFamily(
            "ccb_webhook_oldest_due_seconds", "For how long the oldest has been.", waiting["oldest"]
        )

    def describe(self) -> Iterator[Metric]:
        """Nothing: so that registering asks no database."""
        return iter(())
