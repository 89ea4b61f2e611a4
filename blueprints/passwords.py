"""Passwords: changing one's own, and getting another when it is forgotten."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement
from errors import Conflict, Invalid
from repositories.passwords import Passwords
from schemas.mail import MailAccepted
from schemas.passwords import PasswordChange, PasswordReset, PasswordResetRequest
from security.passwords import hash_password
from web.answers import no_content
from web.blueprint import Blueprint
from web.caller import anybody, caller, digest, settings
from web.mail import accepted, mailed_token, network_subject, throttled
from web.password_check import checked_password

blueprint = Blueprint(
    "passwords", __name__, url_prefix="/auth", description="Changing one's password, and getting another."
)

UNUSABLE = "This token was not mailed from here, was used already, or has expired."


# no Idempotency-Key: what is kept of a request is a fast hash of its body, from which a password could be guessed
@blueprint.post("/password", idempotent=False)
@blueprint.arguments(PasswordChange)
@blueprint.response(204)
def change_password(body: dict[str, Any]) -> Response:
    """Change one's password; all other sessions end."""
    known_hash = checked_password(body["current_password"], "/current_password")
    new_hash = hash_password(body["new_password"], settings().bcrypt_cost)
    with statement(caller()) as connection:
        if not Passwords(connection).replace(known_hash, new_hash):
            raise Conflict("The password has been changed meanwhile.")
    return no_content()


@blueprint.post("/password-resets", idempotent=False, public=True)
@blueprint.arguments(PasswordResetRequest)
@blueprint.response(200, MailAccepted)
def request_password_reset(body: dict[str, Any]) -> Response:
    """Ask for a token by mail that lets one choose another password; the answer is the same for every address."""
    with statement(anybody()) as connection:
        Passwords(connection).request_reset(**body, **mailed_token(), **throttled("reset", body["email"]))
    return accepted()


@blueprint.post("/password-resets/confirm", idempotent=False, public=True)
@blueprint.arguments(PasswordReset)
@blueprint.response(204)
def reset_password(body: dict[str, Any]) -> Response:
    """Choose another password with a token that was mailed; all sessions end."""
    token_hash, address = digest(body["token"]), network_subject()
    with statement(anybody()) as connection:
        is_valid = Passwords(connection).begin_reset(token_hash, address)
    if is_valid:
        password_hash = hash_password(body["password"], settings().bcrypt_cost)
        with statement(anybody()) as connection:
            is_valid = Passwords(connection).reset(token_hash, password_hash, address)
    if not is_valid:
        raise Invalid(UNUSABLE, errors=[{"pointer": "/token", "detail": UNUSABLE}])
    return no_content()
