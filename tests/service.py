"""The service under test, as its users meet it: a process, a socket, and people who call it."""

from __future__ import annotations

import functools
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from cryptography.fernet import Fernet

from config import ROOT, Settings
from tests.waiting import eventually

SIGNING_KEY = "a key for tests and for nothing else at all"
PASSWORD = "correct horse battery"
API = "/api/v1"
GREETING = {
    "document": {"dsl": "1.0.3", "namespace": "tests", "name": "greeting", "version": "0.1.0"},
    "do": [{"greet": {"set": {"greeting": '${ "Hello " + .name }'}}}],
}

_numbers = itertools.count(1)


@functools.cache
def encryption_key() -> str:
    """A Fernet key for the session."""
    return Fernet.generate_key().decode()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    """What the service answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)

    @property
    def etag(self) -> str:
        """The entity tag."""
        return self.headers["ETag"]

    @property
    def code(self) -> str:
        """The problem's code."""
        assert self.headers.get_content_type() == "application/problem+json", self.body
        return str(self.json["code"])


class Client:
    """Calls the service; each call is a connection of its own.

    :param source: the network address to call from, such as 127.1.0.7.
    """

    def __init__(self, port: int, headers: dict[str, str] | None = None, *, source: str = "") -> None:
        self.port = port
        self.headers = headers or {}
        self.source = source

    def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, timeout: float = 30
    ) -> Answer:
        """Send a request: `body` as JSON unless it is bytes, paths below /api/v1 unless they start with !."""
        sent = {**self.headers, **(headers or {})}
        content = body
        if body is not None and not isinstance(body, bytes):
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=timeout, source_address=(self.source, 0) if self.source else None
        )
        try:
            connection.request(method, path[1:] if path.startswith("!") else API + path, content, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    get = functools.partialmethod(call, "GET")
    post = functools.partialmethod(call, "POST")
    patch = functools.partialmethod(call, "PATCH")
    delete = functools.partialmethod(call, "DELETE")


@dataclass
class Person:
    """Somebody who has registered and signed in."""

    client: Client
    email: str
    user_id: str
    personal_organization_id: str
    tokens: dict[str, Any]
    service: Any = None

    def __getattr__(self, name: str) -> Any:
        if name in ("call", "get", "post", "patch", "delete"):
            return getattr(self.client, name)
        raise AttributeError(name)

    def key(self, *permissions: str, organization_id: str | None = None, **values: Any) -> Client:
        """A client with a new API key."""
        wanted = {"name": "key", "permissions": permissions or ["*"], "rate_limit": 1_000_000, **values}
        if organization_id is not None:
            wanted["organization_id"] = organization_id
        answer = self.client.post("/api-keys", wanted)
        assert answer.status == 201, answer.body
        return Client(self.client.port, {"X-API-Key": answer.json["key"]})

    def organization(self, **values: Any) -> dict[str, Any]:
        """A new team of which this person is the owner."""
        number = next(_numbers)
        answer = self.client.post(
            "/organizations", {"name": f"Team {number}", "slug": f"team-{uuid.uuid4()}", **values}
        )
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def integration(self, **values: Any) -> dict[str, Any]:
        """A new integration."""
        answer = self.client.post("/integrations", {"name": "Stripe", "service_type": "rest", **values})
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def workflow(self, **values: Any) -> dict[str, Any]:
        """A new workflow, which greets whoever its input names."""
        answer = self.client.post("/workflows", {"definition": GREETING, **values})
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def execution(self, **values: Any) -> dict[str, Any]:
        """A new execution of a new workflow, pending."""
        answer = self.client.post(f"/workflows/{self.workflow()['id']}/executions", values)
        assert answer.status == 201, answer.body
        return dict(answer.json)

    def run(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Run SQL as an administrator does: what a worker would, or to look; gives the rows if there are some."""
        with self.service.database.admin() as admin:
            cursor = admin.execute(statement, values)
            return list(cursor) if cursor.description else []

    def add(self, organization_id: str, person: Person, role: str) -> None:
        """Add somebody to a team."""
        answer = self.client.post(f"/organizations/{organization_id}/members", {"email": person.email, "role": role})
        assert answer.status == 201, answer.body


class Service:
    """gunicorn on a database of the tests.

    :param settings: of the service; the port is chosen here.
    """

    database: Any = None
    application = "wsgi:app"
    probe = "/healthz"
    by_port: ClassVar[dict[int, Service]] = {}

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.port = free_port()
        self.by_port[self.port] = self
        self.log = Path(tempfile.mkstemp(prefix="service-", suffix=".log")[1])
        self.mail = Path(tempfile.mkdtemp(prefix="mail-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.log.unlink()
        shutil.rmtree(self.mail)

    def start(self) -> None:
        """Start it and wait until it is up."""
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", self.application]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        eventually(self._is_up, "the service is up", 60)

    def stop(self) -> None:
        """Stop it, with all its processes."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None

    def client(self, **headers: str) -> Client:
        """A client without a credential."""
        return Client(self.port, headers)

    def person(self, name: str = "Ann") -> Person:
        """A new person, signed in."""
        client = self.client()
        email = f"{name.lower()}-{uuid.uuid4()}@example.org"
        registered = client.post("/auth/register", {"email": email, "name": name, "password": PASSWORD})
        assert registered.status == 201, registered.body
        tokens = client.post("/auth/login", {"email": email, "password": PASSWORD})
        assert tokens.status == 200, tokens.body
        client.headers = {"Authorization": f"Bearer {tokens.json['access_token']}"}
        ids = registered.json
        return Person(client, email, ids["user_id"], ids["organization_id"], tokens.json, self)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return Client(self.port).get(f"!{self.probe}").status == 200
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        for each in fields(Settings):
            value = getattr(self.settings, each.name)
            if value not in ("", None, ()):
                text = ",".join(value) if isinstance(value, tuple) else str(value)
                environment[each.name.upper()] = text
        return {**environment, "PORT": str(self.port)}
