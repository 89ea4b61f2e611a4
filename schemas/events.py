"""Events."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields
from marshmallow.validate import OneOf

from schemas.fields import described, identifier, json_object, moment, text
from schemas.lists import cursor, filters, page_of


class Event(Schema):
    """Something that happened to an aggregate."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", allow_none=True)
    aggregate_type = fields.String(required=True, metadata=described("Kind of thing that changed.", "integration"))
    aggregate_id = identifier("The thing that changed.", required=True)
    event_type = fields.String(required=True, metadata=described("What happened.", "integration.status_changed"))
    event_data = json_object(
        "The changed columns, old and new.", {"old": {"name": "a"}, "new": {"name": "b"}}, required=True
    )
    metadata = json_object("Request and API key behind it.", {"request_id": "5f3c1e"}, required=True)
    version = fields.Integer(
        required=True,
        metadata=described(
            "Version that the aggregate has since; without gaps, and the order within one aggregate.", 3
        ),
    )
    created_by = identifier("Who did it.", allow_none=True)
    transaction_id = fields.String(
        required=True,
        metadata=described(
            "The database transaction it was part of; with `position` the place in the order of events.", "7431"
        ),
    )
    position = fields.Integer(
        required=True, metadata=described("Place in the order of writing within its transaction.", 91)
    )
    created_at = moment("When it happened.", required=True)


class EventPage(page_of(Event)):  # type: ignore[misc]
    """A page of events."""

    resume_cursor = fields.String(
        metadata=described(
            "With `sort=position` on every page: goes on behind the last event that has been seen, also later, "
            "when `next_cursor` was null because there were no more.",
            "WyIvYXBpL3YxIl0.Qm9iCg",
        ),
    )


def _event_filters() -> dict[str, Any]:
    # what is not given is None
    return {
        "event_type": text("Only those of this type; of these types where it ends in `.*`.", "integration.*", most=100),
        "created_by": identifier("Only those by this user."),
        "created_after": moment("Only those at or after this moment."),
        "created_before": moment("Only those before this moment."),
    }


def _all_filters() -> dict[str, Any]:
    return {
        "organization_id": identifier("Only those of this organization."),
        "aggregate_type": text("Only those about this kind of thing.", "integration", most=100),
        "aggregate_id": identifier("Only those about this thing."),
        **_event_filters(),
    }


EventFilters = filters("EventFilters", "created_at", "position", **_all_filters())
AggregateEventFilters = filters("AggregateEventFilters", "created_at", "position", **_event_filters())


class EventStreamFilters(Schema.from_dict(_all_filters())):  # type: ignore[misc]
    """The query parameters of a stream."""

    cursor = cursor()
    sort = fields.String(
        load_default="position",
        validate=OneOf(["position"]),
        metadata=described("The only order of a stream; part of the cursors of a list in that order.", "position"),
    )
