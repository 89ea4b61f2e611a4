"""The record of what was refused: who tried what, and which permission it would have needed."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import orjson
from flask import request

from database import Connection, Identity, transaction
from errors import DomainError, Forbidden, NotFound
from repositories.refusals import Refusals
from web.answers import READING

MAKING = ("create", "add")

logger = logging.getLogger("ccb.refusals")


def record_refusal(identity: Identity, error: Forbidden) -> DomainError:
    """Append what was refused to the audit log, after its transaction was undone and in one of its own.

    What goes wrong here is logged and leaves the answer as it is.

    :return: what to answer: of an organization that the caller does not see there is nothing to refuse.
    """
    try:
        with transaction(identity) as connection:
            return _recorded(connection, error, _organization_of_body(), _described(error))
    except Exception:
        logger.exception("a refusal was not recorded")
        return error


def record_refused_item(
    connection: Connection, error: Forbidden, item_id: str | None, values: dict[str, Any]
) -> DomainError:
    """As :func:`record_refusal`, for one item of many, whose transaction goes on.

    :param item_id: what was to be changed; None for something new.
    :param values: what it was to be.
    """
    described = _described(error)
    noun = _singular(described["resource_type"])
    if item_id is not None:
        described |= {"resource_id": item_id, "named_type": noun, "named_id": item_id}
    try:
        with connection.savepoint():
            organization_id = values.get("organization_id")
            described |= {"resource_type": noun, "organization_id": organization_id}
            return _recorded(connection, error, organization_id, described)
    except Exception:
        logger.exception("a refusal was not recorded")
        return error


def _recorded(
    connection: Connection, error: Forbidden, organization_id: object, described: dict[str, Any]
) -> DomainError:
    refusals, permission = Refusals(connection), error.members.get("permission")
    if organization_id is not None and permission is not None and not refusals.sees(organization_id, permission):
        detail = "There is no such organization, or it is none of this credential's."
        return NotFound(detail, errors=[{"pointer": "/organization_id", "detail": detail}])
    refusals.record(**described)
    return error


def _described(error: Forbidden) -> dict[str, Any]:
    permission = error.members.get("permission")
    details = {"code": error.code, "permission": permission, "method": request.method, "path": request.path}
    verb, _, noun = (request.endpoint or "").rpartition(".")[2].partition("_")  # as in change_integration
    resource, action = permission.split(":") if permission else (noun, verb)
    if request.method in READING:
        action = "read"  # whichever permission it would have needed, as for what was deleted
    named = [(name.removesuffix("_id"), str(value)) for name, value in (request.view_args or {}).items()]
    named_type, named_id = named[0] if named else (None, None)
    return {
        "action": f"{_singular(resource)}.{action}",
        "resource_type": noun,
        # what the path names last, unless that is the parent of something new
        "resource_id": named[-1][1] if named and verb not in MAKING else None,
        "organization_id": named_id if named_type == "organization" else _organization_of_body(),
        "named_type": named_type,
        "named_id": named_id,
        "details": {name: value for name, value in details.items() if value is not None},
    }


def _organization_of_body() -> str | None:
    try:
        return str(UUID(orjson.loads(request.get_data())["organization_id"]))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def _singular(noun: str) -> str:
    return f"{noun.removesuffix('ies')}y" if noun.endswith("ies") else noun.removesuffix("s")
