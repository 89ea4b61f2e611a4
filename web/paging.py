"""Lists: keyset pages behind signed cursors.

A cursor holds where the next page starts and the filters that it belongs to. It is signed, so that nobody can
aim it elsewhere, and opaque, so that nobody builds on its inside.
"""

from __future__ import annotations

import functools
import hashlib
import json as plain_json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import itsdangerous
from flask import Response, request

from database import Row
from errors import BadCursor
from repositories.repository import Order
from web.answers import json, sparse_rows
from web.caller import settings

BESIDE_FILTERS = ("limit", "cursor", "fields")


def page(find: Callable[..., list[Row]], query: dict[str, Any]) -> Response:
    """One page of a list, with the way to the next.

    :param find: a repository's method; gets the filters and an :class:`repositories.repository.Order`.
    :param query: the checked query parameters, as :func:`resume` completed them.
    """
    limit, sort = query.pop("limit"), query.pop("sort")
    query.pop("cursor", None)
    query.pop("fields", None)
    order = Order(sort.removeprefix("-"), sort.startswith("-"), limit + 1, query.pop("after", None))
    rows = find(order=order, **query)
    if len(rows) <= limit:
        return json({"items": sparse_rows(rows), "next_cursor": None})
    rows.pop()
    place = [_written(rows[-1][order.key]), str(rows[-1]["id"])]
    filters = {name: value for name, value in request.args.items() if name not in BESIDE_FILTERS}
    next_cursor = _signer().dumps([request.path, filters, place])
    answer = json({"items": sparse_rows(rows), "next_cursor": next_cursor})
    onward = urlencode({**request.args.to_dict(), "cursor": next_cursor})
    answer.headers["Link"] = f'<{request.base_url}?{onward}>; rel="next"'
    return answer


def resume(values: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The query parameters that a cursor was made with, and the place that it marks.

    :param values: the parameters of this request; filters may be left out, but not differ.
    :raises errors.BadCursor: the cursor is not ours, or is used for something else.
    """
    try:
        path, filters, place = _signer().loads(values["cursor"])
    except itsdangerous.BadData as error:
        raise BadCursor("This cursor was not made here.") from error
    if path != request.path:
        raise BadCursor("This cursor belongs to another list.")
    if any(filters.get(name) != value for name, value in values.items() if name not in BESIDE_FILTERS):
        raise BadCursor("The filters differ from those that this cursor was made for.")
    return {**values, **filters}, place


def _written(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _signer() -> itsdangerous.URLSafeSerializer:
    return _signer_of(settings().signing_keys)


@functools.cache
def _signer_of(keys: tuple[str, ...]) -> itsdangerous.URLSafeSerializer:
    # itsdangerous takes the keys oldest first
    return itsdangerous.URLSafeSerializer(
        list(reversed(keys)),
        salt="cursor",
        serializer=plain_json,
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )
