"""The database that is measured: a scratch PostgreSQL with the service's schema and a known amount of data."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import psycopg
from cryptography.fernet import Fernet
from psycopg import sql
from psycopg.conninfo import make_conninfo

from config import Settings
from database.embedded import EmbeddedServer
from database.provision import provision
from security.api_keys import new_api_key

TEAMS = 1000
INTEGRATIONS_PER_TEAM = 200
KEYS = 100  # so that the row of one key's rate limit is not what is measured

LOAD = Path(__file__).with_name("load.sql")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class BenchmarkDatabase:
    """A loaded database, and what it takes to use it.

    :param admin_url: a superuser's login.
    :param settings: of a service on this database.
    :param keys: API keys: the first is of the owner of team 1, and so on.
    """

    admin_url: str
    settings: Settings
    keys: list[str]

    def version(self) -> str:
        """PostgreSQL's version."""
        with psycopg.connect(self.admin_url) as connection:
            return str(connection.execute("SHOW server_version").fetchone()[0])  # type: ignore[index]

    def process(self) -> int:
        """The server's first process, on this machine."""
        with psycopg.connect(self.admin_url) as connection:
            server = psutil.Process(connection.info.backend_pid).parent()
        assert server is not None
        return server.pid

    def settle(self) -> None:
        """Write out what the last measurement left to be written, so that the next one does not pay for it."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")


@dataclass(frozen=True)
class BenchmarkServer:
    """A server that databases are made on.

    :param url: a superuser's login.
    :param settings: with keys, and a directory that lasts as long as the server.
    """

    url: str
    settings: Settings


@contextmanager
def benchmark_server() -> Iterator[BenchmarkServer]:
    """A server that is gone afterwards; the one of DATABASE_URL where that is set."""
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    settings = replace(
        Settings.from_environment(),
        data_dir=directory,
        signing_keys=("a key of the benchmarks and of nothing else",),
        encryption_keys=(Fernet.generate_key().decode(),),
    )
    server = None if settings.database_url else EmbeddedServer(directory / "postgresql")
    try:
        yield BenchmarkServer(server.start() if server else settings.database_url, settings)
    finally:
        if server:
            server.stop(immediate=True)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def loaded_database(
    server: BenchmarkServer, teams: int = TEAMS, integrations_per_team: int = INTEGRATIONS_PER_TEAM
) -> Iterator[BenchmarkDatabase]:
    """A database on a server, loaded with teams, owners, keys and integrations, and gone afterwards."""
    with _scratch(server.url) as admin_url:
        logins = provision(admin_url, server.settings)
        keys = [new_api_key() for _ in range(KEYS)]
        _load(admin_url, keys, teams, integrations_per_team)
        logged = replace(
            server.settings, database_url="", service_database_url=logins.service, worker_database_url=logins.worker
        )
        yield BenchmarkDatabase(admin_url, logged, keys)


@contextmanager
def benchmark_database() -> Iterator[BenchmarkDatabase]:
    """A server and a database that are gone afterwards; with DATABASE_URL a database on that server."""
    with benchmark_server() as server, loaded_database(server) as database:
        yield database


def identifier(kind: str, number: int) -> str:
    """The id that `load.sql` gives to a thing."""
    return str(uuid.UUID(hashlib.md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest()))


@contextmanager
def _scratch(server_url: str) -> Iterator[str]:
    made = f"ccb_bench_{os.getpid()}_{next(_numbers)}"
    name = sql.Identifier(made)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield make_conninfo(server_url, dbname=made)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _load(admin_url: str, keys: list[str], teams: int, integrations_per_team: int) -> None:
    amounts = {
        "teams": teams,
        "integrations_per_team": integrations_per_team,
        "key_hashes": [hashlib.sha256(key.encode()).hexdigest() for key in keys],
    }
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(LOAD.read_text("utf-8"), amounts)
        connection.execute("UPDATE plans SET limits = '{}'")  # they are not what is measured
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
