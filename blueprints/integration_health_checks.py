"""Checks of integrations' health."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.integration_health_checks import IntegrationHealthChecks
from schemas.integration_health_checks import IntegrationHealthCheck, IntegrationHealthCheckFilters
from schemas.lists import Sparse
from web.answers import single
from web.blueprint import Blueprint
from web.caller import caller
from web.paging import page

blueprint = Blueprint(
    "integration-health-checks",
    __name__,
    url_prefix="/integrations/<uuid:integration_id>",
    description="Asking integrations how they are.",
)


@blueprint.post("/health-check")
@blueprint.response(202, IntegrationHealthCheck)
def check_integration_health(integration_id: UUID) -> Response:
    """Have an integration's health asked for now; `Location` is where the outcome will be."""
    with transaction(caller()) as connection:
        row = IntegrationHealthChecks(connection).create(integration_id)
    return single(row, 202, {"Location": f"/api/v1/integrations/{integration_id}/health-checks/{row['id']}"})


@blueprint.get("/health-checks")
@blueprint.arguments(IntegrationHealthCheckFilters, location="query")
@blueprint.page(IntegrationHealthCheck)
def list_integration_health_checks(query: dict[str, Any], integration_id: UUID) -> Response:
    """List an integration's health checks; the newest hundred are kept."""
    with transaction(caller()) as connection:
        return page(partial(IntegrationHealthChecks(connection).find, integration_id), query)


@blueprint.get("/health-checks/<uuid:health_check_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, IntegrationHealthCheck)
def get_integration_health_check(query: dict[str, Any], integration_id: UUID, health_check_id: UUID) -> Response:
    """Get a health check."""
    with statement(caller()) as connection:
        return single(IntegrationHealthChecks(connection).get(integration_id, health_check_id))
