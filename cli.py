"""`flask` commands: parsing only, one line of work each. `.flaskenv` leads `flask` here."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import click
import psycopg
from flask import Flask
from flask.cli import AppGroup
from psycopg.conninfo import conninfo_to_dict

from config import ConfigurationError, Settings
from database.embedded import EmbeddedServerError, running_server_url
from database.migrations import MigrationError
from operations.accounts import NoSuchAccount, set_active, set_permission
from operations.backup import Backup, create_backup, list_backups, prune_backups
from operations.partitions import NoSuchMonth, Partitions
from operations.plans import PlanError
from operations.point_in_time import create_base_backup, list_base_backups, prune_base_backups
from operations.postgresql_programs import BackupError
from operations.reports import TABLES, report, request_maintenance
from operations.serve import ServeError

app = Flask(__name__)

EXPECTED = (
    BackupError, ConfigurationError, EmbeddedServerError, MigrationError, NoSuchAccount, NoSuchMonth, OSError,
    PlanError, ServeError, psycopg.Error,
)  # fmt: skip
UNKNOWN_SCHEMA = (psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedObject)


class Misconfigured(click.ClickException):
    """The settings cannot work."""

    exit_code = 2


def _told(error: Exception) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:  # without the place in a function's text
        return "; ".join(filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.message_hint)))
    return str(error)


class PlainErrors(click.Command):
    """A command whose expected errors are one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UNKNOWN_SCHEMA as error:
            told = error.diag.message_primary or str(error)
            told += "; is it the service's database, up to date by `flask migrate`?"
            raise click.ClickException(told) from error
        except EXPECTED as error:
            kind = Misconfigured if isinstance(error, ConfigurationError) else click.ClickException
            raise kind(" ".join(_told(error).split())) from error


class PlainGroup(PlainErrors, AppGroup):
    """The same for a group of commands."""


@app.cli.command(cls=PlainErrors)
def migrate() -> None:
    """Bring the database up to date, with roles and partitions."""
    from database.provision import provision
    from operations.pg_cron import register

    settings = Settings.from_environment()
    provision(_url(), settings)
    register(_url(), settings)
    click.echo("The database is up to date.")


@app.cli.command(cls=PlainErrors)
def serve() -> None:
    """Run everything: database, web processes, worker."""
    from operations.serve import serve as run

    sys.exit(run(Settings.from_environment()))


@app.cli.command(cls=PlainErrors)
def worker() -> None:
    """Run the background worker until SIGTERM."""
    from worker.loop import run

    run(Settings.from_environment())


@app.cli.group(cls=PlainGroup)
def backup() -> None:
    """Make, check and bring back backups of the database."""


@app.cli.group(cls=PlainGroup)
def events() -> None:
    """What happened."""


@events.command("verify")
def verify_events_() -> None:
    """Fold all events of every aggregate and compare with the rows; exit status 1 on any difference."""
    from operations.event_verification import verify_events

    found = verify_events(_url())
    for each in found.faults:
        click.echo(each)
    rate = found.events / found.seconds
    click.echo(
        f"{found.aggregates} aggregates, {found.events} events, {len(found.faults)} faults"
        f" in {found.seconds:.1f} s ({rate:.0f} events a second)"
    )
    sys.exit(1 if found.faults else 0)


def _url() -> str:
    settings = Settings.from_environment()
    if not settings.database_url:
        return running_server_url(settings.data_dir / "postgresql")
    try:
        conninfo_to_dict(settings.database_url)
    except psycopg.ProgrammingError:  # its message may quote the password
        raise ConfigurationError("DATABASE_URL is not a PostgreSQL connection URL") from None
    return settings.database_url


def _folder() -> Path:
    return Settings.from_environment().backups


def _named(name: str) -> Backup:
    found = {Path(each.path).name: each for each in list_backups(_folder())}
    if name not in found:
        raise click.ClickException(f"there is no backup {name} in {_folder()}; `flask backup list` has those that are")
    return found[name]


@backup.command()
def create() -> None:
    """Dump the database."""
    from database.provision import backup_login

    made = create_backup(backup_login(_url(), Settings.from_environment()), _folder())
    click.echo(f"{Path(made.path).name}  {made.size_bytes} bytes, {len(made.tables)} tables")


