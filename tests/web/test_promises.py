"""What api.md promises beyond one request: filters, cursors, deleting and restoring, many items, used-up rates."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from tests.service import Client, Person
from tests.web.asking import (
    OPERATIONS,
    assert_problem,
    assert_refused,
    every,
    has_body,
    is_list,
    prepare,
    private,
    send,
    tagged,
)
from tests.web.document import Operation

BESIDE_FILTERS = {"limit", "cursor", "sort", "fields", "include_deleted"}
SOMETIMES = {"Access-Control-Allow-Origin", "Idempotent-Replayed", "Link"}
FINAL = {"api_keys", "invitations"}  # what is revoked or withdrawn stays so
# filters that are more than the equality of a field
EMPTY = {
    "q": "no-such-word", "prefix": "no_such_metric", "metric_name": "no_such_metric", "event_type": "no.such",
    "labels": quote('{"no": "such"}'),
}  # fmt: skip
REFERENCES = {"/user_id", "/email", "/workflow_id", "/token"}
PATHS = {each.path: each for each in OPERATIONS if each.method == "GET"}


# --- success


@every(lambda operation: not operation.is_stream)
def test_every_header_that_is_documented_is_sent(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    answer = send(operation, call, owner)
    documented = operation.content["responses"][str(answer.status)]["headers"].keys() - SOMETIMES
    assert documented <= set(answer.headers), answer.headers
    assert "X-Request-Id" in documented
    if "ETag" in documented and "Location" in answer.headers:
        location = answer.headers["Location"].removeprefix("/api/v1")
        read = (call.client or owner.client).get(location)
        # what is worked on meanwhile may have gone on
        assert read.etag == answer.etag or answer.status == 202 or read.json["version"] > answer.json["version"]


@every(lambda operation: operation.method == "PATCH")
def test_a_merge_patch_of_nothing_changes_nothing(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    before = client.get(call.path)
    kind = {"If-Match": before.etag, "Content-Type": "application/merge-patch+json"}
    answer = client.patch(call.path, b"{}", headers=kind)
    assert answer.status == 200, answer.body
    volatile = {"updated_at", "version", "version_number"}
    assert {name: value for name, value in answer.json.items() if name not in volatile} == {
        name: value for name, value in before.json.items() if name not in volatile
    }
    problem = assert_problem(client.patch(call.path, {"nonsense": 1}, headers={"If-Match": "*"}), 422, call.path)
    assert [each["pointer"] for each in problem["errors"]] == ["/nonsense"]


@every(has_body)
def test_the_example_of_a_body_is_accepted(operation: Operation, owner: Person) -> None:
    """But for what it refers to, which is not there."""
    call = prepare(operation, owner)
    example = operation.content["requestBody"]["content"]["application/json"]["example"]
    client = call.client or owner.client
    answer = client.call(operation.method, call.path, example, headers={"If-Match": "*"})
    refused = [answer.json] if answer.status >= 300 else []
    if answer.status == 207:
        refused = [each["problem"] for each in answer.json["items"] if "problem" in each]
    for problem in refused:
        assert problem["status"] in (401, 404, 409, 422), problem
        pointed = {re.sub(r"^/items/\d+/body", "", each["pointer"]) for each in problem.get("errors", [])}
        assert problem["status"] != 422 or pointed & REFERENCES, problem


# --- lists


def _filters() -> list[Any]:
    return [
        pytest.param(operation, parameter, id=f"{operation.id}-{parameter['name']}")
        for operation in OPERATIONS
        if operation.is_list
        for parameter in operation.content.get("parameters", [])
        if parameter["in"] == "query" and parameter["name"] not in BESIDE_FILTERS
    ]


@pytest.mark.parametrize(("operation", "parameter"), _filters())
def test_every_filter_filters(operation: Operation, parameter: dict[str, Any], owner: Person) -> None:
    call = prepare(operation, owner)
    path, client = call.path, call.client or owner.client
    whole = client.get(f"{path}?limit=200").json["items"]
    name, schema = parameter["name"], parameter["schema"]
    assert whole
    if "enum" in schema or schema["type"] == "boolean":
        for wanted in schema.get("enum", [True, False]):
            found = client.get(f"{path}?limit=200&{name}={str(wanted).lower()}").json["items"]
            assert found == [each for each in whole if _value(each, name) == wanted], wanted
        return
    if name.endswith(("_after", "_before")) or name in ("since", "until"):
        nothing, everything = "2999-01-01T00:00:00Z", "2000-01-01T00:00:00Z"
        if name.endswith("_before") or name == "until":
            nothing, everything = everything, nothing
        assert len(client.get(f"{path}?limit=200&{name}={everything}").json["items"]) == len(whole)
    else:
        given = [value for each in whole if (value := _value(each, name)) is not None]
        if isinstance(given[0] if given else None, str) and name not in EMPTY:
            found = client.get(f"{path}?limit=200&{name}={given[0]}").json["items"]
            assert found == [each for each in whole if _value(each, name) == given[0]]
        nothing = str(uuid.uuid4()) if schema.get("format") == "uuid" else EMPTY.get(name, "192.0.2.99")
    answer = client.get(f"{path}?limit=200&{name}={nothing}")
    assert (answer.status, answer.json.get("items")) == (200, []), answer.body


def _value(item: dict[str, Any], name: str) -> Any:
    """What a filter asks for, where it is not a field of its own."""
    return item["details"]["outcome"] if name == "outcome" and "details" in item else item.get(name)


@every(is_list)
def test_a_cursor_is_good_for_its_own_list_and_order(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    path, client = call.path, call.client or owner.client
    orders = operation.parameter("sort")["schema"]["enum"]  # type: ignore[index]
    cursor = client.get(f"{path}?limit=1&sort={orders[0]}").json["next_cursor"]
    assert_refused(client.get(f"{path}?sort={orders[1]}&cursor={cursor}"), 400, "bad_cursor")
    assert_refused(client.get(f"{path}?cursor={cursor[:-2]}{'AA' if cursor[-2:] != 'AA' else 'BB'}"), 400, "bad_cursor")


# --- deleting softly


@every(lambda operation: operation.path.endswith("/restore"))
def test_what_was_deleted_is_hidden_and_can_be_restored(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    path = call.path.removesuffix("/restore")
    parent, _, identifier = path.rpartition("/")
    listing = PATHS[operation.path.removesuffix("/restore").rpartition("/")[0]]

    def listed(query: str) -> bool:
        return identifier in [each["id"] for each in owner.get(f"{parent}?limit=200{query}").json["items"]]

    assert_problem(owner.get(path), 404, path)
    deleted = owner.get(f"{path}?include_deleted=true")
    assert (deleted.status, deleted.json["deleted_at"] is not None) == (200, True)
    assert listing.takes("include_deleted")
    assert (listed(""), listed("&include_deleted=true")) == (False, True)
    for method in ("PATCH", "DELETE"):
        assert owner.call(method, path, {}, headers={"If-Match": "*"}).status == 404, method
    restored = owner.post(call.path)
    assert (restored.status, restored.json["deleted_at"]) == (200, None)
    assert restored.etag == owner.get(path).etag != deleted.etag
    assert listed("")
    assert owner.post(call.path).status == 409


@every(lambda operation: operation.takes("include_deleted"), lambda operation: "{" in operation.path, tagged)
def test_what_is_deleted_softly_can_be_restored(operation: Operation) -> None:
    resource = operation.path.rpartition("/")[0].rpartition("/")[2].replace("-", "_")
    assert resource in FINAL or any(each.path == f"{operation.path}/restore" for each in OPERATIONS)


# --- many items


@every(lambda operation: operation.path.endswith("/bulk"))
def test_many_items_are_answered_each_by_itself(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    good = call.body["items"]
    for count in (0, 1001):
        answer = owner.post(call.path, {"items": [good[0]] * count})
        assert assert_refused(answer, 422, "invalid")[0]["pointer"] == "/items"
    answer = owner.post(call.path, {"items": [{"operation": "nonsense"}, *good, {}]})
    assert answer.status == 207, answer.body
    statuses = [each["status"] for each in answer.json["items"]]
    assert (statuses[0], statuses[-1]) == (422, 422)
    assert all(status < 300 for status in statuses[1:-1]), answer.body
    assert [each["index"] for each in answer.json["items"]] == list(range(len(good) + 2))
    for each in answer.json["items"]:
        assert ("problem" in each) == (each["status"] >= 400)


# --- rates


@pytest.fixture(scope="module")
def exhausted(owner: Person) -> Client:
    """A key that has no request left in this hour."""
    key = owner.key(rate_limit=1)
    while key.get("/me").status == 200:
        pass
    return key


@every(private)
def test_a_rate_that_is_used_up(operation: Operation, exhausted: Client) -> None:
    path = re.sub(r"\{\w+\}", str(uuid.uuid4()), operation.path)
    answer = exhausted.call(operation.method, path, {} if operation.body else None, headers={"If-Match": "*"})
    problem = assert_problem(answer, 429, path)
    assert problem["code"] == "rate_limited"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["RateLimit"].startswith('"hour";r=0;')
    assert answer.headers["RateLimit-Policy"] == '"hour";q=1;w=3600'
