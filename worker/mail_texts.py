"""What the service's mail says: a subject and a few lines for each kind."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from typing import Any

from config import Settings
from database import Row, parsed

API = "/api/v1"

TEXTS = {
    "verify_email": (
        "Confirm your address",
        "Somebody, you we hope, uses this address for an account at {service}.\n\n"
        "To confirm it, send this token within a day to POST {service}" + API + "/auth/email-verifications/confirm:\n\n"
        "{token}\n\nIf it was not you, leave it: without the token nothing happens.",
    ),
    "change_email": (
        "Confirm your new address",
        "This is to be the new address of an account at {service}.\n\n"
        "To confirm it, send this token within a day to POST {service}" + API + "/auth/email-verifications/confirm:\n\n"
        "{token}\n\nIf it was not you, leave it: without the token nothing happens.",
    ),
    "reset_password": (
        "Choose another password",
        "Somebody, you we hope, asked for another password for your account at {service}.\n\n"
        "To choose one, send it with this token within an hour to\n"
        "POST {service}" + API + "/auth/password-resets/confirm:\n\n"
        "{token}\n\nIf it was not you, leave it: your password stays as it is.",
    ),
    "invitation": (
        "Invitation to {organization}",
        "{inviter} invites you to {organization} at {service}, as {role}.\n\n"
        "To accept, sign in there (or register with this address), and send this token by {expires_at} to\n"
        "POST {service}" + API + "/invitations/accept, or to …/invitations/decline:\n\n"
        "{token}\n\nIf you do not know who that is, leave it.",
    ),
    "password_changed": (
        "Your password was changed",
        "The password of your account at {service} was changed.\n\n"
        "If it was not you, ask for another at once: POST {service}" + API + "/auth/password-resets.",
    ),
    "email_changed": (
        "Your address was changed",
        "The address of your account at {service} was changed to {email}.\n\n"
        "If it was not you, tell whoever runs the service at once.",
    ),
}


def written(message: Row, token: str, settings: Settings) -> EmailMessage:
    """The mail of a claimed message.

    :param message: with `id`, `kind`, `recipient` and `details`.
    :raises ValueError: the recipient cannot stand in a header.
    """
    subject, text = TEXTS[message["kind"]]
    details: dict[str, Any] = {name: _line(value) for name, value in parsed(message["details"]).items()}
    values = {**details, "service": settings.base_url, "token": token}
    sender_name, sender = parseaddr(settings.mail_from)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(sender_name, addr_spec=sender)
    try:
        mail["To"] = Address(addr_spec=message["recipient"])
    except (IndexError, LookupError) as error:  # what the parser of addresses raises where there is nothing to parse
        raise ValueError("the recipient is no address") from error
    mail["Subject"] = subject.format(**values)
    mail["Message-ID"] = f"<{message['id']}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text.format(**values) + "\n")
    return mail


def _line(value: Any) -> str:
    """A value that others chose, on one line and not too long."""
    return " ".join(str(value).split())[:100]
