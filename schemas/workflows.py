"""Workflows."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from schemas.fields import described, identifier, json_object, label, moment, text, version
from schemas.lists import filters, include_deleted

EXAMPLE_DEFINITION = {
    "document": {"dsl": "1.0.3", "namespace": "acme", "name": "greeting", "version": "0.1.0"},
    "do": [{"greet": {"set": {"greeting": '${ "Hello " + .name }'}}}],
}
EXAMPLE_YAML = """\
document: {dsl: 1.0.3, namespace: acme, name: greeting, version: 0.1.0}
do:
- greet:
    set:
      greeting: ${ "Hello " + .name }
"""


class Definition(Schema):
    """A definition of the Serverless Workflow DSL 1.0, as JSON or as YAML."""

    definition = json_object(
        "The definition. In a change it is merged into the present one.", EXAMPLE_DEFINITION, storable=False
    )
    definition_yaml = text(
        "The same as YAML 1.2, in its place. In a change it replaces the present one whole.",
        EXAMPLE_YAML,
        most=262_144,
        allow_none=True,
    )

    @validates_schema
    def _once(self, data: dict[str, Any], **_: Any) -> None:
        if "definition" in data and data.get("definition_yaml") is not None:
            raise ValidationError({"definition_yaml": ["Give the definition once: as JSON or as YAML."]})


def _needs_definition(data: dict[str, Any]) -> None:
    if "definition" not in data and data.get("definition_yaml") is None:
        raise ValidationError({"definition": ["Missing data for required field."]})


class WorkflowCheck(Definition):
    """A definition to look at."""

    @validates_schema
    def _needs(self, data: dict[str, Any], **_: Any) -> None:
        _needs_definition(data)


class WorkflowChange(Definition):
    """What may change in a workflow; a JSON merge patch."""

    name = label("Name; the definition's when left out.", "Greeting")
    description = text("What it is for.", "Greets by name", most=10_000, least=0, allow_none=True)
    workflow_type = label("Kind of workflow; the definition's name when left out.", "greeting", most=100)
    is_active = fields.Boolean(metadata=described("Whether it may be started.", True))


class WorkflowCreate(WorkflowChange):
    """A new workflow."""

    organization_id = identifier("Organization; the key's or the caller's personal one when left out.")

    @validates_schema
    def _needs(self, data: dict[str, Any], **_: Any) -> None:
        _needs_definition(data)


class WorkflowSummary(Schema):
    """A workflow without its definition."""

    version_number = version()
    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    workflow_type = text("Kind of workflow.", "greeting", most=100, required=True)
    name = text("Name.", "Greeting", required=True)
    description = text("What it is for.", "Greets by name", most=10_000, least=0, allow_none=True)
    is_active = fields.Boolean(required=True, metadata=described("Whether it may be started.", True))
    version = text("Label of its definition: the definition's own version.", "0.1.0", most=100, required=True)
    definition_version = fields.Integer(
        required=True, metadata=described("Number of its definition: 1 for the first, one more for each change.", 1)
    )
    created_by = identifier("Who made it.", required=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was deleted.", allow_none=True)


class Workflow(WorkflowSummary):
    """A workflow."""

    definition = json_object("The definition.", EXAMPLE_DEFINITION, required=True)


class DefinitionFault(Schema):
    """One thing that is wrong with a definition."""

    pointer = fields.String(required=True, metadata=described("Where.", "/definition/do/0/greet/set"))
    detail = fields.String(required=True, metadata=described("What.", "This may not be empty."))


class Verdict(Schema):
    """What is wrong with a definition."""

    valid = fields.Boolean(required=True, metadata=described("Whether it would be accepted.", True))
    errors = fields.List(
        fields.Nested(DefinitionFault), required=True, metadata=described("Everything that is wrong with it.", [])
    )


WorkflowFilters = filters(
    "WorkflowFilters",
    "created_at",
    "updated_at",
    "name",
    organization_id=identifier("Only those of this organization."),
    workflow_type=text("Only those of this kind.", "greeting", most=100),
    is_active=fields.Boolean(metadata=described("Only those that may be started, or only those that may not.", True)),
    created_by=identifier("Only those that this user made."),
    include_deleted=include_deleted(),
)
