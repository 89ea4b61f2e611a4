"""When schedules are due, over changes of the clock. The expected times are reckoned by hand from the zones' rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workflow.times import cron_fault, next_due, zone_fault


def _following(expression: str, zone: str, after: str, count: int) -> list[str]:
    moment, found = datetime.fromisoformat(after), []
    for _ in range(count):
        moment = next_due(expression, zone, moment)
        assert moment.tzinfo is UTC
        found.append(moment.strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        # the clock's own time stays the same: 7:30 in Berlin is 6:30 UTC in winter and 5:30 in summer
        ("30 7 * * *", "Europe/Berlin", "2026-03-27T12:00Z", ["03-28 06:30", "03-29 05:30", "03-30 05:30"]),
        ("30 7 * * *", "Europe/Berlin", "2026-10-23T12:00Z", ["10-24 05:30", "10-25 06:30", "10-26 06:30"]),
        # 2:30 does not exist on 29 March: it is due at once after the gap, at 3:00, which is 1:00 UTC
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", ["03-29 01:00", "03-30 00:30", "03-31 00:30"]),
        # 2:30 comes twice on 25 October: it is due once
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["10-25 00:30", "10-26 01:30", "10-27 01:30"]),
        # what runs every half hour keeps its pace through both
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30Z", ["03-29 01:00", "03-29 01:30", "03-29 02:00"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z", ["10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        # another hemisphere, and a zone whose clock moves by half an hour
        ("0 9 * * 1", "Australia/Lord_Howe", "2026-04-01T00:00Z", ["04-05 22:30", "04-12 22:30"]),
        ("0 9 * * 1", "Australia/Lord_Howe", "2026-03-25T00:00Z", ["03-29 22:00", "04-05 22:30"]),
        # no change of the clock at all
        ("30 2 * * *", "UTC", "2026-03-28T12:00Z", ["03-29 02:30", "03-30 02:30"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00Z", ["02-29 00:00", "02-29 00:00"]),
        ("0 12 L * *", "Asia/Tokyo", "2026-02-01T00:00Z", ["02-28 03:00", "03-31 03:00"]),
    ],
)  # fmt: skip
def test_over_changes_of_the_clock(expression: str, zone: str, after: str, expected: list[str]) -> None:
    assert _following(expression, zone, after, len(expected)) == expected


def test_it_is_always_later_than_it_is() -> None:
    due = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
    assert next_due("0 2 * * *", "UTC", due).day == 2
    assert next_due("0 2 * * *", "UTC", due.replace(hour=1, minute=59, second=59, microsecond=999_999)) == due
    assert next_due("* * * * *", "UTC", due.replace(second=30)).minute == 1


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * *", "61 * * * *", "* 24 * * *", "@daily", "a b c d e", "0 0 30 2 *", "*/0 * * * *",
     "1 " * 200, "5-1 * * * *", "* * * * 1#6"],
)  # fmt: skip
def test_expressions_that_are_none(expression: str) -> None:
    assert cron_fault(expression)


@pytest.mark.parametrize(
    "expression", ["* * * * *", "*/5 9-17 * * 1-5", "0 0 1 jan sun", "0 12 L * *", "0 0 * * MON#2"]
)
def test_expressions(expression: str) -> None:
    assert cron_fault(expression) is None


def test_time_zones() -> None:
    assert zone_fault("Europe/Berlin") is zone_fault("UTC") is None
    for name in (
        "",
        "Mars/Olympus",
        "../etc/passwd",
        "/etc/passwd",
        "europe/berlin",
        "CEST",
        "+02:00",
        "localtime",
        "Factory",
    ):
        assert zone_fault(name), name
