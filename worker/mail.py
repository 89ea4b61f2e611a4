"""Sends the mail that requests have queued: by SMTP, or into the log directory where no server is configured.

Each message is sent at least once: a worker that dies between sending and noting it leaves a message whose lease runs
out, and which goes out again under the same Message-ID.
"""

from __future__ import annotations

import contextlib
import logging
import os
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from config import ConfigurationError, Settings
from database import Nobody, Pool, Row, statement
from repositories.mail_messages import MailMessages
from security.encryption import Cipher
from worker.context import Context, Periodic
from worker.mail_texts import written

LOOK_EVERY = 5.0  # seconds
BATCH = 10
LEASE_SECONDS = 300
SMTP_TIMEOUT = 15.0  # seconds, of each exchange with the server
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 4 * 3600.0
LAST_ATTEMPT = 14  # a day after the first

logger = logging.getLogger("ccb.mail")

Send = Callable[[EmailMessage], object]


@dataclass(frozen=True)
class SmtpServer:
    """Where mail goes out."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool
    starts_tls: bool

    @classmethod
    def at(cls, url: str) -> SmtpServer:
        """Read SMTP_URL.

        :raises config.ConfigurationError: it is none; the message does not quote it, for it may hold a password.
        """
        try:
            parts = urlsplit(url)
            options = parse_qs(parts.query, keep_blank_values=True)
            port = parts.port or {"smtp": 25, "smtps": 465}[parts.scheme]
            if not parts.hostname or options.keys() - {"starttls"}:
                raise ValueError
        except (ValueError, KeyError) as error:
            known = "smtp://user:password@host:port, smtps://… or smtp://…?starttls"
            raise ConfigurationError(f"SMTP_URL should be {known}") from error
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, port, user, password, parts.scheme == "smtps", "starttls" in options)

    @contextlib.contextmanager
    def session(self) -> Iterator[Send]:
        """A connection to send through.

        :raises OSError: the server cannot be reached or does not let us in (`smtplib.SMTPException` is one).
        """
        context = ssl.create_default_context()
        smtp = (
            smtplib.SMTP_SSL(self.host, self.port, timeout=SMTP_TIMEOUT, context=context)
            if self.is_tls
            else smtplib.SMTP(self.host, self.port, timeout=SMTP_TIMEOUT)
        )
        with smtp:
            if self.starts_tls:
                smtp.starttls(context=context)
            if self.user:
                smtp.login(self.user, self.password)
            yield smtp.send_message


def begin(context: Context) -> Periodic:
    """The kind of work that this is.

    :raises config.ConfigurationError: SMTP_URL is malformed.
    """
    pool, settings = context.pool, context.settings
    if settings.smtp_url:
        SmtpServer.at(settings.smtp_url)
    return Periodic.in_thread(context, "mail", lambda stop: send_due(pool, settings, stop), LOOK_EVERY)


def send_due(pool: Pool, settings: Settings, stop: threading.Event) -> int:
    """Send what is due, until nothing is or `stop` is set; gives how many messages went out.

    :param pool: with the worker's login.
    :raises errors.DomainError: the database is away.
    :raises config.ConfigurationError: SMTP_URL is malformed.
    """
    cipher = Cipher(settings.encryption_keys)
    sent = 0
    while not stop.is_set():
        deadline = time.monotonic() + LEASE_SECONDS / 2
        with statement(Nobody(pool)) as connection:
            messages = MailMessages(connection).claim(BATCH, LEASE_SECONDS)
        if not messages:
            break
        for message, error in _send(messages, cipher, settings, stop, deadline):
            sent += error is None
            _settle(pool, message, error)
    return sent


def _send(
    messages: list[Row], cipher: Cipher, settings: Settings, stop: threading.Event, deadline: float
) -> Iterator[tuple[Row, Exception | None]]:
    """Each message with what went wrong, as soon as it is known.

    :param deadline: of `time.monotonic()`, after which no other is begun: their lease must not run out meanwhile.
    """
    waiting = list(messages)
    try:
        with _session(settings) as send:
            while waiting and not stop.is_set() and time.monotonic() < deadline:
                error: Exception | None = None
                try:
                    send(written(waiting[0], _token(waiting[0], cipher), settings))
                except (smtplib.SMTPServerDisconnected, TimeoutError):
                    raise  # the rest would fare no better
                except (OSError, ValueError) as fault:
                    error = fault
                yield waiting.pop(0), error
    except OSError as fault:
        yield from ((message, fault) for message in waiting)
    else:
        yield from ((message, InterruptedError("not begun")) for message in waiting)


def _token(message: Row, cipher: Cipher) -> str:
    """The token that a message brings, if it brings one.

    :raises ValueError: it was encrypted with a key that is gone.
    """
    return "" if message["secret"] is None else cipher.decrypt(message["secret"]).decode()


def _settle(pool: Pool, message: Row, error: Exception | None) -> None:
    status, pause = "sent", 0.0
    if error is not None:
        is_final = _is_final(error) or message["attempt"] >= LAST_ATTEMPT
        status = "failed" if is_final else "pending"
        if not isinstance(error, InterruptedError):
            pause = min(FIRST_PAUSE * 2.0 ** (message["attempt"] - 1), LONGEST_PAUSE)
            logger.warning("mail %s (%s) was not sent: %s", message["id"], message["kind"], error)
    with statement(Nobody(pool)) as connection:
        MailMessages(connection).settle(
            message, status, error_message=None if error is None else str(error)[:500], pause_seconds=pause
        )


def _is_final(error: Exception) -> bool:
    """Whether the same message would be refused again: by the server for good, or because it cannot be written."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        return error.smtp_code >= 500
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return True
    return isinstance(error, ValueError) and not isinstance(error, OSError)  # as a certificate's fault is both


@contextlib.contextmanager
def _session(settings: Settings) -> Iterator[Send]:
    if settings.smtp_url:
        with SmtpServer.at(settings.smtp_url).session() as send:
            yield send
    else:
        settings.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield lambda message: _keep(message, settings)


def _keep(message: EmailMessage, settings: Settings) -> None:
    """Write a message where an operator finds it, complete before it has its name."""
    path = settings.logs / f"mail-{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(message.as_bytes())
    unfinished.rename(path)
