"""Passwords: changing one's own, and getting another when it is forgotten."""

from __future__ import annotations

from marshmallow import Schema

from schemas.fields import email_address, known_password, new_password
from schemas.mail import mailed_token


class PasswordChange(Schema):
    """Another password for oneself."""

    current_password = known_password("The present password.")
    new_password = new_password()


class PasswordResetRequest(Schema):
    """Whose password is forgotten."""

    email = email_address("The account's address.")


class PasswordReset(Schema):
    """What was mailed, and the new password."""

    token = mailed_token()
    password = new_password()
