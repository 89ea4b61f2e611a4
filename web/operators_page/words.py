"""Numbers and moments as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def size(count: float | None) -> str:
    """Bytes, in the units of PostgreSQL: 1 kB is 1,024 of them."""
    if count is None:
        return "–"
    amount, sign = abs(float(count)), "−" if count < 0 else ""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            break
        amount /= 1024
    return f"{sign}{_short(amount)} {unit}"


def growth(count: float | None) -> str:
    """The same of a difference, with its sign."""
    if count is None:
        return "–"
    return f"+{size(count)}" if count > 0 else "0" if count == 0 else size(count)


def number(value: float | None) -> str:
    """A count or a rate."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else _short(value)


def duration(seconds: float | None) -> str:
    """A span of time in its two largest units, or in milliseconds."""
    if seconds is None:
        return "–"
    seconds = max(float(seconds), 0.0)
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return f"{_short(seconds * 1000)} ms"
    if seconds < 60:
        return f"{_short(seconds)} s"
    rest, words = round(seconds), []
    for length, unit in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2])


def share(fraction: float | None) -> str:
    """A part of one, of a hundred."""
    return "–" if fraction is None else f"{_short(100 * fraction)} %"


def moment(at: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def age(at: datetime | None, now: datetime) -> str:
    """How long ago a moment was, or how far ahead it is."""
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def counted(count: int, one: str, many: str) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def _short(value: float) -> str:
    """Two or three figures that count."""
    if value == 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(abs(value)))) if abs(value) < 10 else 0
    text = f"{value:,.{min(digits, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
