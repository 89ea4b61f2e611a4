"""People."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.fields import described, identifier, json_object, label, moment, url, version


class ProfileChange(Schema):
    """What one may change in one's profile; a JSON merge patch."""

    name = label("Full name.", "Ann Example")
    avatar_url = url("A picture.", "https://example.org/ann.png")
    preferences = json_object("Whatever the user prefers.", {"theme": "dark"})


class User(ProfileChange):
    """A person."""

    id = identifier("Identifier.", required=True)
    email = fields.String(required=True, metadata=described("Address, used to sign in.", "ann@example.org"))
    email_verified_at = moment("When the address was confirmed.", allow_none=True)
    last_login_at = moment("When the person last signed in.", allow_none=True)
    is_active = fields.Boolean(required=True, metadata=described("Whether the account works.", True))
    created_at = moment("When the person registered.", required=True)
    updated_at = moment("When the profile last changed.", required=True)
    deleted_at = moment("When the account was deleted.", allow_none=True)
    version = version()


class Activity(Schema):
    """What a person did lately, counted every quarter of an hour."""

    id = identifier("The person.", required=True)
    name = fields.String(required=True, metadata=described("Full name.", "Ann Example"))
    email = fields.String(required=True, metadata=described("Address.", "ann@example.org"))
    integrations_created = fields.Integer(
        required=True, metadata=described("Integrations that the person made and nobody deleted.", 7)
    )
    workflows_executed = fields.Integer(
        required=True, metadata=described("Workflows that the person started in the last thirty days.", 12)
    )
    total_actions_30d = fields.Integer(
        required=True, metadata=described("Actions in the audit log in the last thirty days.", 40)
    )
    last_activity_at = moment("The newest of these actions.", required=True, allow_none=True)
    refreshed_at = moment("As of when this was counted; null before the first time.", required=True, allow_none=True)
