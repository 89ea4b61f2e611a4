"""The log of requests: each with its id and trace, and no secret in any of them."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

access = logging.getLogger("ccb.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def register(app: Flask) -> None:
    """Give every request an id, and log it when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _end(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = g.request_id
    identity = g.get("identity")
    if identity is not None and identity.budget is not None:
        budget = identity.budget
        answer.headers["RateLimit-Policy"] = f'"hour";q={budget["request_limit"]};w=3600'
        answer.headers["RateLimit"] = f'"hour";r={budget["remaining"]};t={budget["reset_seconds"]}'
    if access.isEnabledFor(logging.INFO):
        rule = request.url_rule
        fields = {
            "request_id": g.request_id,
            "method": request.method,
            "path": request.path,
            "route": rule.rule if rule else None,
            "status": answer.status_code,
            "duration_ms": round((time.perf_counter() - g.began) * 1000, 2),
            "ip_address": request.remote_addr,
        }
        trace = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
        if trace:
            fields["trace_id"] = trace["trace"]
        if identity is not None:
            fields["user_id"] = identity.user_id
            fields["api_key_id"] = identity.api_key_id
        access.info("request", extra={"fields": fields})
    return answer
