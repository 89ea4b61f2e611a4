"""Points of metrics without anything unusual, read fast.

Whatever is accepted here is accepted by `schemas.metrics.MetricPoint` with the same result; a test holds it. What is
not accepted here may still be right: the schema has the last word.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

METRIC_TYPES = ("counter", "gauge", "histogram")
MAX_POINTS = 10_000
LARGEST = 99_999_999_999_999  # of DECIMAL(20,6)
MAX_LABELS = 20
NAME = r"[A-Za-z_][A-Za-z0-9_.:-]{0,99}"
PAST = timedelta(days=366)
FUTURE = timedelta(hours=1)  # clocks differ

_NAME = re.compile(NAME)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LABEL = re.compile(r"[ -~]{1,100}")
_LABEL_VALUE = re.compile(r"[ -~]{0,255}")
_FIELDS = frozenset({"metric_name", "metric_type", "value", "labels", "integration_id", "recorded_at"})


class PlainPoints:
    """Reads the points of one batch; what comes again and again in them is checked once.

    :param now: the moment that their times are held against.
    """

    def __init__(self, now: datetime) -> None:
        self._earliest, self._latest = now - PAST, now + FUTURE
        self._names: set[str] = set()
        self._ids: set[str] = set()
        self._labels: set[tuple[str, str]] = set()

    def read(self, point: Any) -> dict[str, Any] | None:
        """A point ready to be written; None for one that is not plain."""
        if type(point) is not dict or not point.keys() <= _FIELDS:
            return None
        name, labels = point.get("metric_name"), point.get("labels", {})
        value: Any = point.get("value")
        if type(name) is not str or type(value) not in (int, float) or type(labels) is not dict:
            return None
        if name not in self._names:
            if _NAME.fullmatch(name) is None:
                return None
            self._names.add(name)
        if point.get("metric_type") not in METRIC_TYPES or not -LARGEST <= value <= LARGEST:
            return None
        return point if self._fits(labels) and self._refers(point) and self._is_timely(point) else None

    def _fits(self, labels: dict[str, Any]) -> bool:
        for pair in labels.items():
            if type(pair[1]) is not str:
                return False
            if pair not in self._labels:
                if _LABEL.fullmatch(pair[0]) is None or _LABEL_VALUE.fullmatch(pair[1]) is None:
                    return False
                self._labels.add(pair)
        return len(labels) <= MAX_LABELS

    def _refers(self, point: dict[str, Any]) -> bool:
        if "integration_id" not in point:
            return True
        named = point["integration_id"]
        if type(named) is not str:
            return False
        if named not in self._ids:
            if _ID.fullmatch(named) is None:
                return False
            self._ids.add(named)
        return True

    def _is_timely(self, point: dict[str, Any]) -> bool:
        if "recorded_at" not in point:
            return True
        try:
            moment = datetime.fromisoformat(point["recorded_at"])
            if not self._earliest <= moment <= self._latest:
                return False
        except (TypeError, ValueError):  # no text, no time, or one without its offset
            return False
        point["recorded_at"] = moment
        return True
