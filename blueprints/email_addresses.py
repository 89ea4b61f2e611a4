"""E-mail addresses: showing that one's address is one's own, and taking another."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement
from errors import Invalid
from repositories.email_addresses import EmailAddresses
from schemas.email_addresses import Confirmation, EmailChange, VerificationRequest
from schemas.mail import MailAccepted
from web.answers import no_content
from web.blueprint import Blueprint
from web.caller import anybody, caller, digest
from web.mail import accepted, mailed_token, network_subject, throttled
from web.password_check import checked_password

blueprint = Blueprint(
    "email-addresses", __name__, url_prefix="/auth", description="Confirming one's address, and taking another."
)

UNUSABLE = "This token was not mailed from here, was used already, or has expired."


@blueprint.post("/email-verifications", idempotent=False, public=True)
@blueprint.arguments(VerificationRequest)
@blueprint.response(200, MailAccepted)
def request_email_verification(body: dict[str, Any]) -> Response:
    """Ask for a token by mail that confirms one's address; the answer is the same for every address."""
    with statement(anybody()) as connection:
        EmailAddresses(connection).request_verification(**body, **mailed_token(), **throttled("verify", body["email"]))
    return accepted()


@blueprint.post("/email-verifications/confirm", idempotent=False, public=True)
@blueprint.arguments(Confirmation)
@blueprint.response(204)
def confirm_email(body: dict[str, Any]) -> Response:
    """Confirm an address with the token that was mailed there; a new one takes the old one's place."""
    with statement(anybody()) as connection:
        if not EmailAddresses(connection).confirm(digest(body["token"]), network_subject()):
            raise Invalid(UNUSABLE, errors=[{"pointer": "/token", "detail": UNUSABLE}])
    return no_content()


# no Idempotency-Key: what is kept of a request is a fast hash of its body, from which a password could be guessed
@blueprint.post("/email-changes", idempotent=False)
@blueprint.arguments(EmailChange)
@blueprint.response(200, MailAccepted)
def request_email_change(body: dict[str, Any]) -> Response:
    """Ask for another address; it takes the old one's place once it is confirmed with the token mailed there."""
    email, known_hash = body["email"], checked_password(body["password"], "/password")
    with statement(caller()) as connection:
        EmailAddresses(connection).request_change(
            known_hash=known_hash, email=email, account=throttled("change", email)["account"], **mailed_token()
        )
    return accepted()
