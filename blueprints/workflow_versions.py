"""Versions of workflows."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.workflow_versions import WorkflowVersions
from repositories.workflows import Workflows
from schemas.lists import Sparse
from schemas.workflow_versions import WorkflowVersion, WorkflowVersionFilters, WorkflowVersionSummary
from schemas.workflows import Workflow
from web.answers import expected_versions, single
from web.blueprint import Blueprint
from web.caller import caller
from web.definitions import reexamined
from web.paging import page

blueprint = Blueprint(
    "workflow-versions",
    __name__,
    url_prefix="/workflows/<uuid:workflow_id>/versions",
    description="Every definition that a workflow has had.",
)


@blueprint.get("")
@blueprint.arguments(WorkflowVersionFilters, location="query")
@blueprint.page(WorkflowVersionSummary)
def list_workflow_versions(query: dict[str, Any], workflow_id: UUID) -> Response:
    """List a workflow's versions, without the definitions."""
    with transaction(caller()) as connection:
        return page(partial(WorkflowVersions(connection).find, workflow_id), query)


@blueprint.get("/<uuid:version_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, WorkflowVersion)
def get_workflow_version(query: dict[str, Any], workflow_id: UUID, version_id: UUID) -> Response:
    """Get a version with its definition."""
    with statement(caller()) as connection:
        return single(WorkflowVersions(connection).get(workflow_id, version_id))


@blueprint.post("/<uuid:version_id>/activate")
@blueprint.conditional
@blueprint.response(200, Workflow)
def activate_workflow_version(workflow_id: UUID, version_id: UUID) -> Response:
    """Make an old version's definition the newest one; If-Match is about the workflow."""
    with transaction(caller()) as connection:
        definition = reexamined(WorkflowVersions(connection).definition(workflow_id, version_id))
        return single(Workflows(connection).update(workflow_id, expected_versions(required=False), {}, definition))
