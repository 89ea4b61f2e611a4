"""Integrations."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from schemas.fields import capabilities, choice, described, identifier, json_object, label, moment, text, url, version
from schemas.lists import export_of, filters, include_deleted

STATUSES = (
    "draft", "validating", "generating", "testing", "reviewing", "deploying",
    "active", "inactive", "failed", "deprecated",
)  # fmt: skip


class IntegrationChange(Schema):
    """What may change in an integration; a JSON merge patch."""

    name = label("Name.", "Stripe payments")
    description = text("What it is for.", "Takes payments", most=10_000, least=0, allow_none=True)
    service_type = label("Kind of service that it connects.", "rest", most=100)
    version = label("Label of its version.", "0.1.0", most=50)
    config = json_object("Its configuration.", {"base_url": "https://api.stripe.com"})
    capabilities = capabilities()
    metadata = json_object("Whatever its owners want to note.", {"team": "billing"})
    repository_url = url("Where its code lives.", "https://git.example.org/stripe")
    documentation_url = url("Where it is described.", "https://docs.example.org/stripe")
    health_check_url = url("Where its health is asked for.", "https://stripe.example.org/health")


class IntegrationCreate(IntegrationChange):
    """A new integration. With a template, what is left out comes from there."""

    name = label("Name. Needed unless a template gives one.", "Stripe payments")
    organization_id = identifier("Organization; the key's or the caller's personal one when left out.")
    template_id = text("Template to start from.", "rest-api", most=100)

    @validates_schema
    def _needs(self, data: dict[str, Any], **_: Any) -> None:
        if "template_id" not in data:
            missing = {
                name: ["Missing data for required field."] for name in ("name", "service_type") if name not in data
            }
            if missing:
                raise ValidationError(missing)


class Integration(IntegrationChange):
    """An integration."""

    id = identifier("Identifier.", required=True)
    status = choice("Where it is in its life.", STATUSES, required=True)
    author_id = identifier("Who made it.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    template_id = text("The template that it was made from.", "rest-api", most=100, allow_none=True)
    deployed_at = moment("When it last became active.", allow_none=True)
    last_execution_at = moment("When it last ran.", allow_none=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version_number = version()


class StatusChange(Schema):
    """Where to move an integration."""

    status = choice("The next status.", STATUSES, required=True)


class MovedIntegration(Integration):
    """An integration after a move."""

    allowed = fields.List(
        fields.String(), required=True, metadata=described("Where it can go from here.", ["generating", "failed"])
    )


class ActiveIntegration(Integration):
    """An active integration with its author, organization and recent executions."""

    author_name = fields.String(allow_none=True, metadata=described("Name of its author.", "Ann"))
    author_email = fields.String(allow_none=True, metadata=described("Address of its author.", "ann@example.org"))
    organization_name = fields.String(allow_none=True, metadata=described("Name of its organization.", "Acme"))
    organization_plan = fields.String(allow_none=True, metadata=described("Plan of its organization.", "pro"))
    execution_count = fields.Integer(metadata=described("Executions in the last seven days, as of now.", 12))
    success_rate = fields.Float(metadata=described("Per cent of these that completed.", 98.5))


class IntegrationStatistics(Schema):
    """Executions of the last thirty days."""

    id = identifier("The integration.", required=True)
    name = fields.String(metadata=described("Its name.", "Stripe payments"))
    status = choice("Its status.", STATUSES)
    service_type = fields.String(metadata=described("Its kind of service.", "rest"))
    organization_id = identifier("Whose it is.")
    total_executions = fields.Integer(metadata=described("Executions.", 120))
    successful_executions = fields.Integer(metadata=described("Of these completed.", 118))
    failed_executions = fields.Integer(metadata=described("Of these failed.", 2))
    success_rate = fields.Float(allow_none=True, metadata=described("Per cent completed.", 98.33))
    avg_duration_ms = fields.Float(allow_none=True, metadata=described("Mean duration in milliseconds.", 240.5))
    last_execution_at = moment("The last one.", allow_none=True)
    created_at = moment("When the integration was made.")
    refreshed_at = moment("When this was counted; null before the first time.", allow_none=True, required=True)


IntegrationFilters = filters(
    "IntegrationFilters",
    "created_at",
    "updated_at",
    "name",
    organization_id=identifier("Only those of this organization."),
    status=choice("Only those with this status.", STATUSES),
    service_type=text("Only those of this kind.", "rest", most=100),
    author_id=identifier("Only those that this user made."),
    template_id=text("Only those made from this template.", "rest-api", most=100),
    q=text('Full-text search in name and description: words, "phrases", -without, or.', "payments", most=500),
    include_deleted=include_deleted(),
)

ActiveIntegrationFilters = filters(
    "ActiveIntegrationFilters",
    "created_at",
    "updated_at",
    "name",
    organization_id=identifier("Only those of this organization."),
)

IntegrationExportFilters = export_of(IntegrationFilters)
