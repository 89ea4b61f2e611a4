"""The logins of the service's processes are powerless: tenants are kept apart by nothing but their policies."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from config import ConfigurationError
from database.queries import load

QUERIES = load("roles")
REASONS = {
    "is_superuser": "is a superuser",
    "bypasses_rls": "bypasses row level security",
    "is_owner": "owns the tables",
    "makes_roles": "may create roles",
}


def refuse_powers(url: str) -> None:
    """Check that a login is as powerless as it must be.

    :raises config.ConfigurationError: it is, or may become, a superuser, a role that bypasses row level security, one
        that owns our tables or materialized views, or one that may create roles.
    :raises psycopg.OperationalError: the database cannot be reached.
    """
    with psycopg.connect(url, connect_timeout=5) as connection:
        refuse_powerful(connection)


def expect_service(url: str) -> None:
    """Check that a login may do what the web processes need: another one would refuse every caller.

    :raises config.ConfigurationError: it may not authenticate anybody.
    :raises psycopg.OperationalError: the database cannot be reached.
    """
    with psycopg.connect(url, connect_timeout=5) as connection:
        may_serve, name = connection.execute(QUERIES.may_serve.text).fetchone() or (False, "")
    if not may_serve:
        raise ConfigurationError(
            f"SERVICE_DATABASE_URL: {name} may not authenticate anybody; give a login like ccb_service"
        )


def refuse_powerful(connection: psycopg.Connection[Any]) -> None:
    """As :func:`refuse_powers`, for a connection that is there."""
    with connection.cursor(row_factory=dict_row) as cursor:
        powers = cursor.execute(QUERIES.powers.text).fetchone() or {}
    for power, reason in REASONS.items():
        if powers[power]:
            raise ConfigurationError(
                f"the database login {powers['name']} {reason}, so tenants would not be kept apart"
            )
