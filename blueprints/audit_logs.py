"""Audit logs."""

from __future__ import annotations

from typing import Any

from flask import Response

from database import statement
from repositories.audit_logs import AuditLogs
from schemas.audit_logs import AuditLog, AuditLogExportFilters, AuditLogFilters
from web.blueprint import Blueprint
from web.caller import caller
from web.export import export
from web.paging import page

blueprint = Blueprint("audit-logs", __name__, url_prefix="/audit-logs", description="Who did what: append-only.")


@blueprint.get("")
@blueprint.arguments(AuditLogFilters, location="query")
@blueprint.page(AuditLog)
def list_audit_logs(query: dict[str, Any]) -> Response:
    """List what was done and by whom, refusals and failed logins included."""
    with statement(caller()) as connection:
        return page(AuditLogs(connection).find, query)


@blueprint.get("/export")
@blueprint.arguments(AuditLogExportFilters, location="query")
@blueprint.export(AuditLog)
def export_audit_logs(query: dict[str, Any]) -> Response:
    """Export audit logs as NDJSON or CSV, with the filters of the list."""
    return export(AuditLogs, AuditLog, query)
