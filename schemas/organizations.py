"""Organizations."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields
from marshmallow.validate import Length, Range

from schemas.fields import JsonObject, Pattern, choice, described, identifier, json_object, label, moment, text, version
from schemas.lists import filters, include_deleted

PLANS = ("free", "pro", "enterprise")


MOST_RETRIES = 20
MOST_RETRY_SECONDS = 7 * 24 * 3600


class WebhookSettings(Schema):
    """How an organization's webhooks are delivered."""

    class Meta:
        unknown = INCLUDE

    retry_seconds = fields.List(
        fields.Integer(strict=True, validate=Range(0, MOST_RETRY_SECONDS)),
        allow_none=True,
        validate=Length(1, MOST_RETRIES),
        metadata=described("The delay in seconds before each attempt, counted from the one before.", [0, 5, 300]),
    )


class OrganizationSettings(Schema):
    """What is known of an organization's settings; the rest is its own business."""

    class Meta:
        unknown = INCLUDE

    webhooks = fields.Nested(WebhookSettings, allow_none=True, metadata=described("How webhooks are delivered."))


class _Settings(JsonObject):
    """Settings, of which the known ones are checked."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> dict[str, Any]:
        settings = super()._deserialize(value, attr, data, **options)
        if faults := OrganizationSettings().validate(settings):
            raise ValidationError(faults)
        return settings


def _slug(**options: bool) -> fields.String:
    return fields.String(
        validate=[
            Length(1, 100),
            Pattern(r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$", error="Letters, digits, inner hyphens."),
        ],
        metadata=described("Short name for addresses, unique among all in whatever case.", "acme"),
        **options,  # type: ignore[arg-type]
    )


class OrganizationChange(Schema):
    """What may change in an organization; a JSON merge patch."""

    name = label("Name.", "Acme")
    slug = _slug()
    description = text("What it is.", "Makes everything", most=10_000, least=0, allow_none=True)
    settings = _Settings(
        metadata=described(
            "Its settings. `webhooks.retry_seconds` holds the delay before each attempt of a delivery, in seconds.",
            {"default_service_type": "rest", "webhooks": {"retry_seconds": [0, 5, 300, 1800]}},
            type="object",
            additionalProperties=True,
        )
    )


class OrganizationCreate(OrganizationChange):
    """A new organization."""

    name = label("Name.", "Acme", required=True)
    slug = _slug(required=True)


class OrganizationTransfer(Schema):
    """Who is to own an organization."""

    user_id = identifier("A member, who becomes an owner; oneself becomes an admin.", required=True)


class Organization(OrganizationCreate):
    """An organization: the tenant that everything belongs to."""

    id = identifier("Identifier.", required=True)
    plan = choice("Its plan.", PLANS, required=True)
    limits = json_object(
        "Its own limits, which go before those of its plan; null is no limit.", {"integrations": 100}, required=True
    )
    usage_stats = json_object("How much it has, as counted; left out of `as_of`.", {"integrations": 7, "members": 2})
    personal_user_id = identifier("The user whose personal organization it is; null for a team's.", allow_none=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version = version()


OrganizationFilters = filters("OrganizationFilters", "created_at", "name", include_deleted=include_deleted())


class ResourceUsage(Schema):
    """How much of one thing there is."""

    resource = fields.String(required=True, metadata=described("What is limited.", "integrations"))
    used = fields.Integer(required=True, metadata=described("How many there are; of executions, today in UTC.", 7))
    limit = fields.Integer(
        required=True, allow_none=True, metadata=described("How many there may be; null is no limit.", 100)
    )
    remaining = fields.Integer(
        required=True, allow_none=True, metadata=described("How many more fit; null is no limit.", 93)
    )


class OrganizationUsage(Schema):
    """What an organization has, and what it may have."""

    items = fields.List(
        fields.Nested(ResourceUsage), required=True, metadata={"description": "One entry for each limited thing."}
    )
