"""Lists: keyset pages behind signed cursors.

A cursor holds where the next page starts and the filters that it belongs to. It is signed, so that nobody can
aim it elsewhere, and opaque, so that nobody builds on its inside.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import itsdangerous
import orjson
from flask import Response, g, request
from flask.globals import request_ctx
from itsdangerous.encoding import base64_encode

from errors import BadCursor
from repositories.repository import Order, Page
from web.answers import add_headers, json, sparse_rows
from web.caller import settings

BESIDE_FILTERS = ("limit", "cursor", "fields")
_PLAIN = re.compile(r"[A-Za-z0-9_=&.,:+~-]*")
BEGINNING = ["0", "0"]  # ahead of every event


def page(find: Callable[..., Page], query: dict[str, Any]) -> Response:
    """One page of a list, with the way to the next.

    :param find: a repository's method; gets the filters and an :class:`repositories.repository.Order`.
    :param query: the checked query parameters, as :func:`resume` completed them.
    """
    limit, sort = query.pop("limit"), query.pop("sort")
    query.pop("cursor", None)
    query.pop("fields", None)
    order = Order(sort.removeprefix("-"), sort.startswith("-"), limit, query.pop("after", None))
    rows = find(order=order, **query)
    place = order.place_of(rows[-1]) if rows else order.after or BEGINNING
    # in this order nothing comes to be behind a place that was read past: a consumer can always go on from it
    lasting = sort == "position"
    cursor = cursors()(place) if rows.more or lasting else None
    body = {"items": sparse_rows(rows), "next_cursor": cursor if rows.more else None}
    answer = json({**body, "resume_cursor": cursor} if lasting else body)
    if rows.more:
        asked = request_ctx.request
        asked_for = asked.query_string.decode("latin-1")
        if "cursor" in asked_for or not _PLAIN.fullmatch(asked_for):
            onward = urlencode({**asked.args.to_dict(), "cursor": cursor})
        else:  # which is most of them, and a cursor needs no quoting
            onward = f"{asked_for}&cursor={cursor}" if asked_for else f"cursor={cursor}"
        # werkzeug's base_url is an IRI, put together at the cost of a thirtieth of the answer
        place_of_list = f"{asked.scheme}://{asked.host}{quote(asked.root_path + asked.path)}"
        add_headers(answer, ("Link", f'<{place_of_list}?{onward}>; rel="next"'))
    return answer


def cursors(**fixed: str) -> Callable[[list[str]], str]:
    """What makes cursors that lead behind a place in the list of this request, with its filters; works after it too.

    :param fixed: further parameters that the cursors are made with.
    """
    given = {name: value for name, value in request.args.items() if name not in BESIDE_FILTERS}
    path, filters, signer = _list_path(), {**g.get("cursor_filters", {}), **given, **fixed}, _signer()
    return lambda place: signer.dumps([path, filters, place])


def resume(values: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The query parameters that a cursor was made with, and the place that it marks.

    :param values: the parameters of this request; filters may be left out, but not differ.
    :raises errors.BadCursor: the cursor is not ours, or is used for something else.
    """
    try:
        path, filters, place = _signer().loads(values["cursor"])
    except itsdangerous.BadData as error:
        raise BadCursor("This cursor was not made here.") from error
    if path != _list_path():
        raise BadCursor("This cursor belongs to another list.")
    if any(filters.get(name) != value for name, value in values.items() if name not in BESIDE_FILTERS):
        raise BadCursor("The filters differ from those that this cursor was made for.")
    g.cursor_filters = filters
    return {**values, **filters}, place


def _list_path() -> str:
    # a stream goes on where a list ended, and the other way round
    return request.path.removesuffix("/stream")


def _signer() -> CursorSerializer:
    return signer_of(settings().signing_keys)


class CursorSerializer(itsdangerous.URLSafeSerializer):
    """Cursors are short: to compress them cost more than everything else about them."""

    def dump_payload(self, obj: Any) -> bytes:
        """Write what a cursor holds."""
        return base64_encode(orjson.dumps(obj))


@functools.cache
def signer_of(keys: tuple[str, ...]) -> CursorSerializer:
    """What signs cursors, with the first of the keys, and reads those signed with any of them."""
    # derived here once, as itsdangerous would derive them for every cursor; it takes the keys oldest first
    derived = [hmac.digest(key.encode(), b"cursor", "sha256") for key in reversed(keys)]
    return CursorSerializer(derived, signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "none"})
