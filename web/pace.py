"""How many rows are read at a time, where all of a list is sent: a row may have megabytes."""

from __future__ import annotations

BUDGET = 4 << 20  # bytes that a page should have when it is written
FIRST = 20  # rows of the first page, of which nothing is known


class Pace:
    """Learns from each page how large the next one may be.

    :param most: rows that are read at a time at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.rows = min(FIRST, most)

    def learn(self, rows: int, size: int) -> None:
        """Take in how many bytes some rows were."""
        if rows:
            self.rows = max(1, min(self._most, rows * BUDGET // max(size, 1)))
