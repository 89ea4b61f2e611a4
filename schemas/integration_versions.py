"""Versions of integrations."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import described, identifier, json_object, label, moment, text, url, version
from schemas.lists import filters


class IntegrationVersionCreate(Schema):
    """A new version of an integration."""

    version = label("Its label, unique within the integration.", "1.0.0", most=50, required=True)
    changelog = text("What is new in it.", "First release", most=100_000, least=0, allow_none=True)
    config = json_object(
        "Its configuration; the integration's present one when left out.", {"base_url": "https://api.stripe.com"}
    )
    source_code_url = url("Where its code is.", "https://git.example.org/stripe/v1.0.0")


class IntegrationVersion(IntegrationVersionCreate):
    """A version of an integration."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    integration_id = identifier("The integration.", required=True)
    created_by = identifier("Who made it.", required=True)
    is_active = fields.Boolean(required=True, metadata=described("Whether it is the active one.", True))
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version_number = version()


IntegrationVersionFilters = filters("IntegrationVersionFilters", "created_at")
