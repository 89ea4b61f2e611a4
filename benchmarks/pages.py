"""`bin/bench --pages`: whether lists stay flat, from the first page to the thousandth, from few rows to many."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from benchmarks import http_load, report
from benchmarks.calls import HttpRequest
from benchmarks.database import BenchmarkDatabase, benchmark_server, identifier, loaded_database
from benchmarks.web_process import WebProcess, gunicorn, service_environment
from database import ApiKey, Pool, load, statement
from database.identity import CONTEXT
from database.queries import QUERIES
from repositories.repository import Order, Repository
from web.caller import digest
from web.paging import signer_of

FEW = 10_000
FLAT = 1.5  # times what it takes among few rows, at most
SIZE = 5  # rows a page, so that team 1 has a thousand pages among few rows
DEPTH = 1000
REPETITIONS = 30

LOAD = Path(__file__).with_name("pages.sql")


@dataclass(frozen=True)
class List:
    """A list in its default order.

    :param key: what it is sorted by, newest first.
    :param filters: what its statement takes when the caller filters by nothing.
    """

    table: str
    key: str = "created_at"
    filters: tuple[tuple[str, Any], ...] = ()
    path: str = ""

    @property
    def route(self) -> str:
        """Its path."""
        return f"/api/v1/{self.path or self.table.replace('_', '-')}"


LISTS = (
    List("integrations", filters=(("include_deleted", False),)),
    List("integration_executions", key="started_at"),
    List("workflow_executions"),
    List("webhook_deliveries"),
    List("events", filters=(("settled", False),)),
    List("audit_logs"),
    List("metrics", key="recorded_at", path="metrics/points"),
)


def main(*, rounds: int, rows: int, check: bool) -> int:
    """Measure; gives the exit status.

    :param rows: of the larger database; the smaller one has ten thousand.
    """
    lists = [each for each in LISTS if (QUERIES / f"{each.table}.sql").exists()]
    with ExitStack() as stack:
        server = stack.enter_context(benchmark_server())
        sizes = {"few": FEW, "many": rows}
        places = {}
        for name, amount in sizes.items():
            database = stack.enter_context(loaded_database(server, 100, 1))
            _load(database, amount)
            places[name] = stack.enter_context(_place(database, name))
            print(f"  loaded {amount} rows into each table", file=sys.stderr, flush=True)
        times = {
            f"{each.table}, {whose}, page {depth}": _measure(each, places, rounds, depth, whose == "the team's")
            for each in lists
            for whose in ("all", "the team's")
            for depth in (1, DEPTH)
        }
        conditions = {"postgresql": database.version(), "rounds": rounds, "rows": rows, "few": FEW, "page": SIZE}
    columns = ("statement", "http", "blocks")
    print(f"\n{'list':46}" + "".join(f"{name + (' ms' if name != 'blocks' else ''):>27}" for name in columns))
    print(f"{'':46}" + f"{f'{FEW:,}':>10}{f'{rows:,}':>11}{'':6}" * len(columns))
    for name, levels in times.items():
        print(f"{name:46}" + "".join(_columns(levels[column]) for column in columns))
    print(f"\nEverything: {report.keep({'conditions': conditions, 'lists': times})}")
    steep = [name for name, levels in times.items() if any(_ratio(taken) > FLAT for taken in levels.values())]
    print(f"not flat: {'; '.join(steep)}" if steep else "all flat")
    return 1 if check and steep else 0


class _Place:
    """One of the databases, with a service on it and an identity for it."""

    def __init__(self, database: BenchmarkDatabase, port: int, identity: ApiKey) -> None:
        self.database = database
        self.port = port
        self.identity = identity

    def order(self, each: List, depth: int) -> Order:
        """The order that leads to a page."""
        order = Order(each.key, True, SIZE)
        if depth == 1:
            return order
        last = sql.SQL(
            "SELECT {key}, id::text FROM {table} WHERE organization_id = %s"
            " ORDER BY {key} DESC, id DESC OFFSET %s LIMIT 1"
        ).format(key=sql.Identifier(each.key), table=sql.Identifier(each.table))
        with psycopg.connect(self.database.admin_url) as connection:
            connection.execute("SET timezone = 'UTC'")
            row = connection.execute(last, [identifier("team", 1), (depth - 1) * SIZE - 1]).fetchone()
        assert row is not None
        return Order(each.key, True, SIZE, [row[0].isoformat(), row[1]])

    def statement(self, each: List, order: Order, team: str | None) -> float:
        """Seconds of a page from the repository: one round trip with authentication, row level security and all."""
        began = time.perf_counter()
        with statement(self.identity) as connection:
            repository = _Lists(connection)
            rows = repository.page(load(each.table).list, order, organization_id=team, **dict(each.filters))
        took = time.perf_counter() - began
        assert len(rows) == SIZE, (each, len(rows))
        return took

    def blocks(self, each: List, order: Order, team: str | None) -> int:
        """How many blocks the same statement touches, which no other process's work changes."""
        query = load(each.table).list.variant(
            each.key, descending=True, continued=order.after is not None, tenant_known=team is not None
        )
        after, after_tie = order.after or (None, None)
        values = dict(each.filters) | {"after": after, "after_tie": after_tie, "limit": order.limit + 1}
        values |= {"after_id": after_tie, "organization_id": team}
        url, credential = self.database.settings.service_database_url, digest(self.database.keys[0])
        with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
            connection.execute("SELECT authenticate_api_key($1, NULL, NULL, NULL)", [credential])
            connection.execute(CONTEXT.become_user.text)
            for _ in range(2):  # the first time the connection reads the catalogue
                row = connection.execute(
                    f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.text}",
                    [values.get(name) for name in query.parameters],
                ).fetchone()
        assert row is not None
        plan = row[0][0]["Plan"]
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])

    def request(self, each: List, order: Order, team: str | None) -> bytes:
        """The request for the same page."""
        filters = {} if team is None else {"organization_id": team}
        query = {**filters, "limit": str(SIZE)}
        if order.after is not None:
            keys = self.database.settings.signing_keys
            query["cursor"] = signer_of(keys).dumps([each.route, filters, order.after])
        path = f"{each.route}?{urlencode(query)}"
        return HttpRequest("GET", path).encode(Authorization=f"Bearer {self.database.keys[0]}")


