"""Named queries out of SQL files.

A file holds statements under headers::

    -- name: get :one integrations:read
    -- One integration that the caller may see.
    SELECT * FROM integrations WHERE id = %(integration_id)s

The kind says what comes back: `:one` row or :class:`errors.NotFound`, `:maybe` a row, `:many` rows, `:exec` the
number of rows touched, `:page` rows in an order and from a place. The last word is the permission that the
policies ask for, named in the refusal; it may be left out. At least one line says why the statement is there.

A `:page` query states its sort keys (`-- sort: created_at, name`); order, place and limit are put around it
from that whitelist, never from the request. It names the columns that can be of any length besides
(`-- sized: config, metadata`): by them a page is bounded in bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

from psycopg import sql

from config import ROOT

Kind = Literal["one", "maybe", "many", "exec", "page"]
QUERIES = ROOT / "sql" / "queries"
PAGES = ROOT / "sql" / "pages.sql"

# Sort keys that are not a column with ties broken by the id. Events are read in the order of their transactions.
ORDERS = {"position": ("transaction_id", "position")}

_HEADER = re.compile(
    r"-- name: (?P<name>[a-z_]+) :(?P<kind>one|maybe|many|exec|page)(?: (?P<permission>[a-z_]+:[a-z]+))?"
)
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")


class QueryFileError(Exception):
    """A SQL file that cannot be loaded; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Query:
    """One statement, ready to be prepared."""

    name: str
    kind: Kind
    permission: str | None
    why: str
    text: str
    parameters: tuple[str, ...]
    statement: bytes = field(repr=False)

    @classmethod
    def compile(cls, name: str, kind: Kind, permission: str | None, why: str, source: str) -> Query:
        """Number the named placeholders, one number for each name."""
        parameters: list[str] = []

        def number(match: re.Match[str]) -> str:
            if match[1] not in parameters:
                parameters.append(match[1])
            return f"${parameters.index(match[1]) + 1}"

        text = _PLACEHOLDER.sub(number, source).replace("%%", "%")
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return cls(name, kind, permission, why, text, tuple(parameters), f"{name[:40]}:{digest}".encode())


