"""Audit logs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response

from database import statement
from repositories.audit_logs import AuditLogs
from schemas.audit_logs import AuditLog, AuditLogExportFilters, AuditLogFilters
from schemas.lists import Sparse
from web.answers import single
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


@blueprint.get("/<uuid:audit_log_id>")
@blueprint.arguments(Sparse, location="query")
@blueprint.response(200, AuditLog)
def get_audit_log(query: dict[str, Any], audit_log_id: UUID) -> Response:
    """Get one thing that was done, or refused."""
    with statement(caller()) as connection:
        return single(AuditLogs(connection).get(audit_log_id))
