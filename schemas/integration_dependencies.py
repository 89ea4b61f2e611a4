"""Dependencies of integrations."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import described, identifier, label, moment, text, version
from schemas.lists import filters


class IntegrationDependencyChange(Schema):
    """What may change in a dependency; a JSON merge patch."""

    dependency_name = label("What is depended on.", "requests")
    dependency_version = label("Which versions will do.", ">=2.32", most=100, allow_none=True)
    dependency_type = label("The kind of package.", "python", most=50)
    is_required = fields.Boolean(metadata=described("Whether it must be there.", True))


class IntegrationDependencyCreate(IntegrationDependencyChange):
    """A new dependency."""

    dependency_name = label("What is depended on, unique within the integration.", "requests", required=True)


class IntegrationDependency(IntegrationDependencyCreate):
    """A dependency of an integration."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("Whose it is.", required=True)
    integration_id = identifier("The integration.", required=True)
    created_at = moment("When it was noted.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version = version()


IntegrationDependencyFilters = filters(
    "IntegrationDependencyFilters",
    "created_at",
    "dependency_name",
    dependency_type=text("Only those of this kind.", "python", most=50),
)
