"""A database whose months the tests move, and those who maintain it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from config import Settings
from operations.maintenance import Run
from operations.partitions import Partitions
from tests.conftest import Database
from tests.sql.test_rulings_partitions import Clock


@pytest.fixture
def clock(database: Database) -> Iterator[Clock]:
    with database.admin() as admin:
        yield Clock(database, admin)


@pytest.fixture
def settings(database: Database) -> Settings:
    # nobody keeps audit logs for two years only; seven would make the drill as long
    return database.settings(retention_audit_logs_years=2, retention_batch_rows=2)


@pytest.fixture
def run(database: Database, settings: Settings) -> Iterator[Run]:
    with psycopg.connect(
        database.logins.worker, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.RawCursor
    ) as worker:
        yield Run(settings, worker, threading.Event())


@pytest.fixture
def partitions(database: Database) -> Iterator[Partitions]:
    with Partitions.opened(database.logins.maintenance, threading.Event()) as opened:
        yield opened
