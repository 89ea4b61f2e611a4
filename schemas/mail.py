"""What answers say about mail, and what comes back out of it."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import Length, OneOf

from schemas.fields import described, no_nul

WAYS = ("sent by SMTP", "written to the log directory")


def mail_way() -> fields.String:
    """How mail leaves the service."""
    return fields.String(
        required=True,
        validate=OneOf(WAYS),
        metadata=described("How mail goes out, if there is any to send; says nothing of the address.", WAYS[0]),
    )


def mailed_token() -> fields.String:
    """A token out of a mail."""
    return fields.String(
        required=True, validate=[Length(1, 200), no_nul], metadata=described("The token that was mailed.", "ccm_…")
    )


class MailAccepted(Schema):
    """The request was taken; whether a mail goes out depends on the address."""

    mail = mail_way()
