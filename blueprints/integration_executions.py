"""Executions of integrations."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.integration_executions import IntegrationExecutions
from schemas.integration_executions import (
    ExecutionsOfIntegrationFilters,
    IntegrationExecution,
    IntegrationExecutionCompletion,
    IntegrationExecutionCreate,
    IntegrationExecutionExportFilters,
    IntegrationExecutionFailure,
    IntegrationExecutionFilters,
)
from schemas.lists import Historic
from web.answers import created, expected_versions, single
from web.blueprint import Blueprint
from web.caller import caller
from web.export import export
from web.history import past
from web.paging import page

blueprint = Blueprint("integration-executions", __name__, description="Executions of integrations.")


@blueprint.get("/integrations/<uuid:integration_id>/executions")
@blueprint.arguments(ExecutionsOfIntegrationFilters, location="query")
@blueprint.page(IntegrationExecution)
def list_executions_of_integration(query: dict[str, Any], integration_id: UUID) -> Response:
    """List an integration's executions."""
    with transaction(caller()) as connection:
        return page(partial(IntegrationExecutions(connection).find_of, integration_id), query)


@blueprint.post("/integrations/<uuid:integration_id>/executions")
@blueprint.arguments(IntegrationExecutionCreate, required=False)
@blueprint.response(201, IntegrationExecution)
def create_integration_execution(body: dict[str, Any], integration_id: UUID) -> Response:
    """Start an execution by hand, unless the integration is deprecated."""
    with transaction(caller()) as connection:
        row = IntegrationExecutions(connection).create(integration_id, **body)
    return created(row, f"/api/v1/integration-executions/{row['id']}")


@blueprint.get("/integration-executions")
@blueprint.arguments(IntegrationExecutionFilters, location="query")
@blueprint.page(IntegrationExecution)
def list_integration_executions(query: dict[str, Any]) -> Response:
    """List executions of all integrations."""
    with statement(caller()) as connection:
        return page(IntegrationExecutions(connection).find, query)


@blueprint.get("/integration-executions/export")
@blueprint.arguments(IntegrationExecutionExportFilters, location="query")
@blueprint.export(IntegrationExecution)
def export_integration_executions(query: dict[str, Any]) -> Response:
    """Export executions as NDJSON or CSV, with the filters of the list."""
    return export(IntegrationExecutions, IntegrationExecution, query)


@blueprint.get("/integration-executions/<uuid:execution_id>")
@blueprint.arguments(Historic, location="query")
@blueprint.response(200, IntegrationExecution)
def get_integration_execution(query: dict[str, Any], execution_id: UUID) -> Response:
    """Get an execution, as it is or as it was at a moment."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, IntegrationExecution, "integration_execution", execution_id, query["as_of"])
        return single(IntegrationExecutions(connection).get(execution_id))


@blueprint.post("/integration-executions/<uuid:execution_id>/start")
@blueprint.conditional
@blueprint.response(200, IntegrationExecution)
def start_integration_execution(execution_id: UUID) -> Response:
    """Say that a pending execution is running."""
    return _move(execution_id, "running")


@blueprint.post("/integration-executions/<uuid:execution_id>/complete")
@blueprint.conditional
@blueprint.arguments(IntegrationExecutionCompletion, required=False)
@blueprint.response(200, IntegrationExecution)
def complete_integration_execution(body: dict[str, Any], execution_id: UUID) -> Response:
    """End a running execution well, with its result."""
    return _move(execution_id, "completed", **body)


@blueprint.post("/integration-executions/<uuid:execution_id>/fail")
@blueprint.conditional
@blueprint.arguments(IntegrationExecutionFailure)
@blueprint.response(200, IntegrationExecution)
def fail_integration_execution(body: dict[str, Any], execution_id: UUID) -> Response:
    """End an execution that went wrong, or that could not start."""
    return _move(execution_id, "failed", **body)


@blueprint.post("/integration-executions/<uuid:execution_id>/cancel")
@blueprint.conditional
@blueprint.response(200, IntegrationExecution)
def cancel_integration_execution(execution_id: UUID) -> Response:
    """End an execution that is not wanted any more."""
    return _move(execution_id, "cancelled")


def _move(execution_id: UUID, status: str, **outcome: Any) -> Response:
    with transaction(caller()) as connection:
        versions = expected_versions(required=False)
        return single(IntegrationExecutions(connection).set_status(execution_id, versions, status, **outcome))
