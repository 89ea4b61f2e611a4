"""Asking every operation of a kind the same question."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Answer, Person
from tests.web.document import Operation, every_operation, faults, resolved
from tests.web.specimens import SPECIMENS, Call

OPERATIONS = every_operation()
CREDENTIALS = "Authorization, X-API-Key"  # by which the same path answers differently
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}


def every(*conditions: Any) -> Any:
    """The operations that fulfil all conditions."""
    chosen = [each for each in OPERATIONS if all(condition(each) for condition in conditions)]
    return pytest.mark.parametrize("operation", chosen, ids=lambda each: each.id)


def private(operation: Operation) -> bool:
    return not operation.is_public


def named(operation: Operation) -> bool:
    return "{" in operation.path


def has_body(operation: Operation) -> bool:
    return bool(operation.body)


def is_read_at_once(operation: Operation) -> bool:
    """Whether the body is looked at before anything else: that of an inbound call is any JSON, read after the
    signature was right."""
    return has_body(operation) and not operation.path.startswith("/hooks/")


def is_list(operation: Operation) -> bool:
    return operation.is_list


def sparse(operation: Operation) -> bool:
    return operation.takes("fields") and not operation.is_stream


def tagged(operation: Operation) -> bool:
    return operation.method == "GET" and operation.takes("If-None-Match")


def guarded(operation: Operation) -> bool:
    return bool((operation.parameter("If-Match") or {}).get("required"))


def repeatable(operation: Operation) -> bool:
    return operation.takes("Idempotency-Key")


def prepare(operation: Operation, person: Person) -> Call:
    """What the operation needs, made anew."""
    return SPECIMENS[operation.id](person)


def send(operation: Operation, call: Call, person: Person, **headers: str) -> Answer:
    """The call, with any version where one must be named."""
    client = call.client or person.client
    if guarded(operation):
        headers = {"If-Match": "*", **headers}
    return client.call(operation.method, call.path, call.body, headers=headers)


def assert_problem(answer: Answer, status: int, path: str) -> dict[str, Any]:
    """The answer is a problem document as RFC 9457 and api.md have it."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    # 404 and 405 are what caches keep without being told to
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("private, no-cache", CREDENTIALS)
    problem: dict[str, Any] = answer.json
    assert problem.keys() >= PROBLEM_MEMBERS
    assert problem["type"] == f"urn:claude-code-bot:problem:{problem['code']}"
    assert problem["status"] == status
    assert problem["instance"] == f"/api/v1{path.partition('?')[0]}"
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert all(isinstance(problem[name], str) and problem[name] for name in PROBLEM_MEMBERS - {"status"})
    assert faults(resolved({"$ref": "#/components/schemas/Problem"}), problem) == []
    return problem


def assert_refused(answer: Answer, status: int, code: str) -> list[dict[str, str]]:
    """The answer is a problem of this kind; gives the faults that it points at."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert answer.json["detail"]
    return list(answer.json.get("errors", []))
