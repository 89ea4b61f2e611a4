"""Whole lists as files, streamed: CSV (RFC 4180) or NDJSON, in constant memory and without holding a connection.

An export is read page by page in the list's own order, each page in a transaction of its own: whoever may no longer see
the rows gets no more of them, and a client that is slow keeps nothing waiting. It is no snapshot: what is written
meanwhile may be in it or not.

Where it cannot go on, its last line says so, and the connection ends without the end of the chunked body: a client
takes that for a failed transfer. The line is there for HTTP/1.0, which cannot tell an end from a break.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol

from flask import Response, current_app, request, stream_with_context
from marshmallow import Schema
from orjson import Fragment

from database import Connection, Identity, Row, statement
from errors import DomainError, Unavailable
from repositories.repository import Order, Page
from web.answers import encoded, wanted_fields
from web.caller import caller
from web.problems import problem_of

PAGE = 500  # rows that are read at a time at most
TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv"}

# What a spreadsheet takes for a formula when a cell starts with it; the last four are its full-width forms, which some
# locales type. Such a cell gets an apostrophe in front (OWASP,
# "CSV Injection"); whoever reads the file with a program takes NDJSON, which is never changed.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

logger = logging.getLogger("ccb.export")


class Lists(Protocol):
    """A repository that finds pages, by one statement each."""

    def __init__(self, connection: Connection) -> None: ...

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page."""


def export(repository: type[Lists], schema: type[Schema], query: dict[str, Any]) -> Response:
    """An answer with all rows of a list.

    :param repository: whose `find` gives the pages.
    :param schema: the rows; its fields are the columns, where `?fields=` does not name others.
    :param query: the checked query parameters, of a schema that `schemas.lists.export_of` made.
    :raises errors.DomainError: the first page cannot be read; later faults end the stream.
    """
    kind = query.pop("format") or request.accept_mimetypes.best_match(TYPES.values(), TYPES["ndjson"])
    kind = next(name for name, media_type in TYPES.items() if kind in (name, media_type))
    query.pop("fields", None)
    sort = query.pop("sort")
    order = Order(sort.removeprefix("-"), sort.startswith("-"), PAGE)
    pages = _pages(caller(), repository, order, query)
    pages = chain([next(pages)], pages)  # whoever is refused gets an ordinary answer
    columns = wanted_fields() or ["id", *(name for name in schema._declared_fields if name != "id")]
    written = _csv(pages, columns) if kind == "csv" else _ndjson(pages, wanted_fields())
    name = f"{request.path.split('/')[-2]}.{kind}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "Vary": "Authorization, X-API-Key, Accept",
        "X-Accel-Buffering": "no",
    }
    content_type = TYPES[kind] if kind == "ndjson" else f"{TYPES[kind]}; charset=utf-8; header=present"
    return Response(stream_with_context(written), headers=headers, content_type=content_type)


def _pages(identity: Identity, repository: type[Lists], order: Order, filters: dict[str, Any]) -> Iterator[list[Row]]:
    is_process_alive: Callable[[], bool] = current_app.extensions["event_streams"].is_process_alive
    while True:
        with statement(identity) as connection:
            rows = repository(connection).find(order=order, **filters)
        yield rows
        if not rows.more:
            return
        if not is_process_alive():
            raise Unavailable("This process stops; ask another one.")
        order = replace(order, after=order.place_of(rows[-1]))


def _ndjson(pages: Iterator[list[Row]], columns: list[str]) -> Iterator[bytes]:
    try:
        for rows in pages:
            lines = [{name: row[name] for name in columns} for row in rows] if columns else rows
            yield b"".join(encoded(line) + b"\n" for line in lines)
    except Exception as error:
        yield encoded({"problem": _problem(error)}) + b"\n"
        raise


def _csv(pages: Iterator[list[Row]], columns: list[str]) -> Iterator[bytes]:
    yield _csv_lines([columns])
    try:
        for rows in pages:
            yield _csv_lines([_cell(row[name]) for name in columns] for row in rows)
    except Exception as error:
        problem = _problem(error)
        yield _csv_lines([[f"problem: {problem['code']}: {problem['detail']}"]])
        raise


def _csv_lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """A value as CSV: JSON columns and lists as JSON, nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    text = encoded(value).decode()
    return text if isinstance(value, Fragment) else text.strip('"')  # of a time


def _problem(error: Exception) -> dict[str, Any]:
    known = error if isinstance(error, DomainError) else DomainError("The fault is ours; the log has it.")
    logger.warning("an export broke off: %s", known)
    return problem_of(known.status, known.code, known.title, known.detail, **known.members)
