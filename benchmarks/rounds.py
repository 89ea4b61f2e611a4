"""Alternation: contestants take turns, so that a machine whose speed drifts slows all of them alike."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks import processor_time
from benchmarks.calls import Call
from benchmarks.measurement import Contestant, Measurement
from benchmarks.processor_time import ProcessorTime

SERVICE = "service"
WARM_UP = 2.0  # seconds


@dataclass(frozen=True)
class Comparison:
    """One call: what each contestant reached in each round."""

    call: str
    rounds: dict[str, list[Measurement]]

    def median(self, contestant: str) -> Measurement:
        """The medians over the rounds."""
        taken = self.rounds[contestant]
        spent = [each.processor for each in taken if each.processor]
        return Measurement(
            sum(each.requests for each in taken),
            statistics.median(each.rate for each in taken),
            statistics.median(each.p50 for each in taken),
            statistics.median(each.p99 for each in taken),
            ProcessorTime(
                statistics.median(each.web for each in spent),
                statistics.median(each.database for each in spent),
                statistics.median(each.load for each in spent),
            ),
        )

    def ratios(self, contestant: str) -> list[float]:
        """The service's rate by a contestant's, round by round."""
        pairs = zip(self.rounds[SERVICE], self.rounds[contestant])
        return [round(service.rate / other.rate, 3) for service, other in pairs]

    def ratio(self, contestant: str) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios(contestant))


def compare(
    call: Call,
    contestants: Sequence[Contestant],
    *,
    rounds: int,
    seconds: float,
    clients: int,
    settle: Callable[[], None],
    database: int,
) -> Comparison:
    """Measure one call of all contestants in turn.

    :param settle: is called before each round.
    :param database: the database's first process.
    """
    for each in contestants:
        each.measure(call, WARM_UP, clients)
    taken: dict[str, list[Measurement]] = {each.name: [] for each in contestants}
    for number in range(rounds):
        settle()
        for each in contestants if number % 2 == 0 else reversed(contestants):
            before = processor_time.read(each.process, database)
            measured = each.measure(call, seconds, clients)
            spent = processor_time.read(each.process, database).since(before, measured.requests)
            measured = replace(measured, processor=spent)
            taken[each.name].append(measured)
            print(
                f"  {call.name} {number + 1}/{rounds} {each.name:12} {measured.rate:9.1f}/s {spent.total:9.0f} µs",
                file=sys.stderr,
                flush=True,
            )
    return Comparison(call.name, taken)
