"""Answers: JSON straight from rows, ETags from row versions, sparse fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import orjson
from flask import Response, request

from database import Row
from errors import Invalid, PreconditionRequired

_OPTIONS = orjson.OPT_UTC_Z

# The same path answers everybody differently, and `"1"` is everybody's first ETag: nothing between the service and
# a caller may take one's answer for another's.
_CACHING = [("Cache-Control", "private, no-cache"), ("Vary", "Authorization, X-API-Key")]


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    # rates and averages are numeric in the database
    body = orjson.dumps(value, default=float, option=_OPTIONS)
    answer = Response(body, status, _CACHING, content_type="application/json")
    if headers:
        answer.headers.update(headers)
    return answer


def single(row: Row, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One resource with its ETag; 304 where the caller has it already."""
    etag = etag_of(row)
    reading = request.method in ("GET", "HEAD")
    if reading and "If-None-Match" in request.headers and request.if_none_match.contains_weak(etag.strip('"')):
        return Response(status=304, headers=[*_CACHING, ("ETag", etag)])
    answer = json(sparse(row) if reading else row, status, headers)
    answer.headers.add("ETag", etag)
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
    return Response(status=204)


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
    tags = request.if_match
    if tags.star_tag:
        return None
    return [int(tag) for tag in tags.as_set() if tag and tag.isdecimal() and len(tag) < 10]


def sparse(row: Row) -> Row:
    """Only the fields that `?fields=` names, if it names any."""
    return sparse_rows([row])[0]


def sparse_rows(rows: list[Row]) -> list[Row]:
    """As :func:`sparse`, for each row of a list."""
    names = _wanted()
    return [{name: row[name] for name in names if name in row} for row in rows] if names else rows


def check_sparse(known: Collection[str]) -> None:
    """Check what `?fields=` names, whether or not there will be a row to take it from.

    :raises errors.Invalid: a name is not among the `known` fields, or comes twice.
    """
    names = _wanted()
    faults = [f"There is no field {name}." for name in names if name not in known]
    faults += [f"{name} comes twice." for name in known if names.count(name) > 1] if len(names) > 1 else []
    if faults:
        raise Invalid(errors=[{"pointer": "?fields", "detail": fault} for fault in faults])


def _wanted() -> list[str]:
    if not request.query_string or request.method not in ("GET", "HEAD") or not request.args.get("fields"):
        return []
    return [name.strip() for name in request.args["fields"].split(",")]
