"""Oneself."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement, transaction
from repositories.users import Users
from schemas.lists import Sparse
from schemas.users import ProfileChange, User
from web.answers import expected_versions, single
from web.blueprint import Blueprint
from web.caller import caller

blueprint = Blueprint("me", __name__, url_prefix="/me", description="One's own profile.")


@blueprint.get("")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, User)
def get_profile(query: dict[str, Any]) -> Response:
    """Get one's own profile."""
    with statement(caller()) as connection:
        return single(Users(connection).get())


@blueprint.patch("")
@blueprint.arguments(ProfileChange)
@blueprint.response(200, User)
def change_profile(body: dict[str, Any]) -> Response:
    """Change one's own profile by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(Users(connection).update(expected_versions(), body))
