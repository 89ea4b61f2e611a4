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


def test_the_end_of_a_session(ann: Person) -> None:
    ended = ann.post("/auth/login", {"email": ann.email, "password": PASSWORD}).json
    other = Client(ann.client.port, {"Authorization": f"Bearer {ended['access_token']}", "User-Agent": "phone/2"})
    assert other.post("/auth/logout").status == 204
    (entry,) = ann.get("/audit-logs?action=session.ended").json["items"]
    assert (entry["resource_id"], entry["user_id"]) == (ended["session_id"], ann.user_id)
    assert (entry["user_agent"], entry["details"]["outcome"]) == ("phone/2", "allowed")


def test_one_by_itself(ann: Person, bob: Person) -> None:
    entry = ann.get("/audit-logs?limit=1").json["items"][0]
    answer = ann.get(f"/audit-logs/{entry['id']}")
    assert (answer.json, answer.etag) == (entry, '"1"')
    assert bob.get(f"/audit-logs/{entry['id']}").code == "not_found"
    for method in ("PATCH", "PUT", "DELETE"):
        assert ann.call(method, f"/audit-logs/{entry['id']}", {}, headers={"If-Match": "*"}).status == 405


def test_filters(ann: Person) -> None:
    made = ann.integration()
    key = ann.key("integrations:read")
    assert key.delete(f"/integrations/{made['id']}", headers={"If-Match": "*"}).status == 403
    (refused,) = ann.get("/audit-logs?outcome=refused").json["items"]
    assert (refused["action"], refused["resource_id"]) == ("integration.delete", made["id"])
    allowed = ann.get("/audit-logs?outcome=allowed&limit=200").json["items"]
    everything = ann.get("/audit-logs?ip_address=127.0.0.1&limit=200").json["items"]
    assert len(everything) == len(allowed) + 1
    for nobodys in ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"):
        assert ann.get(f"/audit-logs?ip_address={nobodys}").json["items"] == []
    for wrong in ("outcome=maybe", "ip_address=here", "ip_address=127.0.0.1/8", "ip_address=fe80::1%25eth0"):
        assert ann.get(f"/audit-logs?{wrong}").code == "invalid", wrong


def test_those_of_others_are_not_shown(ann: Person, bob: Person) -> None:
    ann.integration()
    assert all(entry["user_id"] == bob.user_id for entry in bob.get("/audit-logs").json["items"])


def test_a_viewer_may_not_read_them(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    assert ann.get(f"/audit-logs?organization_id={team['id']}").json["items"]
    assert bob.get(f"/audit-logs?organization_id={team['id']}").json["items"] == []
