"""What repositories share: pages, and telling apart why nothing was changed."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, ClassVar, NoReturn

from database import Connection, PageQuery, Query, Row
from database.queries import columns_of
from database.translation import refusal
from errors import Conflict, NotFound, RateLimited, StaleVersion


@dataclass(frozen=True)
class Order:
    """The order of a list and where in it to start.

    :param limit: rows at most; where they are large, as many as make eight megabytes.
    :param after: place of the row before, None for the beginning.
    """

    key: str
    descending: bool
    limit: int
    after: list[str] | None = None

    def place_of(self, row: Row) -> list[str]:
        """Where a row is in this order: what its list can be gone on with behind it."""
        return [_written(row[column]) for column in columns_of(self.key)]


class Page(list[Row]):
    """Some rows of a list.

    :param more: whether the list goes on behind them.
    """

    def __init__(self, rows: Iterable[Row], *, more: bool) -> None:
        super().__init__(rows)
        self.more = more


def expect_open(wait_seconds: int) -> None:
    """Go on only where nobody has to wait after too many attempts.

    :raises errors.RateLimited: naming the seconds to wait.
    """
    if wait_seconds:
        raise RateLimited("Too many attempts.", headers={"Retry-After": str(wait_seconds)})


class Repository:
    """A resource's way to its rows, within one transaction.

    A subclass names its `queries`; `queries.get` finds one row by the parameters that its changes take too.
    """

    queries: ClassVar[SimpleNamespace]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def page(self, query: PageQuery, order: Order, **filters: Any) -> Page:
        """The rows of one page: at least one where the list has any left."""
        after, after_tie = order.after or (None, None)
        variant = functools.partial(
            query.variant,
            order.key,
            descending=order.descending,
            continued=order.after is not None,
            tenant_known=filters.get("organization_id") is not None,
        )
        # one row more tells whether the list goes on
        values = {"after": after, "after_tie": after_tie, "limit": order.limit + 1, **filters}
        if not query.sized:
            found = self.connection.many(variant(), **values)
            return Page(found[: order.limit], more=len(found) > order.limit)
        found = self.connection.page(variant(), variant(bounded=True), **values)
        rows, goes_on = found[: order.limit], False
        if rows and "page_goes_on" in rows[0]:  # it was counted
            for row in rows:
                goes_on = row.pop("page_goes_on")
                del row["page_stored"], row["page_written"]
        return Page(rows, more=goes_on or len(found) > order.limit)

    def expect(self, parent: Query, **values: Any) -> None:
        """Check that the caller sees what the rows belong to: of something else there is no list, not an empty one.

        :param parent: the parent's `get`.
        :raises errors.NotFound: there is none that the caller may see.
        """
        if self.connection.maybe(parent, include_deleted=False, **values) is None:
            raise NotFound

    def change(self, query: Query, *, versions: list[int] | None, **values: Any) -> Row:
        """Change one row that has one of the expected versions.

        :param versions: what If-Match named; None for any.
        :raises errors.NotFound: the caller may not see it.
        :raises errors.StaleVersion: it has changed meanwhile.
        :raises errors.Forbidden: the caller may see it, but not do this.
        """
        row = self.connection.maybe(query, versions=versions, **values)
        return row if row is not None else self._explain(query, versions, values)

    def _explain(self, query: Query, versions: list[int] | None, values: dict[str, Any]) -> NoReturn:
        row = self.connection.maybe(self.queries.get, **{**values, "include_deleted": True})
        if row is None:
            raise NotFound
        deleted, restoring = row.get("deleted_at") is not None, query.name.endswith(".restore")
        if restoring and not deleted:
            raise Conflict("It is not deleted.")
        if deleted and not restoring:
            raise NotFound("It has been deleted.")
        version = row["version_number"] if "version_number" in row else row["version"]
        if versions is not None and version not in versions:
            raise StaleVersion("Read it again and repeat the change on what you find.")
        raise refusal(query.permission)


class ManyAtOnce(Repository):
    """A repository that requests of many items change, naming rows by their ids; `queries.lock_many` locks those."""

    def lock_many(self, ids: list[Any], bodies: list[dict[str, Any]]) -> list[Any]:
        """Lock what many items are about, in an order that all keep.

        :param ids: what is changed or deleted.
        :param bodies: what is created.
        :return: whose usage it is.
        """
        rows = self.connection.many(self.queries.lock_many, ids=ids)
        return [row["organization_id"] for row in rows] + [body.get("organization_id") for body in bodies]


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
