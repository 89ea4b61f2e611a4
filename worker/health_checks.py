"""Checks of integrations' health that somebody asked for: claimed in batches, asked side by side."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from database import Nobody, Pool, statement
from outbound import OutboundClient, OutboundFailure
from repositories.health_check_queue import Finding, HealthCheck, HealthCheckQueue
from worker.context import Context, Periodic

LOOK_EVERY = 1.0  # seconds
BATCH = 50
TIMEOUT = 10.0  # seconds that an integration has to answer
LEASE_SECONDS = 30.0

# nobody was asked: what stands in the integration leads nowhere
NOT_ASKED = ("invalid_url", "invalid_request", "address_refused")

Result = TypeVar("Result")

logger = logging.getLogger("ccb.health_checks")


def begin(context: Context) -> Periodic:
    """The kind of work that this is."""
    return Periodic(context, "health checks", HealthChecks(context.pool, context.outbound).look, LOOK_EVERY)


class HealthChecks:
    """Checks what is due, whichever of many workers comes first.

    :param outbound: the guarded client, opened.
    """

    def __init__(self, pool: Pool, outbound: OutboundClient) -> None:
        self._pool = pool
        self._outbound = outbound

    async def look(self) -> int:
        """Do a batch; gives how many were due.

        :raises errors.Unavailable: the database is away. What was claimed is taken up again when its lease ends.
        """
        due = await self._ask(lambda queue: queue.claim(BATCH, LEASE_SECONDS))
        await asyncio.gather(*map(self._check, due))
        return len(due)

    async def _check(self, check: HealthCheck) -> None:
        finding = await find_out(self._outbound, check.url)
        if not await self._ask(lambda queue: queue.complete(check, finding)):
            logger.warning("health check %s had gone to another worker", check.id)

    async def _ask(self, question: Callable[[HealthCheckQueue], Result]) -> Result:
        def answer() -> Result:
            with statement(Nobody(self._pool)) as connection:
                return question(HealthCheckQueue(connection))

        return await asyncio.to_thread(answer)


async def find_out(outbound: OutboundClient, url: str | None) -> Finding:
    """Ask an integration how it is. Healthy is a 2xx; redirects on the same host are followed."""
    if url is None:
        return Finding("failed", error_message="The integration has no health_check_url any more.")
    began = time.monotonic()
    try:
        answer = await outbound.request("GET", url, timeout=TIMEOUT, body_limit=0, redirects=3)
    except OutboundFailure as failure:
        status = "failed" if failure.code in NOT_ASKED else "unhealthy"
        return Finding(status, latency_ms=_since(began), error_message=failure.detail)
    if 200 <= answer.status < 300:
        return Finding("healthy", answer.status, _since(began))
    return Finding("unhealthy", answer.status, _since(began), f"The answer was {answer.status}.")


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
