"""Integrations."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.events import Events
from repositories.integrations import Integrations
from schemas.events import AggregateEventFilters, EventPage
from schemas.integrations import (
    ActiveIntegration,
    ActiveIntegrationFilters,
    Integration,
    IntegrationChange,
    IntegrationCreate,
    IntegrationExportFilters,
    IntegrationFilters,
    IntegrationStatistics,
    MovedIntegration,
    StatusChange,
)
from schemas.lists import Single
from web.answers import created, expected_versions, json, no_content, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller
from web.export import export
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "integrations", __name__, url_prefix="/integrations", description="Integrations, from draft to active."
)


@blueprint.get("")
@blueprint.arguments(IntegrationFilters, location="query")
@blueprint.page(Integration)
def list_integrations(query: dict[str, Any]) -> Response:
    """List integrations, or search them with `q`."""
    with statement(caller()) as connection:
        return page(Integrations(connection).find, query)


@blueprint.get("/export")
@blueprint.arguments(IntegrationExportFilters, location="query")
@blueprint.export(Integration)
def export_integrations(query: dict[str, Any]) -> Response:
    """Export integrations as NDJSON or CSV, with the filters of the list."""
    return export(Integrations, Integration, query)


@blueprint.get("/active")
@blueprint.arguments(ActiveIntegrationFilters, location="query")
@blueprint.page(ActiveIntegration)
def list_active_integrations(query: dict[str, Any]) -> Response:
    """List active integrations with their author, organization and success rate."""
    with statement(caller()) as connection:
        return page(Integrations(connection).find_active, query)


@blueprint.post("")
@blueprint.arguments(IntegrationCreate)
@blueprint.response(201, Integration)
def create_integration(body: dict[str, Any]) -> Response:
    """Create an integration as a draft, from a template if one is named."""
    with statement(caller()) as connection:
        row = Integrations(connection).create(**body)
    return created(row, f"/api/v1/integrations/{row['id']}")


@blueprint.post("/bulk")
@bulk(blueprint, Integration, create=IntegrationCreate, change=IntegrationChange, delete=True)
def bulk_integrations(items: list[Item]) -> Response:
    """Create, change and delete up to 1,000 integrations, each by itself."""
    with transaction(caller()) as connection:
        integrations = Integrations(connection)
        create, change, delete = integrations.create, integrations.update, integrations.delete
        return each(connection, items, lock=integrations.lock_many, create=create, change=change, delete=delete)


@blueprint.get("/<uuid:integration_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, Integration)
def get_integration(query: dict[str, Any], integration_id: UUID) -> Response:
    """Get an integration, as it is or as it was at a moment."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, Integration, "integration", integration_id, query["as_of"])
        return single(Integrations(connection).get(integration_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<uuid:integration_id>")
@blueprint.arguments(IntegrationChange)
@blueprint.response(200, Integration)
def change_integration(body: dict[str, Any], integration_id: UUID) -> Response:
    """Change an integration by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(Integrations(connection).update(integration_id, expected_versions(), body))


@blueprint.delete("/<uuid:integration_id>")
@blueprint.response(204)
def delete_integration(integration_id: UUID) -> Response:
    """Delete an integration; it can be restored."""
    with transaction(caller()) as connection:
        Integrations(connection).delete(integration_id, expected_versions())
    return no_content()


@blueprint.post("/<uuid:integration_id>/restore")
@blueprint.response(200, Integration)
def restore_integration(integration_id: UUID) -> Response:
    """Restore a deleted integration."""
    with transaction(caller()) as connection:
        return single(Integrations(connection).restore(integration_id))


@blueprint.post("/<uuid:integration_id>/status")
@blueprint.conditional
@blueprint.arguments(StatusChange)
@blueprint.response(200, MovedIntegration)
def move_integration(body: dict[str, Any], integration_id: UUID) -> Response:
    """Move an integration to another status; the answer says where it can go next."""
    with transaction(caller()) as connection:
        integrations = Integrations(connection)
        row = integrations.set_status(integration_id, expected_versions(required=False), body["status"])
        return single({**row, "allowed": integrations.allowed_statuses(row["status"])})


@blueprint.get("/<uuid:integration_id>/events")
@blueprint.arguments(AggregateEventFilters, location="query")
@blueprint.response(200, EventPage)
def list_integration_events(query: dict[str, Any], integration_id: UUID) -> Response:
    """List what happened to an integration."""
    with transaction(caller()) as connection:
        return page(partial(Events(connection).find_of_integration, integration_id), query)


@blueprint.get("/<uuid:integration_id>/statistics")
@blueprint.response(200, IntegrationStatistics)
def get_integration_statistics(integration_id: UUID) -> Response:
    """Get how an integration's executions went in the last thirty days."""
    with statement(caller()) as connection:
        return json(Integrations(connection).statistics(integration_id))
