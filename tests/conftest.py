"""What tests start from: one PostgreSQL server, a template database migrated once, and clones of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from config import Settings
from database import Pool
from database.provision import LoginUrls, provision
from tests.postgresql import Server, start_server
from tests.service import SIGNING_KEY, Client, Person, Service, encryption_key

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The PostgreSQL server of the session."""
    started = start_server()
    yield started
    started.stop()


class Databases:
    """Makes databases out of a template that was migrated once."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self._template = self._create(None)
        self._logins = provision(self.admin_url(self._template), self.settings())
        with psycopg.connect(self.admin_url(self._template), autocommit=True) as connection:
            connection.execute("UPDATE plans SET limits = '{}'")

    def settings(self, **overrides: object) -> Settings:
        """Settings as tests want them: quick passwords, no limits that get in the way."""
        defaults = {"data_dir": self.folder, "bcrypt_cost": 4, "signing_keys": (SIGNING_KEY,)}
        defaults |= {"encryption_keys": (encryption_key(),), "pool_timeout": 5.0, "session_rate_limit": 1_000_000}
        defaults |= {"address_rate_limit": 1_000_000}
        return Settings(**{**defaults, **overrides})  # type: ignore[arg-type]

    def admin_url(self, name: str) -> str:
        """The administrator's login to a database."""
        return make_conninfo(self.server.url, dbname=name)

    def clone(self) -> Database:
        """A database of its own, as it is after the migrations."""
        name = self._create(self._template)
        urls = {role: make_conninfo(url, dbname=name) for role, url in asdict(self._logins).items()}
        logins = LoginUrls(**urls)
        return Database(name, self.admin_url(name), logins, self)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Remove the template."""
        self.drop(self._template)

    def empty(self) -> str:
        """The administrator's login to a new database without anything in it."""
        return self.admin_url(self._create(None))

    def _create(self, template: str | None) -> str:
        import os

        name = f"ccb_test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template or "template1")
                )
            )
        return name


class Database:
    """One database of the tests."""

    def __init__(self, name: str, admin_url: str, logins: LoginUrls, databases: Databases) -> None:
        self.name = name
        self.admin_url = admin_url
        self.logins = logins
        self.databases = databases

    def settings(self, **overrides: object) -> Settings:
        """Settings of a process on this database."""
        logins = {"service_database_url": self.logins.service, "worker_database_url": self.logins.worker}
        logins |= {"maintenance_database_url": self.logins.maintenance}
        return self.databases.settings(**{**logins, **overrides})

    def admin(self) -> psycopg.Connection[dict[str, Any]]:
        """A superuser's connection, which row level security does not bind: for arranging and for looking."""
        return psycopg.connect(self.admin_url, autocommit=True, row_factory=psycopg.rows.dict_row)

    def look(self, question: str) -> Any:
        """The one value that a superuser's query gives."""
        with self.admin() as connection:
            (row,) = connection.execute(question).fetchall()
            (value,) = row.values()
            return value

    def pool(self, **overrides: object) -> Pool:
        """An open pool with the service's login."""
        pool = Pool(self.logins.service, self.settings(**overrides))
        pool.open()
        return pool


@pytest.fixture(scope="session")
def databases(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """The template and its clones."""
    made = Databases(server, tmp_path_factory.mktemp("data"))
    yield made
    made.close()


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A database of the test's own."""
    clone = databases.clone()
    yield clone
    databases.drop(clone.name)


@pytest.fixture(scope="module")
def module_database(databases: Databases) -> Iterator[Database]:
    """A database that the tests of a module share."""
    clone = databases.clone()
    yield clone
    databases.drop(clone.name)


@pytest.fixture(scope="session")
def service(databases: Databases) -> Iterator[Service]:
    """The service as users meet it: gunicorn on a socket. Shared, so tests make their own people in it."""
    clone = databases.clone()
    with Service(clone.settings()) as running:
        running.database = clone
        yield running
    databases.drop(clone.name)


@pytest.fixture
def client(service: Service) -> Client:
    """Nobody in particular."""
    return service.client()


@pytest.fixture
def ann(service: Service) -> Person:
    """A person who has registered and signed in."""
    return service.person("Ann")


@pytest.fixture
def bob(service: Service) -> Person:
    """Another person, who shares nothing with the first."""
    return service.person("Bob")
