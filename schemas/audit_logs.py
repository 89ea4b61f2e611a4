"""Audit logs."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import choice, described, identifier, ip_address, json_object, moment, text, version
from schemas.lists import export_of, filters

OUTCOMES = ("allowed", "refused")


class AuditLog(Schema):
    """Something that somebody did, or tried to do."""

    id = identifier("Identifier.", required=True)
    user_id = identifier("Who; null for nobody who is known.", required=True, allow_none=True)
    organization_id = identifier("Whose it concerns.", required=True, allow_none=True)
    action = fields.String(required=True, metadata=described("What.", "integration.created"))
    resource_type = fields.String(required=True, metadata=described("To what kind of thing.", "integration"))
    resource_id = fields.String(
        required=True, allow_none=True, metadata=described("To which.", "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11")
    )
    details = json_object(
        "Outcome, request and API key.", {"outcome": "allowed", "request_id": "5f3c1e"}, required=True
    )
    ip_address = fields.String(required=True, allow_none=True, metadata=described("From where.", "203.0.113.7"))
    user_agent = fields.String(required=True, allow_none=True, metadata=described("With what.", "curl/8.5"))
    created_at = moment("When.", required=True)
    version = version("Always 1: what is on record does not change.")


AuditLogFilters = filters(
    "AuditLogFilters",
    "created_at",
    organization_id=identifier("Only those of this organization."),
    user_id=identifier("Only what this user did."),
    action=text("Only this action.", "integration.created", most=100),
    resource_type=text("Only what was done to this kind of thing.", "integration", most=100),
    resource_id=text("Only what was done to this thing.", "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"),
    outcome=choice("Only what was allowed, or only what was refused.", OUTCOMES),
    ip_address=ip_address("Only what came from this address."),
    created_after=moment("Only those at or after this moment."),
    created_before=moment("Only those before this moment."),
)

AuditLogExportFilters = export_of(AuditLogFilters)
