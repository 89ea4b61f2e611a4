"""What a request gives to the mail that it causes, and says about it."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, request

from security.tokens import new_mailed_token
from web.answers import json
from web.caller import digest, settings


def mailed_token() -> dict[str, Any]:
    """A token that nothing but its mail will show: as its hash, and encrypted for whoever sends the mail."""
    token = new_mailed_token()
    return {"token_hash": digest(token), "secret": current_app.extensions["cipher"].encrypt(token.encode())}


def throttled(purpose: str, email: str) -> dict[str, Any]:
    """What attempts are counted under: the e-mail address for this purpose, and the network address for all."""
    return {"account": digest(f"{purpose} {email.lower()}"), "address": network_subject()}


def network_subject() -> str:
    """What attempts from the caller's network address are counted under."""
    return digest(f"mail {request.remote_addr}")


def how_mail_goes() -> str:
    """Where mail goes from here, whether or not there is any to send."""
    return "sent by SMTP" if settings().smtp_url else "written to the log directory"


def accepted() -> Response:
    """The same for every address."""
    return json({"mail": how_mail_goes()})
