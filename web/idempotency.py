"""Idempotency-Key: a POST that is repeated is answered again, not done again.

The first answer is stored in the transaction of its effect, so there is never one without the other. What
failed left nothing behind and may be tried again with the same key.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable

from flask import Response, request

from database import Row, parsed, transaction
from errors import IdempotencyKeyReused, Invalid, RequestInProgress
from repositories.idempotency_keys import IdempotencyKeys
from web.caller import caller, cipher

MAX_LENGTH = 255
KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Cache-Control", "Vary")

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """Do what `handler` does once for each Idempotency-Key, caller and route."""

    @functools.wraps(handler)
    def once(*arguments: object, **names: object) -> Response:
        key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return handler(*arguments, **names)
        if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
            raise Invalid(f"An Idempotency-Key has 1 to {MAX_LENGTH} printable ASCII characters.")
        body = hashlib.sha256(request.full_path.encode() + b"\n" + request.get_data()).hexdigest()
        route = f"{request.method} {request.path}"
        with transaction(caller()) as connection:
            keys = IdempotencyKeys(connection)
            if not keys.lock(route, key):
                raise RequestInProgress("The first request with this Idempotency-Key is still running.")
            kept = keys.find(route, key)
            if kept is not None:
                if kept["request_hash"] != body:
                    raise IdempotencyKeyReused("This Idempotency-Key was used for a different request.")
                return _again(kept)
            answer = handler(*arguments, **names)
            if answer.status_code < 400:
                _keep(keys, route, key, body, answer)
            return answer

    return once


def _keep(keys: IdempotencyKeys, route: str, key: str, body: str, answer: Response) -> None:
    shows_secret = answer.headers.get("Cache-Control") == "no-store"
    content = answer.get_data()
    keys.keep(
        route,
        key,
        request_hash=body,
        response_status=answer.status_code,
        response_headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
        response_body=cipher().encrypt(content) if shows_secret else content,
        is_encrypted=shows_secret,
    )


def _again(kept: Row) -> Response:
    content = kept["response_body"]
    if kept["is_encrypted"]:
        content = cipher().decrypt(content)
    headers = parsed(kept["response_headers"])
    return Response(content, kept["response_status"], {**headers, "Idempotent-Replayed": "true"})
