"""What all kinds of work share, and how each is run."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import psycopg
from prometheus_client import CollectorRegistry

from config import Settings
from database import Nobody, Pool
from errors import DomainError
from outbound import OutboundClient

Result = TypeVar("Result")

logger = logging.getLogger("ccb.worker")

#: Faults that pass: the database is away, or somebody else was faster.
PASSING = (DomainError, psycopg.Error)


@dataclass
class Stop:
    """Asks everything to stop; both the event loop and threads can wait for it."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    in_threads: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """From now on nothing new is begun."""
        self.asked.set()
        self.in_threads.set()

    async def wait(self, seconds: float) -> None:
        """Until it is asked for, but not for longer than this."""
        await wait_for_any([self.asked], seconds)


@dataclass
class Context:
    """One worker process.

    :param wakes: by channel of NOTIFY, what to call when something was announced on it.
    """

    settings: Settings
    pool: Pool
    outbound: OutboundClient
    registry: CollectorRegistry
    stop: Stop
    loop: asyncio.AbstractEventLoop
    wakes: dict[str, list[Callable[[], None]]] = field(default_factory=dict)

    def wake_on(self, channel: str, wake: Callable[[], None]) -> None:
        """Be called in the event loop when something is announced on a channel, and after reconnecting."""
        self.wakes.setdefault(channel, []).append(wake)

    def identity(self) -> Nobody:
        """The worker's login, for one transaction at a time."""
        return Nobody(self.pool)

    def await_in_loop(self, work: Coroutine[Any, Any, Result]) -> Future[Result]:
        """For work in a thread that needs the outbound client: runs there, gives a future to wait for."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)


class Work(Protocol):
    """A kind of work. It looks after faults that pass by itself; after any other it is begun anew."""

    @property
    def name(self) -> str:
        """How logs call it."""

    async def run(self) -> None:
        """Work until `context.stop` asks to stop, then finish or give back what is held."""


class Periodic:
    """Work that is a function, called over and over.

    :param look: does what is due.
    :param every: seconds between two calls.
    """

    def __init__(self, context: Context, name: str, look: Callable[[], Awaitable[object]], every: float) -> None:
        self.name = name
        self._context = context
        self._look = look
        self._every = every

    @classmethod
    def in_thread(
        cls, context: Context, name: str, look: Callable[[threading.Event], object], every: float
    ) -> Periodic:
        """The same with a function that blocks, and is given the event that asks to stop."""
        return cls(context, name, lambda: asyncio.to_thread(look, context.stop.in_threads), every)

    async def run(self) -> None:
        """Call it until asked to stop."""
        stop = self._context.stop
        while not stop.asked.is_set():
            try:
                await self._look()
            except PASSING as error:
                logger.warning("%s did not go through: %s", self.name, error)
            await stop.wait(self._every)


async def wait_for_any(events: list[asyncio.Event], seconds: float) -> None:
    """Until one of these is set, but not for longer than this."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


Begin = Callable[[Context], Work]
