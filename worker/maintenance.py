"""Maintenance by the clock, where pg_cron does not do it (ruling 22)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from cronsim import CronSim

from config import Settings
from database import Nobody, Pool, transaction
from operations.backup_schedule import scheduled
from operations.maintenance import TASKS, Task, run_task
from repositories.operations import Operations
from worker.context import Context, Periodic

LOOK_EVERY = 5.0  # seconds
#: What pg_cron has not done by then is taken over: its server may be unable to connect to itself.
PG_CRON_MAY_TAKE = timedelta(minutes=10)


def begin(context: Context) -> Maintenance:
    """The kind of work that this is."""
    return Maintenance(context)


class Maintenance:
    """Every task on a thread of its own, so that none waits for one that takes long."""

    name = "maintenance"

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """Look after all tasks until asked to stop, and let those that run come to an end of their own."""
        context = self._context
        loop, schedule = asyncio.get_running_loop(), Schedule(context.pool, context.settings)
        tasks = (*TASKS, *scheduled(context.settings))
        threads = ThreadPoolExecutor(len(tasks), "maintenance")
        try:
            async with asyncio.TaskGroup() as group:
                for task in tasks:

                    def look(task: Task = task) -> asyncio.Future[bool]:
                        return loop.run_in_executor(threads, schedule.run_if_due, task, context.stop.in_threads)

                    group.create_task(Periodic(context, task.name, look, LOOK_EVERY).run())
        finally:
            threads.shutdown(wait=False)


class Schedule:
    """When tasks are due, and who runs them: whichever of many workers comes first.

    :param pool: to look with; a task runs on connections of its own.
    """

    def __init__(self, pool: Pool, settings: Settings, tasks: Sequence[Task] = TASKS) -> None:
        self._pool = pool
        self._settings = settings
        self._tasks = tasks

    def run_due(self, stop: threading.Event) -> list[str]:
        """Run all that is due, one after the other; gives the names of the tasks that were run here."""
        return [task.name for task in self._tasks if self.run_if_due(task, stop)]

    def run_if_due(self, task: Task, stop: threading.Event) -> bool:
        """Run a task if it was asked for or its time has come; gives whether it was run here.

        :raises errors.Unavailable: the database is away.
        :raises psycopg.Error: it went away meanwhile.
        """
        if stop.is_set():
            return False
        with transaction(Nobody(self._pool)) as connection:
            operations = Operations(connection)
            moment = operations.clock()
            if task.name in operations.tasks_on_pg_cron():
                moment -= PG_CRON_MAY_TAKE
            due_since = last_due(task.cron, moment)
            is_waiting = operations.is_waiting(task.name, due_since)
        return is_waiting and run_task(task, due_since, self._settings, stop)


def last_due(cron: str, moment: datetime) -> datetime:
    """When an expression was last due, in UTC."""
    # searched from the minute after, because the moment itself counts
    after = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return next(CronSim(cron, after, reverse=True))
