"""The team whose rows everybody tries to reach, and everybody who tries."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.conftest import Database
from tests.sql.people import Connection, People, digest
from tests.sql.statements import named_statements
from tests.sql.tenancy_table import BY_TABLE, PEOPLE, RANKS, RESOURCES

_numbers = itertools.count(1)
INSERTS = named_statements("rows")
# parents before the children that name them
_ORDER = ("integrations", "workflows", "workflow_executions", "webhooks", "schedules", "permissions")


class World:
    """One team with a row in every table, another team beside it."""

    def __init__(self, database: Database) -> None:
        self.people = People(database)
        self.worker: Connection = psycopg.connect(database.logins.worker, autocommit=True, row_factory=dict_row)
        self.ids = {name: self.people.register(name) for name in (*PEOPLE, "newcomer", "member")}
        self.team = self.people.team(self.ids["owner"])
        for name in RANKS[:-1]:
            self.people.add(self.ids["owner"], self.team, self.ids[name], name)
        self.people.add(self.ids["owner"], self.team, self.ids["left"], "developer")
        self.other_team = self.people.team(self.ids["outsider"])
        self.parents: dict[str, Any] = {}
        self.rows: dict[str, Any] = {}
        with database.admin() as admin:
            self.personal_organization = self._one(
                admin, "SELECT id FROM organizations WHERE personal_user_id = %s", [self.ids["owner"]]
            )
            self.all_permissions = [row["name"] for row in admin.execute("SELECT name FROM permissions")]
            self.soft_deleting = {row["name"] for row in admin.execute(
                "SELECT attrelid::regclass::text AS name FROM pg_attribute WHERE attname = 'deleted_at'"
            )}  # fmt: skip
            for table in (*_ORDER, *(resource.table for resource in RESOURCES if resource.table not in _ORDER)):
                self._arrange(admin, table)
            # the person, the team and the membership themselves, rather than rows beside them
            self.rows["users"], self.rows["organizations"] = self.ids["owner"], self.team
        with self.people.acting(self.ids["left"], keep=True) as connection:
            connection.execute(
                "DELETE FROM organization_members WHERE user_id = current_user_id() AND organization_id = %s",
                [self.team],
            )
        self._credentials()

    def close(self) -> None:
        """Close the connections."""
        self.people.close()
        self.worker.close()

    def insert(self, connection: Connection, table: str, actor: str) -> int:
        """Try to add a row to the team's, in the actor's name; gives the number of rows."""
        person = actor if actor in self.ids else "owner"
        values = {
            **self.parents,
            "organization_id": self.team,
            "user_id": self.ids[person],
            "newcomer_id": self.ids["newcomer"],
            "unique": f"row-{next(_numbers)}",
        }
        return connection.execute(INSERTS[table], values).rowcount

    @contextmanager
    def acting(self, actor: str) -> Iterator[Connection]:
        """A transaction as an actor, undone in the end."""
        if actor in ("service", "worker"):
            connection = self.worker if actor == "worker" else self.people.connection
            with connection.transaction(force_rollback=True):
                yield connection
            return
        if actor == "nobody":
            with self.people.acting(None) as connection:
                yield connection
            return
        with self.people.authenticated("api_key" if actor.startswith("key_") else "session", actor) as connection:
            yield connection

    @contextmanager
    def acting_with(self, permissions: list[str]) -> Iterator[Connection]:
        """A transaction with a key of the owner's that has these permissions only, undone in the end."""
        with self.people.acting(self.ids["owner"], permissions=permissions) as connection:
            yield connection

    def _arrange(self, admin: psycopg.Connection[Any], table: str) -> None:
        key = BY_TABLE[table].key
        values = {
            **self.parents,
            "organization_id": self.team,
            "user_id": self.ids["owner"],
            "newcomer_id": self.ids["member"],
            "unique": f"arranged-{table.replace('_', '-')}",
        }
        self.rows[table] = self._one(admin, f"{INSERTS[table]} RETURNING {key}", values)
        self.parents[f"{table.removesuffix('s')}_id"] = self.rows[table]

    def _credentials(self) -> None:
        """A session for each person, named by the actor, and the owner's two bound keys."""
        for name in PEOPLE:
            self.people.connection.execute(
                "SELECT begin_session(%s, %s, %s, %s, 3600, 3600, 'account', 'address')",
                [self.ids[name], uuid.uuid4(), digest(name), digest(f"refresh {name}")],
            )
        for name, organization_id in (("key_here", self.team), ("key_elsewhere", self.personal_organization)):
            with self.people.acting(self.ids["owner"], keep=True) as connection:
                connection.execute(
                    "INSERT INTO api_keys (user_id, organization_id, name, key_hash, key_prefix, permissions)"
                    " VALUES (%s, %s, 'key', %s, 'ccb_abc', '{*}')",
                    [self.ids["owner"], organization_id, digest(name)],
                )

    @staticmethod
    def _one(connection: psycopg.Connection[Any], statement: str, values: Any) -> Any:
        row = connection.execute(statement, values).fetchone()
        assert row is not None
        return next(iter(row.values()))
