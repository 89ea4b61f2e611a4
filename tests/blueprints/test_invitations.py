"""Invitations into organizations."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.mail import mail_to, mailed_token, text_of, token_of
from tests.service import PASSWORD, Answer, Person, Service

ANY = {"If-Match": "*"}
RANKS = ("viewer", "developer", "admin", "owner")


@pytest.fixture
def team(ann: Person) -> dict[str, Any]:
    """Ann's team."""
    return ann.organization(name="Acme")


def invitations(team: dict[str, Any]) -> str:
    """The path of a team's invitations."""
    return f"/organizations/{team['id']}/invitations"


def invite(person: Person, team: dict[str, Any], email: str, **values: Any) -> Answer:
    """Try to invite somebody."""
    return person.post(invitations(team), {"email": email, **values})


def accept(person: Person, token: str) -> Answer:
    """Try to accept."""
    return person.post("/invitations/accept", {"token": token})


def membership(team: dict[str, Any], person: Person) -> str:
    """The path of a membership."""
    return f"/organizations/{team['id']}/members/{person.user_id}"


def test_inviting_and_accepting(service: Service, ann: Person, bob: Person, team: dict[str, Any]) -> None:
    made = invite(ann, team, bob.email.upper(), role="developer", permissions=["audit_logs:read"])
    assert (made.status, made.json["status"], made.json["is_expired"]) == (201, "pending", False), made.body
    assert made.json["mail"] == "written to the log directory"
    assert (made.json["invited_by"], made.json["role"]) == (ann.user_id, "developer")
    assert not {"token", "token_hash"} & made.json.keys()
    message = mail_to(service, bob.email.upper())[-1]
    assert message["Subject"] == "Invitation to Acme"
    assert "Ann invites you to Acme" in text_of(message)
    answer = accept(bob, mailed_token(service, bob.email.upper()))
    assert (answer.status, answer.json) == (
        200, {"id": made.json["id"], "organization_id": team["id"], "status": "accepted"},
    )  # fmt: skip
    member = ann.get(membership(team, bob)).json
    assert (member["role"], member["permissions"]) == ("developer", ["audit_logs:read"])
    assert member["invited_by"] == ann.user_id
    assert bob.get("/me").json["email_verified_at"] is not None  # the token came by mail
    path = f"{invitations(team)}/{made.json['id']}"
    assert ann.get(path).json["accepted_at"] is not None
    types = [each["event_type"] for each in ann.get(f"/events?aggregate_id={made.json['id']}").json["items"]]
    assert types == ["organization_invitation.accepted", "organization_invitation.created"]
    assert ann.delete(path, headers=ANY).code == "conflict"  # the past stays


def test_somebody_without_an_account_registers_first(service: Service, ann: Person, team: dict[str, Any]) -> None:
    email = f"{uuid.uuid4()}@example.org"
    assert invite(ann, team, email).status == 201
    token = mailed_token(service, email)
    registered = service.client().post("/auth/register", {"email": email, "name": "Cat", "password": PASSWORD})
    access = service.client().post("/auth/login", {"email": email, "password": PASSWORD}).json["access_token"]
    cat = service.client(Authorization=f"Bearer {access}")
    assert cat.post("/invitations/accept", {"token": token}).status == 200
    assert ann.get(f"/organizations/{team['id']}/members/{registered.json['user_id']}").json["role"] == "viewer"


