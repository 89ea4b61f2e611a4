"""The log of requests: each with its id and trace, and no secret in any of them."""

from __future__ import annotations

import logging
import random
import re
import time

from flask import Flask, Response
from flask.globals import app_ctx, request_ctx

from logs import write_line
from web.answers import add_headers

access = logging.getLogger("ccb.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
# W3C Trace Context: no version ff, no ids of zeros, nothing behind version 00 and anything behind later ones
_TRACEPARENT = re.compile(
    r"(?!ff|00.{53}.)[0-9a-f]{2}-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def register(app: Flask) -> None:
    """Give every request an id, and log it when it is answered."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request_ctx.request.environ.get("HTTP_X_REQUEST_ID", "")
    kept = app_ctx.g
    kept.began = time.perf_counter()
    # ids have to differ, not to be secret: true randomness would be a system call
    kept.request_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def _end(answer: Response) -> Response:
    # flask.g and flask.request would look for these at every step
    kept, asked = app_ctx.g, request_ctx.request
    add_headers(answer, ("X-Request-Id", kept.request_id))
    identity = kept.get("identity")
    if identity is not None and identity.budget is not None:
        budget = identity.budget
        add_headers(
            answer,
            ("RateLimit-Policy", f'"hour";q={budget["request_limit"]};w=3600'),
            ("RateLimit", f'"hour";r={budget["remaining"]};t={budget["reset_seconds"]}'),
        )
    if access.isEnabledFor(logging.INFO):
        rule = asked.url_rule
        fields = {
            "request_id": kept.request_id,
            "method": asked.method,
            "path": asked.path,
            "route": rule.rule if rule else None,
            "status": answer.status_code,
            "duration_ms": round((time.perf_counter() - kept.began) * 1000, 2),
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
