"""The worker's process: begins each kind of work, and ends when they have finished what they hold."""

from __future__ import annotations

import asyncio
import logging
import signal

import uvloop
from prometheus_client import CollectorRegistry

import logs
from config import ConfigurationError, Settings
from database import Pool
from database.memory import settle
from outbound import OutboundClient
from worker import health_checks, mail, maintenance, sampling, status_server, webhook_deliveries
from worker.context import Begin, Context, Stop, Work
from worker.listening import Listening
from worker.pool_metrics import PoolCollector

#: Every kind of work. One more is a file of its own, and a line here.
KINDS: tuple[Begin, ...] = (
    maintenance.begin, mail.begin, health_checks.begin, webhook_deliveries.begin, sampling.begin,
)  # fmt: skip

GRACE = 25.0  # seconds to finish in; the supervisor gives ten more
BEGIN_ANEW = 1.0

logger = logging.getLogger("ccb.worker")


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; a second one does not wait for what is under way.

    :raises config.ConfigurationError: a setting is missing or wrong.
    """
    if not settings.worker_database_url:
        raise ConfigurationError("WORKER_DATABASE_URL is not set; bin/serve derives it")
    if not settings.encryption_keys:
        raise ConfigurationError("ENCRYPTION_KEYS should hold at least one Fernet key")
    logs.configure(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(settings))


async def work(settings: Settings, kinds: tuple[Begin, ...] = KINDS) -> None:
    """Do these kinds of work in this event loop."""
    try:
        outbound = OutboundClient(settings.outbound_allowed_networks)
    except ValueError as error:
        raise ConfigurationError(f"OUTBOUND_ALLOWED_NETWORKS: {error}") from error
    pool = Pool(settings.worker_database_url, settings)
    pool.open()
    stop = Stop()
    try:
        async with outbound:
            loop = asyncio.get_running_loop()
            context = Context(settings, pool, outbound, CollectorRegistry(), stop, loop)
            context.registry.register(PoolCollector(pool))
            begun: list[Work] = [begin(context) for begin in kinds]
            settle()
            async with status_server.serving(context):
                await _until_stopped(stop, [*begun, Listening(context)])
    finally:
        pool.close()


async def _until_stopped(stop: Stop, begun: list[Work]) -> None:
    loop = asyncio.get_running_loop()
    tasks = {asyncio.create_task(_keep(stop, each), name=each.name) for each in begun}

    def asked() -> None:
        if stop.asked.is_set():
            for each in tasks:
                each.cancel()
        stop.ask()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    await stop.asked.wait()
    _, late = await asyncio.wait(tasks, timeout=GRACE)
    for each in late:
        logger.warning("%s did not end within %.0f s", each.get_name(), GRACE)
        each.cancel()
    await asyncio.wait(tasks, timeout=5)


async def _keep(stop: Stop, kind: Work) -> None:
    while not stop.asked.is_set():
        try:
            await kind.run()
        except Exception:  # a fault in one kind of work does not end the others
            logger.exception("%s failed", kind.name)
            await stop.wait(BEGIN_ANEW)
