"""Executions of workflows."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Range

from schemas.fields import choice, described, identifier, json_object, moment, text, version
from schemas.lists import export_of, filters

STATUSES = ("pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed")
UNDER_WAY = ("running", "waiting")  # in which there is progress
LEVELS = ("debug", "info", "warning", "error")


class WorkflowExecutionStart(Schema):
    """What a workflow starts with."""

    input_parameters = json_object(
        "Its input, which must fit the definition's `input.schema` if it has one.", {"name": "Ann"}
    )
    integration_id = identifier("The integration that it is about.", allow_none=True)


class WorkflowExecutionSummary(Schema):
    """An execution of a workflow, without its input and result."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    workflow_id = identifier("The workflow.", allow_none=True)
    workflow_version_number = fields.Integer(
        allow_none=True, metadata=described("Which version of its definition it runs, whatever came later.", 1)
    )
    workflow_type = text("Kind of workflow.", "greeting", most=100, required=True)
    status = choice("Where it is in its life.", STATUSES, required=True)
    progress = fields.Integer(validate=Range(0, 100), metadata=described("Per cent of its tasks that are done.", 0))
    error_message = fields.String(allow_none=True, metadata=described("Why it failed.", "The service did not answer."))
    integration_id = identifier("The integration that it is about.", allow_none=True)
    triggered_by = identifier("Who started it.", allow_none=True)
    started_at = moment("When it first ran.", allow_none=True)
    completed_at = moment("When it ended.", allow_none=True)
    cancel_requested_at = moment("When its cancelling was asked for.", allow_none=True)
    suspend_requested_at = moment("When its suspending was asked for.", allow_none=True)
    run_after = moment("Before when it does not go on.", allow_none=True)
    attempt = fields.Integer(metadata=described("How often a worker has taken it.", 0))
    created_at = moment("When it was asked for.", required=True)
    updated_at = moment("When it last changed; progress alone is no change.", required=True)
    version = version()


class WorkflowExecution(WorkflowExecutionSummary):
    """An execution of a workflow."""

    input_parameters = json_object("Its input.", {"name": "Ann"}, required=True)
    output_result = fields.Raw(allow_none=True, metadata=described("Its result.", {"greeting": "Hello Ann"}))


class WorkflowExecutionLog(Schema):
    """A line that was logged while an execution ran."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    workflow_execution_id = identifier("The execution.", required=True)
    step_name = text("The step that logged it: its task's JSON pointer.", "/do/0/greet", allow_none=True)
    level = choice("How severe it is.", LEVELS, required=True)
    message = fields.String(required=True, metadata=described("What it says.", "Asked the service."))
    line_number = fields.Integer(required=True, metadata=described("Its place in the order of all lines.", 42))
    created_at = moment("When it was logged.", required=True)


class WorkflowExecutionSelection(Schema):
    """Which executions to move. At least one condition is needed."""

    organization_id = identifier("Only those of this organization.")
    workflow_id = identifier("Only those of this workflow.")
    integration_id = identifier("Only those about this integration.")
    status = choice("Only those with this status.", STATUSES)
    workflow_type = text("Only those of this kind.", "greeting", most=100)
    triggered_by = identifier("Only those that this user started.")
    since = moment("Only those made at this time or later.")
    until = moment("Only those made before this time.")

    @validates_schema
    def _needs(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("Say which: at least one condition is needed.")


class MovedExecution(Schema):
    """An execution that was moved."""

    id = identifier("Identifier.", required=True)
    status = choice("Its status now.", STATUSES, required=True)


class MovedExecutions(Schema):
    """What was moved by one request."""

    items = fields.List(
        fields.Nested(MovedExecution), required=True, metadata=described("What was moved, 1,000 at most.")
    )
    more = fields.Boolean(required=True, metadata=described("Whether there may be more: ask again.", False))


WorkflowExecutionFilters = filters(
    "WorkflowExecutionFilters",
    "created_at",
    "updated_at",
    organization_id=identifier("Only those of this organization."),
    workflow_id=identifier("Only those of this workflow."),
    integration_id=identifier("Only those about this integration."),
    status=choice("Only those with this status.", STATUSES),
    workflow_type=text("Only those of this kind.", "greeting", most=100),
    triggered_by=identifier("Only those that this user started."),
    since=moment("Only those made at this time or later."),
    until=moment("Only those made before this time."),
)

WorkflowExecutionExportFilters = export_of(WorkflowExecutionFilters)

WorkflowExecutionLogFilters = filters(
    "WorkflowExecutionLogFilters",
    "line_number",
    level=choice("Only lines of this level.", LEVELS),
    step_name=text("Only lines of this step.", "/do/0/greet"),
)
