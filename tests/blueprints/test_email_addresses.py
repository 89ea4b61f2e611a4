"""Confirming an address, and taking another."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.mail import mail_to, mailed_token, text_of, token_of
from tests.service import PASSWORD, Answer, Client, Person, Service

VERIFICATIONS = "/auth/email-verifications"


def new_address() -> str:
    """An address that nobody has."""
    return f"{uuid.uuid4()}@example.org"


def confirm(service: Service, token: str) -> Answer:
    """Send a token that was mailed."""
    return service.client().post(f"{VERIFICATIONS}/confirm", {"token": token})


def ask_again(service: Service, email: str) -> Answer:
    """Ask for another mail."""
    return service.client().post(VERIFICATIONS, {"email": email})


def change(person: Person, email: str, password: str = PASSWORD) -> Answer:
    """Ask for another address."""
    return person.post("/auth/email-changes", {"email": email, "password": password})


def profile(person: Person) -> dict[str, Any]:
    """What the service knows of a person."""
    return dict(person.get("/me").json)


def test_registering_brings_a_mail(service: Service) -> None:
    email = new_address()
    body = {"email": email, "name": "Buy cheap pills at https://example.com", "password": PASSWORD}
    answer = service.client().post("/auth/register", body)
    assert (answer.status, answer.json["mail"]) == (201, "written to the log directory")
    (message,) = mail_to(service, email)
    assert "pills" not in message.as_string()  # mail to strangers is nobody's billboard
    assert confirm(service, mailed_token(service, email)).status == 204
    headers = {"email": email, "password": PASSWORD}
    token = service.client().post("/auth/login", headers).json["access_token"]
    verified = service.client().get("/me", headers={"Authorization": f"Bearer {token}"}).json["email_verified_at"]
    assert verified is not None


def test_confirming(service: Service, ann: Person) -> None:
    assert profile(ann)["email_verified_at"] is None
    token = token_of(ann)
    assert confirm(service, token).status == 204
    assert profile(ann)["email_verified_at"] is not None
    again = confirm(service, token)
    assert (again.status, again.json["errors"][0]["pointer"]) == (422, "/token")
    event = ann.get(f"/events?aggregate_id={ann.user_id}").json["items"][0]
    assert event["event_type"] == "user.updated"
    assert event["event_data"]["new"]["email_verified_at"] is not None


def test_asking_again(service: Service, ann: Person) -> None:
    for email in (ann.email, new_address()):
        answer = ask_again(service, email)
        assert (answer.status, answer.json) == (200, {"mail": "written to the log directory"})
    first, second = mail_to(service, ann.email)
    assert text_of(first) != text_of(second)
    assert confirm(service, token_of(ann)).status == 204
    ask_again(service, ann.email)  # what is confirmed needs no other mail
    assert len(mail_to(service, ann.email)) == 2


@pytest.mark.parametrize("change_of_token", ["expires_at = now()", "used_at = now()", "purpose = 'reset_password'",
                                             "email = 'before@example.org'"])  # fmt: skip
def test_tokens_that_will_not_do(service: Service, ann: Person, change_of_token: str) -> None:
    token = token_of(ann)
    with service.database.admin() as admin:
        admin.execute(f"UPDATE user_tokens SET {change_of_token} WHERE user_id = %s", [ann.user_id])
    assert confirm(service, token).status == 422
    assert profile(ann)["email_verified_at"] is None


def test_taking_another_address(service: Service, ann: Person) -> None:
    new = new_address()
    assert service.client().post("/auth/password-resets", {"email": ann.email}).status == 200
    forgotten = token_of(ann)
    assert (change(ann, new).status, profile(ann)["email"]) == (200, ann.email)  # not before it is confirmed
    assert mail_to(service, ann.email)[-1]["Subject"] == "Choose another password"
    assert confirm(service, mailed_token(service, new)).status == 204
    assert (profile(ann)["email"], profile(ann)["email_verified_at"] is None) == (new, False)
    signed_in = Client(service.port).post("/auth/login", {"email": new, "password": PASSWORD})
    assert signed_in.status == 200
    notice = mail_to(service, ann.email)[-1]
    assert (notice["Subject"], new in text_of(notice)) == ("Your address was changed", True)
    # what was mailed to the old address gives nobody the account
    stale = service.client().post(
        "/auth/password-resets/confirm", {"token": forgotten, "password": "another horse battery"}
    )
    assert stale.status == 422


def test_another_address_needs_the_password(service: Service, ann: Person) -> None:
    new = new_address()
    answer = change(ann, new, "wrong password")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/password")
    assert ann.key("*").post("/auth/email-changes", {"email": new, "password": PASSWORD}).status == 403
    assert mail_to(service, new) == []


def test_an_address_that_is_taken(service: Service, ann: Person, bob: Person) -> None:
    before = len(mail_to(service, bob.email))
    assert change(ann, bob.email).status == 200  # nobody learns that it is
    assert len(mail_to(service, bob.email)) == before


def test_an_address_that_is_taken_meanwhile(service: Service, ann: Person) -> None:
    new = new_address()
    change(ann, new)
    token = mailed_token(service, new)
    registered = service.client().post("/auth/register", {"email": new, "name": "New", "password": PASSWORD})
    assert registered.status == 201
    answer = confirm(service, token)
    assert (answer.status, answer.code, answer.json["errors"][0]["pointer"]) == (409, "duplicate", "/email")
    assert profile(ann)["email"] == ann.email


def test_too_many_mails_to_an_address_wait(service: Service, ann: Person) -> None:
    new = new_address()
    assert [change(ann, new).status for _ in range(6)] == [200] * 5 + [429]
