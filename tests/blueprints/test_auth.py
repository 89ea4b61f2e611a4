"""Registration, signing in and sessions over HTTP."""

from __future__ import annotations

import http.client
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import Database
from tests.service import PASSWORD, Answer, Client, Person, Service


def address() -> str:
    """An e-mail address that nobody has."""
    return f"{uuid.uuid4()}@example.org"


def register(client: Client, **values: Any) -> Answer:
    """Try to register."""
    return client.post("/auth/register", {"email": address(), "name": "Eve", "password": PASSWORD, **values})


def login(client: Client, email: str, password: str = PASSWORD) -> Answer:
    """Try to sign in."""
    return client.post("/auth/login", {"email": email, "password": password})


def refresh(client: Client, token: str) -> Answer:
    """Try to refresh."""
    return client.post("/auth/refresh", {"refresh_token": token})


def holds(client: Client, tokens: dict[str, Any]) -> int:
    """What a request with an access token is answered."""
    return client.get("/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status


def change_session(service: Service, tokens: dict[str, Any], change: str) -> None:
    """Let time go by for a session."""
    with service.database.admin() as connection:
        connection.execute(f"UPDATE user_sessions SET {change} WHERE id = %s", [tokens["session_id"]])


# --- registration


def test_register_and_sign_in(client: Client) -> None:
    email = address()
    answer = register(client, email=email)
    assert (answer.status, answer.headers["Location"]) == (201, "/api/v1/me")
    assert answer.json.keys() == {"user_id", "organization_id", "mail"}
    signed_in = login(client, email.upper())  # in whatever case
    assert (signed_in.status, signed_in.headers["Cache-Control"]) == (200, "no-store")
    tokens = signed_in.json
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    assert tokens["access_token"].startswith("cca_")
    assert tokens["refresh_token"].startswith("ccr_")
    assert holds(client, tokens) == 200


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "@example.org", "a b@example.org", "a@example", "a@b.c\n", "x" * 251 + "@b.co"]
)
def test_addresses_that_are_none(client: Client, email: str) -> None:
    answer = register(client, email=email)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/email")


@pytest.mark.parametrize(
    ("password", "detail"),
    [("", "8"), ("seven77", "8"), ("x" * 73, "72"), ("é" * 37, "72 bytes"), ("null\0byte", "cannot be stored")],
)
def test_passwords_that_will_not_do(client: Client, password: str, detail: str) -> None:
    answer = register(client, password=password)
    assert answer.status == 422
    assert [each["pointer"] for each in answer.json["errors"]] == ["/password"] * len(answer.json["errors"])
    assert any(detail in each["detail"] for each in answer.json["errors"])


@pytest.mark.parametrize("password", ["x" * 8, "é" * 8, "x" * 72, "é" * 36, "🦊" * 18, " " * 8])
def test_passwords_that_will_do(client: Client, password: str) -> None:
    email = address()
    assert register(client, email=email, password=password).status == 201
    assert login(client, email, password).status == 200
    assert login(client, email, password[:-1]).status == 401
    assert login(client, email, password + "x").status == 401


def test_an_address_that_is_taken(client: Client) -> None:
    email = address()
    register(client, email=email)
    answer = register(client, email=email.upper())
    assert (answer.status, answer.code, answer.json["errors"][0]["pointer"]) == (409, "duplicate", "/email")


def test_registration_that_is_closed(module_database: Database) -> None:
    with Service(module_database.settings(registration_open=False, web_workers=1)) as closed:
        answer = register(closed.client())
        assert (answer.status, answer.code) == (403, "permission_denied")


# --- signing in


def test_nobody_learns_whether_an_address_has_an_account(client: Client) -> None:
    email = address()
    register(client, email=email)
    known, unknown = login(client, email, "wrong password"), login(client, address(), "wrong password")
    assert known.status == unknown.status == 401
    told = [{name: value for name, value in each.json.items() if name != "request_id"} for each in (known, unknown)]
    assert told[0] == told[1]
    assert known.headers["WWW-Authenticate"]


