"""Webhooks."""

from __future__ import annotations

import base64
import binascii

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length, Range

from schemas.fields import choice, described, identifier, moment, text, url, version
from schemas.lists import filters, include_deleted

PREFIX = "whsec_"
DISABLED_REASONS = ("user", "gone", "failing")
_EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def _key_of_24_to_64_bytes(secret: str) -> None:
    """Check a secret.

    :raises marshmallow.ValidationError: it is not what Standard Webhooks 1.0 calls one.
    """
    try:
        fits = (
            secret.startswith(PREFIX) and 24 <= len(base64.b64decode(secret.removeprefix(PREFIX), validate=True)) <= 64
        )
    except (binascii.Error, ValueError):
        fits = False
    if not fits:
        raise ValidationError("Not `whsec_` and the base64 of 24 to 64 bytes.")


def _secret(description: str) -> fields.String:
    return fields.String(
        validate=[Length(1, 100), _key_of_24_to_64_bytes], metadata=described(description, _EXAMPLE_SECRET)
    )


def _events(**options: bool) -> fields.List[str]:
    return fields.List(
        fields.String(validate=Length(1, 100)),
        validate=Length(1, 100),
        metadata=described(
            "What it hears of: names of /event-types, `integration.*` for all of one kind, `*` for everything.",
            ["integration.*", "workflow_execution.completed"],
        ),
        **options,  # type: ignore[arg-type]
    )


class WebhookChange(Schema):
    """What may change in a webhook; a JSON merge patch."""

    url = url("Where deliveries are sent.", "https://example.org/webhooks", allow_none=False)
    events = _events()
    filter = text(
        "SQL/JSON path predicate over the payload; only what it is true of is delivered.",
        '$.data.new.status == "active"',
        most=1000,
        allow_none=True,
    )
    is_ordered = fields.Boolean(
        metadata=described("Deliver in the order of events, one at a time: one that fails holds up the rest.", False)
    )
    rate_limit = fields.Integer(
        strict=True, allow_none=True, validate=Range(1, 1000), metadata=described("Attempts a second at most.", 10)
    )
    max_concurrency = fields.Integer(
        strict=True, allow_none=True, validate=Range(1, 100), metadata=described("Attempts at a time at most.", 4)
    )
    is_active = fields.Boolean(metadata=described("Whether it is switched on; off it keeps what it would get.", True))


class WebhookCreate(WebhookChange):
    """A new webhook."""

    integration_id = identifier("The integration that it belongs to.", required=True)
    url = url("Where deliveries are sent.", "https://example.org/webhooks", allow_none=False, required=True)
    events = _events(required=True)
    secret = _secret("What it signs with; made up when left out.")


class Webhook(WebhookChange):
    """A webhook, without its secret."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    integration_id = identifier("The integration that it belongs to.", required=True)
    previous_secret_expires_at = moment("Until when the secret before signs along.", allow_none=True)
    last_success_at = moment("When a delivery last succeeded.", allow_none=True)
    last_failure_at = moment("When an attempt last failed.", allow_none=True)
    failure_count = fields.Integer(metadata=described("Failures since the last success.", 2))
    failing_since = moment("The first failure since the last success.", allow_none=True)
    disabled_at = moment("When it was switched off.", allow_none=True)
    disabled_reason = choice(
        "Why it is off: by its `user`, by the endpoint's answer 410 (`gone`), or after days of failures (`failing`).",
        DISABLED_REASONS,
        allow_none=True,
    )
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version = version()


class NewWebhook(Webhook):
    """A webhook whose secret is new."""

    secret = fields.String(required=True, metadata=described("The secret itself, shown this once.", _EXAMPLE_SECRET))


class WebhookOfMany(Webhook):
    """A webhook, with its secret if it is new."""

    secret = fields.String(metadata=described("The secret itself, shown this once, of one made now.", _EXAMPLE_SECRET))


class SecretRotation(Schema):
    """How to rotate a secret."""

    secret = _secret("The new one; made up when left out.")


class Enabling(Schema):
    """How to switch a webhook on."""

    recover = fields.Boolean(
        load_default=False,
        metadata=described("Also send what was given up, and what was kept while it was off: 10,000 at most.", False),
    )


WebhookFilters = filters(
    "WebhookFilters",
    "created_at",
    organization_id=identifier("Only those of this organization."),
    integration_id=identifier("Only those of this integration."),
    is_active=fields.Boolean(metadata=described("Only those that are on, or off.", True)),
    include_deleted=include_deleted(),
)


class DeliveryStatistics(Schema):
    """How attempts went in a period."""

    attempts = fields.Integer(required=True, metadata=described("How many there were.", 120))
    successes = fields.Integer(required=True, metadata=described("How many were answered 2xx.", 117))
    success_rate = fields.Float(
        required=True, allow_none=True, metadata=described("In percent; null where there was no attempt.", 97.5)
    )
    latency_p50_ms = fields.Float(
        required=True, allow_none=True, metadata=described("Half of the attempts took no longer, in milliseconds.", 80)
    )
    latency_p95_ms = fields.Float(
        required=True, allow_none=True, metadata=described("Of twenty attempts nineteen took no longer.", 310)
    )


class WebhookHealth(Schema):
    """How a webhook's deliveries go, and what waits."""

    webhook_id = identifier("The webhook.", required=True)
    is_active = fields.Boolean(required=True, metadata=described("Whether it is switched on.", True))
    disabled_reason = choice("Why it is off.", DISABLED_REASONS, required=True, allow_none=True)
    last_success_at = moment("When a delivery last succeeded.", required=True, allow_none=True)
    last_failure_at = moment("When an attempt last failed.", required=True, allow_none=True)
    failing_since = moment("The first failure since the last success.", required=True, allow_none=True)
    failure_streak = fields.Integer(required=True, metadata=described("Failures since the last success.", 2))
    waiting = fields.Integer(required=True, metadata=described("Deliveries that are due or will be.", 3))
    held = fields.Integer(required=True, metadata=described("Deliveries kept while it was switched off.", 0))
    oldest_waiting_at = moment("When the oldest of those that wait was queued.", required=True, allow_none=True)
    next_attempt_at = moment("When the next attempt is due.", required=True, allow_none=True)
    last_24_hours = fields.Nested(
        DeliveryStatistics, required=True, metadata=described("Attempts of the last 24 hours.", {"attempts": 120})
    )
    last_7_days = fields.Nested(
        DeliveryStatistics, required=True, metadata=described("Attempts of the last seven days.", {"attempts": 800})
    )
