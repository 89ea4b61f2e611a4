"""Changing a password, and getting another when it is forgotten."""

from __future__ import annotations

import itertools
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from security.encryption import Cipher
from tests.conftest import Database
from tests.mail import mail_to, text_of, token_of, tokens_in
from tests.service import PASSWORD, Answer, Client, Person, Service

NEW = "another horse battery"
FORGOTTEN = "/auth/password-resets"

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _forgiven(service: Service) -> Iterator[None]:
    """Wrong passwords are counted by network address too, and everybody calls from the same one."""
    yield
    with service.database.admin() as admin:
        admin.execute("DELETE FROM login_throttles")


@pytest.fixture
def nobody(service: Service) -> Client:
    """Somebody without a credential, at a network address that nobody has tried anything from."""
    number = next(_numbers)
    return Client(service.port, source=f"127.11.{number // 250}.{number % 250 + 1}")


def login(person: Person, password: str) -> Answer:
    """Try to sign in."""
    return Client(person.client.port).post("/auth/login", {"email": person.email, "password": password})


def holds(person: Person, tokens: dict[str, Any]) -> bool:
    """Whether a session goes on."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return Client(person.client.port).get("/me", headers=headers).status == 200


def change(person: Person, current: str, new: str = NEW) -> Answer:
    """Try to change the password."""
    return person.post("/auth/password", {"current_password": current, "new_password": new})


def reset(client: Client, token: str, password: str = NEW) -> Answer:
    """Try to choose another password."""
    return client.post(f"{FORGOTTEN}/confirm", {"token": token, "password": password})


def rows(service: Service, statement: str, *values: object) -> list[dict[str, Any]]:
    """What the database holds."""
    with service.database.admin() as admin:
        return list(admin.execute(statement, values))


# --- forgotten


def test_choosing_another_password(service: Service, nobody: Client, ann: Person) -> None:
    other = login(ann, PASSWORD).json
    answer = nobody.post(FORGOTTEN, {"email": ann.email.upper()})
    assert (answer.status, answer.json) == (200, {"mail": "written to the log directory"})
    token = token_of(ann)
    assert reset(nobody, token).status == 204
    assert not holds(ann, ann.tokens)  # all sessions end
    assert not holds(ann, other)
    assert login(ann, PASSWORD).status == 401
    assert login(ann, NEW).status == 200
    again = reset(nobody, token, "and once more")
    assert (again.status, again.json["errors"][0]["pointer"]) == (422, "/token")
    assert login(ann, NEW).status == 200
    assert "password" in text_of(mail_to(service, ann.email)[-1])  # and the owner hears of it
    assert mail_to(service, ann.email)[-1]["Subject"] == "Your password was changed"


def test_what_is_on_record_of_it(service: Service, nobody: Client, ann: Person) -> None:
    nobody.post(FORGOTTEN, {"email": ann.email})
    token = token_of(ann)
    assert reset(nobody, token).status == 204
    (event,) = rows(
        service, "SELECT * FROM events WHERE aggregate_id = %s AND event_type = 'user.password_changed'", ann.user_id
    )
    assert str(event["created_by"]) == ann.user_id
    written = [
        *rows(service, "SELECT * FROM events WHERE aggregate_id = %s", ann.user_id),
        *rows(service, "SELECT * FROM audit_logs"),
        *rows(service, "SELECT * FROM mail_messages"),
        *rows(service, "SELECT * FROM user_tokens"),
        *rows(service, "SELECT * FROM idempotency_keys"),
        service.log.read_text(),
    ]
    assert token not in str(written)
    actions = rows(service, "SELECT action FROM audit_logs WHERE resource_id = %s", ann.user_id)
    assert "user.password_changed" in [row["action"] for row in actions]


def test_nobody_learns_whether_an_address_has_an_account(service: Service, nobody: Client, ann: Person) -> None:
    known, unknown = (nobody.post(FORGOTTEN, {"email": email}) for email in (ann.email, f"{uuid.uuid4()}@example.org"))
    assert (known.status, known.body) == (unknown.status, unknown.body)
    varying = {"x-request-id", "date", "ratelimit"}  # what is left of the budget comes back with time
    told, again = (
        {name: value for name, value in each.headers.items() if name.lower() not in varying}
        for each in (known, unknown)
    )
    assert told == again


def test_the_same_work_is_done_for_every_address(database: Database) -> None:
    """Row by row and index by index: what a clock could tell apart is not there."""
    with database.admin() as admin:
        admin.execute("SELECT register_user(gen_random_uuid(), 'ann@example.org', 'Ann', 'hash')")
    work = []
    for email in ("ann@example.org", "bob@example.org"):
        with psycopg.connect(database.logins.service) as connection:
            values = [email, uuid.uuid4().hex, b"secret", f"account {email}", f"address {email}"]
            connection.execute("SELECT request_mail('reset_password', %s, %s, %s, %s, %s)", values)
            counted = connection.execute(
                "SELECT relname, seq_scan, idx_scan, seq_tup_read, idx_tup_fetch, n_tup_ins, n_tup_upd"
                " FROM pg_stat_xact_user_tables ORDER BY relname"
            ).fetchall()
            work.append([row for row in counted if any(row[1:])])
    assert work[0] == work[1]
    assert "mail_messages" in [row[0] for row in work[0]]
    assert "users" not in [row[0] for row in work[0]]


def test_what_an_address_without_an_account_gets(service: Service, nobody: Client) -> None:
    email = f"{uuid.uuid4()}@example.org"
    assert nobody.post(FORGOTTEN, {"email": email}).status == 200
    assert mail_to(service, email) == []
    (row,) = rows(service, "SELECT status, secret FROM mail_messages WHERE recipient = %s", email)
    assert row == {"status": "discarded", "secret": None}
    assert rows(service, "SELECT * FROM user_tokens WHERE email = %s", email) == []


def test_no_request_waits_for_the_mail_server(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # which never answers
        url = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
        with Service(database.settings(smtp_url=url, web_workers=1)) as service:
            ann = service.person()
            answer = service.client().post(FORGOTTEN, {"email": ann.email}, timeout=5)
            assert (answer.status, answer.json) == (200, {"mail": "sent by SMTP"})
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_tokens_at_rest(service: Service, nobody: Client, ann: Person) -> None:
    nobody.post(FORGOTTEN, {"email": ann.email})
    waiting = "SELECT * FROM mail_messages WHERE recipient = %s AND kind = 'reset_password'"
    (before,) = rows(service, waiting, ann.email)
    assert before["status"] == "pending"
    token = Cipher(service.settings.encryption_keys).decrypt(before["secret"]).decode()
    assert tokens_in(mail_to(service, ann.email)[-1]) == [token]
    (after,) = rows(service, waiting, ann.email)
    assert (after["status"], after["secret"]) == ("sent", None)
    assert token not in str(rows(service, "SELECT * FROM user_tokens WHERE user_id = %s", ann.user_id))


@pytest.mark.parametrize(
    "change_of_token",
    [
        "expires_at = now()",
        "used_at = now()",
        "purpose = 'verify_email'",
        "email = 'before@example.org'",  # which is the account's no longer
    ],
)
def test_tokens_that_will_not_do(service: Service, nobody: Client, ann: Person, change_of_token: str) -> None:
    nobody.post(FORGOTTEN, {"email": ann.email})
    token = token_of(ann)
    with service.database.admin() as admin:
        admin.execute(f"UPDATE user_tokens SET {change_of_token} WHERE user_id = %s", [ann.user_id])
    for wrong in (token, token[:-1], "x"):
        assert reset(nobody, wrong).json["errors"][0]["pointer"] == "/token"
    assert holds(ann, ann.tokens)


def test_one_token_used_makes_the_others_void(nobody: Client, ann: Person) -> None:
    tokens = []
    for _ in range(2):
        nobody.post(FORGOTTEN, {"email": ann.email})
        tokens.append(token_of(ann))
    assert [reset(nobody, token).status for token in tokens] == [204, 422]


def test_a_token_used_twice_at_once_works_once(nobody: Client, ann: Person) -> None:
    nobody.post(FORGOTTEN, {"email": ann.email})
    token = token_of(ann)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: reset(nobody, token, f"password {number}"), range(4)))
    assert sorted(each.status for each in answers) == [204, 422, 422, 422]


def test_a_password_that_will_not_do_leaves_the_token(nobody: Client, ann: Person) -> None:
    nobody.post(FORGOTTEN, {"email": ann.email})
    token = token_of(ann)
    assert reset(nobody, token, "short").json["errors"][0]["pointer"] == "/password"
    assert reset(nobody, token).status == 204


def test_an_account_that_was_deactivated_gets_none(service: Service, nobody: Client, ann: Person) -> None:
    nobody.post(FORGOTTEN, {"email": ann.email})
    token = token_of(ann)
    with service.database.admin() as admin:
        admin.execute("UPDATE users SET is_active = false WHERE id = %s", [ann.user_id])
    before = len(mail_to(service, ann.email))
    nobody.post(FORGOTTEN, {"email": ann.email})
    assert len(mail_to(service, ann.email)) == before
    assert reset(nobody, token).status == 422


def test_another_password_ends_the_wait_for_signing_in(service: Service, ann: Person) -> None:
    for number in range(6):
        wrong = Client(service.port, source=f"127.12.0.{number + 1}")
        wrong.post("/auth/login", {"email": ann.email, "password": "wrong password"})
    assert login(ann, PASSWORD).status == 429
    nobody = Client(service.port, source="127.12.1.1")
    nobody.post(FORGOTTEN, {"email": ann.email})
    assert reset(nobody, token_of(ann)).status == 204
    assert login(ann, NEW).status == 200


def test_too_many_requests_for_an_address_wait_whether_or_not_it_has_an_account(service: Service, ann: Person) -> None:
    for place, email in enumerate((ann.email, f"{uuid.uuid4()}@example.org")):
        answers = [
            Client(service.port, source=f"127.13.{place}.{number + 1}").post(FORGOTTEN, {"email": email})
            for number in range(6)
        ]
        assert [each.status for each in answers] == [200] * 5 + [429]
        assert (answers[-1].headers["Retry-After"], answers[-1].code) == ("1", "rate_limited")


def test_too_many_requests_from_one_place_wait(nobody: Client) -> None:
    statuses = [nobody.post(FORGOTTEN, {"email": f"{uuid.uuid4()}@example.org"}).status for _ in range(51)]
    assert statuses == [200] * 50 + [429]
    assert reset(nobody, "x").status == 429


# --- changing


def test_changing_the_password(service: Service, nobody: Client, ann: Person) -> None:
    other = login(ann, PASSWORD).json
    nobody.post(FORGOTTEN, {"email": ann.email})
    token = token_of(ann)
    assert change(ann, PASSWORD).status == 204
    assert holds(ann, ann.tokens)  # this session goes on, the others end
    assert not holds(ann, other)
    assert (login(ann, PASSWORD).status, login(ann, NEW).status) == (401, 200)
    assert reset(nobody, token).status == 422  # what was mailed before holds no longer
    assert mail_to(service, ann.email)[-1]["Subject"] == "Your password was changed"


def test_a_wrong_password_is_refused_and_recorded(service: Service, ann: Person) -> None:
    answer = change(ann, "wrong password")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/current_password")
    (audited,) = rows(
        service, "SELECT * FROM audit_logs WHERE action = 'user.password_refused' AND user_id = %s", ann.user_id
    )
    assert (str(audited["ip_address"]), audited["details"]["outcome"]) == ("127.0.0.1", "refused")
    assert login(ann, PASSWORD).status == 200


def test_whoever_stole_a_session_does_not_guess_the_password(ann: Person) -> None:
    statuses = [change(ann, "wrong password").status for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    assert change(ann, PASSWORD).status == 429


def test_a_key_changes_no_password(ann: Person) -> None:
    answer = ann.key("*").post("/auth/password", {"current_password": PASSWORD, "new_password": NEW})
    assert (answer.status, answer.code) == (403, "permission_denied")
    assert login(ann, PASSWORD).status == 200


def test_two_changes_at_once(ann: Person) -> None:
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda number: change(ann, PASSWORD, f"password {number}"), range(2)))
    assert sorted(each.status for each in answers) in ([204, 409], [204, 422])
    assert sorted(login(ann, f"password {number}").status for number in range(2)) == [200, 401]


def test_what_is_kept_of_a_change_is_no_hash_of_the_password(ann: Person) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"current_password": PASSWORD, "new_password": NEW}
    assert ann.call("POST", "/auth/password", body, headers=headers).status == 204
    assert rows(ann.service, "SELECT * FROM idempotency_keys WHERE user_id = %s", ann.user_id) == []
