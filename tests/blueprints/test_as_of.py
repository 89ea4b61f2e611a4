"""The past of every resource, read back from its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from tests.service import Person


def now() -> str:
    """This moment, as a query parameter."""
    return quote(datetime.now(UTC).isoformat())


def test_each_resource_as_it_was(ann: Person, bob: Person) -> None:
    before = quote((datetime.now(UTC) - timedelta(minutes=1)).isoformat())
    team = ann.organization(name="Acme")
    ann.add(team["id"], bob, "viewer")
    integration = ann.integration(organization_id=team["id"])
    inside = f"/integrations/{integration['id']}"
    version = ann.post(f"{inside}/versions", {"version": "1.0.0"}).json
    dependency = ann.post(f"{inside}/dependencies", {"dependency_name": "requests"}).json
    template = ann.post("/integration-templates", {"id": f"t-{team['id']}", "name": "Old", "template_data": {}}).json
    key = ann.post("/api-keys", {"name": "old", "permissions": ["*"]}).json
    then = now()
    paths = {
        f"/organizations/{team['id']}": {"name": "Acme Ltd"},
        f"/organizations/{team['id']}/members/{bob.user_id}": {"role": "developer"},
        inside: {"name": "Renamed"},
        f"{inside}/dependencies/{dependency['id']}": {"dependency_name": "httpx"},
        f"/integration-templates/{template['id']}": {"name": "New"},
        f"/api-keys/{key['id']}": {"name": "new"},
        "/me": {"name": "Ann Other"},
    }
    for path, change in paths.items():
        (field,) = change
        present = ann.get(path).json
        old = present[field]
        assert ann.patch(path, change, headers={"If-Match": "*"}).status == 200, path
        past = ann.get(f"{path}?as_of={then}")
        assert past.status == 200, (path, past.body)
        assert past.json[field] == old, path
        moments = {name for name, value in present.items() if name.endswith("_at") and value is not None}
        assert {"created_at", "updated_at"} <= moments
        for name in moments - {"last_login_at"}:  # which the database keeps for itself
            assert past.json[name] == present[name], (path, name)
        assert past.etag == '"1"'
        assert ann.get(f"{path}?as_of={now()}&fields={field}").json == change
        assert path == "/me" or ann.get(f"{path}?as_of={before}").code == "not_found", path
        assert bob.get(f"{path}?as_of={then}").status in (200, 404)
        for secret in ("key_hash", "password_hash"):
            assert secret not in past.json
    active = f"{inside}/versions/{version['id']}"
    assert ann.post(f"{active}/activate").status == 200
    assert ann.get(f"{active}?as_of={then}").json["is_active"] is False
    assert ann.get(f"{active}?as_of={now()}").json["is_active"] is True


def test_what_was_deleted_for_good_is_no_more(ann: Person) -> None:
    inside = f"/integrations/{ann.integration()['id']}/dependencies"
    dependency = ann.post(inside, {"dependency_name": "requests"}).json
    then = now()
    assert ann.delete(f"{inside}/{dependency['id']}", headers={"If-Match": "*"}).status == 204
    assert ann.get(f"{inside}/{dependency['id']}?as_of={then}").json["dependency_name"] == "requests"
    assert ann.get(f"{inside}/{dependency['id']}?as_of={now()}").code == "not_found"


def test_the_past_of_others_is_not_shown(ann: Person, bob: Person) -> None:
    path = f"/integrations/{ann.integration()['id']}"
    assert ann.get(f"{path}?as_of={now()}").status == 200
    assert bob.get(f"{path}?as_of={now()}").code == "not_found"
