"""Single resources as they were: `?as_of=`."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from flask import Response
from marshmallow import Schema, fields

from database import Connection
from repositories.events import Events
from web.answers import single


def past(
    connection: Connection, schema: type[Schema], aggregate_type: str, aggregate_id: object, as_of: datetime
) -> Response:
    """An aggregate as it was at a moment, with the ETag that it had then.

    :param schema: of the answer; its moments are written as in every other answer.
    :raises errors.NotFound: it was not there then.
    """
    row = Events(connection).state_as_of(aggregate_type, aggregate_id, as_of)
    for name in _moments(schema):
        if row.get(name) is not None:
            row[name] = datetime.fromisoformat(row[name])
    return single(row)


@cache
def _moments(schema: type[Schema]) -> list[str]:
    return [name for name, each in schema._declared_fields.items() if isinstance(each, fields.DateTime)]
