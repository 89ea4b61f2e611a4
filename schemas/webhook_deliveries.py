"""Deliveries of webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from schemas.fields import choice, described, identifier, json_object, moment, text, version
from schemas.lists import export_of, filters

STATUSES = ("pending", "held", "delivered", "exhausted", "cancelled")
_HEADERS = {"content-type": "application/json"}


class DeliveryAttempt(Schema):
    """One attempt on a delivery."""

    number = fields.Integer(required=True, metadata=described("1 for the first.", 1))
    started_at = moment("When it began.", required=True)
    duration_ms = fields.Float(required=True, metadata=described("Milliseconds it took.", 82))
    response_status = fields.Integer(
        required=True, allow_none=True, metadata=described("HTTP status; null where there was no answer.", 200)
    )
    response_headers = json_object("Headers of the answer.", _HEADERS, required=True, allow_none=True)
    response_body = fields.String(
        required=True, allow_none=True, metadata=described("The answer's body, its first 16 kB.", '{"ok": true}')
    )
    error = fields.String(
        required=True, allow_none=True, metadata=described("What went wrong.", "The endpoint did not answer in time.")
    )


class DeliverySummary(Schema):
    """A delivery, as lists show it."""

    id = identifier("Identifier, and the `webhook-id` of every attempt.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    webhook_id = identifier("The webhook.", required=True)
    event_type = fields.String(required=True, metadata=described("What happened.", "integration.status_changed"))
    event_id = identifier("The event that caused it; null for a test.", required=True, allow_none=True)
    event_position = fields.Integer(
        required=True, allow_none=True, metadata=described("The event's place among all.", 4711)
    )
    status = choice(
        "`pending` until it is `delivered`, or `exhausted` after the last attempt; `held` while its webhook is off;"
        " `cancelled` with its webhook.",
        STATUSES,
        required=True,
    )
    run_after = moment("When the next attempt is due, while it is pending.", required=True)
    attempt = fields.Integer(required=True, metadata=described("How far it is in the retry schedule.", 1))
    delivery_attempts = fields.Integer(required=True, metadata=described("Attempts there were.", 1))
    response_status = fields.Integer(
        required=True, allow_none=True, metadata=described("HTTP status of the last attempt.", 200)
    )
    delivered_at = moment("When it succeeded.", required=True, allow_none=True)
    created_at = moment("When it was queued.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version = version()


class Delivery(DeliverySummary):
    """A delivery with its payload and every attempt."""

    payload = json_object(
        "The body that is sent.",
        {"type": "webhook.ping", "timestamp": "2026-11-22T09:30:00Z"},
        required=True,
    )
    response_headers = json_object("Headers of the last answer.", _HEADERS, required=True, allow_none=True)
    response_body = fields.String(
        required=True, allow_none=True, metadata=described("Body of the last answer.", '{"ok": true}')
    )
    attempts = fields.List(
        fields.Nested(DeliveryAttempt), required=True, metadata=described("Every attempt, the first one first.")
    )


class Recovery(Schema):
    """Which deliveries to send again."""

    since = moment("Those queued at or after this moment; all when left out.")
    until = moment(
        "Those queued before this moment, which is later than `since`; all when left out.",
        example="2026-11-22T10:30:00.000000Z",
    )

    @validates_schema(skip_on_field_errors=True)
    def _check_order(self, data: dict[str, Any], **_: Any) -> None:
        since, until = data.get("since"), data.get("until")
        if since is not None and until is not None and until <= since:
            raise ValidationError("Not later than `since`.", "until")
        if since is not None and since > datetime.now(UTC):
            raise ValidationError("Later than now: nothing was queued then.", "since")


class Recovered(Schema):
    """What is sent again."""

    recovered = fields.Integer(required=True, metadata=described("How many deliveries.", 37))
    has_more = fields.Boolean(
        required=True, metadata=described("Whether there are more than this call took: call again.", False)
    )


def _common() -> dict[str, Any]:
    return {
        "status": choice("Only those with this status.", STATUSES),
        "event_type": text("Only those of this event type.", "integration.status_changed", most=100),
        "since": moment("Only those queued at or after this moment."),
        "until": moment("Only those queued before this moment."),
    }


DeliveryFilters = filters(
    "DeliveryFilters",
    "created_at",
    organization_id=identifier("Only those of this organization."),
    webhook_id=identifier("Only those of this webhook."),
    **_common(),
)

DeliveryExportFilters = export_of(DeliveryFilters)

DeliveriesOfWebhookFilters = filters("DeliveriesOfWebhookFilters", "created_at", **_common())
