"""What the measurements are to reach."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.rounds import SERVICE, Comparison

#: The service's rate by that of each contestant, for each call, at least.
RATES = {
    "pgbench": {"get": 0.50, "list": 0.45, "create": 0.50},
    "fastapi": {"get": 1.3, "list": 1.3, "create": 1.3},
    "sqlalchemy": {"get": 3.0, "list": 3.0, "create": 3.0},
    "postgrest": {"get": 1.3, "list": 1.3, "create": 1.3},
}
P99 = 60.0  # milliseconds at 32 clients, on a machine where the floor has at most
FLOOR_P99 = 15.0


@dataclass(frozen=True)
class Verdict:
    """A target and what became of it; `reached` is None where the machine was too slow to tell."""

    text: str
    reached: bool | None


def verdicts(comparisons: list[Comparison]) -> list[Verdict]:
    """Hold what was measured against the targets."""
    found = []
    for each in comparisons:
        for contestant, wanted in RATES.items():
            if contestant in each.rounds:
                ratio = each.ratio(contestant)
                text = f"{each.call}: {ratio:.2f} of {contestant}, wanted {wanted[each.call]:.2f}"
                found.append(Verdict(text, ratio >= wanted[each.call]))
        p99, floor_p99 = each.median(SERVICE).p99, each.median("pgbench").p99
        text = (
            f"{each.call}: p99 {p99:.0f} ms, wanted {P99:.0f} where pgbench has {FLOOR_P99:.0f} (has {floor_p99:.0f})"
        )
        found.append(Verdict(text, True if p99 <= P99 else None if floor_p99 > FLOOR_P99 else False))
    return found
