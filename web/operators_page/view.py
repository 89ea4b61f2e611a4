"""The state of the service as the page's template shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from database import Row
from schemas.operations import TASKS
from web.operators_page.charts import Chart, Line
from web.operators_page.findings import QUEUES
from web.operators_page.reading import DAYS, Reading
from web.operators_page.trends import Series, first, last
from web.operators_page.words import duration, number, size

FAILED = ("workflow faulted", "integration failed")
TABLES = 12  # that are listed with their growth


@dataclass(frozen=True)
class Queue:
    """A queue, now and over time."""

    name: str
    depth: float
    seconds: float
    chart: Chart


@dataclass(frozen=True)
class Table:
    """A table with its size over the last days."""

    row: Row
    growth: float | None
    chart: Chart


@dataclass(frozen=True)
class Task:
    """A maintenance task: its newest run, the newest that ended, and how many of the last three days failed.

    :param since_success: seconds since it last went through, however long ago.
    """

    name: str
    run: Row | None
    ended: Row | None
    failures: int
    since_success: float | None

    @property
    def state(self) -> str:
        """How the last one ended, or what is under way."""
        if self.run is not None and self.run["outcome"] in ("running", "requested"):
            return str(self.run["outcome"])
        if self.ended is not None:
            return str(self.ended["outcome"])
        return "never ran" if self.since_success is None else "not lately"

    @property
    def seconds(self) -> float | None:
        """How long the last one took."""
        ended = self.ended
        return (ended["ended_at"] - ended["started_at"]).total_seconds() if ended and ended["ended_at"] else None


def view(reading: Reading) -> dict[str, Any]:
    """What the template is given beside the reading itself."""
    return {
        "requests": _requests(reading),
        "failing_routes": list(reading.trends.totals("failed_requests").items())[:8],
        "slow_routes": list(reading.trends.totals("slow_requests").items())[:8],
        "queues": _queues(reading),
        "webhooks": _webhooks(reading),
        "executions": _executions(reading),
        "executions_last_hour": _last_hour(reading),
        "tables": _tables(reading),
        "database": _database(reading),
        "connections": _chart(reading, "Connections", [Line("all", reading.trends.series("database_connections"))]),
        "tasks": _tasks(reading),
    }


def _chart(reading: Reading, title: str, lines: list[Line], words: Any = number) -> Chart:
    return Chart(title, tuple(lines), words, reading.period.words)


def _requests(reading: Reading) -> list[Chart]:
    trends = reading.trends
    requests, seconds = trends.series("requests"), trends.series("request_seconds")
    mean: Series = [
        spent / count if count and spent is not None else None for count, spent in zip(requests, seconds, strict=True)
    ]
    return [
        _chart(reading, "Requests a minute", [Line("answered", trends.a_minute("requests"))]),
        _chart(reading, "Errors of ours a minute", [Line("failed", trends.a_minute("failed_requests"), "bad")]),
        _chart(reading, "Mean time of an answer", [Line("mean", mean)], duration),
    ]


def _queues(reading: Reading) -> list[Queue]:
    depths, ages = reading.gauges("queue_depth"), reading.gauges("queue_oldest_seconds")
    made = []
    for queue in sorted(depths, key=lambda name: list(QUEUES).index(name) if name in QUEUES else len(QUEUES)):
        name = QUEUES.get(queue, queue)
        line = Line("oldest", reading.trends.series("queue_oldest_seconds", [queue]))
        chart = _chart(reading, f"{name}: age of the oldest", [line], duration)
        made.append(Queue(name, depths[queue], ages.get(queue, 0), chart))
    return made


def _webhooks(reading: Reading) -> list[Chart]:
    trends = reading.trends
    failed = [outcome for outcome in trends.labels("attempts") if outcome != "delivered"]
    lines = [
        Line("delivered", trends.a_minute("attempts", ["delivered"]), "good"),
        Line("failed", trends.a_minute("attempts", failed), "bad"),
    ]
    failing = [Line("failing", trends.series("webhooks_failing"), "bad")]
    return [_chart(reading, "Attempts a minute", lines), _chart(reading, "Webhooks that fail", failing)]


def _executions(reading: Reading) -> list[Chart]:
    trends, charts = reading.trends, []
    for kind, bad in (("workflow", "faulted"), ("integration", "failed")):
        lines = [
            Line("completed", trends.a_minute("executions", [f"{kind} completed"]), "good"),
            Line(bad, trends.a_minute("executions", [f"{kind} {bad}"]), "bad"),
        ]
        charts.append(_chart(reading, f"{kind.capitalize()} executions that end, a minute", lines))
    return charts


def _last_hour(reading: Reading) -> list[tuple[str, str, float, bool]]:
    counts = reading.gauges("executions_last_hour")
    return [(*label.split(" ", 1), count, label in FAILED) for label, count in sorted(counts.items(), reverse=True)]  # type: ignore[misc]


def _tables(reading: Reading) -> list[Table]:
    made = []
    for row in reading.rows("table-sizes")[:TABLES]:
        name = row["table_name"] if row["schema_name"] == "public" else f"{row['schema_name']}.{row['table_name']}"
        made.append(Table(row, *_growth(reading, f"Size of {name}", [name], row["total_bytes"])))
    return made


def _database(reading: Reading) -> Table:
    rows = reading.rows("table-sizes")
    total = sum(row["total_bytes"] for row in rows)
    return Table({"total_bytes": total, "tables": len(rows)}, *_growth(reading, "All tables", None, total))


def _growth(reading: Reading, title: str, names: list[str] | None, now: int) -> tuple[float | None, Chart]:
    series = reading.sizes.series("table_bytes", names)
    week = series[-8:]  # today's and those of the seven days before
    before = first(week)
    grown = now - before if before is not None and len([each for each in week if each is not None]) > 1 else None
    if last(series) is not None:
        series = [*series[:-1], float(now)]
    return grown, Chart(title, (Line("size", series),), size, f"{DAYS} days")


def _tasks(reading: Reading) -> list[Task]:
    by_task: dict[str, list[Row]] = {name: [] for name in TASKS}
    for run in reading.runs:
        by_task.setdefault(run["task"], []).append(run)
    tasks, ages = [], reading.gauges("maintenance_age_seconds")
    for name in ages:
        by_task.setdefault(name, [])
    for name, runs in by_task.items():
        ended = next((run for run in runs if run["outcome"] not in ("running", "requested")), None)
        failures = sum(run["outcome"] == "failed" for run in runs)
        tasks.append(Task(name, runs[0] if runs else None, ended, failures, ages.get(name)))
    return tasks
