"""What api.md promises of every operation of a kind, asked of each one that the OpenAPI document lists."""

from __future__ import annotations

import re
import uuid

import pytest

from tests.service import Client, Person
from tests.web.asking import (
    OPERATIONS,
    PROBLEM_MEMBERS,
    assert_problem,
    every,
    guarded,
    has_body,
    is_list,
    named,
    prepare,
    private,
    repeatable,
    send,
    sparse,
    tagged,
)  # fmt: skip
from tests.web.document import Operation, document, faults
from tests.web.specimens import SPECIMENS, Call

# counted when asked for, not kept in a row of their own
COUNTED = {"get_integration_statistics", "get_organization_usage", "get_webhook_health"}
# of the release: the same for every tenant, and without a version of their own
RELEASED = {"get_permission", "get_role", "get_event_type"}

# --- the document


def test_every_operation_has_a_specimen() -> None:
    assert {each.id for each in OPERATIONS} == SPECIMENS.keys()


def test_operation_ids_are_unique() -> None:
    assert len({each.id for each in OPERATIONS}) == len(OPERATIONS)


def test_the_service_gives_the_same_document(client: Client) -> None:
    assert client.get("!/openapi.json").json == document()


@every()
def test_operation_is_documented(operation: Operation) -> None:
    assert operation.content["summary"].endswith(".")
    assert operation.content["description"].endswith(".")
    if operation.answer:
        example = operation.content["responses"][str(operation.status)]["content"]["application/json"]["example"]
        assert example.keys() == operation.answer["properties"].keys()
        assert faults(operation.answer, example) == []
    parameters = operation.content.get("parameters", []) + document()["paths"][f"/api/v1{operation.path}"].get(
        "parameters", []
    )
    for parameter in parameters:
        assert parameter.get("description"), parameter
        assert "example" in parameter or "example" in parameter["schema"], parameter
    responses = operation.content["responses"]
    for status, response in responses.items():
        assert response["description"]
        assert "X-Request-Id" in response["headers"]
        if status[0] in "45d":
            example = response["content"]["application/problem+json"]["example"]
            assert example.keys() == PROBLEM_MEMBERS, status
    assert {"429", "503", "default"} <= responses.keys()
    assert operation.is_public or {"401", "403"} <= responses.keys()
    assert not has_body(operation) or {"400", "413", "415", "422"} <= responses.keys()
    assert operation.method not in ("PATCH", "PUT") or guarded(operation)
    assert operation.method != "DELETE" or guarded(operation) or "/sessions" in operation.path
    assert operation.method != "POST" or repeatable(operation) or operation.path.startswith(("/auth/", "/hooks/"))


@pytest.mark.parametrize("name", sorted(document()["components"]["schemas"]))
def test_every_field_is_documented(name: str) -> None:
    for field, schema in document()["components"]["schemas"][name]["properties"].items():
        assert schema.get("description"), field
        assert "example" in schema or "items" in schema, field


# --- success


