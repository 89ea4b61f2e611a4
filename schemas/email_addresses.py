"""E-mail addresses: showing that one's address is one's own, and taking another."""

from __future__ import annotations

from marshmallow import Schema

from schemas.fields import email_address, known_password
from schemas.mail import mailed_token


class VerificationRequest(Schema):
    """Where to mail a token."""

    email = email_address("The account's address.")


class Confirmation(Schema):
    """What was mailed."""

    token = mailed_token()


class EmailChange(Schema):
    """Another address for oneself."""

    email = email_address("The new address.")
    password = known_password("The account's password.")
