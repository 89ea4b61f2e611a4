"""Flask without what this service never uses, and which would cost every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SessionInterface, SessionMixin


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

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Handlers are plain functions: there is nothing to look for."""
        return func
