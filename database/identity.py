"""Who is asking, and what goes before their statements so that the database knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from database.queries import Query, load

if TYPE_CHECKING:
    from database.connection import Connection
    from database.pool import Pool

CONTEXT = load("context")

Step = tuple[Query, Mapping[str, Any]]


class Identity:
    """The caller of one request, or of one piece of background work.

    After the first transaction it knows what the database said of its credential: `user_id`,
    `organization_id`, `api_key_id`, `session_id`, and `budget`, what is left of the hourly rate.

    :param pool: where its transactions take their connection from.
    :param reads_only: whether its transactions change nothing that anybody is told of.
    """

    counter: ClassVar[Query | None] = None
    authenticator: ClassVar[Query]
    becomes_user: ClassVar[bool] = True

    __slots__ = (
        "api_key_id", "budget", "connection", "credential", "ip_address", "organization_id", "pool", "reads_only",
        "request_id", "requests_an_hour", "session_id", "user_agent", "user_id",
    )  # fmt: skip

    def __init__(
        self,
        pool: Pool,
        *,
        credential: str | None = None,
        request_id: str | None = None,
        ip_address: str | None = None,
        user_agent: str | None = None,
        requests_an_hour: int = 0,
        reads_only: bool = False,
    ) -> None:
        self.pool = pool
        self.reads_only = reads_only
        self.credential = credential
        self.request_id = request_id
        self.ip_address = ip_address
        self.user_agent = user_agent
        self.requests_an_hour = requests_an_hour
        self.user_id: str | None = None
        self.organization_id: str | None = None
        self.api_key_id: str | None = None
        self.session_id: str | None = None
        self.budget: dict[str, int] | None = None
        self.connection: Connection | None = None

    def steps_before(self, *, explicit: bool) -> list[Step]:
        """What a transaction sends ahead of its first statement.

        :param explicit: whether the transaction holds several statements and so needs a BEGIN.
        """
        context = {name: getattr(self, name) for name in self.authenticator.parameters}
        steps: list[Step] = []
        if self.counter is not None and self.budget is None:
            counted = {"credential": self.credential, "requests_an_hour": self.requests_an_hour}
            steps += [(CONTEXT.begin, {}), (self.counter, counted), (CONTEXT.commit, {})]
        if explicit:
            steps.append((CONTEXT.begin, {}))
        steps.append((self.authenticator, context))
        if self.becomes_user:
            steps.append((CONTEXT.become_user, {}))
        return steps

    def learn(self, query: Query, row: dict[str, Any]) -> None:
        """Take in what a statement ahead of the caller's own answered."""
        if query is self.counter:
            self.budget = row
        else:
            for name, value in row.items():
                setattr(self, name, value)


class ApiKey(Identity):
    """A service with an API key; `credential` is the key's SHA-256 in hexadecimal."""

    __slots__ = ()
    counter = CONTEXT.count_api_key_request
    authenticator = CONTEXT.authenticate_api_key


class Session(Identity):
    """A person with an access token; `credential` is the token's SHA-256 in hexadecimal."""

    __slots__ = ()
    counter = CONTEXT.count_session_request
    authenticator = CONTEXT.authenticate_session


class Nobody(Identity):
    """A request before anybody has signed in: it stays the login role, which may only authenticate."""

    __slots__ = ()
    authenticator = CONTEXT.set_context
    becomes_user = False


class Address(Nobody):
    """The same for a request that anybody may send; `credential` is the SHA-256 of the caller's address."""

    __slots__ = ()
    counter = CONTEXT.count_address_request


class ActingFor(Identity):
    """The service itself, acting for the user `user_id`: demo data, workflows. Not rate limited."""

    __slots__ = ()
    authenticator = CONTEXT.set_context

    def __init__(self, pool: Pool, user_id: str, *, request_id: str | None = None) -> None:
        super().__init__(pool, request_id=request_id)
        self.user_id = user_id
