"""Versions of workflows."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import described, identifier, json_object, moment, text
from schemas.lists import filters


class WorkflowVersionSummary(Schema):
    """A version of a workflow's definition, without the definition itself."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    workflow_id = identifier("The workflow.", required=True)
    version_number = fields.Integer(required=True, metadata=described("Its number, and its ETag: it never changes.", 1))
    version = text("Its label: the definition's own version.", "0.1.0", most=100, required=True)
    created_by = identifier("Who saved it.", required=True)
    created_at = moment("When it was saved.", required=True)


class WorkflowVersion(WorkflowVersionSummary):
    """A version of a workflow's definition."""

    definition = json_object("The definition.", {"document": {"dsl": "1.0.3"}}, required=True)


WorkflowVersionFilters = filters("WorkflowVersionFilters", "created_at")
