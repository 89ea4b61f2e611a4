"""Invitations into organizations."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import choice, described, email_address, identifier, moment, version
from schemas.lists import filters, include_deleted
from schemas.mail import mail_way, mailed_token
from schemas.members import ROLES, permission_names

INVITED_ROLES = ROLES[:-1]  # owners are made of members
STATUSES = ("pending", "accepted", "declined")


class InvitationCreate(Schema):
    """Somebody to invite."""

    email = email_address("Where the invitation is mailed to.")
    role = choice("The role that it offers.", INVITED_ROLES)
    permissions = permission_names()


class Invitation(InvitationCreate):
    """An invitation."""

    id = identifier("Identifier.", required=True)
    organization_id = identifier("The organization.", required=True)
    status = choice("What became of it.", STATUSES, required=True)
    is_expired = fields.Boolean(
        metadata=described("Whether it waited too long; resending renews it. Left out of `as_of`.", False)
    )
    invited_by = identifier("Who invited.", required=True)
    expires_at = moment("Until when it can be accepted.", required=True)
    accepted_at = moment("When it was accepted.", allow_none=True)
    created_at = moment("When it was made.", required=True)
    updated_at = moment("When it last changed.", required=True)
    deleted_at = moment("When it was withdrawn.", allow_none=True)
    version = version()


class InvitationMailed(Invitation):
    """An invitation that is on its way."""

    mail = mail_way()


class InvitationAnswer(Schema):
    """What was mailed."""

    token = mailed_token()


class InvitationAnswered(Schema):
    """What became of an invitation."""

    id = identifier("The invitation.", required=True)
    organization_id = identifier("The organization that it was for.", required=True)
    status = choice("What became of it.", STATUSES[1:], required=True)


InvitationFilters = filters(
    "InvitationFilters",
    "created_at",
    status=choice("Only those of this status.", STATUSES),
    include_deleted=include_deleted(),
)
