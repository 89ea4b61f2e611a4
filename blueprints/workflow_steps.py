"""Steps of executions of workflows."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.workflow_steps import WorkflowSteps
from schemas.lists import Sparse
from schemas.workflow_steps import WorkflowStep, WorkflowStepFilters, WorkflowStepSummary
from web.answers import single
from web.blueprint import Blueprint
from web.caller import caller
from web.paging import page

blueprint = Blueprint(
    "workflow-steps",
    __name__,
    url_prefix="/workflow-executions/<uuid:execution_id>/steps",
    description="What an execution of a workflow has done, task by task.",
)


@blueprint.get("")
@blueprint.arguments(WorkflowStepFilters, location="query")
@blueprint.page(WorkflowStepSummary)
def list_workflow_steps(query: dict[str, Any], execution_id: UUID) -> Response:
    """List an execution's steps, without what went in and came out."""
    with transaction(caller()) as connection:
        return page(partial(WorkflowSteps(connection).find, execution_id), query)


@blueprint.get("/<uuid:step_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, WorkflowStep)
def get_workflow_step(query: dict[str, Any], execution_id: UUID, step_id: UUID) -> Response:
    """Get a step with what went in and came out."""
    with statement(caller()) as connection:
        return single(WorkflowSteps(connection).get(execution_id, step_id))
