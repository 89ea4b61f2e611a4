"""Integrations over HTTP."""

from __future__ import annotations

from tests.service import Person


def test_create_and_get(ann: Person) -> None:
    made = ann.integration(name="Stripe payments", config={"base_url": "https://api.stripe.com"})
    answer = ann.get(f"/integrations/{made['id']}")
    assert answer.status == 200
    assert answer.json == made
    assert answer.etag == '"1"'
    assert made["status"] == "draft"
    assert made["organization_id"] == ann.personal_organization_id


def test_another_tenant_sees_nothing(ann: Person, bob: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}"
    assert bob.get(path).code == "not_found"
    assert bob.patch(path, {"name": "mine"}, headers={"If-Match": "*"}).code == "not_found"
    assert bob.delete(path, headers={"If-Match": "*"}).code == "not_found"
    assert bob.post(f"{path}/status", {"status": "validating"}).code == "not_found"
    assert bob.get("/integrations").json["items"] == []
