"""The schedule of maintenance, kept by pg_cron where the extension is in the service's database (ruling 22).

What the database does by itself pg_cron runs, with a row for every run. For the rest, which takes statements outside of
transactions or more than the database, it asks the worker.
"""

from __future__ import annotations

import logging

import psycopg

from config import ROOT, Settings
from database.queries import templates
from operations.maintenance import TASKS

STATEMENTS = {name: text.as_string() for name, text in templates(ROOT / "sql" / "pg_cron.sql").items()}
HISTORY = "cleanup-cron-history"

logger = logging.getLogger("ccb.maintenance")


def register(admin_url: str, settings: Settings) -> bool:
    """Have pg_cron keep the schedule of every task and of none that is no more; may be repeated.

    :param admin_url: an administrator's login to the service's database.
    :return: whether pg_cron keeps it now; where it does not, the worker does.
    :raises psycopg.Error: the database cannot be reached.
    """
    with psycopg.connect(admin_url, cursor_factory=psycopg.RawCursor) as connection:
        if connection.execute(STATEMENTS["is_here"]).fetchone() != (True,):
            return False
        try:
            connection.execute(STATEMENTS["admit"])
            for task in TASKS:
                values = [task.name, task.cron, task.in_database, settings.partitions_ahead_months]
                connection.execute(STATEMENTS["register"], values)
            connection.execute(STATEMENTS["register_history"])
            connection.execute(STATEMENTS["unregister_others"], [[HISTORY, *(task.name for task in TASKS)]])
        except psycopg.errors.InsufficientPrivilege as error:
            connection.rollback()
            logger.warning("pg_cron is not used, the worker keeps the schedule: %s", error)
            return False
    return True
