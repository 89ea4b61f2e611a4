"""How to call each operation of the OpenAPI document so that it succeeds.

A specimen makes whatever its operation needs, anew each time, and names the call. An operation without one fails
`test_conventions.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from operations.accounts import set_permission
from tests.mail import mailed_token, token_of
from tests.service import GREETING, PASSWORD, Client, Person, Service

LIFE = ("validating", "generating", "testing", "reviewing", "deploying", "active")


@dataclass(frozen=True)
class Call:
    """One call: what to send where.

    :param client: who sends it, where it may not be the owner.
    """

    path: str
    body: Any = None
    client: Client | None = None


Specimen = Callable[[Person], Call]

SPECIMENS: dict[str, Specimen] = {}


def specimen(make: Specimen) -> Specimen:
    """Register a specimen under the id of its operation, which is the function's name."""
    SPECIMENS[make.__name__] = make
    return make


def newcomer(person: Person) -> dict[str, str]:
    """Somebody who has registered and done nothing since: `email`, `user_id`, `organization_id`."""
    email = f"newcomer-{uuid.uuid4()}@example.org"
    answer = Client(person.client.port).post("/auth/register", {"email": email, "name": "New", "password": PASSWORD})
    assert answer.status == 201, answer.body
    return {"email": email, **answer.json}


def signed_in(person: Person) -> Client:
    """A newcomer who has signed in."""
    client = Client(person.client.port)
    answer = client.post("/auth/login", {"email": newcomer(person)["email"], "password": PASSWORD})
    assert answer.status == 200, answer.body
    client.headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
    return client


def deleted(person: Person, path: str) -> str:
    """The same path after its resource was deleted."""
    answer = person.delete(path, headers={"If-Match": "*"})
    assert answer.status == 204, answer.body
    return path


def made(person: Person, path: str, body: dict[str, Any]) -> str:
    """The path of a resource that was made by a POST."""
    answer = person.post(path, body)
    assert answer.status == 201, answer.body
    return f"{path}/{answer.json['id']}"


# --- auth


@specimen
def register(person: Person) -> Call:
    return Call("/auth/register", {"email": f"{uuid.uuid4()}@example.org", "name": "Eve", "password": PASSWORD})


@specimen
def login(person: Person) -> Call:
    return Call("/auth/login", {"email": newcomer(person)["email"], "password": PASSWORD})


@specimen
def refresh(person: Person) -> Call:
    answer = person.post("/auth/login", {"email": newcomer(person)["email"], "password": PASSWORD})
    return Call("/auth/refresh", {"refresh_token": answer.json["refresh_token"]})


@specimen
def logout(person: Person) -> Call:
    return Call("/auth/logout", client=signed_in(person))


@specimen
def list_sessions(person: Person) -> Call:
    client = Client(person.client.port)
    somebody = {"email": newcomer(person)["email"], "password": PASSWORD}
    first, second = (client.post("/auth/login", somebody) for _ in range(2))
    assert (first.status, second.status) == (200, 200)
    client.headers = {"Authorization": f"Bearer {second.json['access_token']}"}
    return Call("/auth/sessions", client=client)


@specimen
def end_sessions(person: Person) -> Call:
    return Call("/auth/sessions", client=signed_in(person))


@specimen
def end_session(person: Person) -> Call:
    client = signed_in(person)
    return Call(f"/auth/sessions/{client.get('/auth/sessions').json['items'][0]['id']}", client=client)


@specimen
def change_password(person: Person) -> Call:
    return Call("/auth/password", {"current_password": PASSWORD, "new_password": f"{PASSWORD}!"}, signed_in(person))


@specimen
def request_password_reset(person: Person) -> Call:
    return Call("/auth/password-resets", {"email": newcomer(person)["email"]})


@specimen
def reset_password(person: Person) -> Call:
    email = newcomer(person)["email"]
    assert person.post("/auth/password-resets", {"email": email}).status == 200
    return Call(
        "/auth/password-resets/confirm", {"token": mailed_token(person.service, email), "password": f"{PASSWORD}!"}
    )


@specimen
def request_email_verification(person: Person) -> Call:
    return Call("/auth/email-verifications", {"email": newcomer(person)["email"]})


@specimen
def confirm_email(person: Person) -> Call:
    token = mailed_token(person.service, newcomer(person)["email"])
    return Call("/auth/email-verifications/confirm", {"token": token})


