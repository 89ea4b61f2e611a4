"""Problem answers (RFC 9457): every error of the service in one shape."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from errors import DomainError, MalformedRequest, NotFound, TooLarge
from web.caching import CACHING  # not the database: gunicorn loads this before gevent has patched anything

CONTENT_TYPE = "application/problem+json"
TYPE = "urn:claude-code-bot:problem:"

# what Flask and werkzeug raise that the service has a name for itself
_NAMES = {error.status: error for error in (MalformedRequest, NotFound, TooLarge)}

logger = logging.getLogger("ccb.problems")


def problem_of(status: int, code: str, title: str, detail: str = "", **members: Any) -> dict[str, Any]:
    """A problem document.

    :param code: the stable name of the problem, which `type` repeats as a URN.
    :param members: extension members, such as `errors`.
    """
    return {
        "type": TYPE + code,
        "title": title,
        "status": status,
        "detail": detail or title,
        "instance": request.path,
        "code": code,
        "request_id": g.get("request_id"),
        **members,
    }


def problem(status: int, code: str, title: str, detail: str = "", **members: Any) -> Response:
    """A problem answer; the parameters are those of :func:`problem_of`."""
    body = problem_of(status, code, title, detail, **members)
    return Response(orjson.dumps(body, default=str), status, CACHING, content_type=CONTENT_TYPE)


def register(app: Flask) -> None:
    """Answer every error of `app` with a problem."""
    app.register_error_handler(DomainError, _domain_error)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)


def _domain_error(error: DomainError) -> Response:
    answer = problem(error.status, error.code, error.title, error.detail, **error.members)
    answer.headers.update(error.headers)
    return answer


def _http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:
        return Response(status=status, headers=dict(error.get_headers(request.environ)))
    if status in _NAMES:
        code, title = _NAMES[status].code, _NAMES[status].title
    else:
        title = HTTPStatus(status).phrase
        code = title.lower().replace(" ", "_").replace("'", "")
    answer = problem(status, code, title, error.description or "")
    for name, value in error.get_headers(request.environ):
        if name.lower() not in ("content-type", "content-length"):
            answer.headers.add(name, value)
    return answer


def _unexpected(error: Exception) -> Response:
    logger.exception("unexpected", exc_info=error)
    return problem(500, "internal_error", "Internal error", "The fault is ours; the request id finds it in the log.")
