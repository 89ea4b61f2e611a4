"""Event types that webhooks can hear of."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import described, json_object, text

_SCHEMA = {"type": "object", "properties": {"type": {"const": "integration.created"}}}
_EXAMPLE = {"type": "integration.created", "timestamp": "2026-11-22T09:30:00Z", "data": {"version": 1}}


class EventType(Schema):
    """A type of event."""

    name = fields.String(required=True, metadata=described("Its name.", "integration.created"))
    aggregate_type = fields.String(required=True, metadata=described("What it happens to.", "integration"))
    description = fields.String(required=True, metadata=described("In a sentence.", "An integration was created."))
    schema = json_object("JSON Schema (2020-12) of the payload.", _SCHEMA, required=True)
    example = json_object("A payload.", _EXAMPLE, required=True)


class EventTypes(Schema):
    """The catalogue."""

    items = fields.List(fields.Nested(EventType), required=True, metadata=described("By name."))


class EventTypeFilters(Schema):
    """The query parameters of the catalogue."""

    aggregate_type = text("Only what happens to this kind of thing.", "integration", most=100, load_default=None)
