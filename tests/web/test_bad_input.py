"""Input that is wrong in every way: a clear answer of the right kind, nothing half done, never a 500."""

from __future__ import annotations

import socket
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Database
from tests.service import PASSWORD, Client, Person, Service
from tests.web.asking import assert_refused
from tests.web.document import every_operation
from tests.web.raw import chunked, exchange, request

NEW = {"name": "Stripe", "service_type": "rest"}
PATHS = sorted({each.path for each in every_operation()})


def count(eve: Person) -> int:
    """How many integrations she has."""
    return len(eve.get("/integrations?limit=200").json["items"])


# --- JSON


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b'{"name": "a", "service_type": "r", "config": {"n": 1e400}}', 400, None),
        (b'{"name": "a", "service_type": "r", "config": {"n": %s}}' % (b"9" * 5000), 400, None),
        (b'{"name": "\\ud800", "service_type": "r"}', 400, None),
        (b'{"name": "\xed\xa0\x80", "service_type": "r"}', 400, None),
        (b'{"name": "\xff", "service_type": "r"}', 400, None),
        (b'{"name": "a", "service_type": "r", "config": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}", 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"name": "a\\u0000", "service_type": "r"}', 422, "/name"),
        (b'{"name": "a", "service_type": "r", "capabilities": ["a\\u0000"]}', 422, "/capabilities/0"),
        (b'{"name": "a", "service_type": "r", "config": {"a": ["\\u0000"]}}', 422, "/config/a/0"),
        (b'{"name": "a", "service_type": "r", "config": {"a\\u0000": 1}}', 422, "/config"),
        (b'{"name": "a", "service_type": "r", "metadata": []}', 422, "/metadata"),
        (b'{"name": "a", "service_type": "r", "capabilities": "payments"}', 422, "/capabilities"),
        (b'{"name": "a", "service_type": "r", "organization_id": "nonsense"}', 422, "/organization_id"),
        (b'{"name": "a", "service_type": "r", "repository_url": "javascript:alert(1)"}', 422, "/repository_url"),
        (b'{"name": "a", "service_type": "r", "repository_url": "https://example.org/\\n"}', 422, "/repository_url"),
        (b'{"name": "a", "service_type": "r", "a/b~c": 1}', 422, "/a~1b~0c"),
        (b'{"service_type": "r"}', 422, "/name"),
    ],
)
def test_json_that_cannot_be_taken(eve: Person, body: bytes, status: int, pointer: str | None) -> None:
    before = count(eve)
    faults = assert_refused(
        eve.post("/integrations", body), status, "malformed_request" if status == 400 else "invalid"
    )
    assert pointer is None or pointer in [each["pointer"] for each in faults]
    assert count(eve) == before


def test_json_that_is_unusual_but_right(eve: Person) -> None:
    config = {
        "nested": 1.5,
        "": "empty name",
        "emoji 🦊": "\U0001f98a",
        "big": 2**53,
        "deep": [[[[[[{}]]]]]],
        "null": None,
    }
    answer = eve.post("/integrations", {**NEW, "name": "Ünïcödé 🦊 \u202e", "config": config})
    assert answer.status == 201, answer.body
    assert answer.json["config"] == config
    assert eve.get(f"/integrations/{answer.json['id']}").json == answer.json


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-13-01T00:00:00Z",
                                    "2026-01-01T00:00:00", "yesterday", "infinity", "1e9", ""])  # fmt: skip
def test_moments_that_cannot_be_kept(eve: Person, moment: str) -> None:
    body = {"name": "key", "permissions": [], "expires_at": moment}
    assert assert_refused(eve.post("/api-keys", body), 422, "invalid")[0]["pointer"] == "/expires_at"
    for path in ("/events?created_after=", "/events?created_before="):
        assert_refused(eve.get(path + quote(moment)), 422, "invalid")


