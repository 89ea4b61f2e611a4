"""The mail that the service's worker would send, out of the log directory."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage

from database import Pool
from tests.service import Person, Service
from worker.mail import send_due

STOP = threading.Event()


def mail_to(service: Service, email: str) -> list[EmailMessage]:
    """What an address has got up to now, oldest first."""
    settings = replace(service.settings, log_dir=service.mail)
    pool = Pool(settings.worker_database_url, settings)
    pool.open()
    try:
        send_due(pool, settings, STOP)
    finally:
        pool.close()
    files = sorted(service.mail.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    messages = [message_from_bytes(path.read_bytes(), policy=policy.SMTP) for path in files]
    return [message for message in messages if message["To"].addresses[0].addr_spec == email]


def text_of(message: EmailMessage) -> str:
    """What a mail says."""
    return str(message.get_content())


def mailed_token(service: Service, email: str) -> str:
    """The token in the newest mail to an address."""
    return tokens_in(mail_to(service, email)[-1])[0]


def tokens_in(message: EmailMessage) -> list[str]:
    """The tokens that a mail holds."""
    return re.findall(r"ccm_[\w-]{43}", text_of(message))


def token_of(person: Person) -> str:
    """The token in the newest mail to somebody."""
    return mailed_token(person.service, person.email)
