"""The three calls that are measured: as HTTP requests to the service, and as statements for pgbench."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.database import INTEGRATIONS_PER_TEAM, TEAMS, identifier
from database.identity import CONTEXT
from database.queries import Query, load

INTEGRATIONS = load("integrations")
PAGE = 20
VARIETY = 2000  # different requests, sent in turn

BODY = {
    "name": "Orders to ledger",
    "description": "Takes orders from the shop, looks up stock and prices, and posts what was sold into the ledger.",
    "service_type": "rest",
    "config": {"base_url": "https://api.example.org", "timeout_seconds": 30, "retries": 3},
    "capabilities": ["orders.read", "stock.read", "ledger.write"],
    "metadata": {"owner": "team", "tier": 2},
    "repository_url": "https://git.example.org/orders-to-ledger",
}

#: What pgbench computes for a random key and a random integration of that key's team.
NUMBERS = f"""\\set key random(1, :keys)
\\set number :key + {TEAMS} * random(0, {INTEGRATIONS_PER_TEAM - 1})
"""
CREDENTIAL = "repeat(md5('key ' || :key), 2)"
TEAM = "md5('team ' || :key)::uuid"


@dataclass(frozen=True)
class HttpRequest:
    """One request of a call, before a contestant gives it a form."""

    method: str
    path: str
    body: dict[str, object] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def encode(self, **headers: str) -> bytes:
        """The bytes that are sent."""
        content = b"" if self.body is None else json.dumps(self.body).encode()
        lines = {"Host": "127.0.0.1", "User-Agent": "bench", "Accept": "application/json", **self.headers, **headers}
        if content:
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        head = f"{self.method} {self.path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )
        return head.encode() + b"\r\n" + content


@dataclass(frozen=True)
class Call:
    """A call.

    :param values: pgbench's expression for each parameter of `query` that is not NULL.
    :param request: the HTTP request for a key's number and an integration's number.
    """

    name: str
    query: Query
    values: dict[str, str]
    request: Callable[[int, int], HttpRequest]

    def requests(self, keys: list[str]) -> list[bytes]:
        """The service's requests: random keys, random integrations of the key's team."""
        return [request.encode(Authorization=f"Bearer {keys[key - 1]}") for key, request in self.drawn(len(keys))]

    def drawn(self, keys: int) -> list[tuple[int, HttpRequest]]:
        """Random keys' numbers with a request of each, the same in every run."""
        chance = random.Random(7)
        chosen = []
        for _ in range(VARIETY):
            key = chance.randint(1, keys)
            chosen.append((key, self.request(key, key + TEAMS * chance.randrange(INTEGRATIONS_PER_TEAM))))
        return chosen

    def script(self) -> str:
        """What pgbench runs: the statements of the service, in five round trips."""
        context = {
            "credential": CREDENTIAL,
            "request_id": ":request_id",
            "ip_address": ":ip_address",
            "user_agent": ":user_agent",
        }
        statements = (
            _spelt(CONTEXT.begin, {}),
            _spelt(CONTEXT.authenticate_api_key, context),
            _spelt(CONTEXT.become_user, {}),
            _spelt(self.query, self.values),
            _spelt(CONTEXT.commit, {}),
        )
        return NUMBERS + "".join(f"{statement};\n" for statement in statements)


def variables(keys: int) -> dict[str, str]:
    """pgbench's variables: values that are the same in every request."""
    created = {name: BODY[name] for name in ("name", "description", "service_type", "repository_url")}
    return {
        "keys": str(keys),
        "request_id": "0123456789abcdef0123456789abcdef",
        "ip_address": "127.0.0.1",
        "user_agent": "bench",
        **{name: str(value) for name, value in created.items()},
        "config": json.dumps(BODY["config"]),
        "metadata": json.dumps(BODY["metadata"]),
        "capabilities": "{orders.read,stock.read,ledger.write}",
    }


def _spelt(query: Query, values: dict[str, str]) -> str:
    text = re.sub(r"\$(\d+)", lambda match: values.get(query.parameters[int(match[1]) - 1], "NULL"), query.text)
    # pgbench takes the colon of 'integrations:read' for the beginning of a variable
    return re.sub(r"'(\w+):(\w+)'", r"E'\1\\x3A\2'", text)


def _get(key: int, number: int) -> HttpRequest:
    return HttpRequest("GET", f"/api/v1/integrations/{identifier('integration', number)}")


def _list(key: int, number: int) -> HttpRequest:
    return HttpRequest("GET", f"/api/v1/integrations?limit={PAGE}")


def _create(key: int, number: int) -> HttpRequest:
    return HttpRequest("POST", "/api/v1/integrations", {**BODY, "organization_id": identifier("team", key)})


CALLS = (
    Call(
        "get",
        INTEGRATIONS.get,
        {"integration_id": "md5('integration ' || :number)::uuid", "include_deleted": "false"},
        _get,
    ),
    Call(
        "list",
        INTEGRATIONS.list.variant("created_at", descending=True, continued=False, tenant_known=False),
        {"limit": str(PAGE + 1), "include_deleted": "false"},
        _list,
    ),
    Call(
        "create",
        INTEGRATIONS.create,
        {name: f":{name}" for name in BODY} | {"organization_id": TEAM},
        _create,
    ),
)
