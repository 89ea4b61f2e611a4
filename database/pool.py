"""The connections of one process."""

from __future__ import annotations

import queue
import select
import time

import psycopg_pool
from psycopg.adapt import Transformer

from config import Settings
from database.connection import PooledConnection
from database.identity import CONTEXT
from database.powers import refuse_powerful
from database.rows import adapters
from database.turns import Turns
from errors import Unavailable

_NONE_FREE = "No database connection was free in time."


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
        self.generation = 0  # of prepared statements: see outdated()
        self._turns: Turns[PooledConnection] = Turns(settings.pool_max_size)
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
        if self._prepares:  # otherwise the session may be another client's by the time that it is to send them
            connection.execute(CONTEXT.keep_announcements.text)
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
        turn = self._turns.ask()
        handed_on = None if turn is None else self._await(turn)
        if handed_on is not None:
            return handed_on  # just used, so sound
        try:
            while _is_cut(connection := self._pool.getconn(max(deadline - time.monotonic(), 0))):
                self._replace(connection)
            return connection
        except BaseException as error:
            self._turns.end()
            if isinstance(error, psycopg_pool.PoolTimeout):
                raise Unavailable(_NONE_FREE) from error
            if isinstance(error, psycopg_pool.PoolClosed):  # a request that comes while the process ends
                raise Unavailable("This process is not connected: it is starting or stopping.") from error
            raise

    def _await(self, turn: queue.SimpleQueue[PooledConnection | None]) -> PooledConnection | None:
        try:
            return turn.get(timeout=self._timeout)
        except BaseException as error:
            if not self._turns.withdraw(turn):
                connection = turn.get()
                if connection is None:
                    self._turns.end()
                else:
                    self.give_back(connection)
            if isinstance(error, queue.Empty):
                raise Unavailable(_NONE_FREE) from None
            raise

    def give_back(self, connection: PooledConnection) -> None:
        """Return a connection; a broken one is replaced, and its idle siblings are looked after."""
        if connection.closed:
            self._replace(connection)
        elif self._turns.hand_on(connection):
            return
        else:
            self._pool.putconn(connection)
        self._turns.end()

    def _replace(self, connection: PooledConnection) -> None:
        self._pool.putconn(connection)
        self._pool.check()

    def outdated(self, connection: PooledConnection) -> None:
        """Have every connection prepare its statements anew before its next transaction: the schema has changed."""
        if connection.generation == self.generation:
            self.generation += 1

    def statistics(self) -> dict[str, int]:
        """Counters of `psycopg_pool`, and `in_use`, `waits` and `requests_waiting`, for `/metrics`."""
        turns = self._turns
        own = {"in_use": self._size - turns.free, "waits": turns.waits, "requests_waiting": turns.waiting}
        return {**self._pool.get_stats(), **own}


def _is_cut(connection: PooledConnection) -> bool:
    """Whether the server has hung up meanwhile, as it does when it restarts: nothing but a farewell comes unasked."""
    socket = select.poll()
    socket.register(connection.pgconn.socket, select.POLLIN)
    if not socket.poll(0):
        return False
    connection.close()
    return True
