"""People."""

from __future__ import annotations

from typing import Any

from database import Row, load
from repositories.repository import Repository


class Users(Repository):
    """The caller's own profile, and what comes before there is a caller."""

    queries = load("users")

    def get(self) -> Row:
        """The caller's profile."""
        return self.connection.one(self.queries.get)

    def update(self, versions: list[int] | None, changes: dict[str, Any]) -> Row:
        """Merge changes into the caller's profile."""
        return self.change(self.queries.update, versions=versions, changes=changes)

    def activity(self) -> Row:
        """What the caller did in the last thirty days."""
        return self.connection.one(self.queries.get_activity)

    def close(self, versions: list[int] | None) -> None:
        """End the caller's account.

        :raises errors.LastOwner: an organization with other members would be left without an owner; the answer names
            those organizations.
        :raises errors.Forbidden: the caller is an API key.
        """
        self.change(self.queries.close, versions=versions)

    def register(self, *, user_id: object, email: str, name: str, password_hash: str) -> str:
        """A new person with a personal organization, whose id it gives."""
        values = {"user_id": user_id, "email": email, "name": name, "password_hash": password_hash}
        return str(self.connection.one(self.queries.register, **values)["organization_id"])

    def begin_login(self, *, account: str, address: str, email: str) -> Row:
        """Count an attempt to sign in.

        :param account: hash of the e-mail address, under which failures are counted.
        :param address: hash of the network address, likewise.
        :return: `user_id` and `password_hash` (None where there is no account), `wait_seconds`.
        """
        return self.connection.one(self.queries.begin_login, account=account, address=address, email=email)

    def fail_login(self, *, user_id: str | None, account: str) -> None:
        """Keep a failed attempt for the record."""
        self.connection.execute(self.queries.fail_login, user_id=user_id, account=account)
