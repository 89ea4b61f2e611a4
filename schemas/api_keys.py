"""API keys."""

from __future__ import annotations

from datetime import UTC, datetime

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length, Range

from schemas.fields import Moment, described, identifier, label, moment, version
from schemas.lists import filters, include_deleted


def _permissions(**options: bool) -> fields.List[str]:
    return fields.List(
        fields.String(validate=Length(1, 100)),
        validate=Length(max=200),
        metadata=described(
            "What it may do, never more than its owner: names of /permissions, `resource:*` or `*`.",
            ["integrations:read"],
        ),
        **options,  # type: ignore[arg-type]
    )


def _is_ahead(time: datetime) -> None:
    if time <= datetime.now(UTC):
        raise ValidationError("Not in the future: revoke a key to end it.")


def _expiry(description: str) -> Moment:
    return moment(description, example="2099-11-22T09:30:00.000000Z", allow_none=True, validate=_is_ahead)


class ApiKeyChange(Schema):
    """What may change in a key; a JSON merge patch."""

    name = label("What it is for.", "code generator")
    permissions = _permissions()
    rate_limit = fields.Integer(
        strict=True, validate=Range(1, 100_000_000), metadata=described("Requests an hour.", 1000)
    )
    expires_at = _expiry("When it stops working, a time to come; null for never.")
    is_active = fields.Boolean(metadata=described("Whether it works.", True))


class ApiKeyCreate(Schema):
    """A new key."""

    name = label("What it is for.", "code generator", required=True)
    permissions = _permissions(required=True)
    organization_id = identifier(
        "The only organization that it reaches; all of its owner's when left out.", allow_none=True
    )
    rate_limit = fields.Integer(
        strict=True, validate=Range(1, 100_000_000), metadata=described("Requests an hour; 1000 when left out.", 1000)
    )
    expires_at = _expiry("When it stops working, a time to come; never when left out.")


class ApiKey(ApiKeyChange):
    """An API key, without its secret."""

    id = identifier("Identifier.", required=True)
    user_id = identifier("Its owner.", required=True)
    expires_at = moment("When it stops working; null for never.", allow_none=True)
    organization_id = identifier("The only organization that it reaches; null for all of its owner's.", allow_none=True)
    key_prefix = fields.String(required=True, metadata=described("How it begins.", "ccb_4fT9xQ2k"))
    last_used_at = moment("When it was last used, to five minutes.", allow_none=True)
    rotated_to = identifier("The key that takes its place.", allow_none=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was revoked.", allow_none=True)
    version = version()


class NewApiKey(ApiKey):
    """A key that has just been made."""

    key = fields.String(required=True, metadata=described("The key itself, shown this once.", "ccb_…"))


class Rotation(Schema):
    """How to rotate a key."""

    overlap_seconds = fields.Integer(
        strict=True,
        load_default=24 * 3600,
        validate=Range(0, 30 * 24 * 3600),
        metadata=described("How long the old key goes on working.", 86400),
    )


ApiKeyFilters = filters(
    "ApiKeyFilters",
    "created_at",
    "name",
    organization_id=identifier("Only those bound to this organization."),
    include_deleted=include_deleted(),
)
