"""Flask without what this service never uses, and which would cost every request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, Request, Response
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import ImmutableDict, MultiDict
from werkzeug.routing import Map, MapAdapter, UnicodeConverter
from werkzeug.utils import cached_property

from errors import PlansOutdated
from schemas.fields import RESERVED_IDS

ATTEMPTS = 4  # at a request, while migrations outdate the plans of its statements


class NoSessions(SessionInterface):
    """No cookies: a caller shows a credential with every request."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """The session of nobody."""
        return self._none

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing to save."""


class QueryRequest(Request):
    """A request whose query string is parsed once, for the same ones come again and again."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The parameters of the query string, which nobody can change."""
        return _parameters(self.query_string)


@functools.lru_cache(maxsize=1024)
def _parameters(query_string: bytes) -> MultiDict[str, str]:
    return Request({"QUERY_STRING": query_string.decode("latin-1")}).args


class ChosenId(UnicodeConverter):
    """An id that its author chose: none of the words that the paths beside it end in, whatever the method."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.regex = rf"(?!(?:{'|'.join(RESERVED_IDS)})\Z){self.regex}"


class Paths(Map):
    """The routes, with the service's own kind of parameter."""

    default_converters = ImmutableDict({**Map.default_converters, "chosen": ChosenId})


class Application(Flask):
    """The application of the web processes."""

    request_class = QueryRequest
    url_map_class = Paths
    session_interface = NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Routes depend on path and method alone, whatever host the request names."""
        if request is None:
            return super().create_url_adapter(None)
        return MapAdapter(
            self.url_map, request.host, request.root_path, "", request.scheme, request.path, request.method,
            request.query_string.decode("latin-1"),
        )  # fmt: skip

    # No blueprint is in another one, and none has hooks ahead of its handlers: there is no list of names to go through.

    def preprocess_request(self) -> ResponseReturnValue | None:
        """What comes before a handler; an answer of it takes the handler's place."""
        for begin in self.before_request_funcs[None]:
            answer = begin()
            if answer is not None:
                return cast(ResponseReturnValue, answer)  # handlers are no coroutines
        return None

    def process_response(self, response: Response) -> Response:
        """What comes behind a handler: its blueprint's hooks, and the application's."""
        blueprint = (request_ctx.request.endpoint or "").rpartition(".")[0]
        if blueprint in self.after_request_funcs:
            for end in reversed(self.after_request_funcs[blueprint]):
                response = end(response)
        for end in reversed(self.after_request_funcs[None]):
            response = end(response)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Nothing: no request leaves anything behind."""

    def dispatch_request(self) -> ResponseReturnValue:
        """Have the request answered; once more where a migration got between two statements of its transaction.

        That undid the transaction, so nothing is done twice: a handler that changes something has one transaction.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return super().dispatch_request()
            except PlansOutdated:
                continue
        return super().dispatch_request()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Handlers are plain functions: there is nothing to look for."""
        return func
