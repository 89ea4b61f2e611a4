"""CREATE INDEX CONCURRENTLY as migrations need it: repeatable after a failure, and of partitioned tables too."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import psycopg
from psycopg import sql

from config import ROOT
from database.queries import load, templates

QUERIES = load("schema_migrations")
_STATEMENTS = templates(ROOT / "sql" / "indexes.sql")

_CREATE_INDEX = re.compile(
    r"(?:\s*--[^\n]*\n)*\s*CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+IF\s+NOT\s+EXISTS\s+"
    r"(?P<name>\w+)\s+ON\s+(?P<table>\w+)\s+(?P<definition>[^;]+);?\s*",
    re.IGNORECASE,
)


def build_index(connection: psycopg.Connection[Any], text: str, lock_timeout: str) -> bool:
    """Do what a CREATE INDEX CONCURRENTLY says, anew where an earlier attempt has left something half done.

    :param connection: in autocommit mode, without a lock time-out: it waits for all transactions that are under way.
    :param text: one statement, `CREATE [UNIQUE] INDEX CONCURRENTLY IF NOT EXISTS name ON table …`.
    :param lock_timeout: for the steps that others may have to wait for.
    :return: whether it is such a statement; another one is left alone.
    :raises psycopg.Error: it cannot be built, because of duplicates for example; nothing of it is left then.
    """
    found = _CREATE_INDEX.fullmatch(text)
    if found is None:
        return False
    index, table = found["name"], found["table"]
    parts = {"unique": sql.SQL((found["unique"] or "").strip()), "definition": sql.SQL(found["definition"].strip())}
    if connection.execute(QUERIES.is_partitioned.text, [table]).fetchone() != (True,):
        _build(connection, index, table, parts)
        return True
    names = {"name": sql.Identifier(index), "table": sql.Identifier(table)}
    _hurry(connection, _STATEMENTS["declare"].format(**names, **parts), lock_timeout)
    for (partition,) in connection.execute(QUERIES.partitions_without.text, [table, index]).fetchall():
        part = f"{partition}_{hashlib.sha256(index.encode()).hexdigest()[:8]}_idx"
        _build(connection, part, partition, parts)
        _hurry(connection, _STATEMENTS["attach"].format(**names, part=sql.Identifier(part)), lock_timeout)
    return True


def _build(connection: psycopg.Connection[Any], index: str, table: str, parts: dict[str, sql.SQL]) -> None:
    names = {"name": sql.Identifier(index), "table": sql.Identifier(table)}
    _discard_half_done(connection, index)
    try:
        connection.execute(_STATEMENTS["build"].format(**names, **parts))
    except psycopg.Error:
        if not connection.closed:
            _discard_half_done(connection, index)
        raise


def _discard_half_done(connection: psycopg.Connection[Any], index: str) -> None:
    if connection.execute(QUERIES.is_valid.text, [index]).fetchone() == (False,):
        connection.execute(_STATEMENTS["discard"].format(name=sql.Identifier(index)))


def _hurry(connection: psycopg.Connection[Any], statement: sql.Composed, lock_timeout: str) -> None:
    with connection.transaction():
        connection.execute(QUERIES.limit_waiting.text, [lock_timeout, True])
        connection.execute(statement)
