"""Cursors of events go on where a dump has been taken, whatever the transaction ids of the cluster are."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from config import Settings
from database import ActingFor, Nobody, Pool, transaction
from database.provision import provision
from operations.backup import create_backup
from operations.restore import restore_backup
from repositories.events import Events
from repositories.integrations import Integrations
from repositories.repository import Order
from repositories.users import Users
from tests.conftest import Database
from tests.postgresql import OwnServer, _installation
from tests.waiting import eventually


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[OwnServer]:
    """Another cluster."""
    server = OwnServer(_installation())
    yield server
    server.stop()


class Place:
    """A database in one of the places it lives in, used the way the service does.

    :param url: an administrator's login.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.pool = Pool(provision(url, settings).service, settings)
        self.pool.open()

    def register(self) -> str:
        """A new person; gives the id."""
        user_id = str(uuid.uuid4())
        with transaction(Nobody(self.pool)) as connection:
            Users(connection).register(user_id=user_id, email=f"{user_id}@example.org", name="Ann", password_hash="x")
        return user_id

    def write(self, user_id: str, name: str) -> None:
        """One more integration."""
        with transaction(ActingFor(self.pool, user_id)) as connection:
            Integrations(connection).create(name=name, service_type="rest")

    def read(self, user_id: str, after: list[str] | None) -> tuple[list[str], list[str]]:
        """The names of the integrations that were made behind a place, and the place to go on from."""
        order = Order("position", False, 100, after)
        with transaction(ActingFor(self.pool, user_id)) as connection:
            rows = Events(connection).find(order=order, event_type="integration.created")
        names = [self._one("SELECT name FROM integrations WHERE id = %s", row["aggregate_id"])["name"] for row in rows]
        assert after or rows
        return names, order.place_of(rows[-1]) if rows else after or []

    def transaction_id(self) -> int:
        """What the cluster counts transactions by."""
        return int(self._one("SELECT pg_current_xact_id()::text AS number")["number"])

    def spend(self, count: int) -> None:
        """Let the cluster have seen more transactions."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for _ in range(count):
                connection.execute("SELECT pg_current_xact_id()")

    def offsets(self) -> list[int]:
        """The offsets that have been in use."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT transaction_offset FROM event_clocks ORDER BY 1").fetchall()
        return [row[0] for row in rows]

    def waits(self) -> bool:
        """Whether a transaction waits for another one."""
        return bool(self._one("SELECT count(*) AS number FROM pg_locks WHERE NOT granted")["number"])

    def _one(self, statement: str, *values: Any) -> dict[str, Any]:
        with psycopg.connect(self.url, row_factory=dict_row) as connection:
            row = connection.execute(statement, values).fetchone()
        assert row is not None
        return row


def test_a_cursor_goes_on_in_another_cluster_and_back(database: Database, elsewhere: OwnServer, tmp_path: Path) -> None:
    settings = database.databases.settings(data_dir=tmp_path)
    home = Place(database.admin_url, database.settings())
    person = home.register()
    home.write(person, "one")
    home.spend(3000)
    home.write(person, "two")
    names, place = home.read(person, None)
    assert names == ["one", "two"]

    url = make_conninfo(elsewhere.url, dbname="moved")
    provision(make_conninfo(elsewhere.url, dbname="postgres"), settings)  # the roles
    restore_backup(url, create_backup(home.url, tmp_path / "home"))
    there = Place(url, settings)
    assert there.transaction_id() < home.transaction_id()
    # nothing has been written there: what came with the dump is whole
    assert there.read(person, None)[0] == ["one", "two"]
    assert there.read(person, place)[0] == []
    there.write(person, "three")
    there.write(person, "four")
    names, place = there.read(person, place)
    assert names == ["three", "four"]
    assert len(there.offsets()) == 2

    # and home again, where transaction ids are higher but offsets were lower, into the database of the same name
    there_too = create_backup(url, tmp_path / "there")
    for each in (home, there):
        each.pool.close()
    restore_backup(database.admin_url, there_too, overwrite=True)
    back = Place(database.admin_url, database.settings())
    back.write(person, "five")
    assert back.read(person, place)[0] == ["five"]
    assert back.read(person, None)[0] == ["one", "two", "three", "four", "five"]
    assert len(back.offsets()) == 3
    back.pool.close()


def test_a_clone_in_the_same_cluster_keeps_its_clock(database: Database) -> None:
    place = Place(database.admin_url, database.settings())
    person = place.register()
    place.write(person, "one")
    place.write(person, "two")
    assert place.read(person, None)[0] == ["one", "two"]
    assert place.offsets() == [0]
    place.pool.close()


def test_first_writers_side_by_side_begin_one_clock(database: Database) -> None:
    """As right after a restore: the row is not there, and two transactions write their first event."""
    place = Place(database.admin_url, database.settings())
    people = [place.register() for _ in range(2)]
    place.pool.close()  # a restore ends every session
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("UPDATE event_clocks SET relation = 0")
    place = Place(database.admin_url, database.settings())
    with transaction(ActingFor(place.pool, people[0])) as connection:
        Integrations(connection).create(name="first", service_type="rest")
        second = threading.Thread(target=place.write, args=[people[1], "second"])
        second.start()
        eventually(place.waits, "the second one waits")
    second.join()
    assert len(place.offsets()) == 2
    assert [place.read(person, None)[0] for person in people] == [["first"], ["second"]]
    place.pool.close()
