"""Dependencies of integrations."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.integration_dependencies import IntegrationDependencies
from schemas.integration_dependencies import (
    IntegrationDependency,
    IntegrationDependencyChange,
    IntegrationDependencyCreate,
    IntegrationDependencyFilters,
)
from schemas.lists import Historic
from web.answers import created, expected_versions, no_content, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "integration-dependencies",
    __name__,
    url_prefix="/integrations/<uuid:integration_id>/dependencies",
    description="What an integration depends on.",
)


@blueprint.get("")
@blueprint.arguments(IntegrationDependencyFilters, location="query")
@blueprint.page(IntegrationDependency)
def list_integration_dependencies(query: dict[str, Any], integration_id: UUID) -> Response:
    """List an integration's dependencies."""
    with transaction(caller()) as connection:
        return page(partial(IntegrationDependencies(connection).find, integration_id), query)


@blueprint.post("")
@blueprint.arguments(IntegrationDependencyCreate)
@blueprint.response(201, IntegrationDependency)
def create_integration_dependency(body: dict[str, Any], integration_id: UUID) -> Response:
    """Add a dependency."""
    with transaction(caller()) as connection:
        row = IntegrationDependencies(connection).create(integration_id, **body)
    return created(row, f"/api/v1/integrations/{integration_id}/dependencies/{row['id']}")


@blueprint.post("/bulk")
@bulk(
    blueprint,
    IntegrationDependency,
    create=IntegrationDependencyCreate,
    change=IntegrationDependencyChange,
    delete=True,
)
def bulk_integration_dependencies(items: list[Item], integration_id: UUID) -> Response:
    """Add, change and remove up to 1,000 dependencies, each by itself."""
    with transaction(caller()) as connection:
        dependencies = IntegrationDependencies(connection)
        dependencies.expect(dependencies.parents.get, integration_id=integration_id)
        create, change, delete = dependencies.create, dependencies.update, dependencies.delete
        return each(
            connection,
            items,
            lock=partial(dependencies.lock_many, integration_id),
            create=partial(create, integration_id),
            change=partial(change, integration_id),
            delete=partial(delete, integration_id),
        )


@blueprint.get("/<uuid:dependency_id>")
@blueprint.arguments(Historic, location="query")
@blueprint.response(200, IntegrationDependency)
def get_integration_dependency(query: dict[str, Any], integration_id: UUID, dependency_id: UUID) -> Response:
    """Get a dependency."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, IntegrationDependency, "integration_dependency", dependency_id, query["as_of"])
        return single(IntegrationDependencies(connection).get(integration_id, dependency_id))


@blueprint.patch("/<uuid:dependency_id>")
@blueprint.arguments(IntegrationDependencyChange)
@blueprint.response(200, IntegrationDependency)
def change_integration_dependency(body: dict[str, Any], integration_id: UUID, dependency_id: UUID) -> Response:
    """Change a dependency by a JSON merge patch."""
    with transaction(caller()) as connection:
        dependencies = IntegrationDependencies(connection)
        return single(dependencies.update(integration_id, dependency_id, expected_versions(), body))


@blueprint.delete("/<uuid:dependency_id>")
@blueprint.response(204)
def delete_integration_dependency(integration_id: UUID, dependency_id: UUID) -> Response:
    """Remove a dependency for good."""
    with transaction(caller()) as connection:
        IntegrationDependencies(connection).delete(integration_id, dependency_id, expected_versions())
    return no_content()