@specimen
def request_email_change(person: Person) -> Call:
    return Call(
        "/auth/email-changes", {"email": f"{uuid.uuid4()}@example.org", "password": PASSWORD}, signed_in(person)
    )


# --- me


@specimen
def change_profile(person: Person) -> Call:
    return Call("/me", {"preferences": {"theme": str(uuid.uuid4())}})


@specimen
def close_account(person: Person) -> Call:
    return Call("/me", client=signed_in(person))


# --- organizations and members


def organization_path(person: Person) -> str:
    return f"/organizations/{person.organization()['id']}"


@specimen
def list_organizations(person: Person) -> Call:
    person.organization()
    person.organization()
    return Call("/organizations")


@specimen
def get_organization_usage(person: Person) -> Call:
    """Of a personal organization."""
    return Call(f"/organizations/{person.personal_organization_id}/usage")


@specimen
def create_organization(person: Person) -> Call:
    return Call("/organizations", {"name": "Acme", "slug": f"acme-{uuid.uuid4()}", "settings": {"theme": "dark"}})


@specimen
def change_organization(person: Person) -> Call:
    return Call(organization_path(person), {"name": "Renamed"})


@specimen
def restore_organization(person: Person) -> Call:
    return Call(f"{deleted(person, organization_path(person))}/restore")


def member_path(person: Person) -> str:
    organization, somebody = person.organization()["id"], newcomer(person)
    answer = person.post(f"/organizations/{organization}/members", {"email": somebody["email"], "role": "developer"})
    assert answer.status == 201, answer.body
    return f"/organizations/{organization}/members/{somebody['user_id']}"


@specimen
def list_members(person: Person) -> Call:
    path = member_path(person).rpartition("/")[0]
    person.post(path, {"email": newcomer(person)["email"]})
    return Call(path)


@specimen
def add_member(person: Person) -> Call:
    return Call(f"{organization_path(person)}/members", {"email": newcomer(person)["email"], "role": "viewer"})


@specimen
def change_member(person: Person) -> Call:
    return Call(member_path(person), {"role": "viewer", "permissions": ["audit_logs:read"]})


@specimen
def bulk_members(person: Person) -> Call:
    path, _, user_id = member_path(person).rpartition("/")
    item = {"operation": "change", "id": user_id, "if_match": "*", "body": {"role": "viewer"}}
    return Call(f"{path}/bulk", {"items": [item]})


@specimen
def transfer_organization(person: Person) -> Call:
    path, _, user_id = member_path(person).rpartition("/")
    return Call(f"{path.removesuffix('/members')}/transfer", {"user_id": user_id})


def invitation_path(person: Person) -> str:
    return made(person, f"{organization_path(person)}/invitations", {"email": f"{uuid.uuid4()}@example.org"})


@specimen
def list_invitations(person: Person) -> Call:
    path = invitation_path(person).rpartition("/")[0]
    made(person, path, {"email": f"{uuid.uuid4()}@example.org"})
    return Call(path)


@specimen
def create_invitation(person: Person) -> Call:
    path = f"{organization_path(person)}/invitations"
    return Call(path, {"email": f"{uuid.uuid4()}@example.org", "role": "developer"})


@specimen
def resend_invitation(person: Person) -> Call:
    return Call(f"{invitation_path(person)}/resend")


def invited(person: Person) -> dict[str, str]:
    """The token of an invitation to the person, from an owner who is new each time."""
    inviter = person.service.person("Inviter")
    made(inviter, f"/organizations/{inviter.organization()['id']}/invitations", {"email": person.email})
    return {"token": token_of(person)}


@specimen
def accept_invitation(person: Person) -> Call:
    return Call("/invitations/accept", invited(person))


@specimen
def decline_invitation(person: Person) -> Call:
    return Call("/invitations/decline", invited(person))


# --- integrations and what hangs on them


def integration_path(person: Person) -> str:
    return f"/integrations/{person.integration()['id']}"


@specimen
def list_integrations(person: Person) -> Call:
    for _ in range(3):
        person.integration()
    return Call("/integrations")


@specimen
def list_active_integrations(person: Person) -> Call:
    for _ in range(2):
        path = integration_path(person)
        for status in LIFE:
            assert person.post(f"{path}/status", {"status": status}).status == 200
    return Call("/integrations/active")


