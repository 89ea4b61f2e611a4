"""People and teams made straight in the database, and acting as them the way the service does."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from database.identity import CONTEXT
from tests.conftest import Database

Connection = psycopg.Connection[dict[str, Any]]

_numbers = itertools.count(1)
_SET_CONTEXT = "SELECT set_context(%s, %s, %s, NULL, NULL, 'request', '192.0.2.7', 'tests')"


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal, as credentials are stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


class People:
    """A connection with the service's own login, and what it takes to act as somebody through it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection: Connection = self.connect()

    def connect(self) -> Connection:
        """Another connection with the service's login."""
        return psycopg.connect(self.database.logins.service, autocommit=True, row_factory=dict_row)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def register(self, name: str = "Ann") -> str:
        """A new person; gives the id."""
        user_id = str(uuid.uuid4())
        values = [user_id, f"{name.lower()}-{next(_numbers)}@example.org", name, "$2b$04$not-a-real-hash"]
        self.connection.execute("SELECT register_user(%s, %s, %s, %s)", values)
        return user_id

    def team(self, owner: str, **roles: str) -> str:
        """A new organization of an owner, with further members given as name=role of people registered here."""
        with self.acting(owner, keep=True) as connection:
            values = ["Team", f"team-{uuid.uuid4()}"]
            row = connection.execute("SELECT id FROM create_organization(%s, %s, NULL, NULL)", values).fetchone()
        assert row is not None
        for user_id, role in roles.items():
            self.add(owner, str(row["id"]), user_id, role)
        return str(row["id"])

    def add(self, actor: str, organization_id: str, user_id: str, role: str) -> None:
        """Add somebody to a team."""
        with self.acting(actor, keep=True) as connection:
            connection.execute(
                "INSERT INTO organization_members (organization_id, user_id, role) VALUES (%s, %s, %s)",
                [organization_id, user_id, role],
            )

    def integration(self, author: str, organization_id: str, **values: Any) -> str:
        """A new draft; gives the id."""
        columns = {"name": "Stripe", "service_type": "rest", **values}
        names = ", ".join(columns)
        with self.acting(author, keep=True) as connection:
            row = connection.execute(
                f"INSERT INTO integrations (author_id, organization_id, {names})"
                f" VALUES (%s, %s{', %s' * len(columns)}) RETURNING id",
                [author, organization_id, *columns.values()],
            ).fetchone()
        assert row is not None
        return str(row["id"])

    @contextmanager
    def acting(
        self,
        user_id: str | None,
        *,
        organization_id: str | None = None,
        permissions: list[str] | None = None,
        keep: bool = False,
        connection: Connection | None = None,
    ) -> Iterator[Connection]:
        """A transaction as that person, or as their API key where `organization_id` or `permissions` narrow it.

        :param user_id: None for a transaction that forgot its context.
        :param keep: whether to commit in the end.
        :param connection: the connection to act through, this one's by default.
        """
        chosen = connection or self.connection
        with chosen.transaction(force_rollback=not keep):
            chosen.execute(_SET_CONTEXT, [user_id, organization_id, permissions])
            chosen.execute(CONTEXT.become_user.text)
            yield chosen

    @contextmanager
    def authenticated(self, kind: str, secret: str) -> Iterator[Connection]:
        """A transaction of whoever presents a credential, undone in the end.

        :param kind: `api_key` or `session`.
        """
        function = {"api_key": "authenticate_api_key", "session": "authenticate_session"}[kind]
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(f"SELECT {function}(%s, NULL, NULL, NULL)", [digest(secret)])
            self.connection.execute(CONTEXT.become_user.text)
            yield self.connection