class _Lists(Repository):
    """Whatever list."""


def _measure(
    each: List, places: dict[str, _Place], rounds: int, depth: int, of_team: bool
) -> dict[str, dict[str, list[float]]]:
    """Milliseconds, the lower quartile of each round, and blocks: level → place → rounds. The places take turns."""
    team = identifier("team", 1) if of_team else None
    taken: dict[str, dict[str, list[float]]] = {level: {name: [] for name in places} for level in ("statement", "http")}
    ready = {name: place.order(each, depth) for name, place in places.items()}
    requests = {name: place.request(each, ready[name], team) for name, place in places.items()}
    for number in range(rounds):
        singles: dict[str, list[float]] = {name: [] for name in places}
        answered: dict[str, list[float]] = {name: [] for name in places}
        for _ in range(REPETITIONS):
            for name in places if number % 2 else reversed(places):
                singles[name].append(1000 * places[name].statement(each, ready[name], team))
                answered[name].append(http_load.measure(places[name].port, [requests[name]], 0, 1).p50)
        for name in places:
            for level, times in {"statement": singles, "http": answered}.items():
                taken[level][name].append(round(statistics.quantiles(times[name])[0], 3))
    taken["blocks"] = {name: [place.blocks(each, ready[name], team)] for name, place in places.items()}
    return taken


def _columns(taken: dict[str, list[float]]) -> str:
    few, many = (statistics.median(taken[name]) for name in ("few", "many"))
    return f"{few:10.2f}{many:11.2f}{_ratio(taken):6.2f}"


def _ratio(taken: dict[str, list[float]]) -> float:
    return statistics.median(many / few for few, many in zip(taken["few"], taken["many"], strict=True))


def _load(database: BenchmarkDatabase, rows: int) -> None:
    with psycopg.connect(database.admin_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for part in LOAD.read_text("utf-8").split(";\n"):  # VACUUM is no part of a transaction
            connection.execute(part.encode(), {"rows": rows})


@contextmanager
def _place(database: BenchmarkDatabase, name: str) -> Iterator[_Place]:
    log = database.settings.data_dir / f"{name}.log"
    ready = [HttpRequest("GET", "/readyz").encode()]
    environment = {**service_environment(database.settings), "WEB_WORKERS": "1"}
    pool = Pool(database.settings.service_database_url, database.settings)
    pool.open()
    try:
        with WebProcess(name, gunicorn("wsgi:app"), environment, lambda _: ready, log) as process:
            yield _Place(database, process.port, ApiKey(pool, credential=digest(database.keys[0])))
    finally:
        pool.close()
