"""Plain points are read fast, and no differently from how the schema reads them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from marshmallow import ValidationError

from schemas.metrics import MAX_FAULTY, MetricBatch, MetricPoint
from schemas.plain_points import FUTURE, LARGEST, MAX_LABELS, MAX_POINTS, PAST, PlainPoints

NOW = datetime.now(UTC)
POINT: dict[str, Any] = {"metric_name": "requests", "metric_type": "counter", "value": 1}
ID = "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"
MARGIN = timedelta(minutes=30)  # the cases are made when the tests are collected, and run later


def _each(name: str, *values: Any) -> list[tuple[dict[str, Any], str | None]]:
    return [({name: value}, name) for value in values]


PLAIN: list[dict[str, Any]] = [
    {},
    {"value": -0.000001},
    {"value": LARGEST},
    {"value": -LARGEST},
    {"value": 1e13},
    {"labels": {}},
    {"labels": {"region": "eu", "a b": ""}},
    {"labels": {str(number): "x" * 255 for number in range(MAX_LABELS)}},
    {"labels": {"x" * 100: "y"}},
    {"integration_id": ID},
    {"recorded_at": NOW.isoformat()},
    {"recorded_at": NOW.strftime("%Y-%m-%dT%H:%M:%SZ")},
    {"recorded_at": NOW.astimezone(None).isoformat()},
    {"recorded_at": (NOW - PAST + MARGIN).isoformat()},
    {"recorded_at": (NOW + FUTURE - MARGIN).isoformat()},
    {"recorded_at": NOW.strftime("%Y%m%dT%H%M%S+0000")},
    *({"metric_type": kind} for kind in ("counter", "gauge", "histogram")),
    *({"metric_name": name} for name in ("a", "_", "A.b:c-d_9", "x" * 100)),
]
NOT_PLAIN: list[tuple[dict[str, Any], str | None]] = [  # and what the schema says
    ({"labels": {"größe": "ü"}}, None),
    ({"integration_id": ID.upper()}, None),
    *_each("metric_name", "", "9", "a b", "x" * 101, "a\n", "é", None, 7, ["a"]),
    *_each("metric_type", "", "Counter", None, 1, ["gauge"]),
    *_each("value", None, True, "1", LARGEST + 1, -LARGEST - 1, 1e15, float("inf"), float("nan"), [], {}),
    *_each(
        "labels", None, [], "a", {"": "x"}, {"a": 1}, {"a": None}, {"a": {}}, {"a": ["x"]}, {"a": "\0"}, {"\0": "a"},
        {"x" * 101: ""}, {"a": "x" * 256}, {str(number): "" for number in range(MAX_LABELS + 1)},
    ),
    *_each("integration_id", "", "x", None, 7, [ID], ID + "0", ID + "\n"),
    *_each(
        "recorded_at", "", "yesterday", None, 7, [], NOW.date().isoformat(), NOW.replace(tzinfo=None).isoformat(),
        (NOW - PAST - MARGIN).isoformat(), (NOW + FUTURE + MARGIN).isoformat(), "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ),
    ({"other": 1}, "other"),
]  # fmt: skip


def _faults(value: Any) -> dict[str, Any]:
    """What the schema says of a batch."""
    return dict(MetricBatch().validate(value))


def _changed(change: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({**POINT, **change})


@pytest.mark.parametrize("change", PLAIN, ids=range(len(PLAIN)))
def test_plain_points_are_what_the_schema_makes_of_them(change: dict[str, Any]) -> None:
    read = PlainPoints(NOW).read(_changed(change))
    assert read is not None
    loaded = MetricPoint().load(_changed(change))
    if "integration_id" in loaded:
        loaded["integration_id"] = str(loaded["integration_id"])
    assert read == loaded
    assert type(read["value"]) is type(loaded["value"])


@pytest.mark.parametrize(("change", "fault"), NOT_PLAIN, ids=range(len(NOT_PLAIN)))
def test_whatever_else_is_left_to_the_schema_as_it_was(change: dict[str, Any], fault: str | None) -> None:
    point = _changed(change)
    before = repr(point)
    for reader in (PlainPoints(NOW), _seasoned()):
        assert reader.read(point) is None
        assert repr(point) == before
    if fault is None:
        MetricPoint().load(point)
    else:
        with pytest.raises(ValidationError) as refusal:
            MetricPoint().load(point)
        assert list(refusal.value.normalized_messages()) == [fault]


@pytest.mark.parametrize("name", ["metric_name", "metric_type", "value"])
def test_what_is_missing(name: str) -> None:
    point = {key: value for key, value in POINT.items() if key != name}
    assert PlainPoints(NOW).read(point) is None
    assert MetricPoint().validate(point) == {name: ["Missing data for required field."]}


@pytest.mark.parametrize("point", [None, 7, "point", [], [POINT]])
def test_what_is_no_point(point: Any) -> None:
    assert PlainPoints(NOW).read(point) is None
    assert _faults({"points": [POINT, point]})["points"].keys() == {1}


def test_a_batch_tells_the_faults_of_each_point() -> None:
    points = [POINT, {**POINT, "value": "1", "metric_type": "x"}, POINT, {**POINT, "labels": {"a/b": 1}}]
    assert _faults({"points": points}) == {
        "points": {
            1: {"value": ["Not a valid number."], "metric_type": ["Must be one of: counter, gauge, histogram."]},
            3: {"labels": {"a/b": ["Not a text."]}},
        }
    }


def test_a_batch_has_bounds() -> None:
    for points in ([], [POINT] * (MAX_POINTS + 1), [None] * (MAX_POINTS + 1)):
        assert list(_faults({"points": points})) == ["points"]
    assert len(_faults({"points": [None] * MAX_POINTS})["points"]) == MAX_FAULTY
    assert len(MetricBatch().load({"points": [dict(POINT) for _ in range(MAX_POINTS)]})["points"]) == MAX_POINTS


def _seasoned() -> PlainPoints:
    """A reader that has read good points before."""
    reader = PlainPoints(NOW)
    for change in PLAIN:
        reader.read(_changed(change))
    return reader
