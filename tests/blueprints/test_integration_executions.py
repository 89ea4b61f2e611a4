"""Executions of integrations over HTTP."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.service import Answer, Person, Service
from tests.sql.people import People
from tests.waiting import eventually

ENDS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "completed": ("complete", {"result": {"imported": 12}}),
    "failed": ("fail", {"error_message": "The API answered 500."}),
    "cancelled": ("cancel", None),
}
WAYS = {
    "pending": ["cancelled", "failed", "running"],
    "running": ["cancelled", "completed", "failed"],
    "completed": [],
    "failed": [],
    "cancelled": [],
}
ACTIONS = {**ENDS, "running": ("start", None)}


def begin(person: Person, integration: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A new execution, running unless said otherwise."""
    answer = person.post(f"/integrations/{integration['id']}/executions", {"status": "running", **values})
    assert answer.status == 201, answer.body
    return dict(answer.json)


def move(person: Person, execution: dict[str, Any], status: str, **names: Any) -> Answer:
    """Ask for an execution to be moved."""
    action, body = ACTIONS[status]
    answer = person.post(f"/integration-executions/{execution['id']}/{action}", body, **names)
    assert isinstance(answer, Answer)
    return answer


def reach(person: Person, integration: dict[str, Any], status: str) -> dict[str, Any]:
    """A new execution with a status."""
    execution = begin(person, integration, status="pending" if status == "pending" else "running")
    if status in ENDS:
        assert move(person, execution, status).status == 200
    return execution


def test_start_and_get(ann: Person) -> None:
    integration = ann.integration()
    answer = ann.post(f"/integrations/{integration['id']}/executions", {"trigger_data": {"invoice": "in_42"}})
    assert answer.status == 201, answer.body
    made = answer.json
    assert answer.headers["Location"] == f"/api/v1/integration-executions/{made['id']}"
    assert (made["status"], made["trigger_type"], made["trigger_data"]) == ("pending", "manual", {"invoice": "in_42"})
    assert made["organization_id"] == ann.personal_organization_id
    assert made["result"] is made["error_message"] is made["duration_ms"] is made["completed_at"] is None
    found = ann.get(f"/integration-executions/{made['id']}")
    assert (found.json, found.etag) == (made, '"1"')


@pytest.mark.parametrize("status", WAYS)
def test_a_status_moves_only_along_its_ways(ann: Person, status: str) -> None:
    integration = ann.integration()
    for target in ACTIONS:
        execution = reach(ann, integration, status)
        answer = move(ann, execution, target)
        if target in WAYS[status] or target == status:  # to where it is: nothing changes
            assert (answer.status, answer.json["status"]) == (200, target)
            assert (answer.json["completed_at"] is not None) == (target in ENDS)
        else:
            assert (answer.status, answer.code) == (409, "forbidden_transition"), target
            assert (answer.json["allowed"], answer.json["current"]) == (WAYS[status], status)


def test_the_end_fills_what_it_leaves(ann: Person, service: Service) -> None:
    integration = ann.integration()
    execution = begin(ann, integration)
    done = ann.post(f"/integration-executions/{execution['id']}/complete", {"result": {"imported": 12}}).json
    assert (done["status"], done["result"], done["error_message"]) == ("completed", {"imported": 12}, None)
    assert done["completed_at"] > done["started_at"]
    assert 0 <= done["duration_ms"] < 60_000
    own = {"error_message": "Out of paper", "duration_ms": 7, "result": {"printed": 3}}
    failed = ann.post(f"/integration-executions/{begin(ann, integration)['id']}/fail", own).json
    assert {name: failed[name] for name in own} == own
    # one that hangs for months fits the column all the same
    old = begin(ann, integration)
    with service.database.admin() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE integration_executions SET started_at = now() - interval '90 days' WHERE id = %s", [old["id"]]
        )
    assert move(ann, old, "cancelled").json["duration_ms"] == 2**31 - 1


@pytest.mark.parametrize("status", ENDS)
def test_what_has_ended_stays_as_it_is(ann: Person, status: str) -> None:
    execution = reach(ann, ann.integration(), status)
    path = f"/integration-executions/{execution['id']}"
    before = ann.get(path).json
    action, body = ENDS[status]
    again = ann.post(f"{path}/{action}", body)  # whoever does not know whether it got through asks again
    assert (again.status, again.json["status"]) == (200, status)
    if body is not None:
        other = {"result": {"other": 1}, **({"error_message": "Other"} if status == "failed" else {})}
        assert ann.post(f"{path}/{action}", other).code == "forbidden_transition"
    after = ann.get(path).json
    assert {**after, "version": 0, "updated_at": ""} == {**before, "version": 0, "updated_at": ""}


