"""API keys over HTTP."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.service import Client, Person, Service

ANY = {"If-Match": "*"}
NEW = {"name": "x", "service_type": "rest"}


def create(person: Person | Client, *permissions: str, **values: Any) -> dict[str, Any]:
    """A new key, with its secret."""
    answer = person.post("/api-keys", {"name": "generator", "permissions": permissions, **values})
    assert answer.status == 201, answer.body
    return dict(answer.json)


def holder(person: Person, key: dict[str, Any]) -> Client:
    """A client with a key."""
    return Client(person.client.port, {"Authorization": f"Bearer {key['key']}"})


def expire(service: Service, key: dict[str, Any]) -> None:
    """Let a key's time pass."""
    with service.database.admin() as connection:
        connection.execute("UPDATE api_keys SET expires_at = now() WHERE id = %s", [key["id"]])


def remaining(headers: Any) -> int:
    """What is left of the budget."""
    return int(re.search(r"r=(\d+)", headers["RateLimit"])[1])  # type: ignore[index]


def test_a_key_is_shown_once(service: Service, ann: Person) -> None:
    made = create(ann, "integrations:read")
    secret = made.pop("key")
    assert re.fullmatch(r"ccb_[0-9A-Za-z]{36}", secret)
    assert made["key_prefix"] == secret[:12]
    assert made["rate_limit"] == 1000
    path = f"/api-keys/{made['id']}"
    assert ann.get(path).json == made
    shown = [ann.get(path), ann.get("/api-keys"), ann.patch(path, {"name": "new"}, headers=ANY), ann.get("/events")]
    assert all(secret.encode() not in each.body for each in shown)
    with service.database.admin() as connection:
        kept = connection.execute("SELECT * FROM api_keys WHERE id = %s", [made["id"]]).fetchone()
    assert secret not in json.dumps(kept, default=str)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_both_headers(ann: Person, header: str) -> None:
    key = create(ann, "integrations:read")
    value = key["key"] if header == "X-API-Key" else f"Bearer {key['key']}"
    answer = Client(ann.client.port, {header: value}).get("/api-keys/self")
    assert (answer.status, answer.json["id"]) == (200, key["id"])
    assert "key" not in answer.json
    assert ann.get("/api-keys/self").code == "not_found"


def test_a_key_may_do_what_it_names(ann: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}"
    reader, writer, all_of_them, nothing = (
        holder(ann, create(ann, *each))
        for each in (["integrations:read"], ["integrations:create", "integrations:read"], ["integrations:*"], [])
    )
    assert reader.get(path).status == writer.get(path).status == all_of_them.get(path).status == 200
    assert nothing.get(path).code == "not_found"
    answer = reader.post("/integrations", NEW)
    assert (answer.status, answer.json["permission"]) == (403, "integrations:create")
    assert writer.post("/integrations", NEW).status == all_of_them.post("/integrations", NEW).status == 201
    assert writer.delete(path, headers=ANY).json["permission"] == "integrations:delete"
    assert all_of_them.delete(path, headers=ANY).status == 204
    assert all_of_them.get("/organizations").json["items"] == []
    assert all_of_them.patch("/me", {"name": "x"}, headers=ANY).json["permission"] == "profile:update"


def test_a_key_that_may_make_but_not_read_is_told_what_lacks(ann: Person) -> None:
    answer = holder(ann, create(ann, "integrations:create")).post("/integrations", NEW)
    assert (answer.status, answer.json["permission"]) == (403, "integrations:create")
    assert "integrations:read" in answer.json["detail"]
    assert ann.get("/integrations").json["items"] == []
    # what shows nothing needs nothing more
    point = {"metric_name": "queue", "metric_type": "gauge", "value": 1}
    assert holder(ann, create(ann, "metrics:create")).post("/metrics", {"points": [point]}).status == 201


def test_a_key_of_one_organization_reaches_no_other(ann: Person) -> None:
    team, other = ann.organization(), ann.organization()
    inside, outside = ann.integration(organization_id=team["id"]), ann.integration(organization_id=other["id"])
    key = holder(ann, create(ann, "*", organization_id=team["id"]))
    assert key.get(f"/integrations/{inside['id']}").status == 200
    assert key.get(f"/integrations/{outside['id']}").code == "not_found"
    assert [each["id"] for each in key.get("/organizations").json["items"]] == [team["id"]]
    assert [each["id"] for each in key.get("/integrations").json["items"]] == [inside["id"]]
    assert key.post("/integrations", NEW).json["organization_id"] == team["id"]
    assert key.post("/integrations", {**NEW, "organization_id": other["id"]}).code == "not_found"
    assert key.post("/organizations", {"name": "x", "slug": "wider-than-the-key"}).code == "permission_denied"


