"""Inbound calls of webhooks."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields

from schemas.fields import described, identifier, json_object, moment


class InboundMessage(Schema):
    """What a call may bring: any JSON. This is what Standard Webhooks recommends."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(metadata=described("What happened.", "invoice.paid"))
    timestamp = moment("When it happened.")
    data = json_object("What it is about.", {"invoice": "in_42"})


class AcceptedCall(Schema):
    """A call that was accepted."""

    execution_id = identifier("The execution of the integration that it started.", required=True)