@specimen
def create_integration(person: Person) -> Call:
    return Call("/integrations", {"name": "Stripe", "service_type": "rest", "config": {"retries": 3}})


@specimen
def change_integration(person: Person) -> Call:
    return Call(integration_path(person), {"description": "Takes payments"})


@specimen
def restore_integration(person: Person) -> Call:
    return Call(f"{deleted(person, integration_path(person))}/restore")


@specimen
def move_integration(person: Person) -> Call:
    return Call(f"{integration_path(person)}/status", {"status": "validating"})


@specimen
def bulk_integrations(person: Person) -> Call:
    return Call("/integrations/bulk", {"items": [{"body": {"name": "Stripe", "service_type": "rest"}}]})


def version_path(person: Person) -> str:
    return made(person, f"{integration_path(person)}/versions", {"version": "1.0.0"})


@specimen
def list_integration_versions(person: Person) -> Call:
    path = version_path(person).rpartition("/")[0]
    made(person, path, {"version": "2.0.0"})
    return Call(path)


@specimen
def create_integration_version(person: Person) -> Call:
    return Call(f"{integration_path(person)}/versions", {"version": "1.0.0", "changelog": "First"})


@specimen
def activate_integration_version(person: Person) -> Call:
    return Call(f"{version_path(person)}/activate")


def dependency_path(person: Person) -> str:
    return made(person, f"{integration_path(person)}/dependencies", {"dependency_name": "requests"})


@specimen
def list_integration_dependencies(person: Person) -> Call:
    path = dependency_path(person).rpartition("/")[0]
    made(person, path, {"dependency_name": "httpx"})
    return Call(path)


@specimen
def create_integration_dependency(person: Person) -> Call:
    return Call(f"{integration_path(person)}/dependencies", {"dependency_name": "requests", "is_required": False})


@specimen
def change_integration_dependency(person: Person) -> Call:
    return Call(dependency_path(person), {"dependency_version": ">=2"})


@specimen
def bulk_integration_dependencies(person: Person) -> Call:
    return Call(f"{integration_path(person)}/dependencies/bulk", {"items": [{"body": {"dependency_name": "httpx"}}]})


# --- executions of integrations


def executions_path(person: Person) -> str:
    return f"{integration_path(person)}/executions"


def execution_path(person: Person, status: str = "running") -> str:
    answer = person.post(executions_path(person), {"status": status, "trigger_data": {"invoice": "in_42"}})
    assert answer.status == 201, answer.body
    return f"/integration-executions/{answer.json['id']}"


@specimen
def create_integration_execution(person: Person) -> Call:
    return Call(executions_path(person), {"trigger_data": {"invoice": "in_42"}})


@specimen
def list_executions_of_integration(person: Person) -> Call:
    path = executions_path(person)
    for status in ("pending", "running"):
        assert person.post(path, {"status": status}).status == 201
    return Call(path)


@specimen
def list_integration_executions(person: Person) -> Call:
    execution_path(person)
    execution_path(person)
    return Call("/integration-executions")


@specimen
def get_integration_execution(person: Person) -> Call:
    return Call(execution_path(person))


@specimen
def start_integration_execution(person: Person) -> Call:
    return Call(f"{execution_path(person, 'pending')}/start")


@specimen
def complete_integration_execution(person: Person) -> Call:
    return Call(f"{execution_path(person)}/complete", {"result": {"imported": 12}})


@specimen
def fail_integration_execution(person: Person) -> Call:
    return Call(f"{execution_path(person)}/fail", {"error_message": "The API answered 500."})


@specimen
def cancel_integration_execution(person: Person) -> Call:
    return Call(f"{execution_path(person)}/cancel")


def health_check_path(person: Person) -> str:
    integration = person.integration(health_check_url="https://stripe.example.org/health")
    return f"/integrations/{integration['id']}/health-check"


@specimen
def check_integration_health(person: Person) -> Call:
    return Call(health_check_path(person))


def health_checks_path(person: Person) -> str:
    """Of an integration with one check that was answered, and one that waits."""
    path = health_check_path(person)
    checked = person.post(path)
    assert checked.status == 202, checked.body
    with Service.by_port[person.client.port].database.admin() as admin:  # as the worker would
        answered = "UPDATE integration_health_checks SET status = 'healthy', http_status = 200 WHERE id = %s"
        admin.execute(answered, [checked.json["id"]])
    assert person.post(path).status == 202
    return f"{path}s"


