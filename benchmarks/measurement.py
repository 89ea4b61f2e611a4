"""What a measurement gives: a rate, two percentiles of the latency, and processor time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.calls import Call
from benchmarks.processor_time import ProcessorTime


@dataclass(frozen=True)
class Measurement:
    """Requests a second, latencies in milliseconds, and microseconds of processor time a request."""

    requests: int
    rate: float
    p50: float
    p99: float
    processor: ProcessorTime | None = None

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float) -> Measurement:
        """Summarise latencies in seconds.

        :param seconds: how long it took to gather them.
        """
        ordered = sorted(latencies)
        p50, p99 = (1000 * ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        return cls(len(ordered), round(len(ordered) / seconds, 1), round(p50, 2), round(p99, 2))


class Contestant(Protocol):
    """Something that can be measured: the service, a floor or a peer."""

    name: str

    @property
    def process(self) -> int | None:
        """The process that began its web processes, if it has any."""

    def measure(self, call: Call, seconds: float, clients: int) -> Measurement:
        """Make a call as fast as `clients` can, each waiting for its answer, for some seconds."""
