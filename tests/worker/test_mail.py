"""The worker sends mail to a real SMTP server, or into the log directory."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import stat
import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography.fernet import Fernet

from config import ConfigurationError, Settings
from database import Nobody, Pool, statement
from repositories.mail_messages import MailMessages
from security.encryption import Cipher
from tests.conftest import Database
from tests.outbound.certificates import server_certificate
from worker import mail as worker_mail
from worker.mail import SmtpServer, send_due

STOP = threading.Event()
TOKEN = "ccm_a-token-that-is-mailed"


class Receiver:
    """What a mail server got, and what it answers to the data of a message."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answers: list[str] = []
        self.refused: dict[str, str] = {}
        self.users: list[tuple[bytes, bytes]] = []

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        """Take a message, or not."""
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self.envelopes.append(envelope)
        return answer

    def check(self, server: Server, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Let in whoever has the password."""
        assert isinstance(data, LoginPassword)
        self.users.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss/word")

    @property
    def messages(self) -> list[EmailMessage]:
        """The messages that were taken."""
        contents = [each.content for each in self.envelopes if isinstance(each.content, bytes)]
        return [message_from_bytes(content, policy=policy.SMTP) for content in contents]


@contextlib.contextmanager
def listening(receiver: Receiver, tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """A mail server on a port.

    :param tls: of a server that speaks nothing else.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(lambda: Server(receiver, loop=loop, **options), "127.0.0.1", 0, ssl=tls)

    async def stop() -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def receiver() -> Receiver:
    """What the server of the test gets."""
    return Receiver()


@pytest.fixture
def port(receiver: Receiver) -> Iterator[int]:
    """A server that takes everything from everybody."""
    with listening(receiver) as number:
        yield number


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    """The worker's own login."""
    made = Pool(database.logins.worker, database.settings())
    made.open()
    yield made
    made.close()


@pytest.fixture
def settings(database: Database, port: int, tmp_path: Path) -> Settings:
    """A worker with that server."""
    return database.settings(
        smtp_url=f"smtp://127.0.0.1:{port}", mail_from="Bot <bot@example.org>", log_dir=tmp_path / "log"
    )


def account(database: Database, email: str = "ann@example.org") -> str:
    """Somebody who may get mail."""
    user_id = str(uuid.uuid4())
    with database.admin() as admin:
        admin.execute("SELECT register_user(%s, %s, 'Ann', 'hash')", [user_id, email])
    return user_id


def queue(database: Database, email: str = "ann@example.org", kind: str = "reset_password") -> str:
    """A message as a request leaves it; gives its id."""
    secret = Cipher(database.settings().encryption_keys).encrypt(TOKEN.encode())
    with database.admin() as admin:
        row = admin.execute(
            "INSERT INTO mail_messages (kind, recipient, token_hash, secret) VALUES (%s, %s, %s, %s) RETURNING id",
            [kind, email, uuid.uuid4().hex, secret],
        ).fetchone()
    assert row is not None
    return str(row["id"])


def queued(database: Database) -> list[dict[str, Any]]:
    """The messages as they are."""
    with database.admin() as admin:
        return list(admin.execute("SELECT * FROM mail_messages ORDER BY created_at, id"))


def let_time_go_by(database: Database, columns: str = "run_after = now(), lease_expires_at = now()") -> None:
    """Whatever is to come later comes now."""
    with database.admin() as admin:
        admin.execute(f"UPDATE mail_messages SET {columns} WHERE status = 'pending'")


# --- a server


def test_sending(database: Database, pool: Pool, settings: Settings, receiver: Receiver) -> None:
    account(database)
    message_id = queue(database, "ANN@example.org")
    assert send_due(pool, settings, STOP) == 1
    (message,) = receiver.messages
    assert receiver.envelopes[0].rcpt_tos == ["ann@example.org"]  # as its owner wrote it
    assert (message["From"], message["To"], message["Message-ID"]) == (
        "Bot <bot@example.org>", "ann@example.org", f"<{message_id}@example.org>",
    )  # fmt: skip
    assert TOKEN in message.get_content()
    (row,) = queued(database)
    assert (row["status"], row["secret"], row["attempt"], row["lease_token"]) == ("sent", None, 1, None)
    assert send_due(pool, settings, STOP) == 0


def test_more_than_a_batch(database: Database, pool: Pool, settings: Settings, receiver: Receiver) -> None:
    for number in range(25):
        account(database, f"ann-{number}@example.org")
        queue(database, f"nobody-{number}@example.org")
    for number in range(25):
        queue(database, f"ann-{number}@example.org")
    assert send_due(pool, settings, STOP) == 25
    assert len({message["To"] for message in receiver.messages}) == 25
    assert {row["status"] for row in queued(database)} == {"sent", "discarded"}


def test_two_workers_send_nothing_twice(database: Database, pool: Pool, settings: Settings, receiver: Receiver) -> None:
    account(database)
    for _ in range(30):
        queue(database)
    sent: list[int] = []
    workers = [threading.Thread(target=lambda: sent.append(send_due(pool, settings, STOP))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(sent) == len({message["Message-ID"] for message in receiver.messages}) == len(receiver.envelopes) == 30


@pytest.mark.parametrize(("scheme", "option"), [("smtp", "?starttls"), ("smtps", "")])
def test_signing_in_over_tls(
    database: Database, pool: Pool, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    scheme: str, option: str,
) -> None:  # fmt: skip
    authority, context = server_certificate(tmp_path, "localhost")
    account(database)
    queue(database)
    if scheme == "smtps":
        options: dict[str, Any] = {"tls": context, "auth_require_tls": False}
    else:
        options = {"tls_context": context, "require_starttls": True}
    with listening(receiver, authenticator=receiver.check, auth_required=True, **options) as port:
        url = f"{scheme}://ann%40example.org:p%40ss%2Fword@localhost:{port}{option}"
        settings = database.settings(smtp_url=url)
        assert send_due(pool, settings, STOP) == 0  # a certificate that nobody vouches for
        assert "certificate" in queued(database)[0]["error_message"]
        assert receiver.users == []
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        let_time_go_by(database)
        assert send_due(pool, settings, STOP) == 1, queued(database)
    assert (receiver.users, len(receiver.envelopes)) == ([(b"ann@example.org", b"p@ss/word")], 1)


def test_a_server_that_is_away_loses_nothing(
    database: Database, pool: Pool, settings: Settings, receiver: Receiver
) -> None:
    account(database)
    for _ in range(3):
        queue(database)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        away = replace(settings, smtp_url=f"smtp://127.0.0.1:{closed.getsockname()[1]}")
    assert send_due(pool, away, STOP) == 0
    for row in queued(database):
        assert (row["status"], row["attempt"], row["lease_token"]) == ("pending", 1, None)
        assert row["secret"] is not None
        assert "refused" in row["error_message"]
    assert send_due(pool, settings, STOP) == 0  # not before the pause is over
    let_time_go_by(database)
    assert send_due(pool, settings, STOP) == 3
    assert all(TOKEN in message.get_content() for message in receiver.messages)


def test_a_server_that_does_not_answer(
    database: Database, pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_mail, "SMTP_TIMEOUT", 0.2)
    account(database)
    queue(database)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(settings, smtp_url=f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        assert send_due(pool, mute, STOP) == 0
    assert queued(database)[0]["status"] == "pending"


def test_pauses_grow_and_end(database: Database, pool: Pool, settings: Settings, receiver: Receiver) -> None:
    account(database)
    queue(database)
    pauses = []
    for _ in range(worker_mail.LAST_ATTEMPT):
        receiver.answers = ["451 later"]
        send_due(pool, settings, STOP)
        with database.admin() as admin:
            row = admin.execute(
                "SELECT extract(epoch FROM run_after - now())::float AS pause FROM mail_messages"
            ).fetchone()
        assert row is not None
        pauses.append(round(row["pause"], -1))
        let_time_go_by(database)
    assert pauses[:4] == [10, 20, 40, 80]
    assert sum(pauses[:-1]) > 10 * 3600  # a server that is away for a night loses nothing
    (row,) = queued(database)
    assert (row["status"], row["secret"]) == ("failed", None)


@pytest.mark.parametrize(
    ("answers", "refused", "status"),
    [
        (["554 no"], {}, "failed"),
        (["452 full"], {}, "pending"),
        ([], {"ann@example.org": "550 unknown"}, "failed"),
        ([], {"ann@example.org": "450 busy"}, "pending"),
    ],
)
def test_what_a_server_refuses(
    database: Database, pool: Pool, settings: Settings, receiver: Receiver,
    answers: list[str], refused: dict[str, str], status: str,
) -> None:  # fmt: skip
    account(database)
    account(database, "bob@example.org")
    queue(database)
    queue(database, "bob@example.org")
    receiver.answers, receiver.refused = answers, refused
    assert send_due(pool, settings, STOP) == 1  # the other one arrives
    assert [message["To"] for message in receiver.messages] == ["bob@example.org"]
    assert queued(database)[0]["status"] == status


def test_a_worker_that_was_killed_leaves_its_mail_to_others(
    database: Database, pool: Pool, settings: Settings, receiver: Receiver
) -> None:
    account(database)
    queue(database)
    with statement(Nobody(pool)) as connection:
        (held,) = MailMessages(connection).claim(10, 300)
    assert send_due(pool, settings, STOP) == 0
    let_time_go_by(database)
    assert send_due(pool, settings, STOP) == 1
    with statement(Nobody(pool)) as connection:  # whoever comes late settles nothing
        assert MailMessages(connection).settle(held, "failed") is False
    assert queued(database)[0]["status"] == "sent"


def test_a_worker_that_stops_gives_back_what_it_holds(
    database: Database, pool: Pool, settings: Settings, receiver: Receiver
) -> None:
    account(database)
    for _ in range(5):
        queue(database)
    stop = threading.Event()

    class Stopping(Receiver):
        async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
            stop.set()
            return await super().handle_DATA(server, session, envelope)

    with listening(Stopping()) as port:
        assert send_due(pool, replace(settings, smtp_url=f"smtp://127.0.0.1:{port}"), stop) == 1
    assert send_due(pool, settings, STOP) == 4  # without waiting for a lease


def test_a_key_that_is_gone(database: Database, pool: Pool, settings: Settings, receiver: Receiver) -> None:
    account(database)
    queue(database)
    assert send_due(pool, replace(settings, encryption_keys=(Fernet.generate_key().decode(),)), STOP) == 0
    (row,) = queued(database)
    assert (row["status"], receiver.envelopes) == ("failed", [])


# --- no server


def test_mail_in_the_log_directory(database: Database, pool: Pool, settings: Settings) -> None:
    account(database)
    message_id = queue(database)
    assert send_due(pool, replace(settings, smtp_url=""), STOP) == 1
    (path,) = settings.logs.iterdir()
    assert path.name == f"mail-{message_id}.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert TOKEN in message_from_bytes(path.read_bytes(), policy=policy.SMTP).get_content()


def test_a_directory_that_cannot_be_written(database: Database, pool: Pool, settings: Settings, tmp_path: Path) -> None:
    account(database)
    queue(database)
    (tmp_path / "file").touch()
    assert send_due(pool, replace(settings, smtp_url="", log_dir=tmp_path / "file"), STOP) == 0
    assert queued(database)[0]["status"] == "pending"


# --- the configuration


@pytest.mark.parametrize(
    "url", ["http://mail", "smtp://", "smtp://mail:port", "smtp://mail?tls", "mail:25", "smtp://mail:99999"]
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_URL"):
        SmtpServer.at(url)


def test_a_url_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SmtpServer.at("smtp://ann:secret@mail:port")
    assert "secret" not in str(caught.value)


def test_ports_by_default() -> None:
    assert [SmtpServer.at(url).port for url in ("smtp://mail", "smtps://mail", "smtp://mail:587?starttls")] == [
        25,
        465,
        587,
    ]
