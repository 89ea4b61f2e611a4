"""The way to PostgreSQL: pool, transactions, named queries, migrations, the embedded server."""

from database.connection import Connection, statement, transaction
from database.identity import ActingFor, Address, ApiKey, Identity, Nobody, Session
from database.pool import Pool
from database.queries import PageQuery, Query, load
from database.rows import Row, parsed

__all__ = [
    "ActingFor", "Address", "ApiKey", "Connection", "Identity", "Nobody", "PageQuery", "Pool", "Query", "Row",
    "Session", "load", "parsed", "statement", "transaction",
]  # fmt: skip
