"""Health checks as the worker sees them."""

from __future__ import annotations

from dataclasses import dataclass

from database import load
from repositories.repository import Repository


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One that was claimed.

    :param url: None where the integration is gone, or has no place to ask any more.
    """

    id: str
    lease_token: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: `healthy`, `unhealthy`, or `failed` where nobody could be asked.

    :param latency_ms: milliseconds until there was an answer, or none.
    """

    status: str
    http_status: int | None = None
    latency_ms: int | None = None
    error_message: str | None = None


class HealthCheckQueue(Repository):
    """The queue. Whoever claims reports before the lease ends; then the check is anybody's again."""

    queries = load("health_check_queue")

    def claim(self, batch: int, lease_seconds: float) -> list[HealthCheck]:
        """Take up to a number of due checks."""
        rows = self.connection.many(self.queries.claim, batch=batch, lease_seconds=lease_seconds)
        return [HealthCheck(**row) for row in rows]

    def complete(self, check: HealthCheck, finding: Finding) -> bool:
        """Report on a check; False where the lease has gone to somebody else."""
        row = self.connection.one(
            self.queries.complete,
            id=check.id,
            lease_token=check.lease_token,
            status=finding.status,
            http_status=finding.http_status,
            latency_ms=finding.latency_ms,
            error_message=finding.error_message,
        )
        return bool(row["is_taken"])
