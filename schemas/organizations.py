"""Organizations."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import Length

from schemas.fields import Pattern, choice, described, identifier, json_object, moment, text, version
from schemas.lists import filters, include_deleted

PLANS = ("free", "pro", "enterprise")


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

    name = text("Name.", "Acme")
    slug = _slug()
    description = text("What it is.", "Makes everything", most=10_000, least=0, allow_none=True)
    settings = json_object("Its settings.", {"default_service_type": "rest"})


class OrganizationCreate(OrganizationChange):
    """A new organization."""

    name = text("Name.", "Acme", required=True)
    slug = _slug(required=True)


class Organization(OrganizationCreate):
    """An organization: the tenant that everything belongs to."""

    id = identifier("Identifier.", required=True)
    plan = choice("Its plan.", PLANS, required=True)
    limits = json_object("How much it may have of what.", {"integrations": 100}, required=True)
    usage_stats = json_object("How much it has now; left out of `as_of`.", {"integrations": 7})
    personal_user_id = identifier("The user whose personal organization it is; null for a team's.", allow_none=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version = version()


OrganizationFilters = filters("OrganizationFilters", "created_at", "name", include_deleted=include_deleted())