@specimen
def list_integration_health_checks(person: Person) -> Call:
    return Call(health_checks_path(person))


@specimen
def get_integration_health_check(person: Person) -> Call:
    path = health_checks_path(person)
    return Call(f"{path}/{person.get(path).json['items'][0]['id']}")


# --- integration templates


def template(**values: Any) -> dict[str, Any]:
    return {"id": f"rest-{uuid.uuid4()}", "name": "REST", "template_data": {"config": {"retries": 3}}, **values}


def template_path(person: Person) -> str:
    return made(person, "/integration-templates", template())


@specimen
def list_integration_templates(person: Person) -> Call:
    template_path(person)
    template_path(person)
    return Call("/integration-templates")


@specimen
def create_integration_template(person: Person) -> Call:
    return Call("/integration-templates", template())


@specimen
def change_integration_template(person: Person) -> Call:
    return Call(template_path(person), {"name": "Renamed"})


@specimen
def bulk_integration_templates(person: Person) -> Call:
    return Call("/integration-templates/bulk", {"items": [{"body": template()}]})


@specimen
def restore_integration_template(person: Person) -> Call:
    return Call(f"{deleted(person, template_path(person))}/restore")


# --- workflows and what hangs on them


def workflow_path(person: Person) -> str:
    return f"/workflows/{person.workflow()['id']}"


@specimen
def list_workflows(person: Person) -> Call:
    for _ in range(2):
        person.workflow()
    return Call("/workflows")


@specimen
def create_workflow(person: Person) -> Call:
    return Call("/workflows", {"name": "Greeting", "definition": GREETING})


@specimen
def bulk_workflows(person: Person) -> Call:
    return Call("/workflows/bulk", {"items": [{"body": {"definition": GREETING}}]})


@specimen
def validate_workflow(person: Person) -> Call:
    return Call("/workflows/validate", {"definition_yaml": "document: {}\non: off\n"})


@specimen
def change_workflow(person: Person) -> Call:
    return Call(workflow_path(person), {"definition": {"document": {"version": "0.2.0"}}})


@specimen
def restore_workflow(person: Person) -> Call:
    return Call(f"{deleted(person, workflow_path(person))}/restore")


@specimen
def start_workflow(person: Person) -> Call:
    return Call(f"{workflow_path(person)}/executions", {"input_parameters": {"name": "Ann"}})


@specimen
def list_workflow_versions(person: Person) -> Call:
    path = workflow_path(person)
    change = {"definition": {"document": {"version": "0.2.0"}}}
    assert person.patch(path, change, headers={"If-Match": "*"}).status == 200
    return Call(f"{path}/versions")


def workflow_version_path(person: Person) -> str:
    path = f"{workflow_path(person)}/versions"
    return f"{path}/{person.get(path).json['items'][0]['id']}"


@specimen
def activate_workflow_version(person: Person) -> Call:
    return Call(f"{workflow_version_path(person)}/activate")


def workflow_execution_path(person: Person) -> str:
    return f"/workflow-executions/{person.execution()['id']}"


def moved(person: Person, *statuses: str) -> str:
    """The path of an execution that a worker has moved through these statuses."""
    path = workflow_execution_path(person)
    for status in statuses:
        person.run("UPDATE workflow_executions SET status = %s WHERE id = %s", status, path.rpartition("/")[2])
    return path


@specimen
def list_workflow_executions(person: Person) -> Call:
    person.execution()
    person.execution()
    return Call("/workflow-executions")


@specimen
def cancel_workflow_execution(person: Person) -> Call:
    return Call(f"{moved(person, 'running')}/cancel")


@specimen
def suspend_workflow_execution(person: Person) -> Call:
    return Call(f"{moved(person, 'running', 'waiting')}/suspend")


@specimen
def resume_workflow_execution(person: Person) -> Call:
    return Call(f"{moved(person, 'suspended')}/resume")


@specimen
def retry_workflow_execution(person: Person) -> Call:
    return Call(f"{moved(person, 'running', 'faulted')}/retry")


@specimen
def cancel_workflow_executions(person: Person) -> Call:
    return Call("/workflow-executions/cancel", {"workflow_id": person.execution()["workflow_id"]})


@specimen
def retry_workflow_executions(person: Person) -> Call:
    path = moved(person, "running", "faulted")
    return Call("/workflow-executions/retry", {"workflow_id": person.get(path).json["workflow_id"]})


