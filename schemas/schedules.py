"""Schedules."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from schemas.fields import described, identifier, json_object, label, moment, text, version
from schemas.lists import filters, include_deleted


class ScheduleChange(Schema):
    """What may change in a schedule; a JSON merge patch."""

    name = label("Name.", "Every working day")
    integration_id = identifier("The integration that it runs; either this or a workflow.", allow_none=True)
    workflow_id = identifier("The workflow that it starts; either this or an integration.", allow_none=True)
    cron_expression = text("When: minute, hour, day of the month, month, day of the week.", "30 7 * * 1-5")
    time_zone = text("Whose clock that is: a name of the IANA database.", "Europe/Berlin", most=100)
    catch_up = fields.Boolean(
        metadata=described("Whether times that were missed are made up for; they are skipped otherwise.", False)
    )
    input_parameters = json_object("What each run starts with.", {"name": "Ann"})
    is_active = fields.Boolean(metadata=described("Whether it runs anything.", True))


class ScheduleCreate(ScheduleChange):
    """A new schedule, in the organization of what it runs."""

    name = label("Name.", "Every working day", required=True)
    cron_expression = text(
        "When: minute, hour, day of the month, month, day of the week.", "30 7 * * 1-5", required=True
    )

    @validates_schema
    def _needs_one_target(self, data: dict[str, Any], **_: Any) -> None:
        if (data.get("integration_id") is None) == (data.get("workflow_id") is None):
            raise ValidationError({"workflow_id": ["Either this or integration_id is needed, not both."]})


class Schedule(ScheduleChange):
    """A schedule."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    next_run_at = moment("When it is due next; null where it is not active.", allow_none=True)
    created_by = identifier("Who made it.", required=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)
    version = version()


class ScheduleRun(Schema):
    """One time that a schedule was due."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    schedule_id = identifier("The schedule.", required=True)
    due_at = moment("When it was due.", required=True)
    started_at = moment("When it ran.", required=True)
    execution_id = identifier("The execution that it started, of the integration or of the workflow.", allow_none=True)


ScheduleFilters = filters(
    "ScheduleFilters",
    "created_at",
    "updated_at",
    "name",
    organization_id=identifier("Only those of this organization."),
    integration_id=identifier("Only those that run this integration."),
    workflow_id=identifier("Only those that start this workflow."),
    is_active=fields.Boolean(metadata=described("Only those that run, or only those that do not.", True)),
    include_deleted=include_deleted(),
)

ScheduleRunFilters = filters("ScheduleRunFilters", "due_at")
