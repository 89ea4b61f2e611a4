"""Schedules: checked and reckoned when they are saved. What fires them is the worker's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.blueprints.test_workflows import patched
from tests.service import Person
from tests.web.asking import assert_refused
from tests.web.specimens import schedule


def made(person: Person, **values: Any) -> dict[str, Any]:
    answer = person.post("/schedules", schedule(person, **values))
    assert answer.status == 201, answer.body
    return dict(answer.json)


def due(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["next_run_at"])


def test_the_next_time_is_reckoned_when_it_is_saved(ann: Person) -> None:
    row = made(ann, cron_expression="*/10 * * * *", catch_up=True, input_parameters={"a": 1})
    assert datetime.now(UTC) < due(row) <= datetime.now(UTC) + timedelta(minutes=10)
    assert due(row).minute % 10 == 0
    assert [row[name] for name in ("time_zone", "catch_up", "input_parameters", "is_active", "created_by")] == [
        "UTC", True, {"a": 1}, True, ann.user_id,
    ]  # fmt: skip
    # Kathmandu is 5:45 ahead all year round
    assert due(made(ann, cron_expression="0 12 * * *", time_zone="Asia/Kathmandu")).strftime("%H:%M") == "06:15"
    assert made(ann, is_active=False)["next_run_at"] is None


@pytest.mark.parametrize(
    ("values", "pointers"),
    [
        ({"cron_expression": "61 * * * *"}, ["/cron_expression"]),
        ({"cron_expression": "* * * * * *"}, ["/cron_expression"]),
        ({"cron_expression": "x", "time_zone": "Mars/Olympus"}, ["/cron_expression", "/time_zone"]),
        ({"time_zone": "../../etc/passwd"}, ["/time_zone"]),
        ({"workflow_id": None}, ["/workflow_id"]),
        ({"integration_id": "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"}, ["/workflow_id"]),
        ({"workflow_id": "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"}, ["/workflow_id"]),
        ({"workflow_id": None, "integration_id": "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"}, ["/integration_id"]),
    ],
)
def test_what_is_refused(ann: Person, values: dict[str, Any], pointers: list[str]) -> None:
    faults = assert_refused(ann.post("/schedules", schedule(ann, **values)), 422, "invalid")
    assert [fault["pointer"] for fault in faults] == pointers


def test_it_runs_what_its_maker_sees(ann: Person, bob: Person) -> None:
    organization = ann.organization()["id"]
    integration = ann.integration(organization_id=organization)["id"]
    row = made(ann, workflow_id=None, integration_id=integration)
    assert (row["organization_id"], row["integration_id"], row["workflow_id"]) == (organization, integration, None)
    assert_refused(bob.post("/schedules", schedule(bob, workflow_id=None, integration_id=integration)), 422, "invalid")
    assert ann.delete(f"/integrations/{integration}", headers={"If-Match": "*"}).status == 204
    assert_refused(ann.post("/schedules", schedule(ann, workflow_id=None, integration_id=integration)), 422, "invalid")


def test_only_another_timing_makes_it_due_anew(ann: Person) -> None:
    row = made(ann, cron_expression="0 0 1 1 *")
    path = f"/schedules/{row['id']}"
    ann.run("UPDATE schedules SET next_run_at = '2026-01-01' WHERE id = %s", row["id"])  # due, and not fired yet
    renamed = patched(ann, path, {"name": "Renamed", "catch_up": True}, '"1"').json
    assert due(renamed) == datetime(2026, 1, 1, tzinfo=UTC)
    assert (renamed["name"], renamed["catch_up"], renamed["version"]) == ("Renamed", True, 2)
    assert due(patched(ann, path, {"time_zone": "Asia/Kathmandu"}).json).strftime("%m-%d %H:%M") == "12-31 18:15"
    assert patched(ann, path, {"is_active": False}).json["next_run_at"] is None
    assert patched(ann, path, {"cron_expression": "0 5 1 1 *"}).json["next_run_at"] is None
    assert due(patched(ann, path, {"is_active": True}).json) > datetime.now(UTC)
    assert_refused(patched(ann, path, {"cron_expression": "never"}), 422, "invalid")
    assert_refused(patched(ann, path, {"time_zone": "Nowhere"}), 422, "invalid")


def test_its_target_changes_within_its_organization(ann: Person) -> None:
    path = f"/schedules/{made(ann)['id']}"
    elsewhere = ann.integration(organization_id=ann.organization()["id"])["id"]
    here = ann.integration()["id"]
    for body, pointer in (
        ({"workflow_id": None, "integration_id": elsewhere}, "/integration_id"),
        ({"integration_id": here}, "/workflow_id"),
        ({"workflow_id": None}, "/workflow_id"),
    ):
        faults = assert_refused(patched(ann, path, body), 422, "invalid")
        assert [fault["pointer"] for fault in faults] == [pointer]
    changed = patched(ann, path, {"workflow_id": None, "integration_id": here}).json
    assert (changed["workflow_id"], changed["integration_id"]) == (None, here)


def test_what_is_deleted_is_due_at_no_time_until_it_is_restored(ann: Person) -> None:
    row = made(ann)
    path = f"/schedules/{row['id']}"
    assert ann.delete(path, headers={"If-Match": '"1"'}).status == 204
    assert ann.get(path).status == ann.get(f"{path}/runs").status == 404
    assert ann.get(f"{path}?include_deleted=true").json["next_run_at"] is None
    restored = ann.post(f"{path}/restore")
    assert restored.json["next_run_at"] == row["next_run_at"]
    assert restored.json == ann.get(path).json
    patched(ann, path, {"is_active": False})
    ann.delete(path, headers={"If-Match": "*"})
    assert ann.post(f"{path}/restore").json["next_run_at"] is None


def test_filters_and_runs(ann: Person, bob: Person) -> None:
    first, second = made(ann), made(ann, is_active=False)
    items = ann.get(f"/schedules?workflow_id={first['workflow_id']}").json["items"]
    assert [item["id"] for item in items] == [first["id"]]
    assert second["id"] in [item["id"] for item in ann.get("/schedules?is_active=false").json["items"]]
    for due_at in ("2026-01-01 02:00+00", "2026-01-02 02:00+00"):
        ann.run(
            "INSERT INTO schedule_runs (organization_id, schedule_id, due_at, execution_id)"
            " VALUES (%s, %s, %s, gen_random_uuid())", first["organization_id"], first["id"], due_at,
        )  # fmt: skip
    runs = ann.get(f"/schedules/{first['id']}/runs").json["items"]
    assert [run["due_at"][:16] for run in runs] == ["2026-01-02T02:00", "2026-01-01T02:00"]
    assert runs[0].keys() == {"id", "organization_id", "schedule_id", "due_at", "started_at", "execution_id"}
    assert ann.get(f"/schedules/{second['id']}/runs").json["items"] == []
    assert bob.get(f"/schedules/{first['id']}/runs").status == 404
