"""Audit logs over HTTP."""

from __future__ import annotations

from tests.service import PASSWORD, Client, Person


def test_who_did_what(ann: Person) -> None:
    made = ann.post(
        "/integrations",
        {"name": "Stripe", "service_type": "rest"},
        headers={"X-Request-Id": "r-1", "User-Agent": "tests/1"},
    ).json
    (entry,) = ann.get(f"/audit-logs?resource_id={made['id']}").json["items"]
    assert entry["action"] == "integration.created"
    assert entry["user_id"] == ann.user_id
    assert entry["organization_id"] == ann.personal_organization_id
    assert entry["ip_address"] == "127.0.0.1"
    assert entry["user_agent"] == "tests/1"
    assert entry["details"] == {"outcome": "allowed", "version": 1, "request_id": "r-1"}


def test_logins_and_failed_logins(ann: Person, client: Client) -> None:
    assert client.post("/auth/login", {"email": ann.email, "password": "wrong horse"}).status == 401
    assert client.post("/auth/login", {"email": ann.email, "password": PASSWORD}).status == 200
    entries = ann.get("/audit-logs?resource_type=session&sort=created_at").json["items"]
    assert [entry["action"] for entry in entries] == ["session.began", "session.refused", "session.began"]
    assert entries[1]["details"]["outcome"] == "refused"
    assert ann.email not in str(entries)


def test_those_of_others_are_not_shown(ann: Person, bob: Person) -> None:
    ann.integration()
    assert all(entry["user_id"] == bob.user_id for entry in bob.get("/audit-logs").json["items"])


def test_a_viewer_may_not_read_them(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    assert ann.get(f"/audit-logs?organization_id={team['id']}").json["items"]
    assert bob.get(f"/audit-logs?organization_id={team['id']}").json["items"] == []
