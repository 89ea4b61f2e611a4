"""How to call each operation of the OpenAPI document so that it succeeds.

A specimen makes whatever its operation needs, anew each time, and names the call. An operation without one fails
`test_conventions.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.service import PASSWORD, Client, Person

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
def end_sessions(person: Person) -> Call:
    return Call("/auth/sessions", client=signed_in(person))


@specimen
def end_session(person: Person) -> Call:
    client = signed_in(person)
    return Call(f"/auth/sessions/{client.get('/auth/sessions').json['items'][0]['id']}", client=client)


# --- me


@specimen
def change_profile(person: Person) -> Call:
    return Call("/me", {"preferences": {"theme": str(uuid.uuid4())}})


# --- organizations and members


def organization_path(person: Person) -> str:
    return f"/organizations/{person.organization()['id']}"


@specimen
def list_organizations(person: Person) -> Call:
    person.organization()
    person.organization()
    return Call("/organizations")


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
def restore_integration_template(person: Person) -> Call:
    return Call(f"{deleted(person, template_path(person))}/restore")


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


# --- what can only be read


@specimen
def get_integration_statistics(person: Person) -> Call:
    return Call(f"{integration_path(person)}/statistics")


@specimen
def list_events(person: Person) -> Call:
    return Call("/events", client=signed_in(person))  # whose events fit on one page


@specimen
def list_audit_logs(person: Person) -> Call:
    return Call("/audit-logs", client=signed_in(person))  # whose entries fit on one page


@specimen
def get_event(person: Person) -> Call:
    return Call(f"/events/{person.get('/events?limit=1').json['items'][0]['id']}")


for name, path in {
    "list_sessions": "/auth/sessions", "get_profile": "/me", "list_permissions": "/permissions", "list_roles": "/roles",
}.items():  # fmt: skip
    SPECIMENS[name] = lambda person, path=path: Call(path)  # type: ignore[misc]

for name, path_of in {
    "get_organization": organization_path,
    "delete_organization": organization_path,
    "get_member": member_path,
    "remove_member": member_path,
    "get_integration": integration_path,
    "delete_integration": integration_path,
    "get_integration_version": version_path,
    "get_integration_dependency": dependency_path,
    "delete_integration_dependency": dependency_path,
    "get_integration_template": template_path,
    "delete_integration_template": template_path,
    "get_api_key": api_key_path,
    "revoke_api_key": api_key_path,
}.items():
    SPECIMENS[name] = lambda person, path_of=path_of: Call(path_of(person))  # type: ignore[misc]
