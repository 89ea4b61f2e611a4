"""Organizations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from repositories.members import Members
from repositories.organizations import Organizations
from schemas.lists import Single
from schemas.members import Member
from schemas.organizations import (
    Organization,
    OrganizationChange,
    OrganizationCreate,
    OrganizationFilters,
    OrganizationTransfer,
    OrganizationUsage,
)
from web.answers import created, expected_versions, json, no_content, single
from web.blueprint import Blueprint
from web.caller import caller
from web.history import past
from web.paging import page

blueprint = Blueprint(
    "organizations",
    __name__,
    url_prefix="/organizations",
    description="Organizations: the tenants that everything belongs to.",
)


@blueprint.get("")
@blueprint.arguments(OrganizationFilters, location="query")
@blueprint.page(Organization)
def list_organizations(query: dict[str, Any]) -> Response:
    """List the organizations that one belongs to."""
    with statement(caller()) as connection:
        return page(Organizations(connection).find, query)


@blueprint.post("")
@blueprint.arguments(OrganizationCreate)
@blueprint.response(201, Organization)
def create_organization(body: dict[str, Any]) -> Response:
    """Create an organization and become its owner."""
    with statement(caller()) as connection:
        row = Organizations(connection).create(**body)
    return created(row, f"/api/v1/organizations/{row['id']}")


@blueprint.get("/<uuid:organization_id>")
@blueprint.arguments(Single, location="query")
@blueprint.response(200, Organization)
def get_organization(query: dict[str, Any], organization_id: UUID) -> Response:
    """Get an organization."""
    with statement(caller()) as connection:
        if query["as_of"] is not None:
            return past(connection, Organization, "organization", organization_id, query["as_of"])
        return single(Organizations(connection).get(organization_id, include_deleted=query["include_deleted"]))


@blueprint.patch("/<uuid:organization_id>")
@blueprint.arguments(OrganizationChange)
@blueprint.response(200, Organization)
def change_organization(body: dict[str, Any], organization_id: UUID) -> Response:
    """Change an organization by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(Organizations(connection).update(organization_id, expected_versions(), body))


@blueprint.delete("/<uuid:organization_id>")
@blueprint.response(204)
def delete_organization(organization_id: UUID) -> Response:
    """Delete an organization with all that belongs to it; it can be restored."""
    with transaction(caller()) as connection:
        Organizations(connection).delete(organization_id, expected_versions())
    return no_content()


@blueprint.post("/<uuid:organization_id>/restore")
@blueprint.response(200, Organization)
def restore_organization(organization_id: UUID) -> Response:
    """Restore a deleted organization."""
    with transaction(caller()) as connection:
        return single(Organizations(connection).restore(organization_id))


@blueprint.get("/<uuid:organization_id>/usage")
@blueprint.response(200, OrganizationUsage)
def get_organization_usage(organization_id: UUID) -> Response:
    """Get how much an organization has of what its plan limits."""
    with statement(caller()) as connection:
        return json({"items": Organizations(connection).usage(organization_id)})


@blueprint.post("/<uuid:organization_id>/transfer")
@blueprint.arguments(OrganizationTransfer)
@blueprint.response(200, Member)
def transfer_organization(body: dict[str, Any], organization_id: UUID) -> Response:
    """Hand an organization over: another member becomes its owner, and oneself an admin."""
    with transaction(caller()) as connection:
        return single(Members(connection).transfer(organization_id, body["user_id"]))
