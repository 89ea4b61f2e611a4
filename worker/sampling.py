"""Samples for the operators' page: what waits, each minute; how attempts ended, as this process counts them."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry

from database import Nobody, Pool, statement
from repositories.samples import Samples
from worker.context import Context, Periodic

LOOK_EVERY = 10.0  # seconds
ATTEMPTS = "ccb_webhook_attempts_total"


def begin(context: Context) -> Periodic:
    """The kind of work that this is."""
    return Periodic.in_thread(context, "sampling", Sampling(context.pool, context.registry).look, LOOK_EVERY)


class Sampling:
    """Takes the minute's samples, if this worker comes first, and adds what it has counted itself.

    :param registry: where attempts at webhooks are counted.
    """

    def __init__(self, pool: Pool, registry: CollectorRegistry) -> None:
        self._identity = Nobody(pool)
        self._registry = registry
        self._told: dict[tuple[str, str], float] = {}

    def look(self, stop: threading.Event) -> None:
        """Do what is due.

        :raises errors.Unavailable: the database is away, or somebody has locked a table; it is done later.
        """
        counted = self._counted()
        news = {key: number - self._told.get(key, 0.0) for key, number in counted.items()}
        if any(news.values()):
            with statement(self._identity) as connection:
                Samples(connection).add(news)
            self._told = counted
        with statement(self._identity) as connection:
            Samples(connection).take()
        with statement(self._identity) as connection:
            Samples(connection).take_sizes()

    def _counted(self) -> dict[tuple[str, str], float]:
        # of the whole registry some ask the database
        families = self._registry.restricted_registry([ATTEMPTS]).collect()
        return {
            ("attempts", sample.labels["outcome"]): sample.value
            for family in families
            for sample in family.samples
            if sample.name == ATTEMPTS
        }