@backup.command("list")
def list_() -> None:
    """List the dumps and the base backups, oldest first."""
    dumps = list_backups(_folder())
    if not dumps:
        click.echo(f"There is no dump in {_folder()}.", err=True)
    for each in dumps:
        click.echo(f"{Path(each.path).name}  {each.created_at}  {each.size_bytes} bytes  {each.database}")
    archive = Settings.from_environment().wal_archive_dir
    for base in list_base_backups(archive) if archive else []:
        told = f"{base.created_at.isoformat()}  {base.size_bytes} bytes  needs the log from {base.first_segment} on"
        click.echo(f"{base.path.name}  {told}")


@backup.command()
@click.argument("name")
def verify(name: str) -> None:
    """Restore a backup into a scratch database and compare every table."""
    from operations.restore import verify_backup

    verify_backup(_url(), _named(name))
    click.echo("Every table is as it was dumped.")


@backup.command()
@click.argument("name")
@click.option("--overwrite", is_flag=True, help="Replace the database although it is in use or holds something.")
def restore(name: str, overwrite: bool) -> None:
    """Put a backup in the place of the database."""
    from operations.restore import restore_backup

    restore_backup(_url(), _named(name), overwrite=overwrite)
    click.echo("The database is as it was dumped. Now run `flask migrate`, or start bin/serve, which does it.")


@backup.command()
@click.option("--days", type=int, help="Days to keep. Default: BACKUP_KEEP_DAYS and WAL_ARCHIVE_KEEP_DAYS.")
def prune(days: int | None) -> None:
    """Remove dumps, base backups and log that are too old; the newest always stay."""
    settings = Settings.from_environment()
    removed = prune_backups(settings.backups, timedelta(days=settings.backup_keep_days if days is None else days))
    if settings.wal_archive_dir is not None:
        keep = timedelta(days=settings.wal_archive_keep_days if days is None else days)
        removed += prune_base_backups(settings.wal_archive_dir, keep)
    for each in removed:
        click.echo(f"{each.name} removed")
    if not removed:
        click.echo("Nothing is too old.", err=True)


def _archive(folder: Path | None) -> Path:
    found = folder or Settings.from_environment().wal_archive_dir
    if found is None:
        raise click.UsageError("WAL_ARCHIVE_DIR is not set, and no --archive given")
    return found


ARCHIVE = click.option("--archive", "folder", type=click.Path(path_type=Path), help="Default: WAL_ARCHIVE_DIR.")


@backup.command()
@ARCHIVE
def base(folder: Path | None) -> None:
    """Copy the server's whole data directory, to recover to a point in time from."""
    made = create_base_backup(_url(), _archive(folder))
    click.echo(f"{made.path.name}  {made.size_bytes} bytes, needs the log from {made.first_segment} on")


@backup.command()
@ARCHIVE
def drill(folder: Path | None) -> None:
    """Recover the newest base backup elsewhere, up to now, and read every row of it."""
    from operations.recovery import drill as run

    click.echo(f"{run(_url(), _archive(folder)).path.name} and the log after it give back all that was committed.")


@backup.command("archive-settings")
@ARCHIVE
def archive_settings(folder: Path | None) -> None:
    """Print what makes a server of your own archive its log: lines for its postgresql.conf."""
    from database.archiving import configuration

    click.echo(configuration(_archive(folder).absolute() / "wal"))


