"""What webhooks can hear of: each event type with the JSON Schema of its payload and an example."""

from __future__ import annotations

from typing import Any

from database import Row, load, parsed
from repositories.repository import Repository

Schema = dict[str, Any]
Column = dict[str, Any]

_ID = "0b0f3f1e-6c58-4d3e-9a0e-5a1f6d1f0c11"
_TIME = "2026-11-22T09:30:00.000000Z"
_UUID: Schema = {"type": "string", "format": "uuid"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}

# type of a column → its JSON Schema, and an example
_TYPES: dict[str, tuple[Schema, Any]] = {
    "uuid": (_UUID, _ID),
    "timestamp with time zone": (_MOMENT, _TIME),
    "boolean": ({"type": "boolean"}, True),
    "integer": ({"type": "integer"}, 3),
    "bigint": ({"type": "integer"}, 3),
    "numeric": ({"type": "number"}, 0.5),
    "jsonb": ({}, {"retries": 3}),
    "text[]": ({"type": "array", "items": {"type": "string"}}, ["invoices"]),
}
_TEXT: tuple[Schema, Any] = ({"type": "string"}, "text")

_SENTENCES = {
    "created": "{} was created.",
    "updated": "{} was changed.",
    "deleted": "{} was deleted.",
    "restored": "{} was restored.",
    "activated": "{} became the active one.",
    "deactivated": "{} is not the active one any more.",
    "enabled": "{} was switched on.",
    "disabled": "{} was switched off.",
    "password_changed": "{} got another password.",
    "status_changed": "{} moved to another status.",
    "ping": "A test, which only the webhook that it is asked for gets.",
}
# which of "old" and "new" the payload surely has; what is deleted for good has no "new"
_ABRIDGED = {"const": True, "description": "The payload would have been too large: old and new are left out."}
_SIDES = {"created": ["new"], "deleted": ["old"], "ping": []}


class EventTypes(Repository):
    """The catalogue of event types."""

    queries = load("event_types")

    def get(self, name: str) -> Row:
        """One event type."""
        row = self.connection.one(self.queries.get, name=name)
        return _described({**row, "columns": parsed(row["columns"])})

    def find_all(self, aggregate_type: str | None = None) -> list[Row]:
        """All event types, or those of one kind of thing, by name."""
        rows = self.connection.many(self.queries.list, aggregate_type=aggregate_type)
        return [_described({**row, "columns": parsed(row["columns"])}) for row in rows]


def _described(row: Row) -> Row:
    aggregate = row["aggregate_type"]
    noun = f"{'An' if aggregate[0] in 'aeio' else 'A'} {aggregate.replace('_', ' ')}"
    sentence = _SENTENCES.get(row["verb"], "{} went to the status " + row["verb"] + ".")
    return {
        "name": row["name"],
        "aggregate_type": aggregate,
        "description": sentence.format(noun),
        "schema": _schema(row),
        "example": _example(row),
    }


def _schema(row: Row) -> Schema:
    properties = _ping() if row["verb"] == "ping" else _facts(row)
    required = sorted(name for name in properties if name not in ("old", "new"))
    data: Schema = {"type": "object", "properties": properties, "required": required}
    if sides := _SIDES.get(row["verb"], ["old", "new"]):
        data["properties"] = {**properties, "is_abridged": _ABRIDGED}
        data["anyOf"] = [{"required": sides}, {"required": ["is_abridged"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"type": {"const": row["name"]}, "timestamp": _MOMENT, "data": data},
        "required": ["type", "timestamp", "data"],
    }


def _ping() -> Schema:
    return {"webhook_id": _UUID, "organization_id": _UUID, "integration_id": _UUID}


def _facts(row: Row) -> Schema:
    columns = {"type": "object", "properties": {each["name"]: _column(each) for each in row["columns"]}}
    whole = {**columns, "required": [each["name"] for each in row["columns"]]}
    facts: Schema = {
        "event_id": _UUID,
        "organization_id": _UUID,
        "integration_id": _or_null(_UUID),
        "aggregate_type": {"const": row["aggregate_type"]},
        "aggregate_id": _UUID,
        "version": {"type": "integer"},
        "created_by": _or_null(_UUID),
    }
    if row["verb"] == "created":
        return {**facts, "new": whole}
    if row["is_status"]:
        status = {"type": "string"} if row["verb"] == "status_changed" else {"const": row["verb"]}
        facts |= {"old_status": {"type": "string"}, "new_status": status, "changed_by": _or_null(_UUID)}
    return {**facts, "old": columns, "new": columns}


def _column(column: Column) -> Schema:
    schema, _ = _TYPES.get(column["type"], _TEXT)
    return _or_null(schema) if column["is_nullable"] else schema


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else schema


def _example(row: Row) -> dict[str, Any]:
    if row["verb"] == "ping":
        data: dict[str, Any] = dict.fromkeys(_ping(), _ID)
    else:
        data = {
            "event_id": _ID,
            "organization_id": _ID,
            "integration_id": _ID,
            "aggregate_type": row["aggregate_type"],
            "aggregate_id": _ID,
            "version": 1 if row["verb"] == "created" else 3,
            "created_by": _ID,
            **_changes(row),
        }
    return {"type": row["name"], "timestamp": _TIME, "data": data}


def _changes(row: Row) -> dict[str, Any]:
    if row["verb"] == "created":
        return {"new": {each["name"]: _TYPES.get(each["type"], _TEXT)[1] for each in row["columns"]}}
    old: dict[str, Any] = {"updated_at": "2026-11-21T16:00:00.000000Z"}
    new: dict[str, Any] = {"updated_at": _TIME}
    more: dict[str, Any] = {}
    if row["verb"] in ("deleted", "restored"):
        old["deleted_at"], new["deleted_at"] = (None, _TIME) if row["verb"] == "deleted" else (_TIME, None)
    elif row["is_status"]:
        before, after = ("deploying", "active") if row["verb"] == "status_changed" else ("pending", row["verb"])
        old["status"], new["status"] = before, after
        more = {"old_status": before, "new_status": after, "changed_by": _ID}
    return {"old": old, "new": new, **more}
