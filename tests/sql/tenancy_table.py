"""Who may do what with a row of each table: the one table that the tenancy matrix is made from.

It states what is promised, from the document's roles; it is not read out of the policies. A new table belongs here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Command = Literal["select", "insert", "update", "delete", "remove"]
RANKS = ("viewer", "developer", "admin", "owner")

# Everybody who tries. A team's owner, admin, developer and viewer; the owner of another team; the owner's API keys
# bound to the team (`key_here`) and to another organization (`key_elsewhere`); a developer who left; a transaction
# that forgot its context; the service's and the worker's logins as they are.
PEOPLE = (*RANKS, "outsider", "left")
ACTORS = (*PEOPLE, "key_here", "key_elsewhere", "nobody", "service", "worker")


@dataclass(frozen=True)
class Access:
    """Who may, and the permission that an API key needs for it besides."""

    actors: frozenset[str] = frozenset()
    permission: str | None = None


NEVER = Access()
EVERYBODY = Access(frozenset({*PEOPLE, "key_here", "key_elsewhere"}))


def members(rank: str, permission: str) -> Access:
    """Members of the row's organization from a rank up, and the owner's key that is bound to it."""
    return Access(frozenset({*RANKS[RANKS.index(rank) :], "key_here"}), permission)


def oneself(permission: str | None = None, *, elsewhere: bool = True) -> Access:
    """The row's own person, who is the team's owner here, with each of their keys.

    :param elsewhere: whether also with a key that is bound to another organization.
    """
    return Access(frozenset({"owner", "key_here"} | ({"key_elsewhere"} if elsewhere else set())), permission)


@dataclass(frozen=True)
class Resource:
    """A table: who may see, add, change, delete and softly remove a row of a team."""

    table: str
    select: Access = NEVER
    insert: Access = NEVER
    update: Access = NEVER
    delete: Access = NEVER
    remove: Access = NEVER  # setting deleted_at, where there is one
    key: str = field(default="id", kw_only=True)
    change: str = field(default="created_at = created_at", kw_only=True)

    def access(self, command: Command) -> Access:
        """Who may run a command."""
        return getattr(self, command)


def owned(resource: str) -> tuple[Access, Access, Access, Access, Access]:
    """What most resources have: read by all, made and changed from developer up, softly removed from admin up."""
    return (
        members("viewer", f"{resource}:read"),
        members("developer", f"{resource}:create"),
        members("developer", f"{resource}:update"),
        NEVER,
        members("admin", f"{resource}:delete"),
    )


RESOURCES = (
    # people and organizations
    Resource("users", select=oneself(), update=oneself("profile:update"), change="name = 'Ann'"),
    Resource("organizations", select=members("viewer", "organizations:read"),
             update=members("admin", "organizations:update"), remove=members("owner", "organizations:delete"),
             change="description = 'changed'"),
    Resource("organization_members", select=members("viewer", "members:read"),
             insert=members("admin", "members:create"), update=members("admin", "members:update"),
             delete=members("admin", "members:delete"), change="role = 'developer'"),
    Resource("organization_invitations", select=members("viewer", "members:read"),
             insert=members("admin", "members:create"), update=members("admin", "members:update"),
             remove=members("admin", "members:delete"), change="expires_at = expires_at"),
    Resource("permissions", select=EVERYBODY),
    Resource("plans", select=EVERYBODY, key="name", change="name = name"),
    Resource("role_permissions", select=EVERYBODY),
    Resource("api_keys", select=members("developer", "api_keys:read"), insert=members("developer", "api_keys:create"),
             update=oneself("api_keys:update", elsewhere=False), remove=members("admin", "api_keys:delete"),
             change="name = 'changed'"),
    Resource("user_sessions", select=oneself("sessions:read"), update=oneself("sessions:delete"),
             change="ended_at = CURRENT_TIMESTAMP"),
    Resource("user_tokens", key="token_hash"),
    Resource("user_permissions", key="permission"),
    Resource("idempotency_keys", select=oneself(), insert=EVERYBODY, update=oneself(), delete=oneself(), key="key"),
    # integrations
    Resource("integrations", *owned("integrations"), change="description = 'changed'"),
    Resource("integration_versions", select=members("viewer", "integrations:read"),
             insert=members("developer", "integrations:update"), update=members("developer", "integrations:update")),
    Resource("integration_dependencies", select=members("viewer", "integrations:read"),
             insert=members("developer", "integrations:update"), update=members("developer", "integrations:update"),
             delete=members("developer", "integrations:update")),
    Resource("integration_templates", *owned("integration_templates")),
    Resource("integration_status_transitions", select=EVERYBODY, key="from_status", change="to_status = to_status"),
    Resource("integration_executions", select=members("viewer", "integration_executions:read"),
             insert=members("developer", "integration_executions:create"),
             update=members("developer", "integration_executions:update"), change="status = 'completed'"),
    Resource("integration_health_checks", select=members("viewer", "integrations:read"),
             insert=members("developer", "integrations:update")),
    # workflows
    Resource("workflows", *owned("workflows")),
    Resource("workflow_versions", select=members("viewer", "workflows:read")),
    Resource("workflow_executions", select=members("viewer", "workflow_executions:read"),
             insert=members("developer", "workflow_executions:create"),
             update=members("developer", "workflow_executions:update"), change="status = 'cancelled'"),
    Resource("workflow_step_executions", select=members("viewer", "workflow_executions:read"),
             insert=members("developer", "workflow_executions:update"),
             update=members("developer", "workflow_executions:update"), change="status = 'cancelled'"),
    Resource("workflow_status_transitions", select=EVERYBODY, key="from_status", change="to_status = to_status"),
    Resource("workflow_execution_logs", select=members("viewer", "workflow_executions:read")),
    Resource("schedules", *owned("schedules")),
    Resource("schedule_runs", select=members("viewer", "schedules:read"), key="schedule_id", change="due_at = due_at"),
    # webhooks, events, monitoring
    Resource("webhooks", *owned("webhooks"), change="url = url"),
    Resource("webhook_deliveries", select=members("viewer", "webhook_deliveries:read"),
             insert=members("developer", "webhook_deliveries:create"),
             update=members("developer", "webhook_deliveries:update"), change="status = 'pending'"),
    Resource("webhook_messages", key="message_id", change="sent_at = sent_at"),
    Resource("events", select=members("viewer", "events:read")),
    Resource("audit_logs", select=members("admin", "audit_logs:read")),
    Resource("metrics", select=members("viewer", "metrics:read"), insert=members("developer", "metrics:create"),
             change="value = 2"),
    # what only the database's own functions, the worker and the migrator reach
    Resource("rate_limits", key="subject", change="subject = subject"),
    Resource("mail_messages"),
    Resource("login_throttles", key="subject", change="subject = subject"),
    Resource("webhook_delivery_leases", key="delivery_id", change="attempt = attempt"),
    Resource("event_clocks", key="relation", change="relation = relation"),
    Resource("maintenance_runs", select=Access(frozenset({"worker"})), insert=Access(frozenset({"worker"})),
             update=Access(frozenset({"worker"})), change="row_count = 1"),
    Resource("backups"),
    Resource("operations_samples", key="name", change="value = 1"),
    Resource("schema_migrations", key="number", change="name = name"),
)  # fmt: skip
BY_TABLE = {resource.table: resource for resource in RESOURCES}
