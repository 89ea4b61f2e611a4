"""Samples as series over a period of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from database import Row

Series = list[float | None]

#: What is taken every minute as long as a worker lives: where it lacks, nobody looked.
PRESENCE = "database_connections"
COUNTS = ("requests", "failed_requests", "slow_requests", "request_seconds", "attempts", "executions")


@dataclass(frozen=True)
class Period:
    """What charts show.

    :param hours: how far back; it names the period in the query string.
    """

    hours: int
    words: str
    step: timedelta

    @property
    def steps(self) -> int:
        """How many values a series has."""
        return round(timedelta(hours=self.hours) / self.step)

    def begins(self, now: datetime) -> datetime:
        """Where it begins, so that it ends with the last whole minute."""
        return now.replace(second=0, microsecond=0) - timedelta(hours=self.hours)


PERIODS = {
    period.hours: period
    for period in (
        Period(1, "1 hour", timedelta(minutes=1)),
        Period(24, "24 hours", timedelta(minutes=10)),
        Period(336, "14 days", timedelta(hours=3)),
    )
}


class Trends:
    """Samples of one period.

    :param rows: with `name`, `label`, `begins_at` and `value`.
    """

    def __init__(self, rows: Iterable[Row], since: datetime, step: timedelta, steps: int) -> None:
        self.step = step
        self.steps = steps
        self._values: dict[tuple[str, str], dict[int, float]] = {}
        for row in rows:
            place = min(int((row["begins_at"] - since) / step), steps - 1)
            values = self._values.setdefault((row["name"], row["label"]), {})
            values[place] = max(values.get(place, 0.0), row["value"])
        self._seen = {
            place for (name, _), values in self._values.items() if name in (*COUNTS, PRESENCE) for place in values
        }

    def labels(self, name: str) -> list[str]:
        """What a name was sampled of."""
        return sorted(label for known, label in self._values if known == name)

    def series(self, name: str, labels: Sequence[str] | None = None) -> Series:
        """The values, step by step; None where nobody looked.

        :param labels: of which to add up; of all by default.
        """
        wanted = [values for (known, label), values in self._values.items() if known == name]
        if labels is not None:
            wanted = [self._values.get((name, label), {}) for label in labels]
        if name in COUNTS:
            places: set[int] = self._seen
        else:
            places = {place for values in wanted for place in values}
        return [
            sum(values.get(place, 0.0) for values in wanted) if place in places else None for place in range(self.steps)
        ]

    def a_minute(self, name: str, labels: Sequence[str] | None = None) -> Series:
        """Counts as rates."""
        minutes = self.step / timedelta(minutes=1)
        return [None if value is None else value / minutes for value in self.series(name, labels)]

    def total(self, name: str, labels: Sequence[str] | None = None) -> float:
        """Counts, added up over the whole period."""
        return sum(value or 0.0 for value in self.series(name, labels))

    def totals(self, name: str) -> dict[str, float]:
        """The same by label, the largest first."""
        found = {label: self.total(name, [label]) for label in self.labels(name)}
        return dict(sorted(found.items(), key=lambda each: -each[1]))


def last(series: Series) -> float | None:
    """The newest value that is known."""
    return next((value for value in reversed(series) if value is not None), None)


def first(series: Series) -> float | None:
    """The oldest value that is known."""
    return next((value for value in series if value is not None), None)
