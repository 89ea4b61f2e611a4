"""Transactions: context, statement and commit in as few round trips as can be.

psycopg keeps the connections and turns values into Python; the exchange itself goes through its `pgconn`,
because a cursor for every statement cost more than the statement (`docs/performance.md`). Everything that a
transaction sends at a time is one pipeline, ended by one Sync:

* :func:`statement` is a transaction of exactly one statement. Where that only reads it needs no BEGIN: the pipeline
  up to its Sync is one implicit transaction, so rate limit, authentication, context, statement and commit are one
  round trip.
* :func:`transaction` holds several statements: the context travels with the first one.

Unless the caller only reads, `send_announcements()` goes right behind the COMMIT, and a single statement has a BEGIN
and a COMMIT as well (`docs/decisions/0065-announcements.md`).
"""

from __future__ import annotations

import functools
import logging
import select
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, cast

import psycopg
from psycopg import adapt
from psycopg.abc import Transformer
from psycopg.adapt import PyFormat
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from database.identity import CONTEXT, Identity, Step
from database.queries import Query
from database.rows import Row
from database.translation import translate
from errors import LargePage, NotFound, PlansOutdated

logger = logging.getLogger("ccb.database")

_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
_ATTEMPTS = 4  # at a transaction's first statement, while migrations outdate its plans
_FORMATS = [[PyFormat.TEXT] * count for count in range(100)]


class Waiting:
    """Waits for a socket. Under gevent, where a blocking read would stop every request of the process, others run.

    It lasts as long as its connection: to begin anew for each answer costs system calls.
    """

    def __init__(self, descriptor: int) -> None:
        self._close: list[Callable[[], None]] = []
        monkey = sys.modules.get("gevent.monkey")
        is_gevent = monkey is not None and monkey.is_module_patched("select")
        watch = self._watch if is_gevent else self._poll
        self.until_readable, self.until_writable = watch(descriptor, select.POLLIN), watch(descriptor, select.POLLOUT)

    def close(self) -> None:
        """Let go of the socket, before somebody else gets its number."""
        while self._close:
            self._close.pop()()

    def _watch(self, descriptor: int, event: int) -> Callable[[], None]:
        import gevent

        hub = gevent.get_hub()
        watcher = hub.loop.io(descriptor, 1 if event == select.POLLIN else 2)
        self._close.append(watcher.close)
        return functools.partial(hub.wait, watcher)

    @staticmethod
    def _poll(descriptor: int, event: int) -> Callable[[], None]:
        poll = select.poll()
        poll.register(descriptor, event)
        return cast("Callable[[], None]", poll.poll)


class PooledConnection(psycopg.Connection[Any]):
    """A connection that remembers which statements it has prepared, and what turns their rows into Python."""

    prepared: set[bytes]
    row_loaders: dict[bytes, tuple[Transformer, tuple[str, ...]]]
    transformer: Transformer
    prepares: bool = True
    waiting: Waiting | None = None
    generation: int  # of the prepared statements: see Pool.outdated()

    def close(self) -> None:
        """End the connection."""
        if self.waiting is not None:
            self.waiting.close()
            self.waiting = None
        super().close()

    def forget(self, generation: int) -> None:
        """Take no statement for prepared any more."""
        self.generation = generation
        self.prepared.clear()
        self.row_loaders.clear()


