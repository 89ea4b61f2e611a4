"""Permissions and roles."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement
from repositories.permissions import Permissions
from schemas import permissions as schemas
from schemas.lists import Sparse
from web.answers import json, sparse
from web.blueprint import Blueprint
from web.caller import caller

blueprint = Blueprint("permissions", __name__, description="What there is to permit, and which role may do it.")


@blueprint.get("/permissions")
@blueprint.response(200, schemas.Permissions)
def list_permissions() -> Response:
    """List all permissions."""
    with statement(caller()) as connection:
        return json({"items": Permissions(connection).find_all()})


@blueprint.get("/permissions/<string(maxlength=100):permission_name>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, schemas.Permission)
def get_permission(query: dict[str, Any], permission_name: str) -> Response:
    """Get a permission."""
    with statement(caller()) as connection:
        return json(sparse(Permissions(connection).get(permission_name)))


@blueprint.get("/roles")
@blueprint.response(200, schemas.Roles)
def list_roles() -> Response:
    """List the roles with what they may do."""
    with statement(caller()) as connection:
        return json({"items": Permissions(connection).find_by_role()})


@blueprint.get("/roles/<string(maxlength=50):role>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, schemas.Role)
def get_role(query: dict[str, Any], role: str) -> Response:
    """Get a role with what it may do."""
    with statement(caller()) as connection:
        return json(sparse(Permissions(connection).get_role(role)))
