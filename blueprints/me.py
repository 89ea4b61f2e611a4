"""Oneself."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement, transaction
from repositories.users import Users
from schemas.lists import Historic
from schemas.users import Activity, ProfileChange, User
from web.answers import expected_versions, json, no_content, single
from web.blueprint import Blueprint
from web.caller import caller
from web.history import past

blueprint = Blueprint("me", __name__, url_prefix="/me", description="One's own profile.")


@blueprint.get("")
@blueprint.arguments(Historic, location="query")
@blueprint.response(200, User)
def get_profile(query: dict[str, Any]) -> Response:
    """Get one's own profile, as it is or as it was at a moment."""
    with transaction(caller()) as connection:
        row = Users(connection).get()
        return single(row) if query["as_of"] is None else past(connection, User, "user", row["id"], query["as_of"])


@blueprint.patch("")
@blueprint.arguments(ProfileChange)
@blueprint.response(200, User)
def change_profile(body: dict[str, Any]) -> Response:
    """Change one's own profile by a JSON merge patch."""
    with transaction(caller()) as connection:
        return single(Users(connection).update(expected_versions(), body))


@blueprint.delete("")
@blueprint.response(204)
def close_account() -> Response:
    """Close one's account: sessions, API keys and memberships end at once, and the address is free again."""
    with transaction(caller()) as connection:
        Users(connection).close(expected_versions())
    return no_content()


@blueprint.get("/activity")
@blueprint.response(200, Activity)
def get_activity() -> Response:
    """Get what one did in the last thirty days, as of the last refresh."""
    with statement(caller()) as connection:
        return json(Users(connection).activity())