@cache
def templates(path: Path) -> dict[str, sql.SQL]:
    """The statements of a file by name, with places in braces for what only the program knows, such as a table."""
    blocks = re.split(r"^-- name: (\w+)$", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    texts = {
        name: "\n".join(line for line in block.splitlines() if not line.startswith("--")).strip()
        for name, block in zip(blocks[::2], blocks[1::2])
    }
    return {name: sql.SQL(text) for name, text in texts.items()}


@dataclass(frozen=True)
class PageQuery:
    """A list: its statement, and the orders it may be read in.

    A list whose header names a permission holds rows of tenants and is read tenant by tenant.
    """

    name: str
    permission: str | None
    why: str
    source: str
    sort_keys: tuple[str, ...]
    sized: tuple[str, ...] = ()
    _variants: dict[tuple[str, bool, bool, str, bool], Query] = field(default_factory=dict, repr=False)

    def variant(
        self, sort_key: str, *, descending: bool, continued: bool, tenant_known: bool, bounded: bool = False
    ) -> Query:
        """The statement for one order.

        :param sort_key: one of `sort_keys`.
        :param continued: whether it starts behind a row (`after`, `after_tie`) or at the beginning.
        :param tenant_known: whether `organization_id` is given: it leads every index that serves a list.
        :param bounded: whether it counts bytes, or refuses (`errors.LargePage`) where it would have to.
        :raises KeyError: the sort key is not on the list.
        """
        shape = "any" if self.permission is None else "known" if tenant_known else "each"
        key = (sort_key, descending, continued, shape, bounded and bool(self.sized))
        if key not in self._variants:
            if sort_key not in self.sort_keys:
                raise KeyError(sort_key)
            self._variants[key] = self._compose(*key)
        return self._variants[key]

    def variants(self) -> Iterator[Query]:
        """Every statement that this list can become."""
        for key in self.sort_keys:
            for number in range(8 if self.permission else 4):
                descending, continued, tenant_known = bool(number & 1), bool(number & 2), bool(number & 4)
                for bounded in (False, True) if self.sized else (False,):
                    yield self.variant(
                        key, descending=descending, continued=continued, tenant_known=tenant_known, bounded=bounded
                    )

    def _compose(self, sort_key: str, descending: bool, continued: bool, shape: str, bounded: bool) -> Query:
        key, tie = columns_of(sort_key)
        parts = {
            "key": sql.Identifier(key),
            "tie": sql.Identifier(tie),
            "side": sql.SQL("<" if descending else ">"),
            "direction": sql.SQL("DESC" if descending else "ASC"),
        }
        composed = templates(PAGES)
        sums = {
            name: sql.SQL(joint).join(composed[name].format(column=sql.Identifier(each)) for each in self.sized)
            for name, joint in (("size", ", "), ("charge", " + "), ("written", " + "))
        }
        watched = sql.SQL(" ") + composed["watch"].format(**sums) if self.sized and not bounded else sql.SQL("")
        statement: sql.Composable = composed[shape].format(
            source=sql.SQL(self.source),  # from a SQL file
            place=composed["place"].format(**parts) if continued else sql.SQL("true"),
            permission=sql.Literal(self.permission),
            watch=watched,
            **parts,
        )
        if bounded:
            statement = composed["bounded"].format(page=statement, **sums, **parts)
        return Query.compile(self.name, "page", self.permission, self.why, statement.as_string())


def columns_of(sort_key: str) -> tuple[str, str]:
    """The columns that order a list by a sort key, which are also a row's place in it."""
    return ORDERS.get(sort_key, (sort_key, "id"))


@cache
def load(stem: str) -> SimpleNamespace:
    """The queries of `sql/queries/<stem>.sql`, each as an attribute.

    :raises QueryFileError: a header is malformed or comes twice, or a statement has no reason.
    """
    path = QUERIES / f"{stem}.sql"
    return SimpleNamespace(**{query.name.split(".")[1]: query for query in parse(stem, path.read_text("utf-8"))})


def parse(stem: str, text: str) -> Iterator[Query | PageQuery]:
    """Read the statements of one file.

    :param stem: the file's stem, which leads each query's name.
    :raises QueryFileError: as :func:`load`.
    """
    seen = set()
    blocks = re.split(r"^(?=-- name:)", text, flags=re.MULTILINE)
    if any(line.strip() and not line.startswith("--") for line in blocks[0].splitlines()):
        raise QueryFileError(f"{stem}.sql: there is a statement before the first header")
    for block in blocks[1:]:
        first, *lines = block.strip().splitlines()
        header = _HEADER.fullmatch(first)
        if header is None:
            raise QueryFileError(f"{stem}.sql: malformed header {first!r}")
        if header["name"] in seen:
            raise QueryFileError(f"{stem}.sql: {header['name']} is there twice")
        seen.add(header["name"])
        comments = [line for line in lines if line.startswith("--")]
        sort, sized = (_names(comments, f"-- {word}:") for word in ("sort", "sized"))
        why = " ".join(
            line.removeprefix("--").strip() for line in comments if not line.startswith(("-- sort:", "-- sized:"))
        )
        source = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        if not why or not source:
            raise QueryFileError(f"{stem}.sql: {header['name']} lacks {'a reason' if source else 'a statement'}")
        if (header["kind"] == "page") != bool(sort) or (sized and not sort):
            raise QueryFileError(f"{stem}.sql: {header['name']}: sort keys and :page go together")
        name = f"{stem}.{header['name']}"
        if sort:
            yield PageQuery(name, header["permission"], why, source, sort, sized)
        else:
            yield Query.compile(name, header["kind"], header["permission"], why, source)  # type: ignore[arg-type]


def _names(comments: list[str], word: str) -> tuple[str, ...]:
    found = [line.removeprefix(word) for line in comments if line.startswith(word)]
    return tuple(name.strip() for name in found[0].split(",")) if found else ()


def every_query() -> Iterator[Query]:
    """Each statement of each file, lists in all their orders: what tests explain."""
    for path in sorted(QUERIES.glob("*.sql")):
        for query in vars(load(path.stem)).values():
            if isinstance(query, PageQuery):
                yield from query.variants()
            else:
                yield query
