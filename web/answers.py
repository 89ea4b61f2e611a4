"""Answers: JSON straight from rows, ETags from row versions, sparse fields."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, request
from flask.globals import request_ctx
from werkzeug.datastructures import ETags, Headers

from database import Row
from errors import Invalid, PreconditionRequired
from web.caching import CACHING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_OPTIONS = orjson.OPT_UTC_Z

READING = ("GET", "HEAD")  # methods that change nothing anybody is told of


def encoded(value: Any) -> bytes:
    """A value as JSON."""
    # rates and averages are numeric in the database
    return orjson.dumps(value, default=float, option=_OPTIONS)


# what a page of another origin may read besides the body
EXPOSED_HEADERS = (
    "ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id",
)  # fmt: skip


class JsonAnswer(Response):
    """An answer that is ready to be sent: werkzeug would go through headers and body again and again."""

    response: list[bytes]

    def __init__(self, body: bytes, status: int) -> None:
        self.headers = Headers()
        self.response = [body]
        self.direct_passthrough = False
        self._on_close = []
        self._status, self._status_code = _status_line(status), status
        length = ("Content-Length", str(len(body)))
        add_headers(self, ("Content-Type", "application/json"), *CACHING, length)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Send it."""
        start_response(self._status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else self.response


@functools.cache
def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase.upper()}"


def add_headers(answer: Response, *headers: tuple[str, str]) -> None:
    """Add headers that are known to be without line breaks and not to be there yet: werkzeug would look."""
    answer.headers._list.extend(headers)


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body.

    :param headers: as :func:`add_headers` takes them.
    """
    answer = JsonAnswer(encoded(value), status)
    if headers:
        add_headers(answer, *headers.items())
    return answer


def single(
    row: Row, status: int = 200, headers: Mapping[str, str] | None = None, *, is_moving: bool = False
) -> Response:
    """One resource with its ETag; 304 where the caller has it already.

    :param is_moving: whether it shows what changes without another version, so that nobody has it already.
    """
    etag, asked = etag_of(row), request_ctx.request  # flask.request would look for it at every step
    reading = asked.method in READING
    if (
        not is_moving
        and reading
        and "HTTP_IF_NONE_MATCH" in asked.environ
        and asked.if_none_match.contains_weak(etag.strip('"'))
    ):
        return Response(status=304, headers=[*CACHING, ("ETag", etag)])
    answer = json(sparse(row) if reading else row, status, headers)
    add_headers(answer, ("ETag", etag))
    return answer


def created(row: Row, location: str) -> Response:
    """A resource that has just come to be.

    :param location: its path.
    """
    return single(row, 201, {"Location": location})


def secret(answer: Response) -> Response:
    """Mark an answer that shows a secret: it is kept encrypted, and nowhere else."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


def no_content() -> Response:
    """Done, and nothing to say."""
    answer = Response(status=204)
    del answer.headers["Content-Type"]  # of nothing
    return answer


def etag_of(row: Row) -> str:
    """The entity tag of a row: its version."""
    return f'"{row["version_number"] if "version_number" in row else row["version"]}"'


def expected_versions(*, required: bool = True) -> list[int] | None:
    """The row versions that If-Match names; None for `*`, which any version meets.

    :raises errors.PreconditionRequired: the header is missing and required.
    """
    if "If-Match" not in request.headers:
        if not required:
            return None
        raise PreconditionRequired("Send If-Match with the ETag that you read, or * to overwrite whatever is there.")
    return versions_of(request.if_match)


def versions_of(tags: ETags) -> list[int] | None:
    """The row versions that entity tags name; None for `*`."""
    if tags.star_tag:
        return None
    return [int(tag) for tag in tags.as_set() if tag and tag.isdecimal() and len(tag) < 10]


def sparse(row: Row) -> Row:
    """Only the fields that `?fields=` names, if it names any."""
    return sparse_rows([row])[0]


def sparse_rows(rows: list[Row]) -> list[Row]:
    """As :func:`sparse`, for each row of a list."""
    names = wanted_fields()
    return [{name: row[name] for name in names if name in row} for row in rows] if names else rows


def check_sparse(known: Collection[str]) -> None:
    """Check what `?fields=` names, whether or not there will be a row to take it from.

    :raises errors.Invalid: a name is not among the `known` fields, or comes twice.
    """
    names = wanted_fields()
    faults = [f"There is no field {name}." for name in names if name not in known]
    faults += [f"{name} comes twice." for name in known if names.count(name) > 1] if len(names) > 1 else []
    if faults:
        raise Invalid(errors=[{"pointer": "?fields", "detail": fault} for fault in faults])


def wanted_fields() -> list[str]:
    """The names that `?fields=` lists; none where it is not given."""
    asked = request_ctx.request
    if not asked.query_string or asked.method not in READING or not asked.args.get("fields"):
        return []
    return [name.strip() for name in asked.args["fields"].split(",")]
