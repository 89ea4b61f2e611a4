"""Executions of workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from database import Query, Row, load, parsed
from database.translation import refusal
from errors import ForbiddenTransition, WorkflowInactive
from repositories.repository import Order, Page, Repository

MOST_AT_ONCE = 1000


class WorkflowExecutions(Repository):
    """Executions that the caller may see, start and steer."""

    queries = load("workflow_executions")

    def get(self, execution_id: object) -> Row:
        """One execution."""
        return self.connection.one(self.queries.get, execution_id=execution_id)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of executions, without their input and result."""
        if filters["workflow_id"] is not None and order.key == "created_at":
            return self.page(self.queries.list_of_workflow, order, **filters)
        return self.page(self.queries.list, order, **filters)

    def start(
        self,
        workflow_id: object,
        check: Callable[[Any, dict[str, Any]], None],
        input_parameters: dict[str, Any],
        **values: Any,
    ) -> Row:
        """A new execution of a workflow's present version, pending.

        :param check: gets the schema of the definition's input, None where it has none, and the input.
        :raises errors.NotFound: the caller sees no such workflow.
        :raises errors.WorkflowInactive: it may not be started.
        """
        workflow = self.connection.one(self.queries.startable, workflow_id=workflow_id)
        if not workflow["is_active"]:
            raise WorkflowInactive
        check(parsed(workflow["input_schema"]), input_parameters)
        row = self.connection.maybe(
            self.queries.start,
            workflow_id=workflow_id,
            workflow_version_number=workflow["definition_version"],
            input_parameters=input_parameters,
            **values,
        )
        if row is None:  # deactivated or deleted meanwhile
            raise WorkflowInactive
        return row

    def cancel(self, execution_id: object) -> Row:
        """Cancel an execution: at once, or at the next heartbeat of whoever runs it.

        :raises errors.ForbiddenTransition: it has ended.
        """
        return self._move(self.queries.cancel, execution_id)

    def suspend(self, execution_id: object) -> Row:
        """Suspend an execution: at once, or at the next heartbeat of whoever runs it.

        :raises errors.ForbiddenTransition: it has ended, or is suspended.
        """
        return self._move(self.queries.suspend, execution_id)

    def resume(self, execution_id: object) -> Row:
        """Let a suspended execution go on.

        :raises errors.ForbiddenTransition: it is not suspended.
        """
        return self._move(self.queries.resume, execution_id)

    def retry(self, execution_id: object) -> Row:
        """Let an execution that failed or was cancelled go on from the steps that did not succeed.

        :raises errors.ForbiddenTransition: it has neither failed nor been cancelled.
        """
        return self._move(self.queries.retry, execution_id)

    def cancel_all(self, **filters: Any) -> list[Row]:
        """Cancel the oldest that match, MOST_AT_ONCE at a time; gives id and status of each.

        :raises errors.Forbidden: the caller may cancel none at all.
        """
        return self._move_all(self.queries.cancel_all, filters)

    def retry_all(self, **filters: Any) -> list[Row]:
        """Try the oldest again that match and failed or were cancelled, as :meth:`cancel_all`."""
        return self._move_all(self.queries.retry_all, filters)

    def find_logs(self, execution_id: object, *, order: Order, **filters: Any) -> Page:
        """A page of what was logged.

        :raises errors.NotFound: the caller sees no such execution.
        """
        self.expect(self.queries.get, execution_id=execution_id)
        return self.page(self.queries.list_logs, order, execution_id=execution_id, **filters)

    def _move_all(self, move: Query, filters: dict[str, Any]) -> list[Row]:
        rows = self.connection.many(move, most=MOST_AT_ONCE, **filters)
        if (
            not rows
            and self.connection.maybe(self.queries.may_move, organization_id=filters.get("organization_id")) is None
        ):
            raise refusal(move.permission)
        return rows

    def _move(self, move: Query, execution_id: object) -> Row:
        locked = self.change(self.queries.lock, execution_id=execution_id, versions=None)
        row = self.connection.maybe(move, execution_id=execution_id)
        if row is None:
            status, verb = locked["status"], move.name.partition(".")[2]
            allowed = [each["to_status"] for each in self.connection.many(self.queries.allowed_statuses, status=status)]
            raise ForbiddenTransition(f"It is {status}: it cannot {verb}.", allowed=allowed, current=status)
        return row
