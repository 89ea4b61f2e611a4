"""What every list takes and gives."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from marshmallow import Schema, fields
from marshmallow.validate import Length, OneOf

from schemas.fields import Pattern, choice, described, moment

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
FORMATS = ("ndjson", "csv")


class Limit(fields.Integer):
    """A page size: what is outside of 1 to 200 becomes the nearest that is inside."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        number = super()._deserialize(value, attr, data, **options)
        return max(1, min(MAX_LIMIT, number))


def filters(name: str, *sort_keys: str, **filter_fields: Any) -> type[Schema]:
    """The query parameters of a list.

    :param name: names the schema.
    :param sort_keys: what it can be sorted by; the first, newest first, is the default.
    :param filter_fields: what it can be filtered by; what is not given is None.
    """
    orders = [sign + key for key in sort_keys for sign in ("-", "")]
    for field in filter_fields.values():
        if field.load_default is not False:
            field.load_default = None
    shared = {
        "limit": Limit(
            load_default=DEFAULT_LIMIT,
            metadata=described("Items a page at most, 1 to 200; other numbers become the nearest of these.", 20),
        ),
        "cursor": cursor(),
        "sort": fields.String(
            load_default=orders[0],
            validate=OneOf(orders),
            metadata=described("The order; a hyphen turns it round.", orders[0]),
        ),
        "fields": sparse_fields(),
    }
    return type(name, (Schema,), {**filter_fields, **shared})


def export_of(filters: type[Schema]) -> type[Schema]:
    """The query parameters of a whole list as a file: those of the list, but for its pages."""
    kept = {name: field for name, field in filters._declared_fields.items() if name not in ("limit", "cursor")}
    kind = choice("The file's format; by Accept, or `ndjson`, when left out.", FORMATS, load_default=None)
    return type(f"{filters.__name__.removesuffix('Filters')}ExportFilters", (Schema,), {**kept, "format": kind})


def cursor() -> fields.String:
    """The parameter that says where to go on."""
    return fields.String(
        validate=[Length(1, 4000), Pattern(r"^[A-Za-z0-9_.-]+$")],
        metadata=described("Where to go on: `next_cursor` of the page before.", "WyIvYXBpL3YxIl0.Qm9iCg"),
    )


def sparse_fields(**options: str) -> fields.String:
    """The parameter that makes an answer sparse."""
    return fields.String(
        validate=Length(1, 1000),
        metadata=described("The only fields wanted, separated by commas; all when left out.", "id"),
        **options,  # type: ignore[arg-type]
    )


def include_deleted() -> fields.Boolean:
    """The filter that lets deleted rows in, for those who may delete."""
    return fields.Boolean(
        load_default=False, metadata=described("Show deleted ones too, to those who may delete.", False)
    )


class Page(Schema):
    """A page of some list."""

    item: ClassVar[type[Schema]]


def item_of(schema: type[Schema]) -> type[Schema]:
    """The schema of a page's items; any other schema itself."""
    return schema.item if issubclass(schema, Page) else schema


@functools.cache
def page_of(schema: type[Schema]) -> type[Schema]:
    """The documented shape of a page of `schema`."""
    return type(
        f"{schema.__name__}Page",
        (Page,),
        {
            "item": schema,
            "items": fields.List(fields.Nested(schema), required=True, metadata=described("The items of this page.")),
            "next_cursor": fields.String(
                required=True,
                allow_none=True,
                metadata=described("Leads to the next page; null on the last.", "WyIvYXBpL3YxIl0.Qm9iCg"),
            ),
        },
    )


class Sparse(Schema):
    """The query parameters of a single resource."""

    fields_ = sparse_fields(data_key="fields")


class Historic(Sparse):
    """The query parameters of a single resource that has a history."""

    as_of = moment("As it was at this moment, folded from its events.", load_default=None)


class Single(Historic):
    """The query parameters of a single resource that has a history and can be deleted softly."""

    include_deleted = include_deleted()
