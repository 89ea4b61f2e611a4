"""Members of organizations."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import Length

from schemas.fields import choice, described, identifier, moment, text, version
from schemas.lists import filters

ROLES = ("viewer", "developer", "admin", "owner")


def permission_names() -> fields.List[str]:
    """Permissions that a member has beside those of the role."""
    return fields.List(
        fields.String(validate=Length(1, 100)),
        validate=Length(max=200),
        metadata=described("Permissions beside those of the role.", ["audit_logs:read"]),
    )


class MemberChange(Schema):
    """What may change in a membership."""

    role = choice("The role.", ROLES)
    permissions = permission_names()


class MemberAdd(MemberChange):
    """Somebody to add."""

    email = text("Address of the person's account.", "bob@example.org", required=True)


class Member(MemberChange):
    """A member of an organization."""

    id = identifier("Identifier of the membership.", required=True)
    organization_id = identifier("The organization.", required=True)
    user_id = identifier("The user.", required=True)
    name = fields.String(allow_none=True, metadata=described("The user's name.", "Bob"))
    email = fields.String(allow_none=True, metadata=described("The user's address.", "bob@example.org"))
    avatar_url = fields.String(
        allow_none=True, metadata=described("The user's picture.", "https://example.org/bob.png")
    )
    invited_by = identifier("Who added the user.", allow_none=True)
    joined_at = moment("Since when.", required=True)
    created_at = moment("When the membership was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    version = version()


MemberFilters = filters("MemberFilters", "created_at", role=choice("Only those in this role.", ROLES))
