"""What operations of a kind promise, in sentences, and an example of what they answer: for the documentation page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schemas = dict[str, dict[str, Any]]


def describe(method: str, operation: dict[str, Any], *, listing: bool) -> str:
    """The description of an operation: its own, and what all of its kind promise.

    :param operation: with parameters and answers complete.
    :param listing: whether it gives pages.
    """
    own = [operation["description"]] if operation.get("description") else []
    return " ".join([*own, *_promises(method, operation, listing=listing)])


def _promises(method: str, operation: dict[str, Any], *, listing: bool) -> Iterator[str]:
    parameters = {each["name"]: each for each in operation.get("parameters", []) if "name" in each}
    answers = operation["responses"].keys()
    if listing:
        yield (
            "`next_cursor` and the `Link` header lead to the next page; a cursor keeps filters and order. Where items"
            " are large, a page ends with the one that reaches about eight megabytes, before it has `limit` of them."
        )
    if "format" in parameters:
        yield (
            "All pages as one file, streamed. Where it cannot go on, its last line says why and the transfer fails:"
            " a file that ends well is whole."
        )
    if "Last-Event-ID" in parameters:
        yield (
            "Begins now, or behind `Last-Event-ID` or `cursor`. Comments keep it alive while nothing happens; the last"
            " message, `end`, says why it ends, and its caller comes back with the last id."
        )
    if "as_of" in parameters:
        yield "With `as_of`, as it was at that moment, folded from its events, which takes `events:read`."
    if "include_deleted" in parameters:
        yield "With `include_deleted`, deleted ones too, for those who may delete."
    if "If-None-Match" in parameters:
        yield "304 where `If-None-Match` names the version that it has."
    if method == "patch":
        yield "What the body leaves out stays as it is, and `null` takes a value away (RFC 7396)."
    if parameters.get("If-Match", {}).get("required"):
        yield "`If-Match` names the version that was read: 412 where it has changed meanwhile, 428 without."
    elif "If-Match" in parameters:
        yield "With `If-Match`, 412 where it has changed meanwhile."
    if "207" in answers:
        yield "Each item is done by itself and answered, at its index, with a status of its own."
    if "202" in answers:
        yield "It is done later: `Location` is what to watch."
    elif "201" in answers and operation["responses"]["201"]["headers"].get("Location"):
        yield "`Location` is the path of what was made."
    if "Idempotency-Key" in parameters:
        yield "Sent again with the same `Idempotency-Key` within 24 hours, it gives the first answer again."
    if operation.get("security") == []:
        yield "Needs no credential; requests are counted by network address."
    else:
        yield "403 names the permission that lacks; what the caller may not see is 404."


def example_of(name: str, schemas: Schemas) -> dict[str, Any]:
    """An answer as it may be, made of the examples of its fields.

    :param name: of its schema.
    """
    return {field: _value(schema, schemas) for field, schema in schemas[name]["properties"].items()}


def _value(schema: dict[str, Any], schemas: Schemas) -> Any:
    for reference in (schema, *schema.get("allOf", ())):
        if "$ref" in reference:  # which may say what an example of it should be less completely
            return example_of(reference["$ref"].rpartition("/")[2], schemas)
    if "example" in schema:
        return schema["example"]
    if "items" in schema:
        return [_value(schema["items"], schemas)]
    return None
