"""What callers tried and may not do, for the audit log."""

from __future__ import annotations

from typing import Any

from database import load
from repositories.repository import Repository


class Refusals(Repository):
    """The caller's refused changes."""

    queries = load("refusals")

    def record(self, **values: Any) -> None:
        """Append a refusal.

        :param values: `action`, `resource_type`, `resource_id`, `details`; `organization_id` where the request names
            it, otherwise `named_type` and `named_id` of the aggregate whose organization it is.
        """
        self.connection.execute(self.queries.record, **values)
