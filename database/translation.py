"""What the database's errors mean in the product's words: SQLSTATE and constraint, never message text."""

from __future__ import annotations

from typing import Any

import orjson
import psycopg

from database.queries import Query
from errors import (
    Conflict,
    DomainError,
    Duplicate,
    Forbidden,
    ForbiddenTransition,
    Invalid,
    LargePage,
    LastOwner,
    LimitExceeded,
    PlansOutdated,
    RankTooLow,
    RateLimited,
    Unauthenticated,
    Unavailable,
)

# constraint → the field at fault, and a sentence about it
UNIQUE = {
    "uq_users_email": ("/email", "This e-mail address is registered already."),
    "uq_organizations_slug": ("/slug", "This slug is taken."),
    "uq_organization_members_organization_id_user_id": ("/email", "This user is a member already."),
    "uq_organization_invitations_open": ("/email", "This address has been invited already."),
    "pk_integration_templates": ("/id", "This template id is taken."),
    "uq_integration_versions_integration_id_version": ("/version", "This version exists already."),
    "uq_integration_dependencies_integration_id_dependency_name":
        ("/dependency_name", "This dependency is there already."),
    "idx_webhooks_url_integration": ("/url", "This integration has a webhook with this URL already."),
}  # fmt: skip
REFERENCES = {
    "fk_integrations_integration_templates": ("/template_id", "There is no such template."),
    "fk_metrics_integrations": ("/points", "A point names an integration that the organization does not have."),
    "fk_integrations_organizations": ("/organization_id", "There is no such organization."),
    "fk_workflows_organizations": ("/organization_id", "There is no such organization."),
    "fk_workflow_executions_integrations": ("/integration_id", "The workflow's organization has no such integration."),
    "fk_schedules_integrations": ("/integration_id", "The schedule's organization has no such integration."),
    "fk_schedules_workflows": ("/workflow_id", "The schedule's organization has no such workflow."),
}
# Where PostgreSQL finds that a plan no longer fits what a table has become: before it runs one, and where a function
# that waited for the migration returns a row.
OUTDATED = {"RevalidateCachedQuery", "build_attrmap_by_position"}
CONTRADICTIONS = {"ck_organizations_personal": ("", "A personal organization stays as long as its user.")}
CHECKS = {
    "ck_schedules_target": ("/workflow_id", "Either this or integration_id is needed, not both."),
    "ck_webhooks_events": (
        "/events",
        "An event type that there is not: see /event-types.",
    ),
    "ck_webhooks_filter": (
        "/filter",
        "Not a filter: a comparison of one path with a value, or several joined by && and ||.",
    ),
    "ck_organizations_slug": ("/slug", "Letters, digits and inner hyphens only."),
    "ck_integration_templates_id": ("/id", "Lower-case letters, digits and inner hyphens only."),
}


def translate(error: Exception, query: Query) -> Exception:
    """The domain error that a database error stands for.

    :param query: the statement that failed; it knows the permission that its policies ask for.
    :return: the error itself where it has no meaning for a caller: a fault of ours, answered 500 and logged.
    """
    if isinstance(error, UnicodeError):
        return Invalid("The text holds characters that cannot be stored.")
    if not isinstance(error, psycopg.Error):
        return error
    state = error.sqlstate
    if state is None:
        if isinstance(error, psycopg.DataError):
            return Invalid("The text holds characters that cannot be stored, such as NUL.")
        return Unavailable("The database cannot be reached.")
    if state.startswith("CB"):
        return _own(state, error)
    constraint = error.diag.constraint_name or ""
    match state:
        case "42501":
            return refusal(query.permission, read=_read_by_answer(query))
        case "23505":
            return _at(Duplicate, UNIQUE, constraint, "This value is taken.")
        case "23503":
            return _at(Invalid, REFERENCES, constraint, "Something this refers to does not exist.")
        case "23514":
            if constraint in CONTRADICTIONS:
                return _at(Conflict, CONTRADICTIONS, constraint, "")
            return _at(Invalid, CHECKS, constraint, "The value is outside of what is allowed.")
        case "0A000" | "42804" if error.diag.source_function in OUTDATED:
            return PlansOutdated("The schema has just changed; try again.")
        case "26000":  # a prepared statement that the server, or a pooler's other connection to it, does not have
            return PlansOutdated("The schema has just changed; try again.")
        case "40001" | "40P01":
            return Unavailable("Others changed the same rows at the same moment; try again.")
        case "55P03" | "57014":
            return Unavailable("The database did not answer in time.")
    if state[:2] in ("08", "53", "57", "58"):
        return Unavailable("The database cannot be reached.")
    if state.startswith("22"):
        return Invalid("A value is out of range or cannot be stored.")
    return error


def refusal(permission: str | None, *, read: str | None = None) -> Forbidden:
    """The caller sees the thing, but lacks the permission to do this to it.

    :param read: a permission that the answer needs besides, where it may be the one that lacks.
    """
    if permission is None:
        return Forbidden("This credential may not do this.")
    besides = f", and {read} for the answer, which shows what was made" if read else ""
    return Forbidden(f"This needs the permission {permission}{besides}.", permission=permission)


def _read_by_answer(query: Query) -> str | None:
    # what an INSERT returns has to pass the policies of SELECT too, and PostgreSQL does not say which of them refused
    if query.permission is None or "INSERT INTO" not in query.text or "RETURNING" not in query.text:
        return None
    return query.permission.partition(":")[0] + ":read"


def _own(state: str, error: psycopg.Error) -> DomainError:
    details: dict[str, Any] = orjson.loads(error.diag.message_detail or "{}")
    sentence = (error.diag.message_primary or "").capitalize() + "."
    match state:
        case "CB001":
            return ForbiddenTransition(sentence, allowed=details["allowed"], current=details["from"])
        case "CB002":
            return LastOwner(sentence, **details)
        case "CB003":
            return LimitExceeded(sentence, **details)
        case "CB006":
            return RankTooLow(sentence)
        case "CB060":
            return LargePage(sentence)
        case "CB403":
            return Forbidden(sentence)
        case "CB007":
            return Invalid(sentence, errors=[{"pointer": "/permissions", "detail": sentence}])
        case "CB401":
            reason = {
                "unknown": "This credential is not known.",
                "revoked": "This API key has been revoked.",
                "expired": "This credential has expired.",
                "ended": "This session has ended.",
                "deactivated": "This account has been deactivated.",
            }[details["reason"]]
            return Unauthenticated(reason)
        case "CB429":
            headers = {
                "Retry-After": str(details["retry_after"]),
                "RateLimit-Policy": f'"hour";q={details["limit"]};w=3600',
                "RateLimit": f'"hour";r=0;t={details["retry_after"]}',
            }
            return RateLimited("The hourly budget of this credential is used up.", headers=headers)
    return Conflict(sentence)


def _at(kind: type[DomainError], meanings: dict[str, tuple[str, str]], constraint: str, otherwise: str) -> DomainError:
    pointer, sentence = meanings.get(constraint, ("", otherwise))
    return kind(sentence, errors=[{"pointer": pointer, "detail": sentence}])
