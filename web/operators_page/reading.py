"""What the page reads, all of it in one transaction; a report that fails does not take the others along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from database import Identity, Row, transaction
from errors import DomainError
from repositories.operations import Operations, Report
from repositories.samples import Samples
from web.operators_page.trends import PRESENCE, Period, Trends

NAMES = (
    "requests", "failed_requests", "slow_requests", "request_seconds", "attempts", "executions",
    "queue_depth", "queue_oldest_seconds", "webhooks_failing", PRESENCE,
)  # fmt: skip
SHOWN = (
    "gauges", "failing-webhooks", "table-sizes", "slow-queries", "running-queries", "locks", "connections",
    "invalid-indexes", "cache-hit-rate", "bloat", "partitions", "replication", "backups",
)  # fmt: skip
RECENTLY = timedelta(minutes=10)  # what is judged by
DAYS = 14  # of the tables' growth
CLOCKS_DIFFER = timedelta(minutes=1)  # ours and the database's, at most

Result = TypeVar("Result")


@dataclass(frozen=True)
class Backups:
    """The backups of a kind: when the last one was made, and when one was last proven by restoring it."""

    kind: str
    made_at: datetime
    proven_at: datetime | None

    @property
    def name(self) -> str:
        """What they are called."""
        return "base backup" if self.kind == "base" else "backup"


@dataclass
class Reading:
    """The state of the service at a moment.

    :param faults: by report, why it could not be read.
    """

    at: datetime
    period: Period
    may_run: bool = False
    runs: list[Row] = field(default_factory=list)
    reports: dict[str, Report] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    trends: Trends = field(init=False)
    recent: Trends = field(init=False)
    sizes: Trends = field(init=False)

    def rows(self, report: str) -> list[Row]:
        """The rows of a report; none where it could not be read."""
        return self.reports[report].rows if report in self.reports else []

    def gauges(self, name: str) -> dict[str, float]:
        """Gauges of a name, by label."""
        return {row["label"] or "": row["value"] for row in self.rows("gauges") if row["gauge"] == name}

    def gauge(self, name: str) -> float | None:
        """A gauge that there is one of."""
        return next(iter(self.gauges(name).values()), None)

    def backups(self) -> list[Backups]:
        """The kinds of backups that there are."""
        kinds: dict[str, list[Row]] = {}
        for row in self.rows("backups"):
            if self.has_been(row["created_at"]):
                kinds.setdefault(row.get("kind", "dump"), []).append(row)
        return [
            Backups(
                kind,
                max(row["created_at"] for row in made),
                max((row["verified_at"] for row in made if self.has_been(row["verified_at"])), default=None),
            )
            for kind, made in sorted(kinds.items(), reverse=True)
        ]

    def has_been(self, at: datetime | None) -> bool:
        """Whether a moment has come; what a clock that was set back left in the future counts for nothing."""
        return at is not None and at <= self.at + CLOCKS_DIFFER


def read(identity: Identity, period: Period) -> Reading:
    """Read everything.

    :raises errors.Forbidden: the caller is no operator.
    :raises errors.Unavailable: the database is away.
    """
    now = datetime.now(UTC)
    reading = Reading(now, period)
    with transaction(identity) as connection:
        operations, samples = Operations(connection), Samples(connection)
        runs = operations.recent_runs()
        reading.runs = [run for run in runs if run["ended_at"] is None or reading.has_been(run["ended_at"])]
        reading.may_run = operations.may_run()

        def attempt(name: str, look: Callable[[], Result]) -> Result | None:
            try:
                with connection.savepoint():
                    return look()
            except DomainError as error:
                reading.faults[name] = str(error)
                return None

        for name in SHOWN:
            report = attempt(name, lambda name=name: operations.report(name))  # type: ignore[misc]
            if report is not None:
                reading.reports[name] = report

        def trends(names: tuple[str, ...], since: datetime, step: timedelta, steps: int) -> Trends:
            rows = attempt("trends", lambda: samples.trends(names, since, step))
            return Trends(rows or [], since, step, steps)

        minute = now.replace(second=0, microsecond=0)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        reading.trends = trends(NAMES, period.begins(now), period.step, period.steps)
        reading.recent = trends(NAMES, minute - RECENTLY, RECENTLY, 1)
        reading.sizes = trends(("table_bytes",), day - timedelta(days=DAYS - 1), timedelta(days=1), DAYS)
    return reading
