"""Registration, signing in, sessions."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import Length, OneOf

from schemas.fields import (
    described,
    email_address,
    identifier,
    known_password,
    label,
    moment,
    new_password,
    no_nul,
    text,
)
from schemas.lists import filters
from schemas.mail import mail_way


class Registration(Schema):
    """A new person."""

    email = email_address("Address, used to sign in.")
    name = label("Full name.", "Ann Example", required=True)
    password = new_password()


class Registered(Schema):
    """A person who has just registered."""

    user_id = identifier("The person.", required=True)
    organization_id = identifier("The person's personal organization.", required=True)
    mail = mail_way()


class Login(Schema):
    """What a person signs in with."""

    email = fields.String(
        required=True, validate=[Length(1, 255), no_nul], metadata=described("The address.", "ann@example.org")
    )
    password = known_password()


class Refresh(Schema):
    """What a session goes on with."""

    refresh_token = text("The newest one.", "ccr_…", most=200, required=True)


class Tokens(Schema):
    """What a signed-in person sends."""

    access_token = fields.String(required=True, metadata=described("Sent as Authorization: Bearer …", "cca_…"))
    refresh_token = fields.String(required=True, metadata=described("Exchanged for new tokens, once.", "ccr_…"))
    token_type = fields.String(
        required=True, validate=OneOf(["Bearer"]), metadata=described("Always Bearer.", "Bearer")
    )
    expires_in = fields.Integer(required=True, metadata=described("Seconds until the access token expires.", 900))
    session_id = identifier("The session.", required=True)


class SessionListing(Schema):
    """A session that goes on."""

    id = identifier("Identifier.", required=True)
    user_id = identifier("Whose it is.", required=True)
    ip_address = fields.String(allow_none=True, metadata=described("Where it began.", "203.0.113.7"))
    user_agent = fields.String(allow_none=True, metadata=described("With what.", "curl/8.5"))
    is_current = fields.Boolean(allow_none=True, metadata=described("Whether this request belongs to it.", True))
    created_at = moment("When it began.", required=True)
    refreshed_at = moment("When its tokens last rotated.", allow_none=True)
    expires_at = moment("When it ends at the latest.", required=True)


SessionFilters = filters("SessionFilters", "created_at")