def _moment(context: click.Context, parameter: click.Parameter, text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise click.BadParameter(f"{text} is no time; write it like 2026-11-27T03:04:05+00:00") from None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


@backup.command()
@ARCHIVE
@click.option("--to", "until", callback=_moment, help="Such as 2026-11-27T03:04:05 (UTC). Default: all there is.")
@click.option("--data-directory", type=click.Path(path_type=Path), help="Of another server than bin/serve's.")
def recover(folder: Path | None, until: datetime | None, data_directory: Path | None) -> None:
    """Recover to a point in time. bin/serve has to be stopped; its old data directory is put away, not deleted."""
    from operations.recovery import recover as run

    click.echo(run(Settings.from_environment(), _archive(folder), until, data_directory))


@app.cli.group(cls=PlainGroup)
def organizations() -> None:
    """Plans and limits of organizations."""


def _limit(text: str) -> tuple[str, int | None]:
    name, separator, number = text.partition("=")
    if not separator or not (number == "none" or number.isdecimal()):
        raise click.BadParameter(f"{text} should be like integrations=500 or webhooks=none")
    return name, None if number == "none" else int(number)


@organizations.command("plan")
@click.argument("organization_id", type=click.UUID)
@click.argument("plan", required=False)
@click.option("--limit", "limits", multiple=True, help="Such as integrations=500, or webhooks=none for no limit.")
def plan_(organization_id: UUID, plan: str | None, limits: tuple[str, ...]) -> None:
    """Put an organization on a PLAN (free, pro, enterprise), or give it limits of its own."""
    from operations.plans import set_plan

    row = set_plan(_url(), organization_id, plan, dict(map(_limit, limits)))
    click.echo(f"{row['plan']}, own limits {row['limits']}, has {row['usage_stats']}")


@organizations.command("recount")
@click.argument("organization_id", type=click.UUID)
def recount(organization_id: UUID) -> None:
    """Count what an organization has anew, after rows were loaded past the triggers."""
    from operations.plans import recount_usage

    click.echo(recount_usage(_url(), organization_id))


@app.cli.group(cls=PlainGroup)
def webhooks() -> None:
    """Webhooks' secrets."""


@webhooks.command("reencrypt")
def reencrypt_() -> None:
    """Put secrets under the newest of ENCRYPTION_KEYS, so that the older ones can go."""
    from operations.secret_keys import encryption_keys
    from operations.webhook_secrets import reencrypt
    from security.encryption import Cipher

    outcome = reencrypt(_url(), Cipher(encryption_keys(Settings.from_environment())))
    click.echo(f"{outcome.changed} webhooks are under the newest key now")
    if outcome.unreadable:
        raise click.ClickException("no key fits the secrets of " + ", ".join(outcome.unreadable))


@app.cli.group(cls=PlainGroup)
def users() -> None:
    """What only operators may do to accounts."""


@users.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Shut an account out: sessions end at once, API keys rest."""
    set_active(_url(), email, False)
    click.echo(f"{email} is deactivated")


@users.command()
@click.argument("email")
def activate(email: str) -> None:
    """Let an account in again that was deactivated."""
    set_active(_url(), email, True)
    click.echo(f"{email} is active")


OPERATOR_PERMISSION = click.Choice(["operations:read", "operations:run"])


@users.command()
@click.argument("email")
@click.argument("permission", type=OPERATOR_PERMISSION)
def permit(email: str, permission: str) -> None:
    """Give an operator's permission, which no role and no organization gives."""
    set_permission(_url(), email, permission, True)
    click.echo(f"{email} has {permission}")


@users.command()
@click.argument("email")
@click.argument("permission", type=OPERATOR_PERMISSION)
def forbid(email: str, permission: str) -> None:
    """Take an operator's permission back."""
    set_permission(_url(), email, permission, False)
    click.echo(f"{email} has {permission} no longer")


@app.cli.group(cls=PlainGroup)
def ops() -> None:
    """What the database does, and maintenance by hand."""


for name, query in TABLES.items():
    ops.command(name, help=query.why)(lambda name=name: click.echo(report(_url(), name)))


@ops.command("run")
@click.argument("task")
def run_(task: str) -> None:
    """Have the worker do a maintenance TASK now; `flask ops maintenance-runs` shows what became of it."""
    from operations.backup_schedule import NAMES
    from operations.maintenance import TASKS

    names = [*(each.name for each in TASKS), *NAMES]
    if task not in names:
        raise click.BadParameter(f"{task} is none of {', '.join(names)}")
    request_maintenance(_url(), task)
    click.echo(f"{task} is asked for; `flask ops maintenance-runs` shows what became of it")


@ops.command("archive")
@click.argument("name")
def archive_(name: str) -> None:
    """Move the month of events NAME (such as events_y2025m01) to the archive, whatever its age."""
    with Partitions.opened(_url(), Event()) as partitions:
        partitions.archive_month(name)
    click.echo(f"{name} is in the archive")


@ops.command("attach")
@click.argument("name")
def attach(name: str) -> None:
    """Bring the month of events NAME back from the archive; it stays until `flask ops archive` takes it."""
    with Partitions.opened(_url(), Event()) as partitions:
        partitions.bring_back(name)
    click.echo(f"{name} is attached")