class Connection:
    """One transaction. Repositories get it; handlers only open it."""

    __slots__ = ("_ahead", "_identity", "_outer", "_pgconn", "_psycopg", "_single", "_started")

    def __init__(self, identity: Identity, *, single: bool) -> None:
        self._identity = identity
        self._single = single
        self._started = False
        self._ahead: list[Step] = []  # what travels with the next statement: see savepoint()
        self._outer: Connection | None = None

    def __enter__(self) -> Connection:
        outer = self._identity.connection
        if outer is not None:
            self._outer = outer
            return outer
        self._psycopg = self._identity.pool.take()
        self._pgconn: PGconn = self._psycopg.pgconn
        self._identity.connection = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outer is not None:
            return
        self._identity.connection = None
        try:
            if self._pgconn.transaction_status != TransactionStatus.IDLE and self._psycopg.closed is False:
                steps = [(CONTEXT.rollback, {})] if kind else [*self._ahead, (CONTEXT.commit, {})]
                ended = self._checked(steps, announces=kind is None and self._announces)
                if kind is None and ended[-1].command_status == b"ROLLBACK":
                    raise RuntimeError("a failure inside the transaction was caught without a savepoint()")
        finally:
            self._identity.pool.give_back(self._psycopg)

    @property
    def identity(self) -> Identity:
        """Who the transaction acts for."""
        return self._identity

    def one(self, query: Query, /, **values: Any) -> Row:
        """The row of a `:one` query.

        :raises errors.NotFound: there is none that the caller may see.
        """
        row = self.maybe(query, **values)
        if row is None:
            raise NotFound
        return row

    def maybe(self, query: Query, /, **values: Any) -> Row | None:
        """The row of a query, or None."""
        rows = self._rows(query, self._run(query, values))
        return rows[0] if rows else None

    def many(self, query: Query, /, **values: Any) -> list[Row]:
        """The rows of a query."""
        return self._rows(query, self._run(query, values))

    def page(self, quick: Query, bounded: Query, /, **values: Any) -> list[Row]:
        """The rows of a page: by the quick statement, or where that finds large rows by the one that counts bytes.

        What has begun already asks the latter at once, for a refusal would undo it.
        """
        if self._started or self._ahead:
            return self.many(bounded, **values)
        try:
            return self.many(quick, **values)
        except LargePage:
            if self._pgconn.transaction_status != TransactionStatus.IDLE:
                self._checked([(CONTEXT.rollback, {})])
            self._started = False
            return self.many(bounded, **values)

    def execute(self, query: Query, /, **values: Any) -> int:
        """Run a statement; gives the number of rows it touched."""
        return self._run(query, values).command_tuples or 0

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction: when the block raises, what it did is undone and the rest is not.

        It costs no round trip of its own, for its beginning and its end travel with the statements in and behind it.
        """
        self._ahead.append((CONTEXT.savepoint, {}))
        try:
            yield
        except BaseException:
            self._ahead.append((CONTEXT.rollback_to_savepoint, {}))
            raise
        finally:
            self._ahead.append((CONTEXT.release_savepoint, {}))

    def _run(self, query: Query, values: Mapping[str, Any]) -> PGresult:
        if self._started and self._single:
            raise RuntimeError(f"{query.name}: statement() holds one statement; use transaction()")
        commits = self._single and self._announces
        for _ in range(_ATTEMPTS):
            before = [] if self._started else self._identity.steps_before(explicit=commits or not self._single)
            steps = [*before, *self._ahead, (query, values)]
            place = len(steps) - 1
            if commits:
                steps.append((CONTEXT.commit, {}))
            results = self._exchange(steps, announces=commits)
            for (step, _), result in zip(before, results, strict=False):
                if step.kind in ("one", "maybe") and result.ntuples == 1:
                    self._identity.learn(step, self._rows(step, result)[0])
            fault = self._fault(steps, results)
            if not isinstance(fault, PlansOutdated):
                break
            self._identity.pool.outdated(self._psycopg)
            if self._started:
                break  # only whoever opened the transaction can repeat what went before: see web/application.py
            if self._pgconn.transaction_status != TransactionStatus.IDLE:
                self._exchange([(CONTEXT.rollback, {})])
        self._started = True
        self._ahead.clear()
        if fault is not None:
            try:
                raise fault
            finally:
                del fault  # or it holds itself, by this frame, and with it all that its callers read afterwards
        return results[place]

    def _checked(self, steps: list[Step], *, announces: bool = False) -> list[PGresult]:
        results = self._exchange(steps, announces=announces)
        if fault := self._fault(steps, results):
            raise fault
        return results

    def _rows(self, query: Query, result: PGresult) -> list[Row]:
        count = result.ntuples
        if not count:
            return []
        known = self._psycopg.row_loaders.get(query.statement)
        if known is None:
            names = tuple((result.fname(column) or b"").decode() for column in range(result.nfields))
            transformer = adapt.Transformer(self._psycopg)
            transformer.set_pgresult(result)
            if self._psycopg.prepares:  # then its columns stay the same for the life of the connection
                self._psycopg.row_loaders[query.statement] = transformer, names
        else:
            transformer, names = known
            transformer.set_pgresult(result, set_loaders=False)
        rows = [dict(zip(names, values)) for values in transformer.load_rows(0, count, tuple)]
        transformer.set_pgresult(None, set_loaders=False)  # or each statement of each connection keeps its last answer
        return rows

    def _exchange(self, steps: list[Step], *, announces: bool = False) -> list[PGresult]:
        """Send statements in one pipeline; gives what each of them answered, failures among it.

        :param announces: whether they end with a COMMIT, behind which to send what the transaction announced.
        :raises errors.DomainError: the connection broke, or a value cannot be sent.
        """
        pgconn, prepared, transformer = self._pgconn, self._psycopg.prepared, self._psycopg.transformer
        sends = []
        for query, values in [*steps, (CONTEXT.send_announcements, {})] if announces else steps:
            texts = None
            if query.parameters:
                arguments = [values.get(name) for name in query.parameters]
                try:
                    texts = transformer.dump_sequence(arguments, _FORMATS[len(arguments)])
                except (psycopg.DataError, UnicodeError) as error:
                    raise translate(error, query) from error
            sends.append((query, texts))
        expected: list[bytes | None] = []  # what each result belongs to: a statement's preparation, or its run
        try:
            pgconn.enter_pipeline_mode()
            outdated = self._psycopg.generation != self._identity.pool.generation
            if outdated and pgconn.transaction_status == TransactionStatus.IDLE:
                self._psycopg.forget(self._identity.pool.generation)
                pgconn.send_query_params(CONTEXT.forget.text.encode(), None)
                expected.append(b"")  # like a preparation, it has no answer
            for query, texts in sends:
                if not self._psycopg.prepares:
                    pgconn.send_query_params(query.text.encode(), texts)
                else:
                    if query.statement not in prepared and query.statement not in expected:
                        pgconn.send_prepare(query.statement, query.text.encode())
                        expected.append(query.statement)
                    pgconn.send_query_prepared(query.statement, texts)
                expected.append(None)
            pgconn.pipeline_sync()
            results = self._read(len(expected), announces=announces)
            pgconn.exit_pipeline_mode()
        except psycopg.Error as error:
            self._psycopg.close()  # nothing more can be read from it
            raise translate(error, steps[-1][0]) from error
        except BaseException:
            self._psycopg.close()  # a time-out in the middle leaves answers that nobody will read
            raise

        answers: list[PGresult] = []
        failed: PGresult | None = None
        for name, result in zip(expected, results, strict=True):
            if name is None:
                answers.append(result if failed is None else failed)
            elif result.status == ExecStatus.COMMAND_OK:
                prepared.add(name)
            elif result.status == ExecStatus.FATAL_ERROR:
                failed = result  # what it was prepared for is answered by its fault
        if announces:
            self._note(answers.pop(), committed=answers[-1].status in _DONE)
        return answers

    @property
    def _announces(self) -> bool:
        return self._psycopg.prepares and not self._identity.reads_only

    @staticmethod
    def _note(announced: PGresult, *, committed: bool) -> None:
        """Whoever was not told finds what changed by looking: no fault of the one who changed it."""
        if committed and announced.status not in _DONE:
            logger.warning("changes were not announced: %s", " ".join(announced.error_message.decode().split()))

    @staticmethod
    def _fault(steps: list[Step], results: list[PGresult]) -> Exception | None:
        """What the first failing statement means, by `database.translation`."""
        if results[-1].status in _DONE:
            return None
        return next(
            translate(psycopg.errors.error_from_result(result), query)
            for (query, _), result in zip(steps, results, strict=True)
            if result.status not in _DONE
        )

    def _read(self, count: int, *, announces: bool) -> list[PGresult]:
        pgconn = self._pgconn
        waiting = self._psycopg.waiting
        if waiting is None:
            waiting = self._psycopg.waiting = Waiting(pgconn.socket)
        while pgconn.flush():
            waiting.until_writable()
        results: list[PGresult] = []
        while True:
            while pgconn.is_busy():
                waiting.until_readable()
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                return results
            if result.status == ExecStatus.FATAL_ERROR and len(results) >= count:
                if announces and pgconn.status == ConnStatus.OK:
                    results[-1] = result  # the Sync commits what notifies, and that is where notifying fails
                    continue
                raise psycopg.OperationalError(result.error_message.decode("utf-8", "replace"))
            results.append(result)


def statement(identity: Identity) -> Connection:
    """A transaction of exactly one statement, in one round trip.

    Inside a :func:`transaction` of the same identity it joins that one.

    :raises RuntimeError: on a second statement.
    """
    return Connection(identity, single=True)


def transaction(identity: Identity) -> Connection:
    """A transaction of several statements: committed when the block ends, undone when it raises.

    Inside another one of the same identity it joins that one.
    """
    return Connection(identity, single=False)
