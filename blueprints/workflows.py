"""Workflows."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import Row, statement, transaction
from repositories.requests import Requests
from repositories.workflow_executions import WorkflowExecutions
from repositories.workflows import Workflows
from schemas.lists import Single
from schemas.workflow_executions import WorkflowExecution, WorkflowExecutionStart
from schemas.workflows import (
    Verdict,
    Workflow,
    WorkflowChange,
    WorkflowCheck,
    WorkflowCreate,
    WorkflowFilters,
    WorkflowSummary,
)
from web.answers import created, expected_versions, json, no_content, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller
from web.definitions import accepted, check_input, examined
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "workflows", __name__, url_prefix="/workflows", description="Workflows in the Serverless Workflow DSL 1.0."
)


@blueprint.get("")
@blueprint.arguments(WorkflowFilters, location="query")
@blueprint.page(WorkflowSummary)
def list_workflows(query: dict[str, Any]) -> Response:
    """List workflows, without their definitions."""
    with statement(caller()) as connection:
        return page(Workflows(connection).find, query)


@blueprint.post("")
@blueprint.arguments(WorkflowCreate)
@blueprint.response(201, Workflow)
def create_workflow(body: dict[str, Any]) -> Response:
    """Create a workflow from a definition; a definition that is not valid is refused with all its faults."""
    definition = accepted(body) or {}
    with statement(caller()) as connection:
        row = Workflows(connection).create(definition, **body)
    return created(row, f"/api/v1/workflows/{row['id']}")


@blueprint.post("/bulk")
@bulk(blueprint, Workflow, create=WorkflowCreate, change=WorkflowChange, delete=True)
def bulk_workflows(items: list[Item]) -> Response:
    """Create, change and delete up to 1,000 workflows, each by itself."""
    with transaction(caller()) as connection:
        workflows = Workflows(connection)
        create, change = partial(_create, workflows), partial(_change, workflows)
        return each(connection, items, lock=workflows.lock_many, create=create, change=change, delete=workflows.delete)


@blueprint.post("/validate")
@blueprint.arguments(WorkflowCheck)
@blueprint.response(200, Verdict)
def validate_workflow(body: dict[str, Any]) -> Response:
    """Say everything that is wrong with a definition, without saving it."""
    with statement(caller()) as connection:
        Requests(connection).count()
    faults = examined(body)[1]
    return json({"valid": not faults, "errors": faults})


@blueprint.get("/<uuid:workflow_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, Workflow)
def get_workflow(query: dict[str, Any], workflow_id: UUID) -> Response:
    """Get a workflow, as it is or as it was at a moment."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, Workflow, "workflow", workflow_id, query["as_of"])
        return single(Workflows(connection).get(workflow_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<uuid:workflow_id>")
@blueprint.arguments(WorkflowChange)
@blueprint.response(200, Workflow)
def change_workflow(body: dict[str, Any], workflow_id: UUID) -> Response:
    """Change a workflow by a JSON merge patch; another definition is another version."""
    with transaction(caller()) as connection:
        return single(_change(Workflows(connection), workflow_id, expected_versions(), body))


@blueprint.delete("/<uuid:workflow_id>")
@blueprint.response(204)
def delete_workflow(workflow_id: UUID) -> Response:
    """Delete a workflow; it can be restored, and what runs goes on."""
    with transaction(caller()) as connection:
        Workflows(connection).delete(workflow_id, expected_versions())
    return no_content()


@blueprint.post("/<uuid:workflow_id>/restore")
@blueprint.response(200, Workflow)
def restore_workflow(workflow_id: UUID) -> Response:
    """Restore a deleted workflow."""
    with transaction(caller()) as connection:
        return single(Workflows(connection).restore(workflow_id))


@blueprint.post("/<uuid:workflow_id>/executions")
@blueprint.arguments(WorkflowExecutionStart, required=False)
@blueprint.response(201, WorkflowExecution)
def start_workflow(body: dict[str, Any], workflow_id: UUID) -> Response:
    """Start a workflow; the execution keeps the definition as it is now."""
    with transaction(caller()) as connection:
        row = WorkflowExecutions(connection).start(workflow_id, check_input, body.pop("input_parameters", {}), **body)
    return created(row, f"/api/v1/workflow-executions/{row['id']}")


def _create(workflows: Workflows, **body: Any) -> Row:
    definition = accepted(body) or {}
    return workflows.create(definition, **body)


def _change(workflows: Workflows, workflow_id: UUID, versions: list[int] | None, body: dict[str, Any]) -> Row:
    changes, present = dict(body), workflows.lock(workflow_id, versions)
    definition = accepted(changes, present)
    return workflows.update(workflow_id, None, changes, definition)
