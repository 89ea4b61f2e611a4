"""Checks of integrations' health."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import choice, described, identifier, moment, version
from schemas.lists import filters

STATUSES = ("pending", "healthy", "unhealthy", "failed")


class IntegrationHealthCheck(Schema):
    """A question to an integration's `health_check_url`."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    integration_id = identifier("The integration.", required=True)
    status = choice(
        "`healthy` where the answer was 2xx, `unhealthy` where it was another or none came, `failed` where nobody could"
        " be asked.",
        STATUSES,
        required=True,
    )
    http_status = fields.Integer(
        required=True, allow_none=True, metadata=described("The HTTP status of the answer.", 200)
    )
    latency_ms = fields.Integer(
        required=True, allow_none=True, metadata=described("Milliseconds until there was an answer, or none.", 42)
    )
    error_message = fields.String(
        required=True, allow_none=True, metadata=described("Why it is not healthy.", "The answer was 503.")
    )
    attempt = fields.Integer(required=True, metadata=described("How often a worker took it up.", 1))
    requested_by = identifier("Who asked for it.", required=True, allow_none=True)
    created_at = moment("When it was asked for.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version = version()


IntegrationHealthCheckFilters = filters(
    "IntegrationHealthCheckFilters", "created_at", status=choice("Only those with this status.", STATUSES)
)
