"""The OpenAPI document as tests read it: its operations, and its schemas in plain JSON Schema."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from cryptography.fernet import Fernet

from app import create_app
from config import Settings
from tests.service import API, SIGNING_KEY
from web.openapi import operations


@functools.cache
def document() -> dict[str, Any]:
    """The document. A test compares it with the one that the service gives."""
    keys = {"signing_keys": (SIGNING_KEY,), "encryption_keys": (Fernet.generate_key().decode(),)}
    application = create_app(Settings(service_database_url="postgresql://nowhere", **keys))  # type: ignore[arg-type]
    return dict(application.test_client().get("/openapi.json").json or {})


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    path: str
    method: str
    content: dict[str, Any]

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.content["operationId"])

    @property
    def is_public(self) -> bool:
        """Whether it needs no credential."""
        return self.content.get("security") == []

    @property
    def is_list(self) -> bool:
        """Whether it gives pages."""
        return "next_cursor" in self.answer.get("properties", {})

    @property
    def is_stream(self) -> bool:
        """Whether its answer is sent as it comes to be, and so is no JSON document."""
        content = self.content["responses"][str(self.status)].get("content", {})
        return bool(content) and "application/json" not in content

    @property
    def status(self) -> int:
        """The status of success."""
        return min(int(status) for status in self.content["responses"] if status[0] == "2")

    @property
    def answer(self) -> dict[str, Any]:
        """The schema of success, resolved; empty where there is no body in JSON."""
        content = self.content["responses"][str(self.status)].get("content", {})
        return resolved(content["application/json"]["schema"]) if "application/json" in content else {}

    @property
    def body(self) -> dict[str, Any]:
        """The schema of the body, resolved; empty where there is none."""
        content = self.content.get("requestBody", {}).get("content", {})
        return resolved(content["application/json"]["schema"]) if content else {}

    def takes(self, name: str) -> bool:
        """Whether there is such a query parameter or header."""
        return self.parameter(name) is not None

    def parameter(self, name: str) -> dict[str, Any] | None:
        """A query parameter or header."""
        return next((each for each in self.content.get("parameters", []) if each["name"] == name), None)


def every_operation() -> list[Operation]:
    """The operations below /api/v1, without that prefix."""
    return [
        Operation(path.removeprefix(API), method.upper(), content) for path, method, content in operations(document())
    ]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema behind a reference."""
    if "$ref" in schema:
        return dict(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """Where a value differs from a schema of the document."""
    whole = {**_plain(schema), "components": _plain(document()["components"])}
    validator = jsonschema_rs.validator_for(whole, validate_formats=True)
    return [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in validator.iter_errors(value)]


def _plain(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in JSON Schema's words."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items() if name not in ("nullable", "example", "examples")}
    if isinstance(schema.get("properties"), dict):  # one of which may be called like that
        plain["properties"] = {name: _plain(value) for name, value in schema["properties"].items()}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain
