"""Single resources as they were: `?as_of=`."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from database import Connection
from repositories.events import Events
from web.answers import single


def past(connection: Connection, aggregate_type: str, aggregate_id: object, as_of: datetime) -> Response:
    """An aggregate as it was at a moment, with the ETag that it had then.

    :raises errors.NotFound: it was not there then.
    """
    return single(Events(connection).state_as_of(aggregate_type, aggregate_id, as_of))
