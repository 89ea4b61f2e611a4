"""Steps of executions of workflows."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import choice, described, identifier, moment, text, version
from schemas.lists import filters

STATUSES = ("pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed")


class WorkflowStepSummary(Schema):
    """A step of an execution, without what went in and came out."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    workflow_execution_id = identifier("The execution.", required=True)
    step_name = text(
        "Its task's JSON pointer in the definition, with the index of each loop.", "/do/0/greet", required=True
    )
    status = choice("Where it is in its life.", STATUSES, required=True)
    error_message = fields.String(allow_none=True, metadata=described("Why it failed.", "The service did not answer."))
    started_at = moment("When it first ran.", allow_none=True)
    completed_at = moment("When it ended.", allow_none=True)
    duration_ms = fields.Integer(allow_none=True, metadata=described("How long it took, in milliseconds.", 12))
    retry_count = fields.Integer(metadata=described("How often it was tried again.", 0))
    run_after = moment("Before when it does not go on.", allow_none=True)
    attempt = fields.Integer(metadata=described("How often a worker has taken it.", 1))
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version = version()


class WorkflowStep(WorkflowStepSummary):
    """A step of an execution."""

    input_data = fields.Raw(allow_none=True, metadata=described("What went in.", {"name": "Ann"}))
    output_data = fields.Raw(allow_none=True, metadata=described("What came out.", {"greeting": "Hello Ann"}))


WorkflowStepFilters = filters(
    "WorkflowStepFilters", "created_at", status=choice("Only those with this status.", STATUSES)
)