@specimen
def list_workflow_execution_logs(person: Person) -> Call:
    execution = person.execution()
    for message in ("Asked the service.", "It answered."):
        person.run(
            "INSERT INTO workflow_execution_logs (organization_id, workflow_execution_id, message) VALUES (%s, %s, %s)",
            execution["organization_id"], execution["id"], message,
        )  # fmt: skip
    return Call(f"/workflow-executions/{execution['id']}/logs")


def workflow_steps_path(person: Person) -> str:
    """The path of the steps of an execution that has some."""
    execution = person.execution()
    for step in ("/do/0/greet", "/do/1/wave"):
        person.run(
            "INSERT INTO workflow_step_executions (organization_id, workflow_execution_id, step_name, output_data)"
            " VALUES (%s, %s, %s, '{\"greeting\": \"Hello Ann\"}')",
            execution["organization_id"], execution["id"], step,
        )  # fmt: skip
    return f"/workflow-executions/{execution['id']}/steps"


@specimen
def list_workflow_steps(person: Person) -> Call:
    return Call(workflow_steps_path(person))


@specimen
def get_workflow_step(person: Person) -> Call:
    path = workflow_steps_path(person)
    return Call(f"{path}/{person.get(path).json['items'][0]['id']}")


def schedule(person: Person, **values: Any) -> dict[str, Any]:
    """The body of a schedule of a new workflow."""
    return {"name": "Nightly", "workflow_id": person.workflow()["id"], "cron_expression": "0 2 * * *", **values}


def schedule_path(person: Person) -> str:
    return made(person, "/schedules", schedule(person))


@specimen
def list_schedules(person: Person) -> Call:
    schedule_path(person)
    schedule_path(person)
    return Call("/schedules")


@specimen
def create_schedule(person: Person) -> Call:
    return Call("/schedules", schedule(person, time_zone="Europe/Berlin", catch_up=True))


@specimen
def bulk_schedules(person: Person) -> Call:
    return Call("/schedules/bulk", {"items": [{"body": schedule(person)}]})


@specimen
def change_schedule(person: Person) -> Call:
    return Call(schedule_path(person), {"cron_expression": "30 3 * * 1-5"})


@specimen
def restore_schedule(person: Person) -> Call:
    return Call(f"{deleted(person, schedule_path(person))}/restore")


@specimen
def list_schedule_runs(person: Person) -> Call:
    path = schedule_path(person)
    for due in ("2026-01-01 02:00+00", "2026-01-02 02:00+00"):
        person.run(
            "INSERT INTO schedule_runs (organization_id, schedule_id, due_at)"
            " SELECT organization_id, id, %s FROM schedules WHERE id = %s",
            due, path.rpartition("/")[2],
        )  # fmt: skip
    return Call(f"{path}/runs")


# --- webhooks


def webhook(person: Person, **values: Any) -> dict[str, Any]:
    """A new webhook, with its secret."""
    wanted = {
        "integration_id": person.integration()["id"],
        "url": "https://example.org/hook",
        "events": ["*"],
        **values,
    }
    answer = person.post("/webhooks", wanted)
    assert answer.status == 201, answer.body
    return dict(answer.json)


def webhook_path(person: Person) -> str:
    return f"/webhooks/{webhook(person)['id']}"


def delivery_path(person: Person) -> str:
    answer = person.post(f"{webhook_path(person)}/test")
    assert answer.status == 202, answer.body
    return answer.headers["Location"].removeprefix("/api/v1")


@specimen
def list_webhooks(person: Person) -> Call:
    webhook(person)
    webhook(person)
    return Call("/webhooks")


@specimen
def create_webhook(person: Person) -> Call:
    integration = person.integration()["id"]
    return Call(
        "/webhooks", {"integration_id": integration, "url": "https://example.org/", "events": ["integration.*"]}
    )


@specimen
def bulk_webhooks(person: Person) -> Call:
    body = {"integration_id": person.integration()["id"], "url": "https://example.org/", "events": ["*"]}
    return Call("/webhooks/bulk", {"items": [{"body": body}]})


@specimen
def change_webhook(person: Person) -> Call:
    return Call(webhook_path(person), {"filter": '$.data.new.status == "active"'})


