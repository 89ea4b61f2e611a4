"""The worker's database connections, told by the names that the web processes tell theirs by."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from database import Pool


class PoolCollector(Collector):
    """Asks the pool when Prometheus asks."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        """Connections, those in use, and who waits for one."""
        now = self._pool.statistics()
        yield GaugeMetricFamily("ccb_pool_connections", "Database connections.", now["pool_size"])
        yield GaugeMetricFamily("ccb_pool_connections_in_use", "Database connections in use.", now["in_use"])
        yield GaugeMetricFamily(
            "ccb_pool_waiting", "Pieces of work that wait for a database connection.", now["requests_waiting"]
        )
        yield CounterMetricFamily("ccb_pool_waits", "Pieces of work that had to wait for one.", now["waits"])
