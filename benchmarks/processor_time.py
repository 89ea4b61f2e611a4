"""Processor time: what web processes, database and load generator spent on a request.

A rate says little on a machine that has other things to do; this says nearly the same there as on an idle one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import psutil


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds, or microseconds where they are of one request."""

    web: float
    database: float
    load: float

    @property
    def total(self) -> float:
        """Of all three together."""
        return self.web + self.database + self.load

    def since(self, before: ProcessorTime, requests: int) -> ProcessorTime:
        """Microseconds of each of the requests since then."""
        spent = {each.name: getattr(self, each.name) - getattr(before, each.name) for each in fields(self)}
        return ProcessorTime(**{name: round(1e6 * seconds / requests, 1) for name, seconds in spent.items()})


def read(web: int | None, database: int) -> ProcessorTime:
    """What has been spent so far.

    :param web: the process that began a contestant's web processes; None where there are none.
    :param database: the process of the database that began its others; on this machine.
    """
    own = psutil.Process().cpu_times()
    return ProcessorTime(
        of_tree(web) if web else 0.0,
        of_tree(database),
        # of pgbench, which has ended and was waited for; the web servers have not
        own.user + own.system + own.children_user + own.children_system,
    )


def of_tree(pid: int) -> float:
    """Seconds that a process spent, with all processes that it began, also those that have ended."""
    total = 0.0
    for process in ((root := psutil.Process(pid)), *root.children(recursive=True)):
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # its time has become its parent's
        total += spent.user + spent.system + spent.children_user + spent.children_system
    return total
