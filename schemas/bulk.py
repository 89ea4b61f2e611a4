"""Requests of many items, each of which succeeds or fails by itself."""

from __future__ import annotations

import copy
import functools
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields
from marshmallow.validate import Length, OneOf

from schemas.fields import EXAMPLE_ID, described, identifier, text
from schemas.problems import Problem

MOST_ITEMS = 1000


class Unchecked(fields.Nested):
    """An object that is documented here and checked one by one, so that the others do not suffer for it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, partial: Any = None, **options: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Not a JSON object.")
        return value


class Items(fields.List[Any]):
    """A list whose items are checked one by one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        faults = {index: ["Not a JSON object."] for index, item in enumerate(value) if not isinstance(item, dict)}
        if faults:
            raise ValidationError(faults)
        return value


class Bulk(Schema):
    """A request of many items."""

    item: ClassVar[type[Schema]]
    operations: ClassVar[dict[str, type[Schema] | None]]


@functools.cache
def bulk_of(
    schema: type[Schema],
    *,
    create: type[Schema] | None = None,
    change: type[Schema] | None = None,
    delete: bool = False,
) -> type[Bulk]:
    """What a bulk request on a resource takes.

    :param schema: the resource.
    :param create: the body of an item that makes one; None where that cannot be done in bulk.
    :param change: the body of an item that changes one, likewise.
    :param delete: whether items can delete.
    """
    name = schema.__name__
    possible = {"create": create, "change": change, "delete": None}
    operations = {each: body for each, body in possible.items() if body is not None or (each == "delete" and delete)}
    bodies = [body for body in operations.values() if body is not None]
    optional = {each: _optional(field) for body in bodies for each, field in body._declared_fields.items()}
    body = type(f"{name}BulkBody", (Schema,), {"__doc__": "The body that the request for one would have.", **optional})
    example: dict[str, Any] = {"body": _example(bodies[0])}
    if create is None:
        example |= {"id": EXAMPLE_ID, "if_match": "3"}
    members = {
        "__doc__": "One thing to do.",
        "operation": fields.String(
            load_default=next(iter(operations)),
            validate=OneOf(operations),
            metadata=described(f"What to do; {next(iter(operations))} when left out.", next(iter(operations))),
        ),
        "id": _id_of(schema, "Which one; not for `create`."),
        "if_match": text("The version that was read, or * for any; not for `create`.", "3", most=100),
        "body": Unchecked(body, metadata=described("As in the request for one; not for `delete`.", example["body"])),
    }
    item = type(f"{name}BulkItem", (Schema,), members)
    items = Items(
        fields.Nested(item),
        required=True,
        validate=Length(1, MOST_ITEMS),
        metadata=described("What to do, in this order.", [example]),
    )
    made = {"__doc__": "Many things to do.", "items": items, "operations": operations, "item": item}
    return type(f"{name}Bulk", (Bulk,), made)


@functools.cache
def bulk_answer_of(schema: type[Schema]) -> type[Schema]:
    """What a bulk request on a resource is answered."""
    name = schema.__name__
    result = {
        "__doc__": "What became of one item.",
        "index": fields.Integer(required=True, metadata=described("Its place in the request, from 0.", 0)),
        "status": fields.Integer(
            required=True, metadata=described("The HTTP status that it would have by itself.", 201)
        ),
        "id": _id_of(schema, "The resource, where there is one."),
        "body": fields.Nested(schema, metadata=described("The resource as it is now.", {})),
        "problem": fields.Nested(Problem, metadata=described("What went wrong; pointers begin at the request.", {})),
    }
    results = fields.List(
        fields.Nested(type(f"{name}BulkResult", (Schema,), result)),
        required=True,
        metadata=described("What became of each item, in the order of the request."),
    )
    return type(f"{name}BulkAnswer", (Schema,), {"__doc__": "What became of many items.", "items": results})


def _id_of(schema: type[Schema], description: str) -> fields.Field[Any]:
    """What names a resource: a UUID, or a text that its author chose."""
    own = schema._declared_fields["id"]
    if isinstance(own, fields.UUID) or not isinstance(own, fields.String):
        return identifier(description)
    return text(description, own.metadata["example"], most=100)


def _optional(field: fields.Field[Any]) -> fields.Field[Any]:
    free = copy.deepcopy(field)
    free.required = False
    return free


def _example(schema: type[Schema]) -> dict[str, Any]:
    """A body without what may be null, or refers to something else and can be left out."""
    return {
        name: field.metadata["example"]
        for name, field in schema._declared_fields.items()
        if (field.required or not name.endswith("_id")) and not field.allow_none
    }
