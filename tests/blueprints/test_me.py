"""One's own profile over HTTP."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from database import Pool
from tests.conftest import Database
from tests.service import PASSWORD, Client, Person, Service
from worker.maintenance import Schedule

ANY = {"If-Match": "*"}


def test_profile(ann: Person) -> None:
    answer = ann.get("/me")
    assert (answer.json["id"], answer.json["email"], answer.json["name"]) == (ann.user_id, ann.email, "Ann")
    assert answer.json["last_login_at"] is not None
    assert "password_hash" not in answer.json


def test_change(ann: Person) -> None:
    etag = ann.get("/me").etag
    patch: dict[str, Any] = {
        "name": "Ann Example",
        "avatar_url": "https://example.org/ann.png",
        "preferences": {"theme": "dark"},
    }
    answer = ann.patch("/me", patch, headers={"If-Match": etag})
    assert answer.status == 200, answer.body
    assert answer.json["avatar_url"] == patch["avatar_url"]
    patch = {"avatar_url": None, "preferences": {"theme": None, "language": "en"}}
    answer = ann.patch("/me", patch, headers={"If-Match": answer.etag})
    assert (answer.json["avatar_url"], answer.json["preferences"]) == (None, {"language": "en"})
    assert ann.get("/me").json == answer.json


@pytest.mark.parametrize("field", ["email", "password", "password_hash", "is_active", "email_verified_at", "id"])
def test_what_cannot_be_changed(ann: Person, field: str) -> None:
    answer = ann.patch("/me", {field: "x"}, headers={"If-Match": "*"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, f"/{field}")


def test_one_persons_etag_is_not_anothers(ann: Person, bob: Person) -> None:
    answer = ann.get("/me")
    assert bob.get("/me").etag == answer.etag
    # so whatever keeps answers must tell callers apart
    assert answer.headers["Vary"] == "Authorization, X-API-Key"
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_a_key_changes_the_profile_only_with_the_permission(ann: Person) -> None:
    assert ann.key("integrations:read").get("/me").json["id"] == ann.user_id
    answer = ann.key("integrations:read").patch("/me", {"name": "x"}, headers={"If-Match": "*"})
    assert (answer.status, answer.json["permission"]) == (403, "profile:update")
    assert ann.key("profile:update").patch("/me", {"name": "x"}, headers={"If-Match": "*"}).status == 200


def test_activity(module_database: Database) -> None:
    with Service(module_database.settings(web_workers=1)) as service:
        ann, bob = service.person(), service.person("Bob")
        ann.integration()
        answer = ann.get("/me/activity").json
        assert (answer["integrations_created"], answer["refreshed_at"]) == (0, None)
        pool = Pool(module_database.logins.worker, module_database.settings())
        pool.open()
        assert "refresh-views" in Schedule(pool, module_database.settings()).run_due(threading.Event())
        pool.close()
        answer = ann.get("/me/activity").json
        assert (answer["id"], answer["integrations_created"], answer["workflows_executed"]) == (ann.user_id, 1, 0)
        assert answer["total_actions_30d"] > 1
        assert answer["refreshed_at"] > answer["last_activity_at"]
        assert bob.get("/me/activity").json["integrations_created"] == 0


# --- the end of an account


def test_closing_ones_account(service: Service, ann: Person, bob: Person) -> None:
    key, team, own = ann.key(), bob.organization(), ann.organization()
    bob.add(team["id"], ann, "owner")
    assert ann.delete("/me", headers={"If-Match": ann.get("/me").etag}).status == 204
    for _ in range(5):  # in every process
        assert ann.get("/me").json["detail"] == "This session has ended."
        assert key.get("/me").code == "unauthenticated"
    assert Client(service.port).post("/auth/login", {"email": ann.email, "password": PASSWORD}).status == 401
    assert bob.get(f"/organizations/{team['id']}/members/{ann.user_id}").status == 404
    types = [each["event_type"] for each in bob.get(f"/events?organization_id={team['id']}").json["items"]]
    assert types[0] == "organization_member.deleted"
    with service.database.admin() as admin:
        deleted = admin.execute(
            "SELECT (SELECT deleted_at FROM users WHERE id = %s) IS NOT NULL AS account,"
            " (SELECT deleted_at FROM organizations WHERE id = %s) IS NOT NULL AS own,"
            " (SELECT count(*) FROM api_keys WHERE user_id = %s AND deleted_at IS NULL) AS keys",
            [ann.user_id, own["id"], ann.user_id],
        ).fetchone()
        events = admin.execute("SELECT event_type FROM events WHERE aggregate_id = %s", [ann.user_id]).fetchall()
    assert deleted == {"account": True, "own": True, "keys": 0}
    assert "user.deleted" in [row["event_type"] for row in events]
    # the address is free again
    again = service.client().post("/auth/register", {"email": ann.email, "name": "Ann", "password": PASSWORD})
    assert again.status == 201


def test_whoever_alone_owns_a_team_of_others_stays(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "admin")
    answer = ann.delete("/me", headers=ANY)
    assert (answer.status, answer.code, answer.json["organizations"]) == (409, "last_owner", [team["id"]])
    assert ann.get("/me").status == 200
    assert ann.post(f"/organizations/{team['id']}/transfer", {"user_id": bob.user_id}).status == 200
    assert ann.delete("/me", headers=ANY).status == 204
    assert bob.get(f"/organizations/{team['id']}").status == 200


def test_guests_of_ones_personal_organization_leave_first(ann: Person, bob: Person) -> None:
    ann.add(ann.personal_organization_id, bob, "owner")
    answer = ann.delete("/me", headers=ANY)
    assert (answer.code, answer.json["organizations"]) == ("last_owner", [ann.personal_organization_id])


def test_a_key_closes_no_account(ann: Person) -> None:
    assert ann.key("*").delete("/me", headers=ANY).status == 403
    assert ann.get("/me").status == 200
