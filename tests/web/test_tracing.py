"""What a request leaves in the log: its ids, and none of its secrets."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.service import PASSWORD, Person, Service
from tests.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def logged(service: Service, request_id: str) -> list[dict[str, Any]]:
    """The lines about a request."""

    def find() -> list[dict[str, Any]]:
        lines = [line for line in service.log.read_text().splitlines() if request_id in line]
        return [json.loads(line) for line in lines]

    return eventually(find, "the request is in the log")


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"cc-{TRACE}-00f067aa0ba902b7-01-what-is-new", TRACE),  # of a version to come
        (f"00-{TRACE}-00f067aa0ba902b7-01-what-is-new", None),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        ("nonsense", None),
    ],
)
def test_a_request_is_found_by_its_trace(service: Service, ann: Person, traceparent: str, trace_id: str | None) -> None:
    request_id = f"trace-{uuid.uuid4()}"
    answer = ann.get("/integrations", headers={"traceparent": traceparent, "X-Request-Id": request_id})
    assert answer.status == 200
    (line,) = logged(service, request_id)
    assert line.get("trace_id") == trace_id
    assert (line["method"], line["route"], line["status"], line["user_id"]) == (
        "GET", "/api/v1/integrations", 200, ann.user_id,
    )  # fmt: skip


def test_no_secret_is_in_the_log(service: Service, ann: Person) -> None:
    request_id = f"secret-{uuid.uuid4()}"
    with_id = {"X-Request-Id": request_id}
    key = ann.post("/api-keys", {"name": "k", "permissions": ["*"]}, headers=with_id).json["key"]
    tokens = ann.post("/auth/login", {"email": ann.email, "password": PASSWORD}, headers=with_id).json
    for name, value in (("X-API-Key", key), ("Authorization", f"Bearer {tokens['access_token']}")):
        service.client().get("/me", headers={name: value, **with_id})
    service.client().get(f"/integrations?nonsense={key}", headers={"X-API-Key": key, **with_id})
    eventually(lambda: len(logged(service, request_id)) >= 5, "all five are in the log")
    text = service.log.read_text()
    for secret in (key, tokens["access_token"], tokens["refresh_token"], PASSWORD):
        assert secret not in text
