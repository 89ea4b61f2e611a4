"""Many items in one request: each is checked, done and answered by itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Response
from marshmallow import Schema
from werkzeug.http import parse_etags

from database import Connection, Row
from errors import (
    DomainError,
    Forbidden,
    Invalid,
    LimitExceeded,
    PreconditionRequired,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from repositories.requests import Requests
from schemas.bulk import Bulk, bulk_answer_of, bulk_of
from web.answers import json, versions_of
from web.blueprint import Blueprint, Handler, check
from web.problems import problem_of
from web.refusals import record_refused_item

DONE = {"create": 201, "change": 200, "delete": 204}

# A savepoint for each item would be simplest, but a row that many of them change, such as the organization's usage,
# gets slower with every subtransaction: 1,000 integrations took 6.0 s so, and 2.6 s in parts.
PART = 50


@dataclass
class Item:
    """One thing to do, or what is wrong with it."""

    index: int
    operation: str = ""
    arguments: tuple[Any, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
    fault: DomainError | None = None


class _ItemFailed(Exception):
    def __init__(self, item: Item, error: DomainError) -> None:
        super().__init__(str(error))
        self.item = item
        self.error = error


def bulk(
    blueprint: Blueprint,
    schema: type[Schema],
    *,
    create: type[Schema] | None = None,
    change: type[Schema] | None = None,
    delete: bool = False,
) -> Callable[[Handler], Handler]:
    """Take a bulk request on `schema` and hand its items to the handler; :func:`each` does and answers them.

    :param create: what an item that makes one is checked against; None where that cannot be done in bulk.
    :param change: what an item that changes one is checked against, likewise.
    :param delete: whether items can delete.
    """
    body = bulk_of(schema, create=create, change=change, delete=delete)

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def checking(given: dict[str, Any], *arguments: Any, **names: Any) -> Response:
            items = [_checked(body, index, item) for index, item in enumerate(given["items"])]
            return handler(items, *arguments, **names)

        return blueprint.arguments(body)(blueprint.response(207, bulk_answer_of(schema))(checking))

    return decorate


Lock = Callable[[list[Any], list[dict[str, Any]]], list[Any]]


def each(
    connection: Connection, items: list[Item], *, lock: Lock, key: str = "id", **actions: Callable[..., Row]
) -> Response:
    """Do the items one after the other and answer each; what fails leaves the others alone.

    :param lock: the repository's method that takes ids and bodies, locks what they are about, and says whose it is.
    :param key: the column that names a row in this resource's paths.
    :param actions: a repository's methods: `create(**body)`, `change(id, versions, body)`, `delete(id, versions)`.
    :raises errors.Unavailable: the database did not go on; nothing was done.
    """
    if connection.identity.user_id is None:
        Requests(connection).count()  # whoever calls is known before they are told what is wrong with their items
    answers = {item.index: _refused(item, item.fault) for item in items if item.fault is not None}
    waiting = [item for item in items if item.fault is None]
    if waiting:
        _lock(connection, waiting, lock)
    failures: list[_ItemFailed] = []
    size = PART
    while waiting:
        part = waiting[:size]
        try:
            with connection.savepoint():
                for item in part:
                    answers[item.index] = _done(item, key, actions)
        except _ItemFailed as failure:
            # what went before it in its part is undone too, and done again as a part of its own: twice at the most
            answers[failure.item.index] = _refused(failure.item, failure.error)
            failures.append(failure)
            size = part.index(failure.item) or PART
            waiting.remove(failure.item)
        else:
            del waiting[:size]
            size = PART
    for failed in failures:
        if isinstance(failed.error, Forbidden) and not isinstance(failed.error, LimitExceeded):
            item_id = str(failed.item.arguments[0]) if failed.item.arguments else None
            answered = record_refused_item(connection, failed.error, item_id, failed.item.values)
            answers[failed.item.index] = _refused(failed.item, answered)
    return json({"items": [answers[item.index] for item in items]}, 207)


def _lock(connection: Connection, items: list[Item], lock: Lock) -> None:
    """Lock rows first and what counts them after, as whoever changes a single one does."""
    bodies = [item.values for item in items if item.operation == "create"]
    owners = lock([item.arguments[0] for item in items if item.arguments], bodies)
    if owners and any(item.operation != "change" for item in items):
        templates = [body["template_id"] for body in bodies if body.get("template_id") is not None]
        Requests(connection).lock_usage(owners, templates)


def _done(item: Item, key: str, actions: dict[str, Callable[..., Row]]) -> dict[str, Any]:
    try:
        row = actions[item.operation](*item.arguments, **item.values)
    except (Unauthenticated, RateLimited, Unavailable):
        raise  # of the request, not of the item
    except DomainError as error:
        raise _ItemFailed(item, error) from error
    done = {"index": item.index, "status": DONE[item.operation], "id": row[key]}
    return done if item.operation == "delete" else {**done, "body": row}


def _refused(item: Item, error: DomainError) -> dict[str, Any]:
    named = {"id": item.arguments[0]} if item.arguments else {}
    return {"index": item.index, "status": error.status, **named, "problem": _problem(item, error)}


def _checked(body: type[Bulk], index: int, given: Any) -> Item:
    try:
        values = check(_instance(body.item), given)
        operation, schema = values["operation"], body.operations[values["operation"]]
        _expect(values, present=operation != "create", name="id")
        _expect(values, present=operation != "delete", name="body")
        if operation == "create":
            _expect(values, present=False, name="if_match")
            return Item(index, operation, values=_body(schema, values))
        if "if_match" not in values:
            raise PreconditionRequired("Say if_match with the version that you read, or * for any.")
        arguments = (values["id"], versions_of(parse_etags(values["if_match"])))
        if operation == "change":
            return Item(index, operation, (*arguments, _body(schema, values)))
        return Item(index, operation, arguments)
    except DomainError as fault:
        return Item(index, fault=fault)


@functools.cache
def _instance(schema: type[Schema]) -> Schema:
    return schema()


def _expect(values: dict[str, Any], *, present: bool, name: str) -> None:
    if (name in values) != present:
        detail = "Missing data for required field." if present else f"Not for {values['operation']}."
        raise Invalid("The input is not valid.", errors=[{"pointer": f"/{name}", "detail": detail}])


def _body(schema: type[Schema] | None, values: dict[str, Any]) -> dict[str, Any]:
    assert schema is not None
    try:
        return check(_instance(schema), values["body"])
    except Invalid as error:
        error.members["errors"] = [_below("/body", fault) for fault in error.members["errors"]]
        raise


def _problem(item: Item, error: DomainError) -> dict[str, Any]:
    members = dict(error.members)
    if "errors" in members:
        # the database's faults are of the body, as those of a request for one
        place = f"/items/{item.index}" + ("" if item.fault else "/body")
        members["errors"] = [_below(place, fault) for fault in members["errors"]]
    return problem_of(error.status, error.code, error.title, error.detail, **members)


def _below(place: str, fault: dict[str, str]) -> dict[str, str]:
    return {**fault, "pointer": place + fault["pointer"]}
