"""Permissions and roles."""

from __future__ import annotations

from flask import Response

from database import statement
from repositories.permissions import Permissions
from schemas import permissions as schemas
from web.answers import json
from web.blueprint import Blueprint
from web.caller import caller

blueprint = Blueprint("permissions", __name__, description="What there is to permit, and which role may do it.")


@blueprint.get("/permissions")
@blueprint.response(200, schemas.Permissions)
def list_permissions() -> Response:
    """List all permissions."""
    with statement(caller()) as connection:
        return json({"items": Permissions(connection).find_all()})


@blueprint.get("/roles")
@blueprint.response(200, schemas.Roles)
def list_roles() -> Response:
    """List the roles with what they may do."""
    with statement(caller()) as connection:
        return json({"items": Permissions(connection).find_by_role()})
