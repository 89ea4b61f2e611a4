"""Templates that integrations are made from."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement, transaction
from repositories.integration_templates import IntegrationTemplates
from schemas.integration_templates import (
    IntegrationTemplate,
    IntegrationTemplateChange,
    IntegrationTemplateCreate,
    IntegrationTemplateFilters,
)
from schemas.lists import Single
from web.answers import created, expected_versions, no_content, single
from web.blueprint import Blueprint
from web.bulk import Item, bulk, each
from web.caller import caller
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "integration-templates",
    __name__,
    url_prefix="/integration-templates",
    description="Templates that integrations are made from: public ones and one's own.",
)


@blueprint.get("")
@blueprint.arguments(IntegrationTemplateFilters, location="query")
@blueprint.page(IntegrationTemplate)
def list_integration_templates(query: dict[str, Any]) -> Response:
    """List templates."""
    with statement(caller()) as connection:
        return page(IntegrationTemplates(connection).find, query)


@blueprint.post("")
@blueprint.arguments(IntegrationTemplateCreate)
@blueprint.response(201, IntegrationTemplate)
def create_integration_template(body: dict[str, Any]) -> Response:
    """Create a template."""
    with statement(caller()) as connection:
        row = IntegrationTemplates(connection).create(**body)
    return created(row, f"/api/v1/integration-templates/{row['id']}")


@blueprint.post("/bulk")
@bulk(blueprint, IntegrationTemplate, create=IntegrationTemplateCreate, change=IntegrationTemplateChange, delete=True)
def bulk_integration_templates(items: list[Item]) -> Response:
    """Create, change and delete up to 1,000 templates, each by itself."""
    with transaction(caller()) as connection:
        templates = IntegrationTemplates(connection)
        create, change, delete = templates.create, templates.update, templates.delete
        return each(connection, items, lock=templates.lock_many, create=create, change=change, delete=delete)


@blueprint.get("/<chosen(maxlength=100):template_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, IntegrationTemplate)
def get_integration_template(query: dict[str, Any], template_id: str) -> Response:
    """Get a template."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, IntegrationTemplate, "integration_template", template_id, query["as_of"])
        return single(IntegrationTemplates(connection).get(template_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<chosen(maxlength=100):template_id>")
@blueprint.arguments(IntegrationTemplateChange)
@blueprint.response(200, IntegrationTemplate)
def change_integration_template(body: dict[str, Any], template_id: str) -> Response:
    """Change a template by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(IntegrationTemplates(connection).update(template_id, expected_versions(), body))


@blueprint.delete("/<chosen(maxlength=100):template_id>")
@blueprint.response(204)
def delete_integration_template(template_id: str) -> Response:
    """Delete a template; it can be restored."""
    with transaction(caller()) as connection:
        IntegrationTemplates(connection).delete(template_id, expected_versions())
    return no_content()


@blueprint.post("/<chosen(maxlength=100):template_id>/restore")
@blueprint.response(200, IntegrationTemplate)
def restore_integration_template(template_id: str) -> Response:
    """Restore a deleted template."""
    with transaction(caller()) as connection:
        return single(IntegrationTemplates(connection).restore(template_id))
