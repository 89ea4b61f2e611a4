"""Steps of executions of workflows."""

from __future__ import annotations

from typing import Any

from database import Row, load
from repositories.repository import Order, Page, Repository


class WorkflowSteps(Repository):
    """Steps of one execution."""

    queries = load("workflow_steps")
    parents = load("workflow_executions")

    def get(self, execution_id: object, step_id: object) -> Row:
        """One step."""
        return self.connection.one(self.queries.get, execution_id=execution_id, step_id=step_id)

    def find(self, execution_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of steps, without what went in and came out.

        :raises errors.NotFound: the caller sees no such execution.
        """
        self.expect(self.parents.get, execution_id=execution_id)
        return self.page(self.queries.list, order, execution_id=execution_id, **filters)
