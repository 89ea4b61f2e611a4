"""What a measurement gives: a rate and two percentiles of the latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.calls import Call


@dataclass(frozen=True)
class Measurement:
    """Requests a second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float) -> Measurement:
        """Summarise latencies in seconds.

        :param seconds: how long it took to gather them.
        """
        ordered = sorted(latencies)
        p50, p99 = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        return cls(round(len(ordered) / seconds, 1), round(p50, 2), round(p99, 2))


class Contestant(Protocol):
    """Something that can be measured: the service, a floor or a peer."""

    name: str

    def measure(self, call: Call, seconds: float, clients: int) -> Measurement:
        """Make a call as fast as `clients` can, each waiting for its answer, for some seconds."""
