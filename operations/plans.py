"""Plans and limits of organizations, set by whoever runs the service."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from database.queries import Query, load

QUERIES = load("plans")


class PlanError(Exception):
    """There is no such organization or plan; the message says which."""


def set_plan(url: str, organization_id: UUID, plan: str | None, limits: dict[str, int | None]) -> dict[str, Any]:
    """Put an organization on a plan, or give it limits of its own.

    :param url: an administrator's login.
    :param plan: stays as it is when None.
    :param limits: how many it may have of what, None for as many as it likes; those left out stay.
    :return: its `plan`, `limits` and `usage_stats`.
    :raises PlanError: there is no such organization or plan.
    """
    try:
        row = _run(url, QUERIES.set_plan, organization_id=organization_id, plan=plan, limits=Jsonb(limits))
    except psycopg.errors.IntegrityError as error:
        raise PlanError(f"there is no plan {plan}") from error
    if row is None:
        raise PlanError(f"there is no organization {organization_id}")
    return row


def recount_usage(url: str, organization_id: UUID) -> dict[str, Any]:
    """Count what an organization has anew, for rows that were loaded past the triggers.

    :param url: an administrator's login.
    :return: its `usage_stats`.
    """
    row = _run(url, QUERIES.recount_usage, organization_id=organization_id)
    return dict(row["usage_stats"]) if row else {}


def _run(url: str, query: Query, **values: Any) -> dict[str, Any] | None:
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor, row_factory=dict_row) as connection:
        connection.execute("SET ROLE ccb_owner")
        return connection.execute(query.text, [values[name] for name in query.parameters]).fetchone()
