"""Samples of how the service does: what trends are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from database import Row, load
from repositories.repository import Repository


class Samples(Repository):
    """Counts that processes add, levels that a worker takes, and both over time."""

    queries = load("samples")

    def add(self, counts: Mapping[tuple[str, str], float]) -> None:
        """Add to the present minute's counts.

        :param counts: by name and label.
        """
        self.connection.execute(
            self.queries.add,
            names=[name for name, _ in counts],
            labels=[label for _, label in counts],
            amounts=list(counts.values()),
        )

    def take(self) -> bool:
        """Take this minute's levels; gives whether nobody had done so before."""
        return bool(self.connection.one(self.queries.take)["taken"])

    def take_sizes(self) -> bool:
        """Take this hour's sizes of tables, and thin what is old; gives whether nobody had done so before.

        :raises errors.Unavailable: somebody has locked one of them.
        """
        return bool(self.connection.one(self.queries.take_sizes)["taken"])

    def trends(self, names: Sequence[str], since: datetime, step: timedelta) -> list[Row]:
        """Samples by steps: `name`, `label`, `begins_at` and `value`; steps without a sample are left out.

        :raises errors.Forbidden: the caller is no operator.
        """
        return self.connection.many(self.queries.trends, names=list(names), since=since, step=step)
