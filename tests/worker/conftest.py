"""A queue with nothing in it, and a worker's login."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from database import Pool
from tests.conftest import Database
from tests.service import encryption_key
from tests.worker.claiming import Worker
from tests.worker.hooks import Hooks


@pytest.fixture(scope="module")
def module_hooks(module_database: Database) -> Iterator[Hooks]:
    made = Hooks(module_database.admin_url, encryption_key())
    yield made
    made.close()


@pytest.fixture
def hooks(module_hooks: Hooks) -> Hooks:
    """With nothing left of the test before."""
    module_hooks.run("DELETE FROM webhook_delivery_leases")
    module_hooks.run("DELETE FROM webhook_deliveries")
    return module_hooks


@pytest.fixture(scope="module")
def worker(module_database: Database) -> Iterator[Worker]:
    pool = Pool(module_database.logins.worker, module_database.settings())
    pool.open()
    yield Worker(pool)
    pool.close()
