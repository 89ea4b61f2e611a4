"""Small charts, drawn on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from web.operators_page.trends import Series, last

WIDTH, HEIGHT = 300, 60
_ROOM = 3  # above and below, so that strokes are not cut off


@dataclass(frozen=True)
class Line:
    """One of a chart's lines.

    :param kind: `good`, `bad` or `plain`: how it is drawn; bad ones are dashed as well as red.
    """

    name: str
    values: Series
    kind: str = "plain"

    @property
    def newest(self) -> float | None:
        """The last value that is known."""
        return last(self.values)


@dataclass(frozen=True)
class Chart:
    """A chart with what is to be read beside it.

    :param words: how a value is written.
    """

    title: str
    lines: tuple[Line, ...]
    words: Callable[[float | None], str]
    since: str

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever sampled."""
        return not any(value is not None for line in self.lines for value in line.values)

    @property
    def most(self) -> float:
        """The highest value."""
        return max((value for line in self.lines for value in line.values if value is not None), default=0.0)

    def now(self, line: Line) -> str:
        """The newest value of a line."""
        return self.words(line.newest)

    def description(self) -> str:
        """The chart in words."""
        lines = ", ".join(f"{line.name} now {self.now(line)}" for line in self.lines)
        return f"{self.title} since {self.since} ago: {lines}; at most {self.words(self.most)}."

    def svg(self) -> Markup:
        """The drawing."""
        top = self.most or 1.0
        drawn = Markup("").join(_draw(line, top) for line in self.lines)
        return Markup('<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>').format(
            WIDTH, HEIGHT, self.description(), drawn
        )


def _draw(line: Line, top: float) -> Markup:
    path, kind = Markup(""), line.kind if any(line.values) else "none"
    for run in _runs(line.values):
        points = [_point(place, value, len(line.values), top) for place, value in run]
        if len(points) == 1:  # a single value would be a line without length
            x, y = points[0]
            points = [(max(x - 3, 0), y), (min(x + 3, WIDTH), y)]
        steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        if kind in ("good", "plain"):
            path += Markup('<path class="area {}" d="M{:.1f},{} L{} L{:.1f},{} Z"/>').format(
                kind, points[0][0], HEIGHT, steps, points[-1][0], HEIGHT
            )
        path += Markup('<polyline class="line {}" points="{}"/>').format(kind, steps)
    return path


def _runs(values: Series) -> Iterator[list[tuple[int, float]]]:
    """The stretches in which somebody looked."""
    run: list[tuple[int, float]] = []
    for place, value in enumerate(values):
        if value is not None:
            run.append((place, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _point(place: int, value: float, count: int, top: float) -> tuple[float, float]:
    x = WIDTH * place / max(count - 1, 1)
    return x, HEIGHT - _ROOM - (HEIGHT - 2 * _ROOM) * min(value / top, 1.0)
