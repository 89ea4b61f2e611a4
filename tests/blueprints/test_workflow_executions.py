"""Executions of workflows: started, watched and steered. What a worker would do to them is done in SQL here."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest

from tests.blueprints.test_workflows import patched
from tests.service import GREETING, Person, Service
from tests.sql.test_workflow_statuses import MOVES, STATUSES
from tests.web.asking import assert_refused

# ways there from pending
WAYS: dict[str, tuple[str, ...]] = {
    "pending": (),
    "running": ("running",),
    "waiting": ("running", "waiting"),
    "suspended": ("suspended",),
    "cancelled": ("cancelled",),
    "faulted": ("running", "faulted"),
    "completed": ("running", "completed"),
}
# operation → from where it is allowed, and what it leads to
OPERATIONS = {
    "cancel": {"pending": "cancelled", "running": "running", "waiting": "cancelled", "suspended": "cancelled"},
    "suspend": {"pending": "suspended", "running": "running", "waiting": "suspended"},
    "resume": {"suspended": "pending"},
    "retry": {"cancelled": "pending", "faulted": "pending"},
}


@pytest.fixture(scope="module")
def steerer(service: Service) -> Person:
    """Whoever steers the many executions of this module."""
    return service.person("Steerer")


def path_of(execution: dict[str, Any]) -> str:
    return f"/workflow-executions/{execution['id']}"


def move(person: Person, execution: dict[str, Any], *statuses: str) -> None:
    for status in statuses:
        person.run("UPDATE workflow_executions SET status = %s WHERE id = %s", status, execution["id"])


def events(person: Person, execution: dict[str, Any]) -> list[str]:
    rows = person.run("SELECT event_type FROM events WHERE aggregate_id = %s ORDER BY version", execution["id"])
    return [row["event_type"].removeprefix("workflow_execution.") for row in rows]


def step(person: Person, execution: dict[str, Any], name: str, *statuses: str, **columns: Any) -> str:
    (row,) = person.run(
        "INSERT INTO workflow_step_executions (organization_id, workflow_execution_id, step_name) VALUES (%s, %s, %s)"
        " RETURNING id", execution["organization_id"], execution["id"], name,
    )  # fmt: skip
    for status in statuses:
        person.run("UPDATE workflow_step_executions SET status = %s WHERE id = %s", status, row["id"])
    for column, value in columns.items():
        person.run(f"UPDATE workflow_step_executions SET {column} = %s WHERE id = %s", value, row["id"])
    return str(row["id"])


def test_a_start_is_pending_and_keeps_its_version(ann: Person) -> None:
    workflow, integration = ann.workflow(), ann.integration()
    path = f"/workflows/{workflow['id']}"
    body = {"input_parameters": {"name": "Ann"}, "integration_id": integration["id"]}
    started = ann.post(f"{path}/executions", body)
    assert started.status == 201
    assert started.headers["Location"] == f"/api/v1{path_of(started.json)}"
    assert {name: started.json[name] for name in (
        "status", "workflow_id", "workflow_version_number", "workflow_type", "input_parameters", "integration_id",
        "triggered_by", "progress", "started_at", "completed_at", "output_result", "attempt", "organization_id",
    )} == {
        "status": "pending", "workflow_id": workflow["id"], "workflow_version_number": 1, "workflow_type": "greeting",
        "input_parameters": {"name": "Ann"}, "integration_id": integration["id"], "triggered_by": ann.user_id,
        "progress": 0, "started_at": None, "completed_at": None, "output_result": None, "attempt": 0,
        "organization_id": workflow["organization_id"],
    }  # fmt: skip
    patched(ann, path, {"definition": {"document": {"version": "0.2.0"}}})
    second = ann.post(f"{path}/executions", {}).json
    assert (second["workflow_version_number"], second["input_parameters"]) == (2, {})
    assert ann.get(path_of(started.json)).json == started.json
    # a schedule or a worker that names no version gets the present one
    (row,) = ann.run(
        "INSERT INTO workflow_executions (organization_id, workflow_id, workflow_type) VALUES (%s, %s, 'x')"
        " RETURNING workflow_version_number", workflow["organization_id"], workflow["id"],
    )  # fmt: skip
    assert row == {"workflow_version_number": 2}
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        ann.run("UPDATE workflow_executions SET workflow_version_number = 3 WHERE id = %s", second["id"])


def test_an_idempotent_start_starts_once(ann: Person) -> None:
    path, key = f"/workflows/{ann.workflow()['id']}", {"Idempotency-Key": "start"}
    first, again = (ann.post(f"{path}/executions", {}, headers=key) for _ in range(2))
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert len(ann.get(f"/workflow-executions?workflow_id={first.json['workflow_id']}").json["items"]) == 1


def test_what_does_not_start(ann: Person, bob: Person) -> None:
    path = f"/workflows/{ann.workflow()['id']}"
    theirs = bob.integration()["id"]
    faults = assert_refused(ann.post(f"{path}/executions", {"integration_id": theirs}), 422, "invalid")
    assert [fault["pointer"] for fault in faults] == ["/integration_id"]
    assert bob.post(f"{path}/executions", {}).status == 404
    patched(ann, path, {"is_active": False})
    assert_refused(ann.post(f"{path}/executions", {}), 409, "workflow_inactive")
    assert not ann.get(f"/workflow-executions?workflow_id={path.rpartition('/')[2]}").json["items"]


def test_the_input_must_fit_the_schema(ann: Person) -> None:
    schema = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "age": {"minimum": 0}}}
    definition = {**GREETING, "input": {"schema": {"format": "json", "document": schema}}}
    path = f"/workflows/{ann.workflow(definition=definition)['id']}/executions"
    faults = assert_refused(ann.post(path, {"input_parameters": {"name": 7, "age": -1}}), 422, "invalid")
    assert {fault["pointer"] for fault in faults} == {"/input_parameters/age", "/input_parameters/name"}
    assert [fault["pointer"] for fault in assert_refused(ann.post(path, {}), 422, "invalid")] == ["/input_parameters"]
    assert ann.post(path, {"input_parameters": {"name": "Ann"}}).status == 201


def test_filters(ann: Person) -> None:
    organization = ann.organization()["id"]
    workflow = ann.workflow(organization_id=organization)["id"]
    integration = ann.integration(organization_id=organization)["id"]
    first = ann.post(f"/workflows/{workflow}/executions", {"integration_id": integration}).json
    second = ann.post(f"/workflows/{workflow}/executions", {}).json
    move(ann, second, "running")

    def found(query: str) -> list[str]:
        items = ann.get(f"/workflow-executions?organization_id={organization}&sort=created_at&{query}").json["items"]
        assert all("input_parameters" not in item and "output_result" not in item for item in items)
        return [item["id"] for item in items]

    both = [first["id"], second["id"]]
    assert found(f"workflow_id={workflow}&workflow_type=greeting&triggered_by={ann.user_id}") == both
    assert found(f"integration_id={integration}") == both[:1]
    assert found("status=running") == both[1:]
    assert found("workflow_type=other") == found("triggered_by=0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11") == []
    assert found(f"since={second['created_at']}") == both[1:]
    assert found(f"until={second['created_at']}") == both[:1]


def test_nobody_sees_a_lease(ann: Person) -> None:
    execution = ann.execution()
    identifier = step(ann, execution, "/do/0/greet")
    for table, each in (("workflow_executions", execution["id"]), ("workflow_step_executions", identifier)):
        ann.run(f"UPDATE {table} SET lease_token = gen_random_uuid(), lease_expires_at = now() WHERE id = %s", each)
    path = path_of(execution)
    for where in (
        path,
        f"{path}/steps",
        f"{path}/steps/{identifier}",
        "/workflow-executions",
        f"{path}?as_of=2999-01-01T00:00:00Z",
    ):
        assert b"lease" not in ann.get(where).body, where
    assert b"lease" not in ann.post(f"{path}/cancel").body


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_from_each_status(steerer: Person, operation: str, status: str) -> None:
    execution = steerer.execution()
    move(steerer, execution, *WAYS[status])
    path = path_of(execution)
    before = steerer.get(path).json
    answer = steerer.post(f"{path}/{operation}")
    if status in OPERATIONS[operation]:
        assert answer.status == 200, answer.body
        assert answer.json["status"] == OPERATIONS[operation][status]
        assert answer.json == steerer.get(path).json
        requested = [answer.json[name] is not None for name in ("cancel_requested_at", "suspend_requested_at")]
        assert requested == [operation == "cancel", operation == "suspend" and status == "running"]
        moved = OPERATIONS[operation][status]
        assert events(steerer, execution)[-1] == (moved if moved != status else "updated")
    else:
        assert (answer.status, answer.code) == (409, "forbidden_transition"), answer.body
        assert (answer.json["current"], answer.json["allowed"]) == (status, sorted(MOVES[status]))
        assert steerer.get(path).json == before


def test_a_request_is_withdrawn_or_done_and_then_over(ann: Person) -> None:
    execution = ann.execution()
    path = path_of(execution)
    move(ann, execution, "running")
    asked = ann.post(f"{path}/suspend").json
    assert ann.post(f"{path}/suspend").json["suspend_requested_at"] == asked["suspend_requested_at"]
    resumed = ann.post(f"{path}/resume").json
    assert (resumed["status"], resumed["suspend_requested_at"]) == ("running", None)
    ann.post(f"{path}/suspend")
    move(ann, execution, "suspended")  # as its worker does at the next heartbeat
    assert ann.get(path).json["suspend_requested_at"] is None
    ann.post(f"{path}/resume")
    move(ann, execution, "running")
    ann.run("UPDATE workflow_executions SET lease_token = gen_random_uuid() WHERE id = %s", execution["id"])
    assert ann.post(f"{path}/cancel").json["status"] == "running"
    move(ann, execution, "cancelled")
    ended = ann.get(path).json
    assert ended["cancel_requested_at"] is not None
    assert ended["completed_at"] is not None
    assert ann.run("SELECT lease_token FROM workflow_executions WHERE id = %s", execution["id"]) == [
        {"lease_token": None}
    ]
    retried = ann.post(f"{path}/retry").json
    assert (retried["status"], retried["cancel_requested_at"], retried["completed_at"]) == ("pending", None, None)
    assert events(ann, execution) == [
        "created", "running",
        "updated", "updated", "updated", "updated", "suspended",  # asked for twice, withdrawn, asked for, done
        "pending", "running", "updated", "cancelled", "pending",
    ]  # fmt: skip


def test_steps_are_cancelled_and_tried_again_with_their_execution(ann: Person) -> None:
    execution = ann.execution()
    move(ann, execution, "running")
    done = step(ann, execution, "/do/0/a", "running", "completed", output_data=json.dumps({"kept": 1}))
    failed = step(ann, execution, "/do/1/b", "running", "faulted", error_message="It broke.")
    waiting = step(ann, execution, "/do/2/c", "running", "waiting")
    running = step(ann, execution, "/do/3/d", "running")
    path = path_of(execution)
    move(ann, execution, "waiting")

    def statuses() -> dict[str, str]:
        return {item["id"]: item["status"] for item in ann.get(f"{path}/steps").json["items"]}

    ann.post(f"{path}/cancel")
    # whoever holds the running one learns of it at the next heartbeat
    assert statuses() == {done: "completed", failed: "faulted", waiting: "cancelled", running: "running"}
    ann.post(f"{path}/retry")
    assert statuses() == {done: "completed", failed: "pending", waiting: "pending", running: "running"}
    again = ann.get(f"{path}/steps/{failed}").json
    assert (again["retry_count"], again["error_message"], again["completed_at"]) == (1, None, None)
    assert ann.get(f"{path}/steps/{done}").json["output_data"] == {"kept": 1}


def test_progress_is_shown_and_leaves_no_event(ann: Person) -> None:
    execution = ann.execution()
    move(ann, execution, "running")
    for progress in range(10, 100, 10):
        ann.run("UPDATE workflow_executions SET progress = %s WHERE id = %s", progress, execution["id"])
    assert ann.get(path_of(execution)).json["progress"] == 90
    assert events(ann, execution) == ["created", "running"]
    move(ann, execution, "completed")
    ended = ann.get(path_of(execution)).json
    assert (ended["progress"], ended["version"]) == (100, 3)
    assert events(ann, execution) == ["created", "running", "completed"]


def test_one_of_many_cancels_at_once_wins(ann: Person) -> None:
    execution = ann.execution()
    start, statuses = threading.Barrier(6), []

    def cancel() -> None:
        start.wait()
        statuses.append(ann.post(f"{path_of(execution)}/cancel").status)

    threads = [threading.Thread(target=cancel) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409, 409, 409, 409, 409]
    assert events(ann, execution) == ["created", "cancelled"]


def test_steps_and_logs_belong_to_their_execution(ann: Person, bob: Person) -> None:
    execution, other = ann.execution(), ann.execution()
    path = path_of(execution)
    first = step(ann, execution, "/do/0/greet", "running")
    step(ann, execution, "/do/1/wave")
    assert [item["id"] for item in ann.get(f"{path}/steps?status=running").json["items"]] == [first]
    assert ann.get(f"{path_of(other)}/steps/{first}").status == 404
    for level, name, message in (
        ("info", None, "one"),
        ("error", "/do/0/greet", "two"),
        ("debug", "/do/0/greet", "three"),
    ):
        ann.run(
            "INSERT INTO workflow_execution_logs (organization_id, workflow_execution_id, step_name, level, message)"
            " VALUES (%s, %s, %s, %s, %s)", execution["organization_id"], execution["id"], name, level, message,
        )  # fmt: skip

    def messages(query: str) -> list[str]:
        return [item["message"] for item in ann.get(f"{path}/logs?{query}").json["items"]]

    assert messages("sort=line_number") == ["one", "two", "three"]
    assert messages("") == ["three", "two", "one"]
    assert messages("level=error") == ["two"]
    assert messages("sort=line_number&step_name=/do/0/greet") == ["two", "three"]
    assert ann.get(f"{path_of(other)}/logs").json["items"] == []
    for where in (path, f"{path}/steps", f"{path}/logs", f"{path}/steps/{first}"):
        assert bob.get(where).status == 404


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("developer", 200)])
def test_what_each_role_may_do(ann: Person, bob: Person, role: str, status: int) -> None:
    organization = ann.organization()["id"]
    workflow = ann.workflow(organization_id=organization)["id"]
    execution = ann.post(f"/workflows/{workflow}/executions", {}).json
    ann.add(organization, bob, role)
    assert bob.get(path_of(execution)).status == 200
    assert bob.post(f"/workflows/{workflow}/executions", {}).status == {403: 403, 200: 201}[status]
    for operation in ("suspend", "resume", "cancel", "retry"):
        answer = bob.post(f"{path_of(execution)}/{operation}")
        assert answer.status == status, answer.body
        assert status == 200 or answer.json["permission"] == "workflow_executions:update"


def test_all_that_match_are_cancelled_and_tried_again(ann: Person, bob: Person) -> None:
    organization = ann.organization()["id"]
    workflow = ann.workflow(organization_id=organization)["id"]
    executions = [ann.post(f"/workflows/{workflow}/executions", {}).json for _ in range(6)]
    for execution, status in zip(executions, ("pending", "running", "waiting", "suspended", "completed", "faulted")):
        move(ann, execution, *WAYS[status])
    other = ann.execution()
    identifiers = [execution["id"] for execution in executions]
    here = {"workflow_id": workflow}

    def moved(operation: str, body: dict[str, Any]) -> dict[str, str]:
        answer = ann.post(f"/workflow-executions/{operation}", body)
        assert answer.status == 200, answer.body
        assert answer.json["more"] is False
        return {item["id"]: item["status"] for item in answer.json["items"]}

    assert moved("cancel", {**here, "until": executions[0]["created_at"]}) == {}
    assert moved("cancel", {**here, "status": "suspended"}) == {identifiers[3]: "cancelled"}
    assert moved("cancel", {"organization_id": organization}) == {
        identifiers[0]: "cancelled", identifiers[1]: "running", identifiers[2]: "cancelled",
    }  # fmt: skip
    assert moved("cancel", here) == {}  # asked for already
    assert moved("retry", {**here, "status": "faulted"}) == {identifiers[5]: "pending"}
    assert moved("retry", here) == {identifiers[number]: "pending" for number in (0, 2, 3)}
    assert ann.get(path_of(other)).json["status"] == "pending"
    assert events(ann, executions[0]) == ["created", "cancelled", "pending"]
    assert_refused(ann.post("/workflow-executions/cancel", {}), 422, "invalid")
    ann.add(organization, bob, "viewer")
    assert bob.post("/workflow-executions/cancel", {"organization_id": organization}).status == 403
    assert bob.post("/workflow-executions/cancel", here).json["items"] == []  # he may in his own organization
    assert ann.get(path_of(executions[5])).json["status"] == "pending"


def test_progress_is_seen_by_those_who_have_the_version_already(ann: Person) -> None:
    execution = ann.execution()
    etag = {"If-None-Match": ann.get(path_of(execution)).etag}
    assert ann.get(path_of(execution), headers=etag).status == 304
    move(ann, execution, "running")
    running = ann.get(path_of(execution))
    for progress in (20, 70):
        ann.run("UPDATE workflow_executions SET progress = %s WHERE id = %s", progress, execution["id"])
        seen = ann.get(path_of(execution), headers={"If-None-Match": running.etag})
        assert (seen.status, seen.etag, seen.json["progress"]) == (200, running.etag, progress)
    move(ann, execution, "completed")
    done = ann.get(path_of(execution)).etag
    assert ann.get(path_of(execution), headers={"If-None-Match": done}).status == 304
