"""Inbound calls of webhooks: whoever holds the secret starts an execution of the integration."""

from __future__ import annotations

import functools
import re
import time
from uuid import UUID

from flask import Response, request

from database import statement
from errors import TooLarge, Unauthenticated
from repositories.hooks import Hooks
from schemas.hooks import AcceptedCall, InboundMessage
from security.webhook_signatures import is_signed, new_secret, secret_key
from web.answers import json
from web.blueprint import Blueprint, parse_json
from web.caller import cipher, sender, settings

MAX_BODY_BYTES = 1024 * 1024
MAX_MESSAGE_ID = 255
KEPT_HEADERS = ("Content-Type", "Traceparent", "User-Agent", "X-Request-Id")

blueprint = Blueprint("hooks", __name__, url_prefix="/hooks", description="Inbound calls of webhooks.")

_HEADERS = {
    "webhook-id": ("Names the message, the same whenever it is sent again.", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
    "webhook-timestamp": ("When it is sent, in seconds since 1970; five minutes off at most.", "1614265330"),
    "webhook-signature": ("Signatures, divided by spaces.", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
}
_PARAMETERS = [
    {
        "in": "header",
        "name": name,
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1, "maxLength": 2000},
        "example": example,
    }
    for name, (description, example) in _HEADERS.items()
]


@blueprint.post("/<uuid:webhook_id>", idempotent=False, public=True, who=sender)
@blueprint.doc(parameters=_PARAMETERS, requestBody={"content": {"application/json": {"schema": InboundMessage}}})
@blueprint.response(202, AcceptedCall)
def call_hook(webhook_id: UUID) -> Response:
    """Start an execution of a webhook's integration by a message that is signed with its secret."""
    body = _body()
    sent_at = _verified(webhook_id, body)
    parse_json(body, kept=True)
    with statement(sender()) as connection:
        execution_id = Hooks(connection).accept(
            webhook_id,
            message_id=request.headers["webhook-id"],
            sent_at=sent_at,
            body=body.decode(),
            headers={name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
            calls_an_hour=settings().inbound_hook_rate_limit,
        )
    if execution_id is None:
        raise _refusal()
    location = f"/api/v1/integration-executions/{execution_id}"
    return json({"execution_id": execution_id}, 202, {"Location": location})


def _body() -> bytes:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise TooLarge
    body = request.get_data()
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge
    return body


def _verified(webhook_id: UUID, body: bytes) -> int:
    """When the message was sent.

    :raises errors.Unauthenticated: whatever is wrong, with the same words and after the same work: nobody learns
        which webhooks there are.
    """
    with statement(sender()) as connection:
        secrets = Hooks(connection).secrets(webhook_id)
    keys = [secret_key(cipher().decrypt(secret.encode()).decode()) for secret in secrets or [_nobodys_secret()]]
    message_id, timestamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    readable = 0 < len(message_id) <= MAX_MESSAGE_ID and re.fullmatch("[0-9]{1,11}", timestamp) is not None
    sent_at = int(timestamp) if readable else 0
    signatures = request.headers.get("webhook-signature", "")
    if not is_signed(keys, message_id, sent_at, body, signatures, now=time.time()) or not secrets or not readable:
        raise _refusal()
    return sent_at


@functools.cache
def _nobodys_secret() -> str:
    """What is checked against where there is no webhook."""
    return cipher().encrypt(new_secret().encode()).decode()


def _refusal() -> Unauthenticated:
    return Unauthenticated("There is no such webhook, or the message is not signed with its secret, or not of now.")
