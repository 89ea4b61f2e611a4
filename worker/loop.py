"""The worker's loop: looks for work until it is told to stop, and finishes what it holds."""

from __future__ import annotations

import logging
import signal
import threading

import psycopg

import logs
from config import ConfigurationError, Settings
from database import Pool
from errors import DomainError
from worker.maintenance import Maintenance

LOOK_EVERY = 5.0  # seconds

logger = logging.getLogger("ccb.worker")


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    :raises config.ConfigurationError: WORKER_DATABASE_URL is missing.
    """
    if not settings.worker_database_url:
        raise ConfigurationError("WORKER_DATABASE_URL is not set; bin/serve derives it")
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pool = Pool(settings.worker_database_url, settings)
    pool.open()
    maintenance = Maintenance(pool)
    try:
        while not stop.is_set():
            try:
                maintenance.run_due(stop)
            except (DomainError, psycopg.Error) as error:
                logger.warning("maintenance did not go through: %s", error)
            stop.wait(LOOK_EVERY)
    finally:
        pool.close()
