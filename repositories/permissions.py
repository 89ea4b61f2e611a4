"""Permissions and roles."""

from __future__ import annotations

from database import Row, load
from repositories.repository import Repository


class Permissions(Repository):
    """What there is to permit, and who may."""

    queries = load("permissions")

    def find_all(self) -> list[Row]:
        """All permissions."""
        return self.connection.many(self.queries.list)

    def get(self, permission_name: str) -> Row:
        """One permission."""
        return self.connection.one(self.queries.get, permission_name=permission_name)

    def get_role(self, role: str) -> Row:
        """One role with its permissions."""
        return self.connection.one(self.queries.get_role, role=role)

    def find_by_role(self) -> list[Row]:
        """The roles with their permissions, from the lowest rank to the highest."""
        return self.connection.many(self.queries.list_by_role)
