"""Requests that gunicorn cannot read, and so never reach the application: answered as every other error is."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn import util

from web.problems import CONTENT_TYPE, TYPE


def write_problem(sock: Any, status: int, reason: str, detail: str) -> None:
    """Answer in the place of :func:`gunicorn.util.write_error`, which would send a page.

    :param reason: gunicorn's phrase for the status.
    :param detail: what it could not read; empty where the fault is ours.
    """
    title = HTTPStatus(status).phrase
    code = "malformed_request" if status == 400 else title.lower().replace(" ", "_")
    request_id = secrets.token_hex(16)
    problem = {"type": TYPE + code, "title": title, "status": status, "detail": detail or title, "instance": "/"}
    body = orjson.dumps({**problem, "code": code, "request_id": request_id})
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        f"Content-Type: {CONTENT_TYPE}",
        f"X-Request-Id: {request_id}",
        f"Content-Length: {len(body)}",
    ]
    util.write_nonblock(sock, "\r\n".join([*head, "", ""]).encode("latin-1", "replace") + body)
