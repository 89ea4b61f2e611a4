"""The database that is measured: a scratch PostgreSQL with the service's schema and a known amount of data."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

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

    def settle(self) -> None:
        """Write out what the last measurement left to be written, so that the next one does not pay for it."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")


@contextmanager
def benchmark_database() -> Iterator[BenchmarkDatabase]:
    """A server and a database that are gone afterwards; with DATABASE_URL a database on that server."""
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    settings = replace(
        Settings.from_environment(),
        data_dir=directory,
        signing_keys=("a key of the benchmarks and of nothing else",),
        encryption_keys=(Fernet.generate_key().decode(),),
    )
    server = None if settings.database_url else EmbeddedServer(directory / "postgresql")
    try:
        server_url = server.start() if server else settings.database_url
        with _scratch(server_url) as admin_url:
            logins = provision(admin_url, settings)
            keys = [new_api_key() for _ in range(KEYS)]
            _load(admin_url, keys)
            logged = replace(
                settings, database_url="", service_database_url=logins.service, worker_database_url=logins.worker
            )
            yield BenchmarkDatabase(admin_url, logged, keys)
    finally:
        if server:
            server.stop(immediate=True)
        shutil.rmtree(directory, ignore_errors=True)


def identifier(kind: str, number: int) -> str:
    """The id that `load.sql` gives to a thing."""
    return str(uuid.UUID(hashlib.md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest()))


@contextmanager
def _scratch(server_url: str) -> Iterator[str]:
    name = sql.Identifier(f"ccb_bench_{os.getpid()}")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield make_conninfo(server_url, dbname=f"ccb_bench_{os.getpid()}")
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _load(admin_url: str, keys: list[str]) -> None:
    amounts = {
        "teams": TEAMS,
        "integrations_per_team": INTEGRATIONS_PER_TEAM,
        "key_hashes": [hashlib.sha256(key.encode()).hexdigest() for key in keys],
    }
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(LOAD.read_text("utf-8"), amounts)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
