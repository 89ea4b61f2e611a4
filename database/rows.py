"""What rows become in Python: cheap to make, and ready to be written as JSON."""

from __future__ import annotations

from typing import Any

import orjson
from psycopg import adapters as default_adapters
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.json import JsonbDumper
from psycopg.types.string import TextLoader

Row = dict[str, Any]


class FragmentLoader(Loader):
    """JSON columns pass through unparsed: PostgreSQL wrote them, the client reads them."""

    def load(self, data: Buffer) -> orjson.Fragment:
        """Wrap the text of a JSON value; see :func:`parsed`."""
        return orjson.Fragment(bytes(data))


class ObjectDumper(JsonbDumper):
    """Python dictionaries go in as jsonb."""

    def dump(self, obj: Any) -> bytes:
        """Write the value as JSON."""
        return orjson.dumps(obj, option=orjson.OPT_NON_STR_KEYS)


def adapters() -> AdaptersMap:
    """The adapters of our connections: JSON as fragments, UUIDs and addresses as text."""
    adapted = AdaptersMap(default_adapters)
    for name in ("json", "jsonb"):
        adapted.register_loader(name, FragmentLoader)
    for name in ("uuid", "inet", "cidr", "xid8"):
        adapted.register_loader(name, TextLoader)
    adapted.register_dumper(dict, ObjectDumper)
    return adapted


def parsed(value: orjson.Fragment) -> Any:
    """The Python value of a JSON column, for where Python must look inside."""
    return orjson.loads(orjson.dumps(value))
