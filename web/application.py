"""Flask without what this service never uses, and which would cost every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface, SessionMixin
from werkzeug.routing import MapAdapter


class NoSessions(SessionInterface):
    """No cookies: a caller shows a credential with every request."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """The session of nobody."""
        return self._none

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing to save."""


class Application(Flask):
    """The application of the web processes."""

    session_interface = NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Routes depend on path and method alone, whatever host the request names."""
        if request is None:
            return super().create_url_adapter(None)
        return MapAdapter(
            self.url_map, request.host, request.root_path, "", request.scheme, request.path, request.method,
            request.query_string.decode("latin-1"),
        )  # fmt: skip

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Handlers are plain functions: there is nothing to look for."""
        return func