@every(lambda operation: not operation.is_stream)  # tests/web/test_event_streams.py and test_export.py read those
def test_answer_is_as_documented(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    answer = send(operation, call, owner, **{"X-Request-Id": "trace-7.a"})
    assert answer.status == operation.status, answer.body
    assert answer.headers["X-Request-Id"] == "trace-7.a"
    if operation.answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert faults(operation.answer, answer.json) == []
    else:
        assert (answer.body, "Content-Type" in answer.headers) == (b"", False)
    if operation.status in (201, 202):
        assert answer.headers["Location"].startswith("/api/v1/")
        assert operation.is_public or owner.get(answer.headers["Location"].removeprefix("/api/v1")).status == 200
    if not operation.is_public:
        assert re.fullmatch(r'"hour";q=\d+;w=3600', answer.headers["RateLimit-Policy"])
        assert re.fullmatch(r'"hour";r=\d+;t=\d+', answer.headers["RateLimit"])
    if answer.body:
        assert answer.headers["Cache-Control"] in ("no-store", "private, no-cache")


@every()
def test_a_malformed_request_id_is_replaced(operation: Operation, client: Client) -> None:
    path = re.sub(r"\{\w+\}", "x", operation.path)
    answer = client.call(operation.method, path, headers={"X-Request-Id": "a b\t" * 99})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-Id"])


# --- who calls


@every(private)
def test_no_credential(operation: Operation, owner: Person, client: Client) -> None:
    call = prepare(operation, owner)
    for headers in (
        {},
        {"X-API-Key": f"ccb_{'x' * 36}"},
        {"Authorization": "Bearer cca_mistyped"},
        {"Authorization": "Basic YTpi"},
    ):
        answer = client.call(operation.method, call.path, b"{", headers=headers)
        problem = assert_problem(answer, 401, call.path)
        assert problem["code"] == "unauthenticated"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@every(private, named, lambda operation: operation.id not in RELEASED)
def test_another_tenant_is_told_nothing_is_there(operation: Operation, owner: Person, stranger: Person) -> None:
    call = prepare(operation, owner)
    answer = send(operation, Call(call.path, call.body), stranger)
    problem = assert_problem(answer, 404, call.path)
    assert problem["code"] == "not_found"
    assert send(operation, call, owner).status == operation.status  # and nothing was done to it


@every(private, has_body, lambda operation: "organization_id" in operation.body["properties"])
def test_an_organization_of_others_is_not_there(operation: Operation, owner: Person, stranger: Person) -> None:
    call = prepare(operation, owner)
    answer = owner.post(call.path, {**call.body, "organization_id": stranger.personal_organization_id})
    assert assert_problem(answer, 404, call.path)["errors"][0]["pointer"] == "/organization_id"


@every(
    private,
    lambda operation: operation.method != "GET",
    lambda operation: "/auth/" not in operation.path,
    lambda operation: operation.id != "validate_workflow",  # looks at what it is sent, and at nothing else
)
def test_a_key_that_may_only_read_is_told_which_permission_it_lacks(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    reader = owner.key(*(each["name"] for each in owner.get("/permissions").json["items"] if each["action"] == "read"))
    answer = send(operation, Call(call.path, call.body), Person(reader, "", "", "", {}))
    if call.path.endswith("/restore"):
        assert_problem(answer, 404, call.path)  # only those who may delete see what was deleted
    else:
        # of many items each is answered by itself
        problem = answer.json["items"][0]["problem"] if answer.status == 207 else assert_problem(answer, 403, call.path)
        assert problem["status"] == 403
        assert problem["permission"] in {each["name"] for each in owner.get("/permissions").json["items"]}
        assert problem["permission"] in problem["detail"]
    assert send(operation, call, owner).status == operation.status


# --- lists


@every(is_list)
def test_pages_lead_through_the_whole_list(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    whole = client.get(f"{call.path}?limit=200").json
    assert whole["next_cursor"] is None
    assert len(whole["items"]) >= 2
    size = max(1, len(whole["items"]) // 3)
    answer, found = client.get(f"{call.path}?limit={size}"), []
    while True:
        page = answer.json
        assert page.keys() == {"items", "next_cursor"}
        found += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            assert "Link" not in answer.headers
            break
        link = re.fullmatch(r'<http://[^/]+/api/v1(?P<path>[^>]+)>; rel="next"', answer.headers["Link"])
        assert link is not None, answer.headers["Link"]
        assert len(page["items"]) == size
        answer = client.get(link["path"])
        # the cursor alone leads to the same page as the link
        assert client.get(f"{call.path}?limit={size}&cursor={page['next_cursor']}").json == answer.json
    assert found == [each["id"] for each in whole["items"]]


@every(is_list)
def test_limit_is_coerced(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    path, client = call.path, call.client or owner.client
    for given, items in (("0", 1), ("-7", 1), ("1", 1)):
        assert len(client.get(f"{path}?limit={given}").json["items"]) == items, given
    for given in ("201", "9" * 30):
        assert client.get(f"{path}?limit={given}").status == 200, given
    for given in ("abc", "", "1.5", "1e3", "0x10"):
        problem = assert_problem(client.get(f"{path}?limit={given}"), 422, path)
        assert problem["errors"][0]["pointer"] == "?limit", given


@every(is_list)
def test_every_order(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    path, client = call.path, call.client or owner.client
    for sort in operation.parameter("sort")["schema"]["enum"]:  # type: ignore[index]
        first = client.get(f"{path}?sort={sort}&limit=1").json
        rest = client.get(f"{path}?sort={sort}&cursor={first['next_cursor']}").json
        values = [each[sort.lstrip("-")] for each in first["items"] + rest["items"]]
        backwards = sort.startswith("-")
        if sort.lstrip("-") == "name":  # in the order of the database's collation
            assert len(values) >= 2
        else:
            assert values == sorted(values, reverse=backwards), sort
    assert_problem(client.get(f"{path}?sort=password_hash"), 422, path)


@every(is_list)
def test_unknown_and_repeated_parameters_are_refused(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    path, client = call.path, call.client or owner.client
    assert assert_problem(client.get(f"{path}?nonsense=1"), 422, path)["errors"][0]["pointer"] == "?nonsense"
    assert assert_problem(client.get(f"{path}?limit=1&limit=2"), 422, path)["errors"][0]["pointer"] == "?limit"


@every(lambda operation: operation.method == "GET", lambda operation: not operation.is_list)
def test_what_is_no_list_takes_no_parameters_of_lists(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    beside = "&" if "?" in call.path else "?"
    for name in {"cursor", "limit", "nonsense"} - {"cursor" if operation.is_stream else ""}:
        answer = (call.client or owner.client).get(f"{call.path}{beside}{name}=1")
        problem = assert_problem(answer, 422, call.path)
        assert problem["errors"] == [{"pointer": f"?{name}", "detail": "Unknown field."}]


@every(sparse)
def test_sparse_answers(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    whole = client.get(call.path).json
    known = (whole["items"][0] if operation.is_list else whole).keys()
    names = [*(["id"] if "id" in known else []), sorted(known - {"id"})[0]]
    some = client.get(f"{call.path}?fields={','.join(names)}").json
    rows, thin = (whole["items"], some["items"]) if operation.is_list else ([whole], [some])
    assert thin == [{name: row[name] for name in names} for row in rows]
    problem = assert_problem(client.get(f"{call.path}?fields={names[0]},nonsense"), 422, call.path)
    assert problem["errors"] == [{"pointer": "?fields", "detail": "There is no field nonsense."}]


# --- single resources


@every(tagged)
def test_etags(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    etag = client.get(call.path).etag
    assert re.fullmatch(r'"\d+"', etag)
    for given in (etag, f"W/{etag}", f'"0", {etag}', "*"):
        answer = client.get(call.path, headers={"If-None-Match": given})
        assert (answer.status, answer.body, answer.etag) == (304, b"", etag), given
        assert answer.headers["Vary"] == "Authorization, X-API-Key"
    for given in ('"0"', "nonsense", '""'):
        assert client.get(call.path, headers={"If-None-Match": given}).status == 200, given


@every(lambda operation: operation.method == "GET", named, lambda operation: not operation.is_list)
def test_every_single_resource_has_an_etag(operation: Operation) -> None:
    assert tagged(operation) or operation.id in COUNTED | RELEASED


@every(lambda operation: operation.takes("as_of"))
def test_answers_of_another_moment_are_as_documented(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    answer = client.get(f"{call.path}?as_of=2999-01-01T00:00:00Z")
    assert (answer.status, answer.etag) == (200, client.get(call.path).etag), answer.body
    assert faults(operation.answer, answer.json) == []
    assert_problem(client.get(f"{call.path}?as_of=2000-01-01T00:00:00Z"), 404, call.path)


@every(guarded)
def test_changes_need_the_version_that_was_read(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    client = call.client or owner.client
    etag = client.get(call.path).etag
    answer = client.call(operation.method, call.path, call.body)
    assert assert_problem(answer, 428, call.path)["code"] == "precondition_required"
    for wrong in ('"0"', '"99"', f"W/{etag}", "garbage", '""', '"1e1"', f'"{"9" * 40}"'):
        answer = client.call(operation.method, call.path, call.body, headers={"If-Match": wrong})
        assert assert_problem(answer, 412, call.path)["code"] == "stale_version", wrong
    assert client.get(call.path).etag == etag
    answer = client.call(operation.method, call.path, call.body, headers={"If-Match": f'"77", {etag}'})
    assert answer.status == operation.status, answer.body
    again = client.call(operation.method, call.path, call.body, headers={"If-Match": etag})
    gone = 401 if operation.id == "close_account" else 404  # whose account is closed is nobody
    assert again.status == (gone if operation.method == "DELETE" else 412)
    if operation.method == "PATCH":
        assert answer.etag == client.get(call.path).etag != etag


@every(lambda operation: operation.takes("If-Match"), lambda operation: not guarded(operation))
def test_if_match_where_it_may_be_left_out(operation: Operation, owner: Person) -> None:
    call = prepare(operation, owner)
    answer = owner.call(operation.method, call.path, call.body, headers={"If-Match": '"99"'})
    assert assert_problem(answer, 412, call.path)["code"] == "stale_version"
    assert owner.call(operation.method, call.path, call.body, headers={"If-Match": '"1"'}).status == operation.status


# --- POST


@every(repeatable)
def test_a_post_with_an_idempotency_key_is_done_once(operation: Operation, owner: Person, stranger: Person) -> None:
    call, key = prepare(operation, owner), {"Idempotency-Key": str(uuid.uuid4())}
    first = owner.post(call.path, call.body, headers=key)
    assert first.status == operation.status, first.body
    assert "Idempotent-Replayed" not in first.headers
    again = owner.post(call.path, call.body, headers=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status, again.body) == (first.status, first.body)
    for name in ("Content-Type", "Location", "ETag", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name]
    other = owner.post(call.path, {**(call.body or {}), "other": 1}, headers=key)
    assert assert_problem(other, 422, call.path)["code"] == "idempotency_key_reused"
    for elsewhere in (stranger.client, owner.key()):  # the key is each caller's own
        assert "Idempotent-Replayed" not in elsewhere.post(call.path, call.body, headers=key).headers


@every(repeatable)
def test_what_failed_may_be_tried_again_with_the_same_idempotency_key(operation: Operation, owner: Person) -> None:
    call, key = prepare(operation, owner), {"Idempotency-Key": str(uuid.uuid4())}
    assert owner.post(call.path, b"{", headers=key).status in (400, operation.status)
    if has_body(operation):
        assert owner.post(call.path, call.body, headers=key).status == operation.status
    for wrong in ("", "x" * 256, "caf\xe9"):
        answer = owner.post(call.path, call.body, headers={"Idempotency-Key": wrong})
        assert assert_problem(answer, 422, call.path)["code"] == "invalid", wrong
