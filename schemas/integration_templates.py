"""Templates that integrations are made from."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import Length

from schemas.fields import Pattern, described, identifier, json_object, moment, text, version
from schemas.lists import filters, include_deleted


class IntegrationTemplateChange(Schema):
    """What may change in a template; a JSON merge patch."""

    name = text("Name.", "REST API")
    description = text("What it is for.", "Connects any REST API", most=10_000, least=0, allow_none=True)
    service_type = text("Kind of service that it connects.", "rest", most=100, allow_none=True)
    template_data = json_object(
        "What integrations made from it start with: config, capabilities, metadata, version.",
        {"config": {"timeout_seconds": 30}, "capabilities": ["read"]},
    )
    schema_version = text("Version of the shape of `template_data`.", "1.0", most=20)
    is_public = fields.Boolean(metadata=described("Whether everybody may use it.", False))


class IntegrationTemplateCreate(IntegrationTemplateChange):
    """A new template."""

    id = fields.String(
        required=True,
        validate=[
            Length(1, 100),
            Pattern(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", error="Lower-case letters, digits, inner hyphens."),
        ],
        metadata=described("Its id, chosen by its author and unique among all.", "rest-api"),
    )
    name = text("Name.", "REST API", required=True)
    template_data = json_object(
        "What integrations made from it start with.", {"config": {"timeout_seconds": 30}}, required=True
    )
    organization_id = identifier("Organization; the key's or the caller's personal one when left out.")


class IntegrationTemplate(IntegrationTemplateCreate):
    """A template."""

    organization_id = identifier("Whose it is; null for built-in ones.", allow_none=True)
    author_id = identifier("Who made it; null for built-in ones.", allow_none=True)
    usage_count = fields.Integer(metadata=described("How many integrations were made from it; left out of `as_of`.", 7))
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version = version()


IntegrationTemplateFilters = filters(
    "IntegrationTemplateFilters",
    "created_at",
    "name",
    "usage_count",
    organization_id=identifier("Only those of this organization."),
    service_type=text("Only those of this kind.", "rest", most=100),
    is_public=fields.Boolean(metadata=described("Only public ones, or only private ones.", True)),
    include_deleted=include_deleted(),
)
