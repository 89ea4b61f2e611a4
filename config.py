"""Settings: the only reader of the environment.

Everything that can be configured is a field of :class:`Settings`; `docs/configuration.md` is held
against it by a test.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent


class ConfigurationError(Exception):
    """The environment holds something the service cannot start with; the message names it."""


def _setting(default: Any, doc: str, *, least: float | None = None, most: float | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


@dataclass(frozen=True)
class Settings:
    """The settings of one process. The environment variable is the field's name in capitals."""

    database_url: str = _setting(
        "", "Administrator's login of an existing PostgreSQL. Empty: an embedded one is started."
    )
    service_database_url: str = _setting(
        "",
        "Login of the web processes: powerless, never a superuser, an owner or a role that bypasses RLS. "
        "Derived and kept in DATA_DIR when empty.",
    )
    worker_database_url: str = _setting(
        "", "Login of the background worker. Derived like SERVICE_DATABASE_URL when empty."
    )
    backup_database_url: str = _setting(
        "",
        "Login of backups, which reads everything and changes nothing. Derived like SERVICE_DATABASE_URL when empty.",
    )
    maintenance_database_url: str = _setting(
        "",
        "Login of the worker's maintenance, which can become the owner of the tables: DETACH … CONCURRENTLY takes "
        "that. Derived like SERVICE_DATABASE_URL when empty; where it cannot be, months are dropped and archived under "
        "a lock.",
    )
    data_dir: Path = _setting(Path("var"), "Where the embedded database, generated keys, logs and demo.json live.")
    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8000, "Port to listen on.")
    public_url: str = _setting(
        "", "Base URL that users see, for the links of the documentation and the demo. Default: http://HOST:PORT."
    )
    signing_keys: tuple[str, ...] = _setting(
        (), "Keys that sign cursors, newest first, separated by commas. 32 characters at least."
    )
    encryption_keys: tuple[str, ...] = _setting(
        (), "Fernet keys that encrypt webhook secrets and kept answers, newest first, separated by commas."
    )
    web_workers: int = _setting(2, "gunicorn worker processes.", least=1)
    web_connections: int = _setting(1000, "Simultaneous client connections of one worker process.", least=1)
    event_streams_max: int = _setting(
        1000,
        "Event streams that one worker process carries at most, beside WEB_CONNECTIONS; further ones are answered 503.",
        least=0,
    )
    event_stream_heartbeat: float = _setting(
        15.0,
        "Seconds without an event after which a stream is sent a comment, so that nobody in between takes it for dead.",
        least=0.1,
    )
    pool_min_size: int = _setting(1, "Database connections each process keeps open.", least=0)
    pool_max_size: int = _setting(4, "Database connections each process opens at most.", least=1)
    pool_timeout: float = _setting(
        5.0, "Seconds a request waits for a database connection before it is answered 503.", least=0
    )
    prepare_statements: bool = _setting(
        True, "Use server-side prepared statements. Set to false behind a PgBouncer that cannot track them."
    )
    max_body_bytes: int = _setting(
        8 * 1024 * 1024, "Largest request body in bytes; larger ones are answered 413.", least=1
    )
    read_timeout: float = _setting(
        30.0,
        "Seconds a client may take to send a request, and one more for each 10,000 bytes of it; then 408.",
        least=0.1,
    )
    trusted_proxies: int = _setting(
        0, "How many proxies in front are trusted to set X-Forwarded-For, -Proto and -Host.", least=0
    )
    session_rate_limit: int = _setting(
        10_000, "Requests an hour of a signed-in person. API keys carry their own limit.", least=0
    )
    address_rate_limit: int = _setting(
        3_000, "Requests an hour from one network address to what needs no credential, such as logging in.", least=0
    )
    cors_origins: tuple[str, ...] = _setting(
        (), "Origins whose pages may call the API from a browser, separated by commas; * is any. None by default."
    )
    inbound_hook_rate_limit: int = _setting(10_000, "Signed inbound calls an hour of one webhook.", least=0)
    inbound_address_rate_limit: int = _setting(
        100_000, "Inbound calls an hour from one network address, signed or not, to whichever webhooks.", least=0
    )
    bcrypt_cost: int = _setting(12, "Cost of bcrypt password hashes (log2 of the rounds).", least=4, most=31)
    registration_open: bool = _setting(True, "Whether anybody may register.")
    outbound_allowed_networks: tuple[str, ...] = _setting(
        (),
        "Networks (CIDR, separated by commas) that webhooks, workflow calls and health checks may reach although they "
        "are not public.",
    )
    smtp_url: str = _setting(
        "",
        "Mail server: smtp://user:password@host:port, smtps://…, or smtp://…?starttls. "
        "Empty: mail is written to LOG_DIR as .eml files.",
    )
    mail_from: str = _setting("Claude Code Bot <noreply@localhost>", "Sender of the mail.")
    webhook_concurrency: int = _setting(256, "Webhook attempts at the same time of one worker process.", least=1)
    webhook_endpoint_concurrency: int = _setting(
        10, "Attempts at the same time of one webhook, over all workers, unless it sets its own limit.", least=1
    )
    webhook_organization_concurrency: int = _setting(
        64,
        "Attempts at the same time of all webhooks of one organization. Less than WEBHOOK_CONCURRENCY, so that one "
        "with many slow endpoints leaves room for the others.",
        least=1,
    )
    webhook_timeout: float = _setting(15.0, "Seconds that a webhook's endpoint has to answer.", least=0.1)
    webhook_lease_seconds: float = _setting(
        30.0,
        "Seconds after which the attempts of a worker that died are taken over. Extended while it lives.",
        least=0.1,
    )
    worker_host: str = _setting("127.0.0.1", "Address of the worker's /healthz, /readyz and /metrics.")
    worker_port: int = _setting(
        0, "Port of the worker's /healthz, /readyz and /metrics; 0 for none.", least=0, most=65535
    )
    partitions_ahead_months: int = _setting(3, "Months ahead that have partitions of their own.", least=1)
    retention_webhook_deliveries_days: int = _setting(90, "Days that webhook deliveries are kept.", least=1)
    retention_executions_months: int = _setting(6, "Months that executions of integrations are kept.", least=1)
    retention_sessions_days: int = _setting(7, "Days that sessions are kept after they have expired.", least=1)
    retention_audit_logs_years: int = _setting(7, "Years that audit logs are kept.", least=1)
    retention_batch_rows: int = _setting(5000, "Rows that retention deletes in one transaction.", least=1)
    archive_events_months: int = _setting(
        12, "Months that events stay in their table before they go to the schema archive.", least=1
    )
    metrics_token: str = _setting(
        "", "Bearer token that opens /metrics of web processes and workers. Empty: open to this machine only."
    )
    backup_dir: Path | None = _setting(
        None,
        "Where the worker puts a dump of the database every day. Default: DATA_DIR/backups with the embedded database, "
        "none with DATABASE_URL.",
    )
    backup_hour: int = _setting(3, "Hour of the day (UTC) in which it does that; -1 for never.", least=-1, most=23)
    backup_keep_days: int = _setting(30, "Days that it keeps dumps. The newest always stays.", least=1)
    wal_archive_dir: Path | None = _setting(
        None,
        "Where the embedded database archives its log, with a base backup every week, to be recovered to any point in "
        "time. On another disk, best. Default: nowhere.",
    )
    wal_archive_keep_days: int = _setting(14, "Days back to which the archive lets recover.", least=1)
    log_level: str = _setting("INFO", "Least severe level that is logged.")
    log_dir: Path | None = _setting(None, "Directory of the log files of bin/serve. Default: DATA_DIR/log.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings.

        :param environment: variables to read; the process's own by default.
        :raises ConfigurationError: a value cannot be read as its type, or is out of bounds; the message names the
            variable.
        """
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = source.get(each.name.upper(), "").strip()
            if text:
                values[each.name] = _parse(each.name.upper(), str(each.type), text)
                least, most = each.metadata["least"], each.metadata["most"]
                if least is not None and values[each.name] < least:
                    raise ConfigurationError(f"{each.name.upper()} should be {least} at least, not {text}")
                if most is not None and values[each.name] > most:
                    raise ConfigurationError(f"{each.name.upper()} should be {most} at most, not {text}")
        settings = cls(**values)
        if settings.pool_min_size > settings.pool_max_size:
            raise ConfigurationError(
                f"POOL_MIN_SIZE ({settings.pool_min_size}) is more than POOL_MAX_SIZE ({settings.pool_max_size})"
            )
        if settings.log_level not in logging.getLevelNamesMapping():
            raise ConfigurationError(f"LOG_LEVEL should be DEBUG, INFO, WARNING or ERROR, not {settings.log_level}")
        return settings

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
        """The directory of log files."""
        return self.log_dir or self.data_dir / "log"

    @property
    def backups(self) -> Path:
        """The directory of dumps."""
        return self.backup_dir or self.data_dir / "backups"

    @property
    def base_url(self) -> str:
        """The URL under which users reach the service, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def _parse(name: str, kind: str, text: str) -> object:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            if not math.isfinite(float(text)):
                raise ValueError(text)
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