def from_address(service: Service, source: str, email: str, password: str = PASSWORD) -> tuple[int, str | None]:
    """Sign in from another network address; gives the status and Retry-After."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30, source_address=(source, 0))
    try:
        body = json.dumps({"email": email, "password": password})
        connection.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers["Retry-After"]
    finally:
        connection.close()


def forget_blocks(service: Service) -> None:
    """Let the waits go by, though not the failures."""
    with service.database.admin() as connection:
        connection.execute("UPDATE login_throttles SET blocked_until = NULL")


def test_failures_of_one_account_make_it_wait_longer_and_longer(service: Service, client: Client) -> None:
    email = address()
    register(client, email=email)
    for number in range(5):  # from anywhere
        assert from_address(service, f"127.1.0.{number + 1}", email, "wrong password") == (401, None)
    waits = []
    for number in range(5):
        status, wait = from_address(service, f"127.1.1.{number + 1}", email)  # the right password waits too
        assert status == 429
        waits.append(int(wait or 0))
        forget_blocks(service)
        assert from_address(service, f"127.1.2.{number + 1}", email, "wrong password") == (401, None)
    assert waits == [1, 2, 4, 8, 16]
    assert from_address(service, "127.1.3.1", address())[0] == 401  # another account does not wait
    forget_blocks(service)
    assert from_address(service, "127.1.3.2", email) == (200, None)
    assert from_address(service, "127.1.3.3", email, "wrong password") == (401, None)  # and all is forgotten
    assert from_address(service, "127.1.3.4", email) == (200, None)


def test_an_account_that_does_not_exist_waits_the_same(service: Service) -> None:
    email = address()
    for number in range(5):
        assert from_address(service, f"127.2.0.{number + 1}", email) == (401, None)
    assert from_address(service, "127.2.0.9", email) == (429, "1")


def test_failures_from_one_address_make_it_wait_longer_and_longer(service: Service, client: Client) -> None:
    email = address()
    register(client, email=email)
    for _ in range(20):
        assert from_address(service, "127.3.0.1", address()) == (401, None)
    waits = []
    for _ in range(4):
        status, wait = from_address(service, "127.3.0.1", email)
        assert status == 429
        waits.append(int(wait or 0))
        forget_blocks(service)
        assert from_address(service, "127.3.0.1", address()) == (401, None)
    assert waits == [1, 2, 4, 8]
    assert from_address(service, "127.3.0.2", email) == (200, None)


def test_an_address_that_many_sign_in_from_does_not_wait(service: Service, client: Client) -> None:
    email = address()
    register(client, email=email)
    assert [from_address(service, "127.4.0.1", email) for _ in range(25)] == [(200, None)] * 25


def test_attempts_side_by_side_do_not_all_find_the_door_open(service: Service) -> None:
    email = address()
    for number in range(5):
        from_address(service, f"127.5.1.{number + 1}", email)
    with service.database.admin() as connection:  # many failures, and the last wait is over
        connection.execute("UPDATE login_throttles SET failures = 11, blocked_until = NULL WHERE failures = 5")
    with ThreadPoolExecutor(12) as threads:
        tried = threads.map(lambda number: from_address(service, f"127.5.0.{number + 1}", email), range(12))
        statuses = [status for status, _ in tried]
    assert sorted(statuses) == [401] + [429] * 11


# --- refreshing


def test_tokens_rotate(ann: Person) -> None:
    answer = refresh(ann.client, ann.tokens["refresh_token"])
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json["session_id"] == ann.tokens["session_id"]
    assert answer.json["access_token"] != ann.tokens["access_token"]
    assert answer.json["refresh_token"] != ann.tokens["refresh_token"]
    assert holds(ann.client, answer.json) == 200
    assert holds(ann.client, ann.tokens) == 401
    assert refresh(ann.client, answer.json["refresh_token"]).status == 200


def test_a_repetition_within_the_grace_gives_the_same_tokens(ann: Person) -> None:
    first = refresh(ann.client, ann.tokens["refresh_token"])
    with ThreadPoolExecutor(4) as threads:
        again = list(threads.map(lambda _: refresh(ann.client, ann.tokens["refresh_token"]), range(4)))
    assert [each.json for each in again] == [first.json] * 4
    assert holds(ann.client, first.json) == 200


def test_the_first_refreshes_at_the_same_moment(ann: Person) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: refresh(ann.client, ann.tokens["refresh_token"]), range(4)))
    assert [each.json for each in answers] == [answers[0].json] * 4


def test_reuse_ends_the_session_although_the_answer_is_an_error(service: Service, ann: Person) -> None:
    newest = refresh(ann.client, ann.tokens["refresh_token"]).json
    change_session(service, newest, "refreshed_at = refreshed_at - interval '11 seconds'")
    assert holds(ann.client, newest) == 200
    answer = refresh(ann.client, ann.tokens["refresh_token"])
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert "used before" in answer.json["detail"]
    for _ in range(10):  # in every process
        assert holds(ann.client, newest) == 401
    assert "ended" in refresh(ann.client, newest["refresh_token"]).json["detail"]
    with service.database.admin() as connection:
        audited = connection.execute(
            "SELECT count(*) AS n FROM audit_logs WHERE action = 'session.reuse_detected' AND resource_id = %s",
            [newest["session_id"]],
        )
        assert audited.fetchone()["n"] == 1


def test_reuse_of_a_token_before_the_last_ends_the_session_within_the_grace(ann: Person) -> None:
    second = refresh(ann.client, ann.tokens["refresh_token"]).json
    third = refresh(ann.client, second["refresh_token"]).json
    assert refresh(ann.client, ann.tokens["refresh_token"]).status == 401
    assert holds(ann.client, third) == 401


def test_reuse_ends_no_other_session(ann: Person) -> None:
    other = login(ann.client, ann.email).json
    second = refresh(ann.client, ann.tokens["refresh_token"]).json
    refresh(ann.client, second["refresh_token"])
    assert refresh(ann.client, ann.tokens["refresh_token"]).status == 401
    assert holds(ann.client, other) == 200


@pytest.mark.parametrize(
    "token", ["x", "ccr_", "ccr_" + "x" * 64, "cca_" + "x" * 43, "ccr_ü", "=" * 64, "ccr_" + "A" * 64]
)
def test_refresh_tokens_that_are_none(ann: Person, token: str) -> None:
    assert refresh(ann.client, token).code == "unauthenticated"
    assert holds(ann.client, ann.tokens) == 200


def test_a_tampered_refresh_token_ends_nothing(ann: Person) -> None:
    token = ann.tokens["refresh_token"]
    for wrong in (token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), token[:30] + "AA" + token[32:]):
        assert refresh(ann.client, wrong).code == "unauthenticated"
    assert holds(ann.client, ann.tokens) == 200
    assert refresh(ann.client, token).status == 200


def test_expiry(service: Service, ann: Person) -> None:
    change_session(service, ann.tokens, "access_expires_at = now()")
    answer = ann.get("/me")
    assert (answer.code, answer.json["detail"]) == ("unauthenticated", "This credential has expired.")
    newest = refresh(ann.client, ann.tokens["refresh_token"]).json
    assert holds(ann.client, newest) == 200
    change_session(service, ann.tokens, "expires_at = now()")
    assert refresh(ann.client, newest["refresh_token"]).status == 401


# --- sessions


def test_logging_out(ann: Person) -> None:
    other = login(ann.client, ann.email).json
    assert ann.post("/auth/logout").status == 204
    for _ in range(10):
        assert ann.get("/me").code == "unauthenticated"
    assert refresh(ann.client, ann.tokens["refresh_token"]).status == 401
    assert holds(ann.client, other) == 200


def test_sessions(ann: Person, bob: Person) -> None:
    other = login(ann.client, ann.email).json
    newest, first = ann.get("/auth/sessions").json["items"]
    assert (newest["id"], newest["is_current"]) == (other["session_id"], False)
    assert (first["id"], first["is_current"], first["ip_address"]) == (ann.tokens["session_id"], True, "127.0.0.1")
    assert not {"session_token", "refresh_token", "previous_refresh_token"} & newest.keys()
    assert bob.delete(f"/auth/sessions/{newest['id']}").code == "not_found"
    assert ann.delete(f"/auth/sessions/{newest['id']}").status == 204
    assert ann.delete(f"/auth/sessions/{newest['id']}").code == "not_found"
    assert holds(ann.client, other) == 401
    assert [each["id"] for each in ann.get("/auth/sessions").json["items"]] == [first["id"]]


def test_ending_all_sessions(ann: Person, bob: Person) -> None:
    other = login(ann.client, ann.email).json
    assert ann.delete("/auth/sessions").status == 204
    assert [holds(ann.client, each) for each in (other, ann.tokens, bob.tokens)] == [401, 401, 200]


def test_keys_end_sessions_only_with_the_permission(ann: Person) -> None:
    answer = ann.key("sessions:read").delete(f"/auth/sessions/{ann.tokens['session_id']}")
    assert (answer.status, answer.json["permission"]) == (403, "sessions:delete")
    answer = ann.key("sessions:read").delete("/auth/sessions")
    assert (answer.status, answer.json["permission"]) == (403, "sessions:delete")
    assert holds(ann.client, ann.tokens) == 200
    answer = ann.key("sessions:delete").delete("/auth/sessions")  # what it may end, it cannot see
    assert (answer.status, answer.json["permission"]) == (403, "sessions:read")
    assert ann.key("sessions:*").delete("/auth/sessions").status == 204
    assert holds(ann.client, ann.tokens) == 401


def test_an_account_that_was_deactivated(service: Service, ann: Person) -> None:
    key = ann.key()
    with service.database.admin() as connection:
        connection.execute("UPDATE users SET is_active = false WHERE id = %s", [ann.user_id])
    for _ in range(10):  # in every process
        assert ann.get("/me").code == key.get("/me").code == "unauthenticated"
    assert refresh(ann.client, ann.tokens["refresh_token"]).status == 401
    assert login(ann.client, ann.email).status == 401


def test_only_hashes_are_kept(service: Service, ann: Person) -> None:
    with service.database.admin() as connection:
        (kept,) = connection.execute("SELECT * FROM user_sessions WHERE user_id = %s", [ann.user_id]).fetchall()
        person = connection.execute("SELECT * FROM users WHERE id = %s", [ann.user_id]).fetchone()
    text = json.dumps([kept, person], default=str)
    assert ann.tokens["access_token"][4:] not in text
    assert ann.tokens["refresh_token"][4:] not in text
    assert PASSWORD not in text
    assert person["password_hash"].startswith("$2b$")
