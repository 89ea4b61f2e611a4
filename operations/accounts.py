"""What operators do to accounts: the command line is the only way."""

from __future__ import annotations

import psycopg

from database.queries import Query, load

QUERIES = load("accounts")
MIGRATOR = load("schema_migrations")


class NoSuchAccount(Exception):
    """Nobody has this address."""


def set_active(url: str, email: str, is_active: bool) -> None:
    """Deactivate an account, which ends its sessions and lets its API keys rest, or activate it again.

    :param url: an administrator's login.
    :raises NoSuchAccount: nobody has the address.
    """
    _call(url, QUERIES.set_active, email, is_active)


def set_permission(url: str, email: str, permission: str, is_given: bool) -> None:
    """Give an operator's permission to an active account, or take it back.

    :param url: an administrator's login.
    :param permission: `operations:read` or `operations:run`.
    :raises NoSuchAccount: nobody has the address.
    :raises psycopg.errors.IntegrityError: there is no such operator's permission.
    """
    _call(url, QUERIES.set_operator_permission, email, permission, is_given)


def _call(url: str, query: Query, email: str, *values: object) -> None:
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(MIGRATOR.become_owner.text)
        row = connection.execute(query.text, [email, *values]).fetchone()
    if row is None or row[0] is None:
        raise NoSuchAccount(f"nobody has the address {email}")