@pytest.mark.parametrize("status", ENDS)
def test_every_end_is_noted_in_the_integration(ann: Person, status: str) -> None:
    integration = ann.integration()
    path = f"/integrations/{integration['id']}"
    older, newer = begin(ann, integration), begin(ann, integration)
    assert ann.get(path).json["last_execution_at"] is None
    move(ann, newer, status)
    now = ann.get(path)
    assert now.json["last_execution_at"] == newer["started_at"]
    assert now.etag == '"1"'  # bookkeeping
    move(ann, older, status)
    assert ann.get(path).json["last_execution_at"] == newer["started_at"]


def test_a_stale_version_is_refused(ann: Person) -> None:
    execution = begin(ann, ann.integration())
    assert move(ann, execution, "completed", headers={"If-Match": '"7"'}).code == "stale_version"
    assert move(ann, execution, "completed", headers={"If-Match": '"1"'}).etag == '"2"'


def test_what_does_not_run(ann: Person, service: Service) -> None:
    integration = ann.integration()
    path = f"/integrations/{integration['id']}"
    execution = begin(ann, integration)
    for status in ("validating", "failed", "deprecated"):
        assert ann.post(f"{path}/status", {"status": status}).status == 200
    assert ann.post(f"{path}/executions", {}).code == "conflict"
    assert move(ann, execution, "completed").status == 200  # what runs already may end
    assert ann.delete(path, headers={"If-Match": "*"}).status == 204
    assert ann.post(f"{path}/executions", {}).code == "not_found"
    assert ann.get(f"{path}/executions").code == "not_found"
    with service.database.admin() as admin, pytest.raises(psycopg.DatabaseError) as refusal:
        admin.execute(
            "INSERT INTO integration_executions (organization_id, integration_id, trigger_type) VALUES"
            " (%s, %s, 'scheduled')",
            [integration["organization_id"], integration["id"]],
        )
    assert refusal.value.sqlstate == "CB019"