def test_a_key_never_may_more_than_its_owner(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "developer")
    key = holder(bob, create(bob, "*"))
    path = f"/integrations/{ann.integration(organization_id=team['id'])['id']}"
    assert key.get(path).status == 200
    assert key.delete(path, headers=ANY).json["permission"] == "integrations:delete"
    membership = f"/organizations/{team['id']}/members/{bob.user_id}"
    assert ann.patch(membership, {"role": "viewer"}, headers=ANY).status == 200
    assert key.patch(path, {"name": "y"}, headers=ANY).json["permission"] == "integrations:update"


def test_keys_of_organizations_that_one_may_not_make_keys_for(ann: Person, bob: Person) -> None:
    team = ann.organization()
    wanted = {"name": "x", "permissions": [], "organization_id": team["id"]}
    assert bob.post("/api-keys", wanted).code == "not_found"
    ann.add(team["id"], bob, "viewer")
    assert bob.post("/api-keys", wanted).json["permission"] == "api_keys:create"


@pytest.mark.parametrize(
    "wanted", [["*"], ["integrations:*"], ["integrations:delete"], ["integrations:read", "members:read"]]
)
def test_a_key_makes_no_wider_key(ann: Person, wanted: list[str]) -> None:
    team = ann.organization()
    narrow = create(ann, "api_keys:*", "integrations:read", organization_id=team["id"])
    client = holder(ann, narrow)
    answer = client.post("/api-keys", {"name": "wider", "permissions": wanted})
    assert (answer.status, answer.json["permission"]) == (403, "api_keys:create")
    # nor does it become one
    answer = client.patch(f"/api-keys/{narrow['id']}", {"permissions": wanted}, headers=ANY)
    assert (answer.status, answer.json["permission"]) == (403, "api_keys:update")
    # nor take a wider one's place
    wide = create(ann, "*", organization_id=team["id"])
    answer = client.post(f"/api-keys/{wide['id']}/rotate", {})
    assert answer.status == 403
    # what it makes stays in its organization
    made = create(client, "integrations:read")
    assert (made["organization_id"], made["permissions"]) == (team["id"], ["integrations:read"])
    answer = client.post("/api-keys", {"name": "x", "permissions": [], "organization_id": ann.personal_organization_id})
    assert answer.code == "not_found"


@pytest.mark.parametrize(
    ("own", "wanted"),
    [(["*"], "operations:read"), (["*"], "operations:*"), (["api_keys:*", "operations:*"], "operations:read")],
)
def test_no_wildcard_hands_on_what_an_operator_may(service: Service, ann: Person, own: list[str], wanted: str) -> None:
    with service.database.admin() as admin:
        admin.execute("INSERT INTO user_permissions VALUES (%s, 'operations:read')", [ann.user_id])
    key = create(ann, *own)
    client = holder(ann, key)
    assert client.post("/api-keys", {"name": "operator", "permissions": [wanted]}).code == "permission_denied"
    answer = client.patch(f"/api-keys/{key['id']}", {"permissions": [*own, wanted]}, headers=ANY)
    assert answer.code == "permission_denied"
    named = holder(ann, create(ann, "api_keys:create", "api_keys:read", "operations:read"))
    assert holder(ann, create(named, "operations:read")).get("/operations/table-sizes").status == 200


def test_permissions_that_do_not_exist(ann: Person) -> None:
    for wanted in (["integrations:fly"], ["nonsense:*"], ["integrations"], ["**"], ["integrations:read", "x"]):
        answer = ann.post("/api-keys", {"name": "x", "permissions": wanted})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/permissions"), wanted
    path = f"/api-keys/{create(ann)['id']}"
    assert ann.patch(path, {"permissions": ["integrations:fly"]}, headers=ANY).code == "invalid"


def test_expiry(service: Service, ann: Person) -> None:
    key = create(ann, "*", expires_at="2999-01-01T00:00:00+02:00")
    assert key["expires_at"] == "2998-12-31T22:00:00Z"
    client = holder(ann, key)
    assert client.get("/me").status == 200
    expire(service, key)
    for _ in range(10):  # in every process
        answer = client.get("/me")
        assert (answer.status, answer.json["detail"]) == (401, "This credential has expired.")


