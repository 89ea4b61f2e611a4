"""Executions of integrations."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields
from marshmallow.validate import Range

from schemas.fields import choice, described, identifier, json_object, moment, text, version
from schemas.lists import export_of, filters

STATUSES = ("pending", "running", "completed", "failed", "cancelled")
TRIGGERS = ("webhook", "scheduled", "manual")
MOST_MILLISECONDS = 2**31 - 1

_RESULT = {"imported": 12}


def _duration() -> fields.Integer:
    return fields.Integer(
        strict=True,
        validate=Range(0, MOST_MILLISECONDS),
        metadata=described("Milliseconds it took; counted from its start when left out.", 240),
    )


class IntegrationExecutionCreate(Schema):
    """A start by hand."""

    trigger_data = json_object("What it is to work on.", {"invoice": "in_42"}, load_default=None, allow_none=True)
    status = choice(
        "`pending` for whatever runs the integration to take up; `running` by a service that runs it itself.",
        ("pending", "running"),
        load_default="pending",
    )


class IntegrationExecutionCompletion(Schema):
    """How an execution ended well."""

    result = json_object("What came out.", _RESULT, allow_none=True)
    duration_ms = _duration()


class IntegrationExecutionFailure(Schema):
    """How an execution went wrong."""

    error_message = text("What went wrong.", "The API answered 500.", most=100_000, required=True)
    result = json_object("What came out before that.", _RESULT, allow_none=True)
    duration_ms = _duration()


class IntegrationExecution(Schema):
    """An execution of an integration."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    integration_id = identifier("The integration.", required=True)
    trigger_type = choice("What started it.", TRIGGERS, required=True)
    trigger_data = json_object("What it was started with.", {"invoice": "in_42"}, required=True, allow_none=True)
    status = choice("Where it is.", STATUSES, required=True)
    result = json_object("What came out.", _RESULT, required=True, allow_none=True)
    error_message = fields.String(
        required=True, allow_none=True, metadata=described("What went wrong.", "The API answered 500.")
    )
    duration_ms = fields.Integer(
        required=True, allow_none=True, metadata=described("Milliseconds it took, once it has ended.", 240)
    )
    started_at = moment("When it started.", required=True)
    completed_at = moment("When it ended.", required=True, allow_none=True)
    created_at = moment("When it was noted.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version = version()


def _common() -> dict[str, Any]:
    return {
        "status": choice("Only those with this status.", STATUSES),
        "trigger_type": choice("Only those that were started so.", TRIGGERS),
        "started_after": moment("Only those that started at or after this moment."),
        "started_before": moment("Only those that started before this moment."),
    }


IntegrationExecutionFilters = filters(
    "IntegrationExecutionFilters",
    "started_at",
    organization_id=identifier("Only those of this organization."),
    integration_id=identifier("Only those of this integration."),
    **_common(),
)

ExecutionsOfIntegrationFilters = filters("ExecutionsOfIntegrationFilters", "started_at", **_common())

IntegrationExecutionExportFilters = export_of(IntegrationExecutionFilters)
