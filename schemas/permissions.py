"""Permissions and roles."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import choice, described
from schemas.members import ROLES


class Permission(Schema):
    """Something that can be permitted."""

    name = fields.String(required=True, metadata=described("Its name.", "integrations:read"))
    resource = fields.String(required=True, metadata=described("What it is about.", "integrations"))
    action = fields.String(required=True, metadata=described("What it lets one do.", "read"))
    description = fields.String(required=True, metadata=described("In a sentence.", "See integrations"))


class Permissions(Schema):
    """All permissions."""

    items = fields.List(fields.Nested(Permission), required=True, metadata=described("By name."))


class Role(Schema):
    """A role in an organization."""

    role = choice("Its name.", ROLES, required=True)
    permissions = fields.List(
        fields.String(), required=True, metadata=described("What it may do.", ["integrations:read"])
    )


class Roles(Schema):
    """All roles."""

    items = fields.List(fields.Nested(Role), required=True, metadata=described("From the lowest rank to the highest."))
