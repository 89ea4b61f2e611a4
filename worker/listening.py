"""LISTEN on a connection of its own. Whoever misses an announcement finds the work by looking, only later."""

from __future__ import annotations

import asyncio
import logging

import psycopg
from psycopg import sql

from worker.context import Context

RECONNECT = 1.0  # seconds
SILENCE = 30.0  # after that long, make sure that the connection is still there

logger = logging.getLogger("ccb.worker")


class Listening:
    """Wakes what `context.wake_on` registered."""

    name = "listening"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Listen until asked to stop, connecting again as often as it takes."""
        listening = asyncio.create_task(self._reconnecting())
        try:
            await self._context.stop.asked.wait()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _reconnecting(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                logger.warning("listening was interrupted: %s", error)
            await asyncio.sleep(RECONNECT)

    async def _listen(self) -> None:
        wakes = self._context.wakes
        connection = await psycopg.AsyncConnection.connect(
            self._context.settings.worker_database_url,
            autocommit=True, application_name="claude-code-bot worker listening", connect_timeout=5,
            keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=30_000,
        )  # fmt: skip
        async with connection:
            for channel in wakes:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            for each in wakes.values():  # for what was announced before
                for wake in each:
                    wake()
            while not connection.closed:
                async for notice in connection.notifies(timeout=SILENCE, stop_after=1):
                    for wake in wakes.get(notice.channel, ()):
                        wake()
                await connection.execute("")
