"""One's own profile over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Person


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