def test_nothing_starts_with_its_end(ann: Person, service: Service) -> None:
    integration = ann.integration()
    answer = ann.post(f"/integrations/{integration['id']}/executions", {"status": "completed"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/status")
    with service.database.admin() as admin, pytest.raises(psycopg.DatabaseError) as refusal:
        admin.execute(
            "INSERT INTO integration_executions (organization_id, integration_id, trigger_type, status) VALUES"
            " (%s, %s, 'manual', 'failed')",
            [integration["organization_id"], integration["id"]],
        )
    assert refusal.value.sqlstate == "CB001"


def test_filters(ann: Person) -> None:
    team = ann.organization()
    first, second = ann.integration(), ann.integration(organization_id=team["id"])
    one, two, three = begin(ann, first), begin(ann, first, status="pending"), begin(ann, second)
    for query, expected in {
        "": {one["id"], two["id"], three["id"]},
        "status=pending": {two["id"]},
        "trigger_type=manual": {one["id"], two["id"], three["id"]},
        "trigger_type=webhook": set(),
        f"integration_id={first['id']}": {one["id"], two["id"]},
        f"integration_id={first['id']}&status=running": {one["id"]},
        f"integration_id={first['id']}&organization_id={team['id']}": set(),
        f"integration_id={uuid.uuid4()}": set(),
        f"organization_id={team['id']}": {three["id"]},
        f"started_after={three['started_at']}": {three["id"]},
        f"started_before={two['started_at']}": {one["id"]},
        f"started_after={two['started_at']}&started_before={three['started_at']}": {two["id"]},
    }.items():
        found = ann.get(f"/integration-executions?{query.replace('+', '%2B')}").json["items"]
        assert {each["id"] for each in found} == expected, query
    nested = ann.get(f"/integrations/{first['id']}/executions?sort=started_at").json["items"]
    assert [each["id"] for each in nested] == [one["id"], two["id"]]
    assert ann.get(f"/integrations/{first['id']}/executions?status=pending").json["items"][0]["id"] == two["id"]


def test_others_see_nothing_and_viewers_only_look(ann: Person, bob: Person) -> None:
    team = ann.organization()
    integration = ann.integration(organization_id=team["id"])
    execution = begin(ann, integration)
    path = f"/integration-executions/{execution['id']}"
    assert bob.get(path).code == bob.post(f"{path}/cancel").code == "not_found"
    assert bob.get("/integration-executions").json["items"] == []
    assert bob.post(f"/integrations/{integration['id']}/executions", {}).code == "not_found"
    ann.add(team["id"], bob, "viewer")
    assert bob.get(path).json == execution
    assert bob.post(f"{path}/cancel").json["permission"] == "integration_executions:update"
    started = bob.post(f"/integrations/{integration['id']}/executions", {})
    assert (started.status, started.json["permission"]) == (403, "integration_executions:create")


def test_each_step_is_an_event(ann: Person) -> None:
    execution = begin(ann, ann.integration(), status="pending")
    path = f"/integration-executions/{execution['id']}"
    move(ann, execution, "running")
    move(ann, execution, "completed")
    events = ann.get(f"/events?aggregate_id={execution['id']}&sort=created_at").json["items"]
    assert [(each["event_type"], each["version"]) for each in events] == [
        ("integration_execution.created", 1),
        ("integration_execution.running", 2),
        ("integration_execution.completed", 3),
    ]
    then = ann.get(f"{path}?as_of={execution['started_at']}")
    assert (then.json["status"], then.etag) == ("pending", '"1"')


def test_one_of_two_ends_at_once_wins(ann: Person, service: Service) -> None:
    """The second waits for the first's row and is told where that led."""
    execution = begin(ann, ann.integration())
    with service.database.admin() as admin:
        with admin.transaction():
            admin.execute("UPDATE integration_executions SET status = 'completed' WHERE id = %s", [execution["id"]])
            answers: list[Answer] = []
            thread = threading.Thread(target=lambda: answers.append(move(ann, execution, "failed")))
            thread.start()
            eventually(
                lambda: (
                    admin.execute(
                        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    ).rowcount
                ),
                "the second waits",
            )
        thread.join()
    assert (answers[0].code, answers[0].json["current"]) == ("forbidden_transition", "completed")


def test_retention_leaves_no_events(database: Database) -> None:
    people = People(database)
    owner = people.register()
    team = people.team(owner)
    integration = people.integration(owner, team)
    with database.admin() as admin, psycopg.connect(database.logins.worker, autocommit=True) as worker:
        # in a filler, whose rows are deleted one by one
        admin.execute(
            "INSERT INTO integration_executions (organization_id, integration_id, trigger_type, started_at)"
            " SELECT %s, %s, 'manual', now() - interval '3 years' FROM generate_series(1, 3)",
            [team, integration],
        )
        events = "SELECT count(*) FROM events WHERE aggregate_type = 'integration_execution'"
        assert admin.execute(events).fetchone() == {"count": 3}
        admin.execute("LISTEN table_changes")
        worker.execute("SELECT cleanup_old_data()")
        assert admin.execute("SELECT FROM integration_executions").rowcount == 0
        assert admin.execute(events).fetchone() == {"count": 3}
        assert not list(admin.notifies(timeout=0))
        # anybody else's deletion is one
        admin.execute(
            "INSERT INTO integration_executions (organization_id, integration_id, trigger_type) VALUES (%s, %s,"
            " 'manual')",
            [team, integration],
        )
        admin.execute("DELETE FROM integration_executions")
        assert admin.execute(events).fetchone() == {"count": 5}
    people.close()


def test_input_that_is_refused(ann: Person) -> None:
    execution = begin(ann, ann.integration())
    path = f"/integration-executions/{execution['id']}"
    for action, body, pointer in (
        ("complete", {"duration_ms": -1}, "/duration_ms"),
        ("complete", {"duration_ms": 2**31}, "/duration_ms"),
        ("complete", {"result": []}, "/result"),
        ("fail", {}, "/error_message"),
        ("fail", {"error_message": ""}, "/error_message"),
        ("fail", {"error_message": "a\0b"}, "/error_message"),
    ):
        answer = ann.post(f"{path}/{action}", body)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), body
    assert ann.get(path).etag == '"1"'
