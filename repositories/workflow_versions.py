"""Versions of workflows."""

from __future__ import annotations

from typing import Any

from database import Row, load, parsed
from repositories.repository import Order, Page, Repository


class WorkflowVersions(Repository):
    """Versions of one workflow's definition. The database writes them; here they are read."""

    queries = load("workflow_versions")
    parents = load("workflows")

    def get(self, workflow_id: object, version_id: object) -> Row:
        """One version."""
        return self.connection.one(self.queries.get, workflow_id=workflow_id, version_id=version_id)

    def definition(self, workflow_id: object, version_id: object) -> dict[str, Any]:
        """The definition of one version."""
        return dict(parsed(self.get(workflow_id, version_id)["definition"]))

    def find(self, workflow_id: object, *, order: Order) -> Page:
        """A page of versions, without the definitions.

        :raises errors.NotFound: the caller sees no such workflow.
        """
        self.expect(self.parents.get, workflow_id=workflow_id)
        return self.page(self.queries.list, order, workflow_id=workflow_id)
