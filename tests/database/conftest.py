"""A pool of the module's own, and somebody in its database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from database import ActingFor, Nobody, Pool, transaction
from tests.conftest import Database
from tests.database.own_queries import query


@pytest.fixture(scope="module")
def pool(module_database: Database) -> Iterator[Pool]:
    opened = module_database.pool(pool_max_size=2, pool_timeout=0.3)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def ann(pool: Pool) -> ActingFor:
    """A user of the module's database."""
    user_id = str(uuid.uuid4())
    with transaction(Nobody(pool)) as connection:
        register = query("SELECT register_user(%(id)s, 'ann@example.org', 'Ann', 'hash')")
        connection.many(register, id=user_id)
    return ActingFor(pool, user_id)
