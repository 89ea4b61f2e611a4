"""Settings: the only reader of the environment.

Everything that can be configured is a field of :class:`Settings`; `docs/configuration.md` is held
against it by a test.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent


class ConfigurationError(Exception):
    """The environment holds something the service cannot start with; the message names it."""


@dataclass(frozen=True)
class Settings:
    """The settings of one process. The environment variable is the field's name in capitals."""

    database_url: str = field(default="", metadata={"doc": "Administrator's login of an existing PostgreSQL. Empty: an embedded one is started."})
    service_database_url: str = field(default="", metadata={"doc": "Login of the web processes: powerless, never a superuser, an owner or a role that bypasses RLS. Derived and kept in DATA_DIR when empty."})
    worker_database_url: str = field(default="", metadata={"doc": "Login of the background worker. Derived like SERVICE_DATABASE_URL when empty."})
    data_dir: Path = field(default=Path("var"), metadata={"doc": "Where the embedded database, generated keys, logs and demo.json live."})
    host: str = field(default="127.0.0.1", metadata={"doc": "Address to listen on."})
    port: int = field(default=8000, metadata={"doc": "Port to listen on."})
    public_url: str = field(default="", metadata={"doc": "Base URL that users see, for links in mails and Location headers. Default: http://HOST:PORT."})
    signing_keys: tuple[str, ...] = field(default=(), metadata={"doc": "Keys that sign cursors, newest first, separated by commas. 32 characters at least."})
    encryption_keys: tuple[str, ...] = field(default=(), metadata={"doc": "Fernet keys that encrypt webhook secrets and kept answers, newest first, separated by commas."})
    web_workers: int = field(default=2, metadata={"doc": "gunicorn worker processes."})
    web_connections: int = field(default=1000, metadata={"doc": "Simultaneous client connections of one worker process."})
    pool_min_size: int = field(default=1, metadata={"doc": "Database connections each process keeps open."})
    pool_max_size: int = field(default=4, metadata={"doc": "Database connections each process opens at most."})
    pool_timeout: float = field(default=5.0, metadata={"doc": "Seconds a request waits for a database connection before it is answered 503."})
    prepare_statements: bool = field(default=True, metadata={"doc": "Use server-side prepared statements. Set to false behind a PgBouncer that cannot track them."})
    max_body_bytes: int = field(default=8 * 1024 * 1024, metadata={"doc": "Largest request body in bytes; larger ones are answered 413."})
    trusted_proxies: int = field(default=0, metadata={"doc": "How many proxies in front are trusted to set X-Forwarded-For, -Proto and -Host."})
    session_rate_limit: int = field(default=10_000, metadata={"doc": "Requests an hour of a signed-in person. API keys carry their own limit."})
    bcrypt_cost: int = field(default=12, metadata={"doc": "Cost of bcrypt password hashes (log2 of the rounds)."})
    registration_open: bool = field(default=True, metadata={"doc": "Whether anybody may register."})
    smtp_url: str = field(default="", metadata={"doc": "smtp://user:password@host:587 or smtps://…. Empty: mails are written to LOG_DIR/mail."})
    mail_from: str = field(default="Claude Code Bot <no-reply@localhost>", metadata={"doc": "Sender of the service's mails."})
    log_level: str = field(default="INFO", metadata={"doc": "Least severe level that is logged."})
    log_dir: Path | None = field(default=None, metadata={"doc": "Directory of the log files of bin/serve. Default: DATA_DIR/log."})
    outbound_allowed_networks: tuple[str, ...] = field(default=(), metadata={"doc": "CIDRs that outbound calls may reach although they are private, separated by commas."})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        :param environment: variables to read; the process's own by default.
        :raises ConfigurationError: a value cannot be read as its type; the message names the variable.
        """
        source = os.environ if environment is None else environment
        values = {}
        for each in fields(cls):
            text = source.get(each.name.upper(), "").strip()
            if text:
                values[each.name] = _parse(each.name.upper(), str(each.type), text)
        return cls(**values)

    def require_keys(self) -> None:
        """Check what the web processes cannot do without.

        :raises ConfigurationError: naming the variable that is missing or too short.
        """
        if not self.service_database_url:
            raise ConfigurationError("SERVICE_DATABASE_URL is not set; bin/serve derives it")
        if not self.signing_keys or min(map(len, self.signing_keys)) < 32:
            raise ConfigurationError("SIGNING_KEYS should hold at least one key of 32 characters or more")
        if not self.encryption_keys:
            raise ConfigurationError("ENCRYPTION_KEYS should hold at least one Fernet key")

    @property
    def logs(self) -> Path:
        """The directory of log files and of mails that were not sent."""
        return self.log_dir or self.data_dir / "log"

    @property
    def base_url(self) -> str:
        """The URL under which users reach the service, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def _parse(name: str, kind: str, text: str) -> object:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
    except (ValueError, KeyError) as error:
        raise ConfigurationError(f"{name} should be of type {kind}, not {text!r}") from error
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind.startswith("Path"):
        return Path(text)
    return text
