"""The log of requests: each with its id and trace, and no secret in any of them."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request
from flask.globals import request_ctx

from logs import write_line

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
    headers, request_id = answer.headers, g.request_id
    headers.add("X-Request-Id", request_id)
    identity = g.get("identity")
    if identity is not None and identity.budget is not None:
        budget = identity.budget
        headers.add("RateLimit-Policy", f'"hour";q={budget["request_limit"]};w=3600')
        headers.add("RateLimit", f'"hour";r={budget["remaining"]};t={budget["reset_seconds"]}')
    if access.isEnabledFor(logging.INFO):
        asked = request_ctx.request  # the proxy would look for it at every step
        rule = asked.url_rule
        fields = {
            "request_id": request_id,
            "method": asked.method,
            "path": asked.path,
            "route": rule.rule if rule else None,
            "status": answer.status_code,
            "duration_ms": round((time.perf_counter() - g.began) * 1000, 2),
            "ip_address": asked.remote_addr,
        }
        if "HTTP_TRACEPARENT" in asked.environ:
            trace = _TRACEPARENT.fullmatch(asked.environ["HTTP_TRACEPARENT"])
            if trace:
                fields["trace_id"] = trace["trace"]
        if identity is not None:
            fields["user_id"] = identity.user_id
            fields["api_key_id"] = identity.api_key_id
        write_line(access, "request", fields)
    return answer
