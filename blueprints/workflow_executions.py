"""Executions of workflows."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import Row, statement, transaction
from repositories.workflow_executions import MOST_AT_ONCE, WorkflowExecutions
from schemas.lists import Historic
from schemas.workflow_executions import (
    UNDER_WAY,
    MovedExecutions,
    WorkflowExecution,
    WorkflowExecutionExportFilters,
    WorkflowExecutionFilters,
    WorkflowExecutionLog,
    WorkflowExecutionLogFilters,
    WorkflowExecutionSelection,
    WorkflowExecutionSummary,
)
from web.answers import json, single
from web.blueprint import Blueprint
from web.caller import caller
from web.export import export
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "workflow-executions",
    __name__,
    url_prefix="/workflow-executions",
    description="Executions of workflows: their state, and how to steer them. They are started at the workflow.",
)


@blueprint.get("")
@blueprint.arguments(WorkflowExecutionFilters, location="query")
@blueprint.page(WorkflowExecutionSummary)
def list_workflow_executions(query: dict[str, Any]) -> Response:
    """List executions, without their input and result."""
    with statement(caller()) as connection:
        return page(WorkflowExecutions(connection).find, query)


@blueprint.get("/export")
@blueprint.arguments(WorkflowExecutionExportFilters, location="query")
@blueprint.export(WorkflowExecutionSummary)
def export_workflow_executions(query: dict[str, Any]) -> Response:
    """Export executions as NDJSON or CSV, with the filters of the list."""
    return export(WorkflowExecutions, WorkflowExecutionSummary, query)


@blueprint.post("/cancel")
@blueprint.arguments(WorkflowExecutionSelection)
@blueprint.response(200, MovedExecutions)
def cancel_workflow_executions(body: dict[str, Any]) -> Response:
    """Cancel all executions that match, 1,000 at a time."""
    with transaction(caller()) as connection:
        return _moved(WorkflowExecutions(connection).cancel_all(**body))


@blueprint.post("/retry")
@blueprint.arguments(WorkflowExecutionSelection)
@blueprint.response(200, MovedExecutions)
def retry_workflow_executions(body: dict[str, Any]) -> Response:
    """Try all executions again that match and failed or were cancelled, 1,000 at a time."""
    with transaction(caller()) as connection:
        return _moved(WorkflowExecutions(connection).retry_all(**body))


@blueprint.get("/<uuid:execution_id>")
@blueprint.arguments(Historic, location="query")
@blueprint.response(200, WorkflowExecution)
def get_workflow_execution(query: dict[str, Any], execution_id: UUID) -> Response:
    """Get an execution with its input and result, as it is or as it was at a moment."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, WorkflowExecution, "workflow_execution", execution_id, query["as_of"])
        row = WorkflowExecutions(connection).get(execution_id)
        return single(row, is_moving=row["status"] in UNDER_WAY)  # its progress makes no version


@blueprint.post("/<uuid:execution_id>/cancel")
@blueprint.response(200, WorkflowExecution)
def cancel_workflow_execution(execution_id: UUID) -> Response:
    """Cancel an execution: at once, or while it runs at the next heartbeat of its worker."""
    with transaction(caller()) as connection:
        return single(WorkflowExecutions(connection).cancel(execution_id))


@blueprint.post("/<uuid:execution_id>/suspend")
@blueprint.response(200, WorkflowExecution)
def suspend_workflow_execution(execution_id: UUID) -> Response:
    """Suspend an execution: at once, or while it runs at the next heartbeat of its worker."""
    with transaction(caller()) as connection:
        return single(WorkflowExecutions(connection).suspend(execution_id))


@blueprint.post("/<uuid:execution_id>/resume")
@blueprint.response(200, WorkflowExecution)
def resume_workflow_execution(execution_id: UUID) -> Response:
    """Let a suspended execution go on."""
    with transaction(caller()) as connection:
        return single(WorkflowExecutions(connection).resume(execution_id))


@blueprint.post("/<uuid:execution_id>/retry")
@blueprint.response(200, WorkflowExecution)
def retry_workflow_execution(execution_id: UUID) -> Response:
    """Let an execution that failed or was cancelled go on from the steps that did not succeed."""
    with transaction(caller()) as connection:
        return single(WorkflowExecutions(connection).retry(execution_id))


@blueprint.get("/<uuid:execution_id>/logs")
@blueprint.arguments(WorkflowExecutionLogFilters, location="query")
@blueprint.page(WorkflowExecutionLog)
def list_workflow_execution_logs(query: dict[str, Any], execution_id: UUID) -> Response:
    """List what was logged while an execution ran."""
    with transaction(caller()) as connection:
        return page(partial(WorkflowExecutions(connection).find_logs, execution_id), query)


def _moved(rows: list[Row]) -> Response:
    return json({"items": rows, "more": len(rows) == MOST_AT_ONCE})
