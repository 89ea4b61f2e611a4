"""Events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from database import statement
from repositories.events import Events
from schemas.events import Event, EventFilters
from schemas.lists import Sparse
from web.answers import single
from web.blueprint import Blueprint
from web.caller import caller
from web.paging import page

blueprint = Blueprint("events", __name__, url_prefix="/events", description="What happened: append-only.")


@blueprint.get("")
@blueprint.arguments(EventFilters, location="query")
@blueprint.page(Event)
def list_events(query: dict[str, Any]) -> Response:
    """List events; those of one aggregate are in order of their `version`."""
    with statement(caller()) as connection:
        return page(Events(connection).find, query)


@blueprint.get("/<uuid:event_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, Event)
def get_event(query: dict[str, Any], event_id: UUID) -> Response:
    """Get an event."""
    with statement(caller()) as connection:
        return single(Events(connection).get(event_id))
