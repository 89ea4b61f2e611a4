"""The past of every resource, read back from its events."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from tests.service import Answer, Person


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


def test_any_moment_of_a_history(ann: Person, bob: Person) -> None:
    """Changes in random order of everything that can be changed, and then back to random moments between them."""
    chance = random.Random(9)
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    integration = ann.integration(organization_id=team["id"])
    inside = f"/integrations/{integration['id']}"

    def made(path: str, body: dict[str, Any]) -> str:
        answer = ann.post(path, body)
        assert answer.status == 201, answer.body
        return f"{path}/{answer.json['id']}"

    workflow = ann.workflow(organization_id=team["id"])["id"]
    changes: dict[str, Callable[[int], dict[str, Any]]] = {
        f"/organizations/{team['id']}": lambda n: {"settings": {"n": n, "gone": None if n % 2 else n}},
        f"/organizations/{team['id']}/members/{bob.user_id}": lambda n: {"role": ("viewer", "developer")[n % 2]},
        inside: lambda n: {"description": None if n % 3 else f"{n}", "config": {"n": {"m": n}, "l": [n] * (n % 4)}},
        made(f"{inside}/dependencies", {"dependency_name": "a"}): lambda n: {"dependency_version": f"{n}"},
        made("/integration-templates", {"id": f"t-{uuid4()}", "name": "T", "template_data": {}}): lambda n: {
            "template_data": {"n": n}
        },
        f"/workflows/{workflow}": lambda n: {"is_active": n % 2 == 0, "name": f"W {n}"},
        made("/schedules", {"name": "S", "cron_expression": "0 4 * * *", "workflow_id": workflow}): lambda n: {
            "cron_expression": f"{n % 60} 4 * * *"
        },
        made(
            "/webhooks",
            {"integration_id": integration["id"], "url": "https://example.org/", "events": ["schedule.deleted"]},
        ): lambda n: {"events": [f"schedule.{verb}" for verb in ("created", "deleted", "restored")[: n % 3 + 1]]},
        made("/api-keys", {"name": "K", "permissions": ["*"]}): lambda n: {
            "permissions": [["*"], ["integrations:read"], ["events:read", "integrations:read"]][n % 3]
        },
        "/me": lambda n: {"preferences": {"n": n}},
    }
    history: list[tuple[str, str, Answer]] = []
    for number in range(80):
        path = chance.choice(list(changes))
        answer = ann.patch(path, changes[path](number), headers={"If-Match": "*"})
        assert answer.status == 200, answer.body
        history.append((path, now(), ann.get(path)))
    chance.shuffle(history)
    for path, moment, then in history:
        past = ann.get(f"{path}?as_of={moment}")
        assert past.etag == then.etag
        assert _kept(past.json) == _kept(then.json), (path, moment)


def _kept(resource: dict[str, Any]) -> dict[str, Any]:
    """What events keep: not what the database reckons, nor what is another aggregate's."""
    reckoned = {
        "last_login_at", "last_used_at", "last_execution_at", "usage_count", "usage_stats", "next_run_at",
        "failure_count", "failing_since", "last_success_at", "last_failure_at", "disabled_at", "disabled_reason",
    }  # fmt: skip
    others = {"name", "email", "avatar_url"} if "joined_at" in resource else set()
    return {name: value for name, value in resource.items() if name not in reckoned | others}
