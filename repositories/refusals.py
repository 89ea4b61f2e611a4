"""What callers tried and may not do, for the audit log."""

from __future__ import annotations

from typing import Any

from database import load
from repositories.repository import Repository


class Refusals(Repository):
    """The caller's refused changes."""

    queries = load("refusals")

    def sees(self, organization_id: object, permission: str) -> bool:
        """Whether the caller may know of an organization for which it may not do what needs the permission."""
        row = self.connection.one(self.queries.sees, organization_id=organization_id, permission=permission)
        return bool(row["sees"])

    def record(self, **values: Any) -> None:
        """Append a refusal.

        :param values: `action`, `resource_type`, `resource_id`, `details`; `organization_id` where the request names
            it, otherwise `named_type` and `named_id` of the aggregate whose organization it is.
        """
        self.connection.execute(self.queries.record, **values)
