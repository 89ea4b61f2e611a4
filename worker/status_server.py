"""The worker's own `/healthz`, `/readyz` and `/metrics`, on WORKER_PORT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from config import ConfigurationError
from database import statement
from repositories.migrations import Migrations
from security import scrapers
from worker.context import PASSING, Context


@asynccontextmanager
async def serving(context: Context) -> AsyncIterator[None]:
    """Answer while the block runs; not at all where WORKER_PORT is 0.

    :raises config.ConfigurationError: the port cannot be listened on.
    """
    if not context.settings.worker_port:
        yield
        return
    pages = StatusPages(context)
    app = web.Application()
    app.add_routes(
        [web.get("/healthz", pages.healthz), web.get("/readyz", pages.readyz), web.get("/metrics", pages.metrics)]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, context.settings.worker_host, context.settings.worker_port).start()
        except OSError as error:
            raise ConfigurationError(f"WORKER_PORT: {error.strerror or error}") from error
        yield
    finally:
        await runner.cleanup()


class StatusPages:
    """What an orchestrator and Prometheus ask."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def healthz(self, request: web.Request) -> web.Response:
        """The event loop runs."""
        return web.json_response({"status": "up"})

    async def readyz(self, request: web.Request) -> web.Response:
        """The database can be reached, the schema is as new as the program, and the worker takes new work."""
        if self._context.stop.asked.is_set():
            return web.json_response({"status": "stopping"}, status=503)
        try:
            behind = await asyncio.to_thread(self._behind)
        except PASSING as error:
            return web.json_response({"status": "unavailable", "detail": str(error)}, status=503)
        if behind:
            return web.json_response({"status": "behind", "migrations": behind}, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(self, request: web.Request) -> web.Response:
        """What each kind of work counts, for whoever may read the web processes' metrics.

        Collectors may ask the database, so it is done in a thread.
        """
        self._expect_scraper(request)
        text = await asyncio.to_thread(generate_latest, self._context.registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _expect_scraper(self, request: web.Request) -> None:
        token = self._context.settings.metrics_token
        if token:
            if not scrapers.bears(request.headers.get("Authorization", ""), token):
                challenge = {"WWW-Authenticate": 'Bearer realm="claude-code-bot"'}
                raise web.HTTPUnauthorized(text=scrapers.MISSING_TOKEN, headers=challenge)
            return
        forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
        if not scrapers.is_this_machine(request.remote, forwarded=forwarded):
            raise web.HTTPForbidden(text=scrapers.FROM_ELSEWHERE)

    def _behind(self) -> int:
        with statement(self._context.identity()) as connection:
            return Migrations(connection).behind()
