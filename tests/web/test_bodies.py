"""Bodies that are wrong, sent to every operation that takes one."""

from __future__ import annotations

import gzip
import re
from typing import Any

from tests.service import Person
from tests.web.asking import assert_problem, every, has_body, is_read_at_once, prepare, private
from tests.web.document import Operation


@every(is_read_at_once)
def test_bodies_that_cannot_be_read(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    headers = {"If-Match": "*"}
    nothing = [b""] if operation.content["requestBody"].get("required", False) else []
    for body in (*nothing, b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff\xfe{}", b'"\\ud800"', b"[" * 90 + b"]" * 90):
        answer = client.call(operation.method, call.path, body, headers=headers)
        assert assert_problem(answer, 400, call.path)["code"] == "malformed_request", body
    for kind in ("text/plain", "application/x-www-form-urlencoded", "nonsense"):
        answer = client.call(operation.method, call.path, b"{}", headers={**headers, "Content-Type": kind})
        assert assert_problem(answer, 415, call.path)["code"] == "unsupported_media_type", kind
    coded = {**headers, "Content-Encoding": "gzip"}
    answer = client.call(operation.method, call.path, gzip.compress(b"{}"), headers=coded)
    assert "gzip" in assert_problem(answer, 415, call.path)["detail"]
    assert answer.headers["Accept-Encoding"] == "identity"


@every(is_read_at_once)
def test_bodies_that_are_not_what_they_should_be(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    bodies: list[Any] = [[], "text", 7, None, True]
    for body in bodies:
        encoded = b"null" if body is None else body
        answer = client.call(operation.method, call.path, encoded, headers={"If-Match": "*"})
        assert assert_problem(answer, 422, call.path)["errors"], body
    answer = client.call(operation.method, call.path, {**call.body, "nonsense": 1}, headers={"If-Match": "*"})
    assert {"pointer": "/nonsense", "detail": "Unknown field."} in assert_problem(answer, 422, call.path)["errors"]
    for name, schema in operation.body["properties"].items():
        if schema.get("readOnly"):
            continue
        for wrong in _wrong(schema):
            answer = client.call(operation.method, call.path, {**call.body, name: wrong}, headers={"If-Match": "*"})
            pointers = [each["pointer"] for each in assert_problem(answer, 422, call.path)["errors"]]
            assert any(pointer.startswith(f"/{name}") for pointer in pointers), (name, wrong, answer.body)


def _wrong(schema: dict[str, Any]) -> list[Any]:
    """Values that a field cannot have."""
    kind = schema["type"]
    wrong: list[Any] = [] if schema.get("nullable") else [None]
    if kind == "string":
        wrong += [7, [], {}, True]
        wrong += ["x" * (schema["maxLength"] + 1)] if "maxLength" in schema else []
        wrong += ["nonsense!"] if {"enum", "format"} & schema.keys() and schema.get("format") != "password" else []
        wrong += [each for each in ("nonsense!", " ", "\t\n") if not re.search(schema.get("pattern", ""), each)]
        wrong += [] if "enum" in schema or schema.get("format") == "password" else ["a\0b"]
    elif kind == "integer":
        wrong += ["seven", 1.5, [], 10**18, -(10**18)]
    elif kind == "boolean":
        wrong += ["perhaps", 7, []]
    elif kind == "array":
        wrong += ["text", {}, [7], [None]]
        wrong += [] if "$ref" in schema["items"] else [[{}]]
    else:
        wrong += ["text", 7, []]
    return wrong


@every(private, has_body)
def test_a_request_that_is_refused_unread_is_counted(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = owner.key(rate_limit=100)  # which comes back slowly enough to see it go
    headers = {"If-Match": "*"}
    left = []
    for _ in range(2):
        answer = client.call(operation.method, call.path, b"{", headers=headers)
        assert answer.status == 400
        left.append(int(re.search(r"r=(\d+)", answer.headers["RateLimit"])[1]))  # type: ignore[index]
    assert left[1] < left[0]
