"""What the tests of the schema share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import Database
from tests.sql.people import People


@pytest.fixture(scope="module")
def people(module_database: Database) -> Iterator[People]:
    """People who act in the module's database."""
    made = People(module_database)
    yield made
    made.close()


@pytest.fixture(scope="module")
def admin(module_database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection, for arranging and for looking."""
    with module_database.admin() as connection:
        yield connection
