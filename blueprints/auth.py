"""Registration, signing in, sessions."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from flask import Response

from database import statement, transaction
from errors import Forbidden
from repositories.email_addresses import EmailAddresses
from repositories.sessions import Sessions
from repositories.users import Users
from schemas import auth as schemas
from security.passwords import hash_password
from security.tokens import ACCESS_SECONDS, TokenPair
from web.answers import json, no_content, secret
from web.blueprint import Blueprint
from web.caller import anybody, caller, settings
from web.mail import how_mail_goes, mailed_token
from web.paging import page
from web.signing_in import renew, sign_in

blueprint = Blueprint("auth", __name__, url_prefix="/auth", description="Registration, signing in, sessions.")


@blueprint.post("/register", idempotent=False, public=True)
@blueprint.arguments(schemas.Registration)
@blueprint.response(201, schemas.Registered)
def register(body: dict[str, Any]) -> Response:
    """Register; a personal organization comes along, and a mail to confirm the address."""
    if not settings().registration_open:
        raise Forbidden("Registration is closed here; ask for an invitation.")
    user_id = str(uuid.uuid4())
    password_hash = hash_password(body.pop("password"), settings().bcrypt_cost)
    with transaction(anybody()) as connection:
        organization_id = Users(connection).register(user_id=user_id, password_hash=password_hash, **body)
        EmailAddresses(connection).queue_verification(email=body["email"], **mailed_token())
    made = {"user_id": user_id, "organization_id": organization_id, "mail": how_mail_goes()}
    return json(made, 201, {"Location": "/api/v1/me"})


@blueprint.post("/login", idempotent=False, public=True)
@blueprint.arguments(schemas.Login)
@blueprint.response(200, schemas.Tokens)
def login(body: dict[str, Any]) -> Response:
    """Sign in."""
    return _tokens(sign_in(body["email"], body["password"]))


@blueprint.post("/refresh", idempotent=False, public=True)
@blueprint.arguments(schemas.Refresh)
@blueprint.response(200, schemas.Tokens)
def refresh(body: dict[str, Any]) -> Response:
    """Exchange a refresh token for new tokens; using one twice ends the session."""
    return _tokens(renew(body["refresh_token"]))


@blueprint.post("/logout", idempotent=False)
@blueprint.response(204)
def logout() -> Response:
    """Sign out: the session that the access token belongs to ends."""
    with statement(caller()) as connection:
        Sessions(connection).end_current()
    return no_content()


@blueprint.get("/sessions")
@blueprint.arguments(schemas.SessionFilters, location="query")
@blueprint.page(schemas.SessionListing)
def list_sessions(query: dict[str, Any]) -> Response:
    """List one's sessions that go on."""
    with statement(caller()) as connection:
        return page(Sessions(connection).find, query)


@blueprint.delete("/sessions")
@blueprint.response(204)
def end_sessions() -> Response:
    """End all of one's sessions."""
    with transaction(caller()) as connection:
        Sessions(connection).end_all()
    return no_content()


@blueprint.delete("/sessions/<uuid:session_id>")
@blueprint.response(204)
def end_session(session_id: UUID) -> Response:
    """End one of one's sessions."""
    with transaction(caller()) as connection:
        Sessions(connection).end(session_id)
    return no_content()


def _tokens(pair: TokenPair) -> Response:
    return secret(
        json(
            {
                "access_token": pair.access_token,
                "refresh_token": pair.refresh_token,
                "token_type": "Bearer",
                "expires_in": ACCESS_SECONDS,
                "session_id": str(pair.session_id),
            }
        )
    )
