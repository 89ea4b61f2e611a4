"""`flask` commands: parsing only, one line of work each. `.flaskenv` leads `flask` here."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import click
import psycopg
from flask import Flask
from flask.cli import AppGroup

from config import ConfigurationError, Settings
from database.embedded import EmbeddedServerError, running_server_url
from database.migrations import MigrationError
from operations.accounts import NoSuchAccount, set_active, set_permission
from operations.backup import (
    Backup,
    BackupError,
    create_backup,
    list_backups,
    prune_backups,
    restore_backup,
    verify_backup,
)
from operations.partitions import NoSuchMonth, Partitions
from operations.plans import PlanError
from operations.reports import TABLES, report, request_maintenance

app = Flask(__name__)

EXPECTED = (
    BackupError, ConfigurationError, EmbeddedServerError, MigrationError, NoSuchAccount, NoSuchMonth, PlanError,
    psycopg.Error,
)  # fmt: skip


class Misconfigured(click.ClickException):
    """The settings cannot work."""

    exit_code = 2


class PlainErrors(click.Command):
    """A command whose expected errors are one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            kind = Misconfigured if isinstance(error, ConfigurationError) else click.ClickException
            raise kind(" ".join(str(error).split())) from error


class PlainGroup(PlainErrors, AppGroup):
    """The same for a group of commands."""


@app.cli.command(cls=PlainErrors)
def migrate() -> None:
    """Bring the database at DATABASE_URL up to date, with roles and partitions."""
    from database.provision import provision
    from operations.pg_cron import register

    settings = Settings.from_environment()
    provision(settings.database_url, settings)
    register(settings.database_url, settings)
    click.echo("The database is up to date.")


@app.cli.command(cls=PlainErrors)
def serve() -> None:
    """Run everything: database, web processes, worker."""
    from operations.serve import serve as run

    sys.exit(run(Settings.from_environment()))


@app.cli.command()
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


def _folder() -> Path:
    return Settings.from_environment().data_dir / "backups"


def _url() -> str:
    settings = Settings.from_environment()
    return settings.database_url or running_server_url(settings.data_dir / "postgresql")


def _named(name: str) -> Backup:
    found = {Path(each.path).name: each for each in list_backups(_folder())}
    if name not in found:
        raise click.ClickException(f"there is no backup {name} in {_folder()}")
    return found[name]


@backup.command()
def create() -> None:
    """Dump the database."""
    made = create_backup(_url(), _folder())
    click.echo(f"{Path(made.path).name}  {made.size_bytes} bytes, {len(made.tables)} tables")


@backup.command("list")
def list_() -> None:
    """List the backups, oldest first."""
    for each in list_backups(_folder()):
        click.echo(f"{Path(each.path).name}  {each.created_at}  {each.size_bytes} bytes  {each.database}")


@backup.command()
@click.argument("name")
def verify(name: str) -> None:
    """Restore a backup into a scratch database and compare every table."""
    verify_backup(_url(), _named(name))
    click.echo("Every table is as it was dumped.")


@backup.command()
@click.argument("name")
@click.option("--overwrite", is_flag=True, help="Replace the database although it is there already.")
def restore(name: str, overwrite: bool) -> None:
    """Put a backup in the place of the database."""
    restore_backup(_url(), _named(name), overwrite=overwrite)
    click.echo("The database is as it was dumped.")


@backup.command()
@click.option("--days", default=30, show_default=True, help="How long backups are kept; the newest always is.")
def prune(days: int) -> None:
    """Remove backups that are too old."""
    for archive in prune_backups(_folder(), timedelta(days=days)):
        click.echo(f"{archive.name} removed")


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
    from operations.webhook_secrets import reencrypt
    from security.encryption import Cipher

    outcome = reencrypt(_url(), Cipher(Settings.from_environment().encryption_keys))
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
    from operations.maintenance import TASKS

    names = [each.name for each in TASKS]
    if task not in names:
        raise click.BadParameter(f"{task} is none of {', '.join(names)}")
    request_maintenance(_url(), task)
    click.echo(f"{task} is asked for")


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
