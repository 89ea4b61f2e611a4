"""Versions of integrations."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.integration_versions import IntegrationVersions
from schemas.integration_versions import IntegrationVersion, IntegrationVersionCreate, IntegrationVersionFilters
from schemas.lists import Historic
from web.answers import created, expected_versions, single
from web.blueprint import Blueprint
from web.caller import caller
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "integration-versions",
    __name__,
    url_prefix="/integrations/<uuid:integration_id>/versions",
    description="Versions of an integration; at most one is active.",
)


@blueprint.get("")
@blueprint.arguments(IntegrationVersionFilters, location="query")
@blueprint.page(IntegrationVersion)
def list_integration_versions(query: dict[str, Any], integration_id: UUID) -> Response:
    """List an integration's versions."""
    with transaction(caller()) as connection:
        return page(partial(IntegrationVersions(connection).find, integration_id), query)


@blueprint.post("")
@blueprint.arguments(IntegrationVersionCreate)
@blueprint.response(201, IntegrationVersion)
def create_integration_version(body: dict[str, Any], integration_id: UUID) -> Response:
    """Create a version, not active yet."""
    with transaction(caller()) as connection:
        row = IntegrationVersions(connection).create(integration_id, **body)
    return created(row, f"/api/v1/integrations/{integration_id}/versions/{row['id']}")


@blueprint.get("/<uuid:version_id>")
@blueprint.arguments(Historic, location="query")
@blueprint.response(200, IntegrationVersion)
def get_integration_version(query: dict[str, Any], integration_id: UUID, version_id: UUID) -> Response:
    """Get a version."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, IntegrationVersion, "integration_version", version_id, query["as_of"])
        return single(IntegrationVersions(connection).get(integration_id, version_id))


@blueprint.post("/<uuid:version_id>/activate")
@blueprint.conditional
@blueprint.response(200, IntegrationVersion)
def activate_integration_version(integration_id: UUID, version_id: UUID) -> Response:
    """Activate a version: the integration takes over its label and configuration."""
    with transaction(caller()) as connection:
        versions = expected_versions(required=False)
        return single(IntegrationVersions(connection).activate(integration_id, version_id, versions))
