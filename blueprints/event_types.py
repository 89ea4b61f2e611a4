"""Event types that webhooks can hear of."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement
from repositories import event_types as repositories
from schemas.event_types import EventType, EventTypeFilters, EventTypes
from schemas.lists import Sparse
from web.answers import json, sparse
from web.blueprint import Blueprint
from web.caller import caller

blueprint = Blueprint("event-types", __name__, url_prefix="/event-types", description="What webhooks can hear of.")


@blueprint.get("")
@blueprint.arguments(EventTypeFilters, location="query")
@blueprint.response(200, EventTypes)
def list_event_types(query: dict[str, Any]) -> Response:
    """List the event types, each with the JSON Schema of its payload and an example."""
    with statement(caller()) as connection:
        return json({"items": repositories.EventTypes(connection).find_all(**query)})


@blueprint.get("/<string(maxlength=100):event_type>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, EventType)
def get_event_type(query: dict[str, Any], event_type: str) -> Response:
    """Get an event type with the JSON Schema of its payload and an example."""
    with statement(caller()) as connection:
        return json(sparse(repositories.EventTypes(connection).get(event_type)))
