"""Audit logs: who did what."""

from __future__ import annotations

from typing import Any

from database import Row, load
from repositories.repository import Order, Page, Repository


class AuditLogs(Repository):
    """Audit logs of the caller's organizations."""

    queries = load("audit_logs")

    def get(self, audit_log_id: object) -> Row:
        """One audit log."""
        return self.connection.one(self.queries.get, audit_log_id=audit_log_id)

    def find(self, *, order: Order, **filters: Any) -> Page:
        """A page of audit logs."""
        return self.page(self.queries.list, order, **filters)