@specimen
def restore_webhook(person: Person) -> Call:
    return Call(f"{deleted(person, webhook_path(person))}/restore")


@specimen
def list_deliveries_of_webhook(person: Person) -> Call:
    path = webhook_path(person)
    for _ in range(2):
        assert person.post(f"{path}/test").status == 202
    return Call(f"{path}/deliveries")


@specimen
def list_webhook_deliveries(person: Person) -> Call:
    client = signed_in(person)  # whose deliveries fit on one page
    somebody = Person(client, "", "", "", {})
    path = webhook_path(somebody)
    for _ in range(2):
        assert somebody.post(f"{path}/test").status == 202
    return Call("/webhook-deliveries", client=client)


@specimen
def recover_webhook(person: Person) -> Call:
    return Call(f"{webhook_path(person)}/recover", {"since": "2026-11-22T09:30:00Z"})


@specimen
def redeliver_webhook_delivery(person: Person) -> Call:
    return Call(f"{delivery_path(person)}/redeliver")


@specimen
def rotate_webhook_secret(person: Person) -> Call:
    return Call(f"{webhook_path(person)}/rotate-secret", {})


@specimen
def call_hook(person: Person) -> Call:
    made = webhook(person)
    body, message, now = b'{"type": "invoice.paid"}', str(uuid.uuid4()), datetime.now(UTC)
    signature = Webhook(made["secret"]).sign(message, now, body.decode())
    headers = {
        "webhook-id": message, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature
    }  # fmt: skip
    return Call(f"/hooks/{made['id']}", body, Client(person.client.port, headers))


# --- API keys


def api_key_path(person: Person) -> str:
    return made(person, "/api-keys", {"name": "generator", "permissions": ["integrations:read"]})


@specimen
def list_api_keys(person: Person) -> Call:
    api_key_path(person)
    api_key_path(person)
    return Call("/api-keys")


@specimen
def create_api_key(person: Person) -> Call:
    return Call("/api-keys", {"name": "generator", "permissions": ["integrations:read"]})


@specimen
def get_current_api_key(person: Person) -> Call:
    return Call("/api-keys/self", client=person.key())


@specimen
def change_api_key(person: Person) -> Call:
    return Call(api_key_path(person), {"rate_limit": 500})


@specimen
def rotate_api_key(person: Person) -> Call:
    return Call(f"{api_key_path(person)}/rotate", {"overlap_seconds": 60})


# --- metrics


POINT = {"metric_name": "requests", "metric_type": "counter", "value": 2, "labels": {"region": "eu"}}


def measured(person: Person) -> Person:
    points = [POINT, {**POINT, "metric_name": "errors"}, {**POINT, "value": 3.5}]
    assert person.post("/metrics", {"points": points}).status == 201
    return person


@specimen
def write_metrics(person: Person) -> Call:
    return Call("/metrics", {"points": [POINT, {**POINT, "integration_id": person.integration()["id"]}]})


@specimen
def list_metrics(person: Person) -> Call:
    return Call("/metrics/points", client=measured(person).client)


@specimen
def list_metric_series(person: Person) -> Call:
    return Call("/metrics/series", client=measured(person).client)


@specimen
def query_metric(person: Person) -> Call:
    today = datetime.now(UTC).date()
    span = f"recorded_after={today}T00:00:00Z&recorded_before={today + timedelta(days=1)}T00:00:00Z"
    measured(person)
    return Call(f"/metrics/query?metric_name=requests&{span}&bucket=P1D&percentiles=50,95&group_by=region")


# --- what can only be read


@specimen
def export_integrations(person: Person) -> Call:
    person.integration()
    return Call("/integrations/export?format=csv")


@specimen
def export_integration_executions(person: Person) -> Call:
    execution_path(person)
    return Call("/integration-executions/export")


@specimen
def export_workflow_executions(person: Person) -> Call:
    workflow_execution_path(person)
    return Call("/workflow-executions/export?format=csv")


@specimen
def export_webhook_deliveries(person: Person) -> Call:
    delivery_path(person)
    return Call("/webhook-deliveries/export")


@specimen
def export_audit_logs(person: Person) -> Call:
    return Call("/audit-logs/export")


@specimen
def get_integration_statistics(person: Person) -> Call:
    return Call(f"{integration_path(person)}/statistics")


@specimen
def list_events(person: Person) -> Call:
    return Call("/events", client=signed_in(person))  # whose events fit on one page


