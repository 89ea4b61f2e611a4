"""Answers: JSON straight from rows, ETags from row versions, sparse fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, request

from database import Row
from errors import Invalid, PreconditionRequired

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    answer = Response(orjson.dumps(value, option=_OPTIONS), status, content_type="application/json")
    if headers:
        answer.headers.update(headers)
    return answer


def single(row: Row, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One resource with its ETag; 304 where the caller has it already."""
    etag = etag_of(row)
    if status == 200 and "If-None-Match" in request.headers and request.if_none_match.contains(etag.strip('"')):
        return Response(status=304, headers={"ETag": etag})
    answer = json(sparse(row), status, headers)
    answer.headers["ETag"] = etag
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
    return [int(tag) for tag in tags.as_set(include_weak=True) if tag.isdecimal() and len(tag) < 10]


def sparse(row: Row) -> Row:
    """Only the fields that `?fields=` names, if it names any.

    :raises errors.Invalid: a name is not a field.
    """
    wanted = request.args.get("fields")
    if not wanted:
        return row
    names = [name.strip() for name in wanted.split(",")]
    unknown = [name for name in names if name not in row]
    if unknown:
        raise Invalid(errors=[{"pointer": "?fields", "detail": f"There is no field {name}."} for name in unknown])
    return {name: row[name] for name in names}