def test_moments_are_read_as_rfc_3339_has_them(eve: Person) -> None:
    for moment in ("2026-11-22t09:30:00z", "2026-11-22T10:30:00.123456789%2B01:00", "2026-11-22 09:30:00-00:00"):
        assert eve.get(f"/events?created_after={quote(moment, safe='%')}").status == 200, moment
    # in a query a plus sign is a space
    for moment in ("2026-11-22T10:30:00+01:00", "2026-11-22", "2026-12-31T23:59:60Z"):
        (fault,) = assert_refused(eve.get(f"/events?created_after={moment}"), 422, "invalid")
        assert all(hint in fault["detail"] for hint in ("offset", "2026-11-22T09:30:00Z", "%2B"))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_moments_at_the_ends_of_the_calendar(eve: Person, moment: str) -> None:
    answer = eve.post("/api-keys", {"name": "key", "permissions": [], "expires_at": moment})
    if moment < "2":
        assert assert_refused(answer, 422, "invalid")[0]["pointer"] == "/expires_at"
    else:
        assert answer.status == 201, answer.body
        assert eve.get(f"/api-keys/{answer.json['id']}").json["expires_at"] == moment
    assert eve.get(f"/events?created_after={moment}").status == 200


# --- size


def test_bodies_that_are_too_large(eve: Person, service: Service) -> None:
    before, limit = count(eve), service.settings.max_body_bytes
    headers = {**eve.client.headers, "Content-Type": "application/json"}
    large = b'{"name": "' + b"x" * limit + b'"}'
    # announced and sent; announced only; in chunks that nobody announced
    assert_refused(exchange(service.port, request("POST", "/api/v1/integrations", headers, large)), 413, "too_large")
    announced = request("POST", "/api/v1/integrations", {**headers, "Content-Length": str(10**12)})
    assert_refused(exchange(service.port, announced), 413, "too_large")
    head = request("POST", "/api/v1/integrations", {**headers, "Transfer-Encoding": "chunked"})
    pieces = [chunked(large[start : start + 2**20]) for start in range(0, len(large), 2**20)]
    assert_refused(exchange(service.port, head, *pieces, b"0\r\n\r\n"), 413, "too_large")
    with_key = {**headers, "Idempotency-Key": "large", "Transfer-Encoding": "chunked"}
    head = request("POST", "/api/v1/integrations", with_key)
    assert_refused(exchange(service.port, head, *pieces, b"0\r\n\r\n"), 413, "too_large")
    assert count(eve) == before


def test_a_body_that_is_too_large_is_not_asked_for(eve: Person, service: Service) -> None:
    headers = {**eve.client.headers, "Content-Type": "application/json", "Expect": "100-continue"}
    for length, first_line in ((10**12, b"HTTP/1.1 413 "), (service.settings.max_body_bytes, b"HTTP/1.1 100 ")):
        head = request("POST", "/api/v1/integrations", {**headers, "Content-Length": str(length)})
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(head)
            assert connection.recv(65536).startswith(first_line), length


def test_a_large_body_within_the_limit(eve: Person) -> None:
    config = {str(number): "x" * 1000 for number in range(2000)}
    answer = eve.post("/integrations", {**NEW, "config": config})
    assert answer.status == 201
    assert answer.json["config"] == config


def test_a_body_that_ends_early_is_not_taken_for_whole(eve: Person, service: Service) -> None:
    before = count(eve)
    head = request("POST", "/api/v1/integrations", {**eve.client.headers, "Content-Type": "application/json",
                                                    "Content-Length": "60"})  # fmt: skip
    answer = exchange(service.port, head + b'{"name": "Cut off", "service_type": "rest"}', ended=True)
    assert (answer.status, answer.code) == (400, "malformed_request")
    assert count(eve) == before


