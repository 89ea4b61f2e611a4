"""Makes a PostgreSQL server ready for the service: roles, schema, partitions, logins."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from config import ROOT, ConfigurationError, Settings
from database.migrations import migrate, take_turn
from database.powers import expect_service, refuse_powers
from database.private_files import write_private
from database.queries import load

LOGINS = ("ccb_service", "ccb_worker", "ccb_maintainer", "ccb_backup")
MIGRATOR = load("schema_migrations")
OPERATIONS = load("operations")


@dataclass(frozen=True)
class LoginUrls:
    """What the processes of the service connect with."""

    service: str
    worker: str
    backup: str = ""
    maintenance: str = ""


def provision(admin_url: str, settings: Settings) -> LoginUrls:
    """Create the roles, bring the schema up to date, and give the service its logins.

    :param admin_url: an administrator's login: a superuser, or the database's owner with CREATEROLE.
    :param settings: `service_database_url`, `worker_database_url` and `backup_database_url` are used where given;
        otherwise the logins are derived from `admin_url`, their passwords kept in DATA_DIR/logins.json.
    :raises psycopg.Error: the server refused something.
    :raises database.migrations.MigrationError: program and database do not fit together.
    :raises config.ConfigurationError: the service's login has powers it must not have, or lacks what it needs.
    """
    create_roles(admin_url)
    migrate(admin_url)
    create_partitions(admin_url, settings.partitions_ahead_months)
    passwords = _passwords(settings.data_dir / "logins.json")
    logins = LoginUrls(
        service=settings.service_database_url or _login(admin_url, "ccb_service", passwords["ccb_service"]),
        worker=settings.worker_database_url or _login(admin_url, "ccb_worker", passwords["ccb_worker"]),
        backup=settings.backup_database_url or _login(admin_url, "ccb_backup", passwords["ccb_backup"]),
        maintenance=settings.maintenance_database_url
        or _login(admin_url, "ccb_maintainer", passwords["ccb_maintainer"]),
    )
    refuse_powers(logins.service)
    expect_service(logins.service)
    return logins


def backup_login(admin_url: str, settings: Settings) -> str:
    """The login of backups that this DATA_DIR knows of; the administrator's own where it knows of none."""
    kept = _kept(settings.data_dir / "logins.json").get("ccb_backup")
    derived = make_conninfo(admin_url, user="ccb_backup", password=kept) if kept else admin_url
    return settings.backup_database_url or derived


def create_roles(admin_url: str) -> None:
    """Run `sql/roles.sql`, which may be repeated."""
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        take_turn(connection)
        with connection.transaction():
            connection.execute((ROOT / "sql" / "roles.sql").read_text("utf-8"))


def create_partitions(admin_url: str, months_ahead: int) -> None:
    """Make the partitions of this month and the months ahead that are not there, as far as nobody holds up a lock.

    The worker does so from then on.

    :raises psycopg.Error: the server refused something.
    """
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute(MIGRATOR.become_owner.text)
        try:
            while connection.execute(OPERATIONS.create_next_partition.text, [months_ahead]).fetchone() != (None,):
                continue
        except psycopg.errors.LockNotAvailable:
            return  # the worker goes on with it, and no row is refused meanwhile


def _passwords(path: Path) -> dict[str, str]:
    kept = _kept(path)
    made = {role: secrets.token_urlsafe(24) for role in LOGINS} | kept
    if made != kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps(made))
    return made


def _kept(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path} holds no passwords; remove it, and new ones are made") from error


def _login(admin_url: str, role: str, password: str) -> str:
    """The login of a role on the administrator's server; sets the password unless it works already."""
    url = make_conninfo(admin_url, user=role, password=password)
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        with psycopg.connect(admin_url) as connection:
            secret = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(secret.decode()))
            )
    return url
