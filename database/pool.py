"""The connections of one process."""

from __future__ import annotations

import queue
import select
import time

import psycopg_pool
from psycopg.adapt import Transformer

from config import Settings
from database.connection import PooledConnection
from database.powers import refuse_powerful
from database.rows import adapters
from errors import Unavailable


class _Adaptation:
    """What psycopg takes the adapters of a new connection from."""

    adapters = adapters()
    connection = None


class Pool:
    """A bounded pool. Open it after the fork: connections do not survive one.

    psycopg_pool makes and keeps the connections. While all are in use, one that comes back goes straight to whoever
    waits longest: past its locks, which would cost each request a tenth.

    :param url: the login to connect with.
    :param settings: sizes and time-outs.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._prepares = settings.prepare_statements
        self._timeout = settings.pool_timeout
        self._size = settings.pool_max_size
        self._waiting = 0
        self._waits = 0
        self.generation = 0  # of prepared statements: see outdated()
        # who takes one of these may take a connection, or gets one
        self._turns: queue.SimpleQueue[PooledConnection | None] = queue.SimpleQueue()
        for _ in range(settings.pool_max_size):
            self._turns.put(None)
        self._pool = psycopg_pool.ConnectionPool(
            url,
            connection_class=PooledConnection,
            kwargs={
                "autocommit": True,
                "context": _Adaptation(),
                "prepare_threshold": None,
                "application_name": "claude-code-bot",
                "connect_timeout": 5,
                # a peer that vanished without a word is noticed within half a minute
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 30_000,
            },
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout=settings.pool_timeout,
            configure=self._configure,
            open=False,
        )

    def _configure(self, connection: PooledConnection) -> None:
        refuse_powerful(connection)
        connection.prepared = set()
        connection.row_loaders = {}
        connection.transformer = Transformer(connection)
        connection.prepares = self._prepares
        connection.generation = self.generation
        connection.pgconn.nonblocking = 1

    def open(self) -> None:
        """Start connecting, in the background: a database that is down does not keep the process from starting."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Give all connections back to the server."""
        self._pool.close(timeout=2)

    def take(self) -> PooledConnection:
        """A connection.

        :raises errors.Unavailable: none was free in time, or the database does not answer.
        """
        deadline = time.monotonic() + self._timeout
        while _is_cut(connection := self._next(deadline)):
            self.give_back(connection)
        return connection

    def _next(self, deadline: float) -> PooledConnection:
        self._waiting += 1
        if self._turns.empty():
            self._waits += 1
        try:
            connection = self._turns.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise Unavailable("No database connection was free in time.") from None
        finally:
            self._waiting -= 1
        if connection is not None:
            return connection
        try:
            return self._pool.getconn(max(deadline - time.monotonic(), 0))
        except BaseException as error:
            self._turns.put(None)
            if isinstance(error, psycopg_pool.PoolTimeout):
                raise Unavailable("No database connection was free in time.") from error
            if isinstance(error, psycopg_pool.PoolClosed):  # a request that comes while the process ends
                raise Unavailable("This process is not connected: it is starting or stopping.") from error
            raise

    def give_back(self, connection: PooledConnection) -> None:
        """Return a connection; a broken one is replaced, and its idle siblings are looked after."""
        broken = connection.closed
        if self._waiting and not broken:
            self._turns.put(connection)
            return
        self._pool.putconn(connection)
        self._turns.put(None)
        if broken:
            self._pool.check()

    def outdated(self, connection: PooledConnection) -> None:
        """Have every connection prepare its statements anew before its next transaction: the schema has changed."""
        if connection.generation == self.generation:
            self.generation += 1

    def statistics(self) -> dict[str, int]:
        """Counters of `psycopg_pool`, and `in_use`, `waits` and `requests_waiting`, for `/metrics`."""
        in_use = max(0, self._size - self._turns.qsize())
        return {**self._pool.get_stats(), "in_use": in_use, "waits": self._waits, "requests_waiting": self._waiting}


def _is_cut(connection: PooledConnection) -> bool:
    """Whether the server has hung up meanwhile, as it does when it restarts: nothing but a farewell comes unasked."""
    socket = select.poll()
    socket.register(connection.pgconn.socket, select.POLLIN)
    if not socket.poll(0):
        return False
    connection.close()
    return True
