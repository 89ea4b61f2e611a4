"""Events."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import described, identifier, json_object, moment, text
from schemas.lists import filters


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
        required=True, metadata=described("The database transaction it was part of.", "7431")
    )
    position = fields.Integer(required=True, metadata=described("Place in the order of writing.", 91))
    created_at = moment("When it happened.", required=True)


EventFilters = filters(
    "EventFilters",
    "created_at",
    organization_id=identifier("Only those of this organization."),
    aggregate_type=text("Only those about this kind of thing.", "integration", most=100),
    aggregate_id=identifier("Only those about this thing."),
    event_type=text("Only those of this type.", "integration.created", most=100),
    created_after=moment("Only those at or after this moment."),
    created_before=moment("Only those before this moment."),
)
