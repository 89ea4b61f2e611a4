"""Events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from database import statement
from repositories.events import Events
from schemas.events import Event, EventFilters, EventPage, EventStreamFilters
from schemas.lists import Sparse
from web.answers import single
from web.blueprint import Blueprint
from web.caller import caller
from web.event_streams import stream
from web.paging import page

blueprint = Blueprint("events", __name__, url_prefix="/events", description="What happened: append-only.")


@blueprint.get("")
@blueprint.arguments(EventFilters, location="query")
@blueprint.response(200, EventPage)
def list_events(query: dict[str, Any]) -> Response:
    """List events; with `sort=position` and `resume_cursor` a consumer misses none, whenever it was committed."""
    with statement(caller()) as connection:
        return page(Events(connection).find, query)


@blueprint.get("/stream")
@blueprint.arguments(EventStreamFilters, location="query", resumes_stream=True)
@blueprint.response(200, Event, content_type="text/event-stream")
def stream_events(query: dict[str, Any]) -> Response:
    """Follow events as they happen, from now on or behind `Last-Event-ID`; each message's `data` is one event."""
    return stream(caller(), query)


@blueprint.get("/<uuid:event_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, Event)
def get_event(query: dict[str, Any], event_id: UUID) -> Response:
    """Get an event."""
    with statement(caller()) as connection:
        return single(Events(connection).get(event_id))
