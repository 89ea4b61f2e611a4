"""What the operators' page is made of: words, series, charts, findings, advice."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from config import ROOT
from repositories.operations import Report
from web.operators_page import words
from web.operators_page.advice import advice
from web.operators_page.charts import Chart, Line
from web.operators_page.findings import findings
from web.operators_page.reading import RECENTLY, Reading
from web.operators_page.trends import PERIODS, Trends

NOW = datetime(2026, 11, 27, 3, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 B"), (1023, "1,023 B"), (1024, "1 kB"), (1536, "1.5 kB"), (-1536, "−1.5 kB"),
     (5 * 1024**3, "5 GB"), (3000 * 1024**4, "3,000 TB")],
)  # fmt: skip
def test_sizes(count: float | None, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 s"), (0.0042, "4.2 ms"), (0.34, "340 ms"), (1, "1 s"), (2.34, "2.3 s"), (59.9, "60 s"),
     (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3605, "1 h"), (93600, "1 d 2 h"), (-5, "0 s")],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (1234567, "1,234,567"), (0.2, "0.2"), (0.00001, "0"), (37.6, "38")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert words.number(value) == text


def test_ages() -> None:
    assert words.age(None, NOW) == "never"
    assert words.age(NOW - timedelta(hours=5), NOW) == "5 h ago"
    assert words.age(NOW + timedelta(minutes=2), NOW) == "in 2 min"
    assert words.growth(0) == "0"
    assert words.growth(2048) == "+2 kB"
    assert words.growth(-2048) == "−2 kB"


def row(name: str, minute: int, value: float, label: str = "") -> dict[str, Any]:
    """A sample of so many minutes after the beginning."""
    return {"name": name, "label": label, "begins_at": NOW + minute * MINUTE, "value": value}


def test_series_have_gaps_where_nobody_looked() -> None:
    rows = [
        row("database_connections", 0, 5), row("database_connections", 1, 6), row("database_connections", 3, 7),
        row("requests", 0, 10), row("attempts", 3, 1, "failed"), row("attempts", 3, 2, "delivered"),
    ]  # fmt: skip
    trends = Trends(rows, NOW, MINUTE, 4)
    assert trends.series("database_connections") == [5, 6, None, 7]
    assert trends.series("requests") == [10, 0, None, 0]  # where somebody looked nothing was counted
    assert trends.series("attempts") == [0, 0, None, 3]
    assert trends.series("attempts", ["failed"]) == [0, 0, None, 1]
    assert trends.totals("attempts") == {"delivered": 2, "failed": 1}
    assert Trends([row("requests", 0, 30)], NOW, 10 * MINUTE, 1).a_minute("requests") == [3]
    assert Trends([], NOW, MINUTE, 2).series("requests") == [None, None]
    # a level that was taken after the last whole minute counts as the last one
    assert Trends([row("queue_depth", 4, 9)], NOW, MINUTE, 4).series("queue_depth") == [None, None, None, 9]


def test_a_chart_says_in_words_what_it_shows() -> None:
    chart = Chart("Queue <b>", (Line("oldest", [1.0, None, 3.0, 2.0]),), words.duration, "1 hour")
    svg = ElementTree.fromstring(str(chart.svg()))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Queue <b> since 1 hour ago: oldest now 2 s; at most 3 s."
    lines = [each.get("points") or "" for each in svg.iter() if each.tag == "polyline"]
    assert [len(points.split()) for points in lines] == [2, 2]  # a value by itself is a short line
    for points in lines:
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 300
            assert 0 <= y <= 60
    assert Chart("Nothing", (Line("none", [None]),), words.number, "1 hour").is_empty


def backup(made: float, proven: float | None, **values: str) -> dict[str, Any]:
    """One that was made and proven so many seconds ago."""
    proven_at = None if proven is None else NOW - timedelta(seconds=proven)
    return {"created_at": NOW - timedelta(seconds=made), "verified_at": proven_at, **values}


def reading(**gauges: dict[str, float]) -> Reading:
    """A state in which all is well, but for what is given."""
    made = Reading(NOW, PERIODS[24])
    well: dict[str, dict[str, float]] = {"partitions_ahead_months": {"": 3}}
    rows = [
        {"gauge": name, "label": label or None, "value": value}
        for name, values in {**well, **gauges}.items()
        for label, value in values.items()
    ]
    made.reports["gauges"] = Report(rows, None)
    made.reports["backups"] = Report([backup(3600, 86400)], None)
    made.recent = Trends([row("database_connections", 0, 5)], NOW, RECENTLY, 1)
    return made


def test_what_is_well_needs_no_look() -> None:
    assert findings(reading()) == []


@pytest.mark.parametrize(
    ("gauges", "alert"),
    [
        ({"queue_oldest_seconds": {"mail": 301}}, "QueueAge"),
        ({"partitions_ahead_months": {"": 0.9}}, "PartitionsRunOut"),
        ({"partition_filler_rows": {"events": 1}}, "FillerRows"),
        ({"maintenance_failing": {"cleanup-mail": 1}}, "MaintenanceFailing"),
        ({"maintenance_age_seconds": {"refresh-views": 3601}}, "MaintenanceLate"),
        ({"maintenance_age_seconds": {"drill-recovery": 9 * 86400}}, "MaintenanceLate"),
        ({"executions_last_hour": {"workflow faulted": 6, "workflow completed": 5}}, "ExecutionsFailing"),
        ({"database_connections": {"": 81}, "database_connections_max": {"": 100}}, "ConnectionsRunOut"),
        ({"transaction_id_age": {"": 1.1e9}}, "TransactionIdsRunOut"),
        ({"wal_archiving_failing": {"": 1}}, "WalArchivingFailing"),
        ({"replication_lag_seconds": {"two": 61}}, "ReplicationLag"),
        ({"replication_slot_retained_bytes": {"two": 11 * 1024**3}}, "SlotRetainsLog"),
    ],
)
def test_what_is_wrong_does(gauges: dict[str, dict[str, float]], alert: str) -> None:
    assert [finding.alert for finding in findings(reading(**gauges))] == [alert]


@pytest.mark.parametrize(
    "gauges",
    [
        {"queue_oldest_seconds": {"mail": 299}},
        {"maintenance_age_seconds": {"refresh-views": 3599, "cleanup-mail": 86400, "drill-recovery": 7 * 86400}},
        {"executions_last_hour": {"workflow faulted": 9}},  # too few to tell
        {"executions_last_hour": {"workflow faulted": 5, "workflow completed": 5, "integration failed": 4}},
        {"database_connections": {"": 80}, "database_connections_max": {"": 100}},
        {"wal_archiving_failing": {"": 0}},
    ],
)
def test_what_is_not_wrong_does_not(gauges: dict[str, dict[str, float]]) -> None:
    assert findings(reading(**gauges)) == []


def test_what_reports_tell() -> None:
    state = reading()
    state.faults["bloat"] = "late"
    state.reports["locks"] = Report([{"waiting_seconds": 11}, {"waiting_seconds": 9}], None)
    state.reports["running-queries"] = Report(
        [{"state": "idle in transaction", "transaction_seconds": 61}, {"state": "active", "transaction_seconds": 61}],
        None,
    )
    state.reports["invalid-indexes"] = Report([{}], None)
    state.recent = Trends([], NOW, RECENTLY, 1)
    assert {finding.alert for finding in findings(state)} == {
        "ReportUnread", "LocksHeld", "LongTransactions", "InvalidIndexes", "NoSamples",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "alerts"),
    [
        ([], ["NoBackup"]),
        ([backup(27 * 3600, 86400)], ["BackupAge"]),
        ([backup(3600, None)], ["DrillAge"]),
        ([backup(3600, None), backup(90000, 9 * 86400)], ["DrillAge"]),
        ([backup(3600, None), backup(90000, 7 * 86400)], []),
        ([backup(3600, 7 * 86400, kind="dump"), backup(7 * 86400, 86400, kind="base")], []),
        ([backup(3600, 7 * 86400, kind="dump"), backup(9 * 86400, 86400, kind="base")], ["BackupAge"]),
        ([backup(3600, 7 * 86400, kind="dump"), backup(86400, None, kind="base")], ["DrillAge"]),
        # a clock was set back
        ([backup(-86400, -86400)], ["NoBackup"]),
        ([backup(-86400, -86400), backup(90000, 9 * 86400)], ["DrillAge"]),
    ],
)
def test_what_backups_tell(rows: list[dict[str, Any]], alerts: list[str]) -> None:
    state = reading()
    state.reports["backups"] = Report(rows, None)
    assert [finding.alert for finding in findings(state)] == alerts


def test_every_finding_says_what_to_do() -> None:
    source = (ROOT / "web" / "operators_page" / "findings.py").read_text("utf-8")
    names = set(re.findall(r'Finding\(\s*"(\w+)"', source))
    assert len(names) >= 20
    for name in names:
        assert advice(name), name
    assert advice("nonsense") == ""
    assert "<code>" in advice("QueueAge")