def test_a_key_that_is_switched_off_and_on(ann: Person) -> None:
    key = create(ann, "*")
    client, path = holder(ann, key), f"/api-keys/{key['id']}"
    for active, status in ((False, 401), (True, 200), (False, 401)):
        assert ann.patch(path, {"is_active": active}, headers=ANY).status == 200
        assert [client.get("/me").status for _ in range(10)] == [status] * 10


def test_revocation_holds_from_the_next_request_in_every_process(ann: Person) -> None:
    key = create(ann, "*")
    client, path = holder(ann, key), f"/api-keys/{key['id']}"
    assert [client.get("/me").status for _ in range(20)] == [200] * 20
    assert ann.delete(path, headers={"If-Match": '"1"'}).status == 204
    for _ in range(20):
        answer = client.get("/me")
        assert (answer.status, answer.json["detail"]) == (401, "This API key has been revoked.")
    assert ann.get(path).code == "not_found"
    assert ann.get(f"{path}?include_deleted=true").json["is_active"] is False
    assert key["id"] in [each["id"] for each in ann.get("/api-keys?include_deleted=true").json["items"]]
    assert ann.patch(path, {"is_active": True}, headers=ANY).code == "not_found"


def test_a_key_revokes_itself(ann: Person) -> None:
    key = create(ann, "api_keys:delete")
    client = holder(ann, key)
    assert client.delete(f"/api-keys/{key['id']}", headers=ANY).status == 204
    assert client.get("/api-keys/self").status == 401


def test_rotation_with_an_overlap(service: Service, ann: Person) -> None:
    old = create(ann, "integrations:read", rate_limit=777)
    answer = ann.post(f"/api-keys/{old['id']}/rotate", {"overlap_seconds": 3600})
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    new = answer.json
    assert new["key"] != old["key"]
    for name in ("name", "permissions", "rate_limit", "organization_id", "user_id"):
        assert new[name] == old[name]
    retired = ann.get(f"/api-keys/{old['id']}").json
    assert (retired["rotated_to"], retired["is_active"]) == (new["id"], True)
    assert holder(ann, old).get("/integrations").status == holder(ann, new).get("/integrations").status == 200
    expire(service, old)
    assert holder(ann, old).get("/integrations").status == 401
    assert holder(ann, new).get("/integrations").status == 200


@pytest.mark.parametrize("expires_at", [None, "2999-01-01T00:00:00Z"])
def test_a_key_rotates_itself(ann: Person, expires_at: str | None) -> None:
    old = create(ann, "api_keys:*", "integrations:read", rate_limit=50, expires_at=expires_at)
    answer = holder(ann, old).post(f"/api-keys/{old['id']}/rotate")
    assert answer.status == 201, answer.body
    new = answer.json
    for name in ("permissions", "rate_limit", "expires_at"):
        assert new[name] == old[name]
    assert ann.get(f"/api-keys/{old['id']}").json["expires_at"] is not None
    assert holder(ann, new).post(f"/api-keys/{new['id']}/rotate").status == 201
    # in the overlap it makes none that outlives it, and is told why
    refused = holder(ann, old).post("/api-keys", {"name": "x", "permissions": ["integrations:read"], "rate_limit": 50})
    assert (refused.status, refused.json["permission"]) == (403, "api_keys:create")
    assert "time to live" in refused.json["detail"]


def test_a_key_is_rotated_once(ann: Person) -> None:
    old = create(ann, "*")
    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda _: ann.post(f"/api-keys/{old['id']}/rotate"), range(5)))
    assert sorted(each.status for each in answers) == [201, 409, 409, 409, 409]
    (new,) = [each.json for each in answers if each.status == 201]
    assert all(new["id"] in each.json["detail"] for each in answers if each.status == 409)
    assert new["expires_at"] is None
    assert [each["id"] for each in ann.get("/api-keys").json["items"]] == [new["id"], old["id"]]


def test_an_expired_key_has_no_successor(service: Service, ann: Person) -> None:
    old = create(ann, "*")
    expire(service, old)
    before = ann.get(f"/api-keys/{old['id']}").json
    answer = ann.post(f"/api-keys/{old['id']}/rotate")
    assert (answer.status, answer.code) == (409, "conflict")
    assert "expired" in answer.json["detail"]
    assert ann.get("/api-keys").json["items"] == [before]