def test_declining(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    made = invite(ann, team, bob.email)
    token = token_of(bob)
    assert bob.post("/invitations/decline", {"token": token}).json["status"] == "declined"
    assert accept(bob, token).code == "invitation_closed"
    assert ann.get(membership(team, bob)).status == 404
    assert ann.get(f"{invitations(team)}?status=declined").json["items"][0]["id"] == made.json["id"]
    assert invite(ann, team, bob.email).status == 201  # and may be asked again


def test_an_invitation_to_another_address(service: Service, ann: Person, bob: Person, team: dict[str, Any]) -> None:
    email = f"{uuid.uuid4()}@example.org"
    invite(ann, team, email)
    for answer in ("accept", "decline"):
        refused = bob.post(f"/invitations/{answer}", {"token": mailed_token(service, email)})
        assert (refused.status, refused.code) == (403, "address_mismatch")
        assert email not in refused.body.decode()
    assert ann.get(invitations(team)).json["items"][0]["status"] == "pending"


def test_what_is_no_invitation(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    made = invite(ann, team, bob.email).json
    token = token_of(bob)
    assert accept(bob, "x").status == 404
    assert ann.delete(f"{invitations(team)}/{made['id']}", headers=ANY).status == 204
    assert accept(bob, token).status == 404
    assert ann.get(f"{invitations(team)}/{made['id']}").status == 404
    assert ann.get(f"{invitations(team)}/{made['id']}?include_deleted=true").json["deleted_at"] is not None
    invite(ann, team, bob.email)
    assert ann.delete(f"/organizations/{team['id']}", headers=ANY).status == 204
    assert accept(bob, token_of(bob)).status == 404


def test_expiry_and_sending_again(service: Service, ann: Person, bob: Person, team: dict[str, Any]) -> None:
    made = invite(ann, team, bob.email).json
    path, old = f"{invitations(team)}/{made['id']}", token_of(bob)
    with service.database.admin() as admin:
        admin.execute("UPDATE organization_invitations SET expires_at = now() WHERE id = %s", [made["id"]])
    assert ann.get(path).json["is_expired"] is True
    assert accept(bob, old).code == "invitation_closed"
    sent = ann.post(f"{path}/resend", headers={"If-Match": ann.get(path).etag})
    assert (sent.status, sent.json["is_expired"], sent.json["mail"]) == (200, False, "written to the log directory")
    new = token_of(bob)
    assert new != old
    assert accept(bob, old).status == 404
    assert accept(bob, new).status == 200
    again = ann.post(f"{path}/resend")
    assert (again.status, again.code) == (409, "invitation_closed")


def test_what_was_withdrawn_before_it_was_sent_is_not_sent(
    service: Service, ann: Person, bob: Person, team: dict[str, Any]
) -> None:
    before = len(mail_to(service, bob.email))
    made = invite(ann, team, bob.email).json
    ann.delete(f"{invitations(team)}/{made['id']}", headers=ANY)
    assert len(mail_to(service, bob.email)) == before


def test_one_open_invitation_for_an_address(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    assert invite(ann, team, bob.email).status == 201
    twice = invite(ann, team, bob.email.upper())
    assert (twice.status, twice.json["errors"][0]["detail"]) == (409, "This address has been invited already.")
    assert accept(bob, token_of(bob)).status == 200
    member = invite(ann, team, bob.email)
    assert (member.status, member.json["errors"][0]["detail"]) == (409, "This user is a member already.")


def test_accepting_at_once_makes_one_member(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    invite(ann, team, bob.email)
    token = token_of(bob)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: accept(bob, token), range(4)))
    assert sorted(each.status for each in answers) == [200, 409, 409, 409]


@pytest.mark.parametrize("role", RANKS)
def test_nobody_invites_above_their_own_rank(ann: Person, bob: Person, team: dict[str, Any], role: str) -> None:
    ann.add(team["id"], bob, role)
    ann.patch(membership(team, bob), {"permissions": ["members:create"]}, headers=ANY)  # beside the role
    for wanted in RANKS[:-1]:
        answer = invite(bob, team, f"{uuid.uuid4()}@example.org", role=wanted)
        if RANKS.index(wanted) > RANKS.index(role):
            assert (answer.status, answer.code) == (403, "rank_too_low"), wanted
        else:
            assert answer.status == 201, answer.body
    assert invite(ann, team, "cat@example.org", role="owner").json["errors"][0]["pointer"] == "/role"


def test_inviting_needs_the_permission(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    ann.add(team["id"], bob, "developer")
    assert invite(bob, team, "cat@example.org").json["permission"] == "members:create"


def test_nobody_invites_with_permissions_they_lack(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    ann.add(team["id"], bob, "admin")
    email = f"{uuid.uuid4()}@example.org"
    answer = invite(bob, team, email, permissions=["organizations:delete"])
    assert (answer.status, answer.code) == (403, "rank_too_low")
    assert invite(bob, team, email, permissions=["integrations:fly"]).status == 422
    assert invite(bob, team, email, permissions=["integrations:delete"]).status == 201


@pytest.mark.parametrize("role", ["developer", None])
def test_an_invitation_holds_no_longer_than_the_inviters_own_reach(
    service: Service, ann: Person, bob: Person, team: dict[str, Any], role: str | None
) -> None:
    cat = service.person("Cat")
    ann.add(team["id"], bob, "admin")
    assert invite(bob, team, cat.email, role="admin").status == 201
    token = token_of(cat)
    if role is None:
        ann.delete(membership(team, bob), headers=ANY)
    else:
        ann.patch(membership(team, bob), {"role": role}, headers=ANY)
    answer = accept(cat, token)
    assert (answer.status, answer.code) == (409, "invitation_closed")
    assert ann.get(membership(team, cat)).status == 404


def test_who_sees_invitations(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    made = invite(ann, team, f"{uuid.uuid4()}@example.org").json
    path = f"{invitations(team)}/{made['id']}"
    for call in (lambda: bob.get(path), lambda: bob.get(invitations(team)), lambda: bob.post(f"{path}/resend"),
                 lambda: bob.delete(path, headers=ANY), lambda: invite(bob, team, bob.email)):  # fmt: skip
        assert call().status == 404
    ann.add(team["id"], bob, "viewer")
    assert bob.get(path).status == 200
    assert bob.delete(path, headers=ANY).json["permission"] == "members:delete"


def test_a_key_answers_only_with_the_permission_and_if_it_is_bound_to_nothing(
    ann: Person, bob: Person, team: dict[str, Any]
) -> None:
    invite(ann, team, bob.email)
    token = {"token": token_of(bob)}
    lacking = bob.key("members:*").post("/invitations/accept", token)
    assert (lacking.status, lacking.json["permission"]) == (403, "invitations:answer")
    bound = bob.key("*", organization_id=bob.personal_organization_id)
    assert bound.post("/invitations/accept", token).status == 403
    assert bob.key("invitations:answer").post("/invitations/accept", token).status == 200


def test_too_many_mails_to_an_address_wait_and_change_nothing(ann: Person, bob: Person, team: dict[str, Any]) -> None:
    path = f"{invitations(team)}/{invite(ann, team, bob.email).json['id']}"
    assert [ann.post(f"{path}/resend").status for _ in range(19)] == [200] * 19
    version = ann.get(path).etag
    answer = ann.post(f"{path}/resend")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert ann.get(path).etag == version
