"""Delivering webhooks: claims batches, attempts them side by side, reports batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from database import statement
from errors import Unavailable
from repositories.delivery_queue import Claim, Delivery, DeliveryQueue, Report
from security.encryption import Cipher
from worker.attempts import Attempts, plain
from worker.context import PASSING, Context, wait_for_any
from worker.delivery_metrics import DeliveryMetrics

CHANNEL = "webhook_deliveries"
SHORTEST_LOOK, LONGEST_LOOK = 0.05, 1.0  # seconds between looks that found nothing: twice as long each time
LOOKS_IN_A_ROW = 16  # without a pause, where one look does not get round all organizations
PAUSE = 1.0  # seconds after a fault of the database
GATHER = 0.01  # seconds for which reports are gathered while there are many
LARGEST_REPORT = 500

Result = TypeVar("Result")

logger = logging.getLogger("ccb.webhooks")


def begin(context: Context) -> WebhookDeliveries:
    """The kind of work that this is."""
    return WebhookDeliveries(context)


class WebhookDeliveries:
    """Three loops: one claims, one reports, one keeps leases alive and takes over those of workers that are gone."""

    name = "webhook deliveries"

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._context = context
        self._attempts = Attempts(context.outbound, Cipher(settings.encryption_keys), settings.webhook_timeout)
        self._metrics = DeliveryMetrics(context, lambda: len(self._flying) + len(self._reports))
        self._lease_seconds = settings.webhook_lease_seconds
        self._most = settings.webhook_concurrency
        self._flying: dict[str, tuple[Delivery, asyncio.Task[None]]] = {}
        self._reports: list[Report] = []
        # each is cleared by the one loop that waits for it, and by nobody else
        self._wake = asyncio.Event()
        self._roomy = asyncio.Event()
        self._landed = asyncio.Event()
        self._done = asyncio.Event()
        self._last_organization: str | None = None
        context.wake_on(CHANNEL, self._wake.set)

    async def run(self) -> None:
        """Deliver until asked to stop; then let what is under way end, and report it."""
        self._done.clear()
        loops = [asyncio.create_task(each()) for each in (self._report, self._keep_leases)]
        try:
            await self._claim()
            await self._drain()
        finally:
            self._done.set()
            self._landed.set()
            await self._give_back()
            await asyncio.gather(*loops)

    async def _claim(self) -> None:
        stop = self._context.stop.asked
        look, looks = SHORTEST_LOOK, 0
        while not stop.is_set():
            # not for a few, where more are about to be free: a claim costs nearly as much for one as for a hundred
            if self._room() < self._most // 2:
                self._roomy.clear()
                await wait_for_any([self._roomy, stop], SHORTEST_LOOK)
            room = self._room()
            if room <= 0:
                continue
            if len(self._reports) > 4 * self._most:
                await wait_for_any([stop], SHORTEST_LOOK)
                continue
            self._wake.clear()
            try:
                claim = await self._ask(lambda queue, room=room: self._claimed(queue, room))  # type: ignore[misc]
            except PASSING as error:
                logger.warning("nothing could be claimed: %s", error)
                await wait_for_any([stop], PAUSE)
                continue
            self._metrics.claimed(claim.deliveries)
            for each in claim.deliveries:
                self._flying[each.lease_token] = each, asyncio.create_task(self._attempt(each))
            if claim.deliveries:
                self._last_organization = claim.ended_at or claim.deliveries[-1].organization_id
                look, looks = SHORTEST_LOOK, 0
                continue
            self._last_organization = claim.ended_at or self._last_organization
            looks += 1
            if claim.ended_at and looks < LOOKS_IN_A_ROW:
                continue  # it has not gone round yet
            looks = 0
            await wait_for_any([self._wake, stop], look)
            look = SHORTEST_LOOK if self._wake.is_set() else min(2 * look, LONGEST_LOOK)

    def _room(self) -> int:
        return self._most - len(self._flying)

    def _claimed(self, queue: DeliveryQueue, room: int) -> Claim:
        settings = self._context.settings
        return queue.claim(
            room,
            lease_seconds=self._lease_seconds,
            after_organization=self._last_organization,
            at_once=settings.webhook_endpoint_concurrency,
            at_once_of_organization=settings.webhook_organization_concurrency,
        )

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            report = await self._attempts.make(delivery)
        except Exception:  # a fault of ours: the lease runs out, and it is tried again
            logger.exception("an attempt failed")
            return
        finally:
            self._flying.pop(delivery.lease_token, None)
            if self._room() >= self._most // 2:
                self._roomy.set()
        self._reports.append(report)
        self._landed.set()

    async def _report(self) -> None:
        largest = LARGEST_REPORT
        while not (self._done.is_set() and not self._reports):
            if not self._reports:
                self._landed.clear()
                await wait_for_any([self._landed, self._done], LONGEST_LOOK)
                continue
            if len(self._flying) > 32 and len(self._reports) < 64:
                await asyncio.sleep(GATHER)
            batch = self._reports[:largest]
            try:
                taken, deferred = await self._ask(lambda queue, batch=batch: queue.complete(batch))  # type: ignore[misc]
            except Unavailable as error:
                logger.warning("%d reports could not be made: %s", len(batch), error)
                await asyncio.sleep(PAUSE)
                continue
            except PASSING as error:  # one of them is refused: find it, and let the others pass
                logger.warning("%d reports were refused: %s", len(batch), error)
                largest = max(1, len(batch) // 2)
                if len(batch) == 1:
                    self._reports.append(plain(self._reports.pop(0)))
                    await asyncio.sleep(PAUSE)
                continue
            largest = LARGEST_REPORT
            self._reports[: len(batch)] = [each for each in batch if each.delivery.id in deferred]
            self._metrics.reported([each for each in batch if each.delivery.id not in deferred], taken)
            if len(self._reports) == len(deferred):  # there is nothing else
                await asyncio.sleep(SHORTEST_LOOK)
            self._wake.set()  # of a webhook with a limit or an order, the next can go

    async def _keep_leases(self) -> None:
        pause = self._lease_seconds / 3
        while not self._done.is_set():
            await wait_for_any([self._done], pause)
            held = [delivery for delivery, _ in self._flying.values()] + [each.delivery for each in self._reports]
            try:
                if held:
                    kept = await self._ask(lambda queue, held=held: queue.extend(held, self._lease_seconds))  # type: ignore[misc]
                    self._abandon({each.lease_token for each in held if each.id not in kept})
                if await self._ask(DeliveryQueue.recover):
                    self._wake.set()
            except PASSING as error:
                logger.warning("leases could not be kept: %s", error)

    def _abandon(self, lost: set[str]) -> None:
        """Somebody else has these by now."""
        for each in lost & self._flying.keys():
            self._flying[each][1].cancel()

    async def _drain(self) -> None:
        tasks = [task for _, task in self._flying.values()]
        if tasks:
            await asyncio.wait(tasks)

    async def _give_back(self) -> None:
        """What is still under way although it should have ended is cancelled, and anybody's again."""
        held = list(self._flying.values())
        for _, task in held:
            task.cancel()
        if held:
            try:
                await self._ask(lambda queue: queue.release([delivery for delivery, _ in held]))
            except PASSING as error:
                logger.warning("%d leases could not be given back: %s", len(held), error)

    async def _ask(self, question: Callable[[DeliveryQueue], Result]) -> Result:
        def ask() -> Result:
            with statement(self._context.identity()) as connection:
                return question(DeliveryQueue(connection))

        return await asyncio.to_thread(ask)