@pytest.mark.parametrize("ago", [timedelta(days=400), timedelta(seconds=1)])
def test_no_key_expires_in_the_past(ann: Person, ago: timedelta) -> None:
    past = (datetime.now(UTC) - ago).isoformat()
    refused = ann.post("/api-keys", {"name": "x", "permissions": [], "expires_at": past})
    key = create(ann)
    changed = ann.patch(f"/api-keys/{key['id']}", {"name": "y", "expires_at": past}, headers=ANY)
    for answer in (refused, changed):
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/expires_at")
        assert "revoke" in answer.json["errors"][0]["detail"]
    (kept,) = ann.get("/api-keys").json["items"]
    assert (kept["name"], kept["expires_at"]) == ("generator", None)


def test_rotation_without_an_overlap(ann: Person) -> None:
    old = create(ann, "*")
    new = ann.post(f"/api-keys/{old['id']}/rotate", {"overlap_seconds": 0}).json
    assert (holder(ann, old).get("/me").status, holder(ann, new).get("/me").status) == (401, 200)


def test_rotation_never_makes_a_key_live_longer(ann: Person) -> None:
    old = create(ann, "*", expires_at="2999-01-01T00:00:00Z")
    new = ann.post(f"/api-keys/{old['id']}/rotate", {}).json
    assert new["expires_at"] == old["expires_at"]
    assert ann.get(f"/api-keys/{old['id']}").json["expires_at"] < "2999"


def test_a_typo_is_refused_without_a_query(ann: Person) -> None:
    key = create(ann, "*")["key"]
    for number in range(0, len(key), 3):
        typo = key[:number] + ("a" if key[number] != "a" else "b") + key[number + 1 :]
        answer = ann.client.get("/me", headers={"X-API-Key": typo})
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert "may be missing or wrong" in answer.json["detail"]
        assert "RateLimit" not in answer.headers
    for typo in (key[:-1], key + "x", key.upper(), key[4:], f" {key}x"):
        assert ann.client.get("/me", headers={"X-API-Key": typo}).status == 401


def test_the_rate_limit(ann: Person) -> None:
    client = holder(ann, create(ann, "*", rate_limit=5))
    for left in (4, 3):
        answer = client.get("/me")
        assert (answer.status, remaining(answer.headers)) == (200, left)
        assert answer.headers["RateLimit-Policy"] == '"hour";q=5;w=3600'
    # what fails is counted too, and so is what is refused before the database is asked
    failed = client.get("/integrations/00000000-0000-0000-0000-000000000000")
    assert (failed.status, remaining(failed.headers)) == (404, 2)
    failed = client.post("/integrations", b"{")
    assert (failed.status, remaining(failed.headers)) == (400, 1)
    failed = client.patch("/me", {"nonsense": 1}, headers=ANY)
    assert (failed.status, remaining(failed.headers)) == (422, 0)
    for call in (lambda: client.get("/me"), lambda: client.post("/integrations", b"{")):
        answer = call()
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 720
        assert answer.headers["RateLimit-Policy"] == '"hour";q=5;w=3600'
        assert remaining(answer.headers) == 0
    # the limit is the key's, not its owner's
    assert ann.get("/me").status == 200
    assert holder(ann, create(ann, "*", rate_limit=5)).get("/me").status == 200


def test_last_use_is_noted(ann: Person) -> None:
    key = create(ann, "*")
    assert key["last_used_at"] is None
    holder(ann, key).get("/me")
    seen = ann.get(f"/api-keys/{key['id']}")
    assert seen.json["last_used_at"] is not None
    assert seen.etag == '"1"'  # which is no change of the key


def test_keys_of_others(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "developer")
    personal, bound = create(bob, "*"), create(bob, "integrations:read", organization_id=team["id"])
    assert ann.get(f"/api-keys/{personal['id']}").code == "not_found"
    # who manages the keys of an organization sees and revokes them, but makes nothing else of them
    path = f"/api-keys/{bound['id']}"
    assert ann.get(path).json["user_id"] == bob.user_id
    assert [each["id"] for each in ann.get(f"/api-keys?organization_id={team['id']}").json["items"]] == [bound["id"]]
    assert ann.patch(path, {"permissions": ["*"]}, headers=ANY).code == "permission_denied"
    assert ann.post(f"{path}/rotate", {}).code == "permission_denied"
    assert ann.get(path).etag == '"1"'
    assert ann.delete(path, headers=ANY).status == 204
    assert holder(bob, bound).get("/integrations").status == 401


@pytest.mark.parametrize("limit", [0, -1, 100_000_001, 1.5, "1000", True])
def test_rate_limits_that_are_none(ann: Person, limit: Any) -> None:
    answer = ann.post("/api-keys", {"name": "x", "permissions": [], "rate_limit": limit})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/rate_limit")