@specimen
def list_integration_events(person: Person) -> Call:
    path = integration_path(person)
    person.patch(path, {"name": "Renamed"}, headers={"If-Match": "*"})
    return Call(f"{path}/events")


@specimen
def get_audit_log(person: Person) -> Call:
    return Call(f"/audit-logs/{person.get('/audit-logs?limit=1').json['items'][0]['id']}")


@specimen
def list_audit_logs(person: Person) -> Call:
    return Call("/audit-logs", client=signed_in(person))  # whose entries fit on one page


@specimen
def get_event(person: Person) -> Call:
    return Call(f"/events/{person.get('/events?limit=1').json['items'][0]['id']}")


def operator(person: Person) -> Person:
    """The same person, with what only the command line gives."""
    for permission in ("operations:read", "operations:run"):
        set_permission(Service.by_port[person.client.port].database.admin_url, person.email, permission, True)
    return person


@specimen
def list_maintenance_runs(person: Person) -> Call:
    for task in ("refresh-views", "cleanup-mail"):
        assert operator(person).post("/operations/maintenance-runs", {"task": task}).status == 202
    return Call("/operations/maintenance-runs")


@specimen
def request_maintenance_run(person: Person) -> Call:
    return Call("/operations/maintenance-runs", {"task": "refresh-views"}, client=operator(person).client)


@specimen
def get_maintenance_run(person: Person) -> Call:
    answer = operator(person).post("/operations/maintenance-runs", {"task": "refresh-views"})
    return Call(answer.headers["Location"].removeprefix("/api/v1"))


for name, path in {
    "list_table_sizes": "table-sizes", "list_slow_queries": "slow-queries", "list_unused_indexes": "unused-indexes",
    "list_duplicate_indexes": "duplicate-indexes", "list_missing_indexes": "missing-indexes",
    "list_connections": "connections", "list_locks": "locks", "list_cache_hit_rates": "cache-hit-rate",
    "list_bloat": "bloat", "list_transaction_id_ages": "transaction-id-age", "list_replication": "replication",
    "list_partitions": "partitions", "list_backups": "backups",
    "list_failing_webhooks": "failing-webhooks", "list_running_queries": "running-queries",
    "list_invalid_indexes": "invalid-indexes", "list_gauges": "gauges",
}.items():  # fmt: skip
    SPECIMENS[name] = lambda person, path=path: Call(f"/operations/{path}", client=operator(person).client)  # type: ignore[misc]

for name, path in {
    "stream_events": "/events/stream", "get_activity": "/me/activity",
    "list_event_types": "/event-types?aggregate_type=integration",
    "get_profile": "/me", "list_permissions": "/permissions", "list_roles": "/roles",
    "get_permission": "/permissions/integrations:read", "get_role": "/roles/developer",
    "get_event_type": "/event-types/integration.created",
}.items():  # fmt: skip
    SPECIMENS[name] = lambda person, path=path: Call(path)  # type: ignore[misc]

for name, path_of in {
    "get_organization": organization_path,
    "delete_organization": organization_path,
    "get_member": member_path,
    "get_invitation": invitation_path,
    "withdraw_invitation": invitation_path,
    "remove_member": member_path,
    "get_integration": integration_path,
    "delete_integration": integration_path,
    "get_integration_version": version_path,
    "get_integration_dependency": dependency_path,
    "delete_integration_dependency": dependency_path,
    "get_integration_template": template_path,
    "delete_integration_template": template_path,
    "get_workflow": workflow_path,
    "delete_workflow": workflow_path,
    "get_workflow_version": workflow_version_path,
    "get_workflow_execution": workflow_execution_path,
    "get_schedule": schedule_path,
    "delete_schedule": schedule_path,
    "get_webhook": webhook_path,
    "delete_webhook": webhook_path,
    "get_webhook_delivery": delivery_path,
    "get_api_key": api_key_path,
    "revoke_api_key": api_key_path,
}.items():
    SPECIMENS[name] = lambda person, path_of=path_of: Call(path_of(person))  # type: ignore[misc]

for name, step in {
    "enable_webhook": "enable", "disable_webhook": "disable", "ping_webhook": "test", "get_webhook_health": "health",
}.items():  # fmt: skip
    SPECIMENS[name] = lambda person, step=step: Call(f"{webhook_path(person)}/{step}")  # type: ignore[misc]