def test_a_chunked_body(eve: Person, service: Service) -> None:
    headers = {**eve.client.headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    head = request("POST", "/api/v1/integrations", headers)
    answer = exchange(service.port, head, chunked(b'{"name": "Chunked", ', b'"service_type": "rest"}'), b"0\r\n\r\n")
    assert answer.status == 201
    assert answer.json["name"] == "Chunked"


@pytest.mark.parametrize("body", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n0\r\n\r\n"])
def test_broken_chunks(eve: Person, service: Service, body: bytes) -> None:
    headers = {**eve.client.headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    assert exchange(service.port, request("POST", "/api/v1/integrations", headers), body).status in (400, 413)


# --- paths


@pytest.mark.parametrize(
    "name",
    ["nonsense", "0", "-1", "%00", "%ff", "..", "%2e%2e", "a" * 200, "{integration_id}", "NULL", "0" * 32,
     "00000000-0000-0000-0000-00000000000g"],
)  # fmt: skip
def test_identifiers_that_are_none(eve: Person, name: str) -> None:
    for path in (
        f"/integrations/{name}",
        f"/organizations/{name}/members",
        f"/api-keys/{name}",
        f"/auth/sessions/{name}",
    ):
        method = "DELETE" if path.startswith("/auth") else "GET"
        assert_refused(eve.call(method, path), 404, "not_found")


@pytest.mark.parametrize(
    "name",
    ["%00", "a%00b", "%ff", "%ed%a0%80", "%2F", "a%2Fb", "%252F", "%25", "%F0%9F%A6%8A", "%", "%zz", "a%0ab",
     "..%2f..%2fetc%2fpasswd", "a;b", "a'--", "x" * 101, "x" * 3000, "%20", "+"],
)  # fmt: skip
def test_template_ids_that_are_none(eve: Person, name: str) -> None:
    path = f"/integration-templates/{name}"
    for answer in (
        eve.get(path),
        eve.patch(path, {"name": "mine"}, headers={"If-Match": "*"}),
        eve.delete(path, headers={"If-Match": "*"}),
        eve.post(f"{path}/restore"),
        eve.post(f"{path}/restore", headers={"Idempotency-Key": str(uuid.uuid4())}),
    ):
        # a slash is one however it is spelled, and NUL is refused before anybody looks for it
        codes = {404: "not_found", **({405: "method_not_allowed"} if "2f" in name.lower() else {})}
        codes |= {422: "invalid"} if "%00" in name else {}
        assert answer.code == codes[answer.status], answer.body


def test_template_ids_are_the_same_however_they_are_spelled(eve: Person) -> None:
    name = f"rest-{uuid.uuid4()}"
    assert eve.post("/integration-templates", {"id": name, "name": "REST", "template_data": {}}).status == 201
    spelled = "".join(f"%{ord(character):02X}" for character in name)
    assert eve.get(f"/integration-templates/{spelled}").json["id"] == name


def test_paths_that_are_none(eve: Person, client: Client) -> None:
    for path in ("/", "/nonsense", "/integrations/", "//integrations", "/integrations/../me", "/Integrations", "/me/x"):
        assert_refused(eve.get(path), 404, "not_found")
        assert_refused(client.get(path), 404, "not_found")
    assert_refused(client.get("!/"), 404, "not_found")


@pytest.mark.parametrize("path", PATHS)
def test_methods_that_a_path_does_not_have(eve: Person, path: str) -> None:
    known = {each.method for each in every_operation() if each.path == path}
    place = path.replace("{template_id}", "rest")
    while "{" in place:
        place = place.partition("{")[0] + str(uuid.uuid4()) + place.partition("}")[2]
    expected = known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"} - known:
        answer = eve.call(method, place)
        assert_refused(answer, 405, "method_not_allowed")
        assert {each.strip() for each in answer.headers["Allow"].split(",")} == expected
    answer = eve.call("OPTIONS", place)
    assert (answer.status, answer.body) == (200, b"")
    assert {each.strip() for each in answer.headers["Allow"].split(",")} == expected


def test_a_request_names_its_host(service: Service) -> None:
    assert exchange(service.port, b"GET /healthz HTTP/1.1\r\n\r\n").status == 400
    assert exchange(service.port, b"GET /healthz HTTP/1.0\r\n\r\n").status == 200


def test_head_is_get_without_a_body(eve: Person, integration: dict[str, Any]) -> None:
    for path in ("/me", f"/integrations/{integration['id']}", "/integrations"):
        whole, head = eve.get(path), eve.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        for name in ("Content-Type", "Content-Length", "ETag"):
            assert head.headers[name] == whole.headers[name]
    assert eve.call("HEAD", f"/integrations/{uuid.uuid4()}").status == 404


def test_urls_that_are_too_long(eve: Person, service: Service) -> None:
    for path in ("/api/v1/integrations?q=" + "x" * 9000, "/api/v1/" + "x" * 20_000, "/api/v1/me?" + "a=1&" * 5000):
        assert_refused(exchange(service.port, request("GET", path, eve.client.headers)), 400, "malformed_request")
    assert_refused(eve.get("/integrations?q=" + "x" * 6000), 422, "invalid")


# --- query strings


@pytest.mark.parametrize(
    "query",
    ["q=%00", "q=a%00b", "status=%00", "service_type=%00", "fields=%00", "sort=%00", "limit=%00", "template_id=%00",
     "organization_id=%00", "include_deleted=perhaps", "q=", "organization_id=nonsense", "status=finished",
     "limit=%F0%9F%A6%8A", "%00=1", "=1"],
)  # fmt: skip
def test_query_parameters_that_are_not_valid(eve: Person, query: str) -> None:
    assert assert_refused(eve.get(f"/integrations?{query}"), 422, "invalid")[0]["pointer"].startswith("?")


@pytest.mark.parametrize(
    "words", ['"', '"unclosed', "a & b | !c", "':*", "((((", "-", "%", "\\", "or or or", "<->", "a" * 500, "🦊"]
)
def test_searches_in_any_words(eve: Person, words: str) -> None:
    assert eve.get(f"/integrations?q={quote(words)}").status == 200


# --- headers


def test_headers_that_hold_anything(eve: Person, service: Service) -> None:
    for name in (
        "User-Agent",
        "X-Request-Id",
        "traceparent",
        "Accept",
        "X-Forwarded-For",
        "Idempotency-Key",
        "If-None-Match",
    ):
        for value in (b"\xff\xfe", b"\xf0\x9f\xa6\x8a", b"x" * 4000, b"'; DROP TABLE users; --", b"%00", b"\t"):
            headers = {**eve.client.headers, name: value}
            assert exchange(service.port, request("GET", "/api/v1/me", headers)).status == 200, (name, value)


@pytest.mark.parametrize("value", [b"a\0b", b"a\x01b", b"a\rb"])
def test_headers_that_no_header_may_hold(eve: Person, service: Service, value: bytes) -> None:
    for name in ("User-Agent", "X-API-Key", "If-Match", "Idempotency-Key"):
        answer = exchange(service.port, request("GET", "/api/v1/me", {**eve.client.headers, name: value}))
        assert_refused(answer, 400, "malformed_request")


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer  ", "Basic YTpi", "Bearer a b", "Bearer cca_" + "x" * 42,
     "Bearer cca_" + "é" * 43, "Bearer ccb_" + "x" * 36, "Bearer ccr_" + "x" * 43, "Bearer " + "x" * 4000,
     "Bearer cca_" + "x" * 43],
)  # fmt: skip
def test_credentials_that_are_none(client: Client, service: Service, value: str) -> None:
    answer = exchange(service.port, request("GET", "/api/v1/me", {"Authorization": value}))
    assert_refused(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


# --- behind a proxy


def test_addresses_that_a_proxy_hands_on(module_database: Database) -> None:
    with Service(module_database.settings(trusted_proxies=1, web_workers=1)) as behind:
        email = f"{uuid.uuid4()}@example.org"
        person = {"email": email, "name": "Eve", "password": PASSWORD}
        for given, kept in (
            ("unknown", None),
            ("203.0.113.7:80", None),
            ("a, 203.0.113.7", "203.0.113.7"),
            ("::1", "::1"),
        ):
            headers = {"X-Forwarded-For": given}
            client = behind.client(**headers)
            client.post("/auth/register", person)
            answer = client.post("/auth/login", {"email": email, "password": PASSWORD})
            assert answer.status == 200, answer.body
            client.headers["Authorization"] = f"Bearer {answer.json['access_token']}"
            assert client.get("/auth/sessions").json["items"][0]["ip_address"] == kept
            assert client.post("/integrations", NEW).status == 201
