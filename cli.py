"""`flask` commands: parsing only, one line of work each. `.flaskenv` leads `flask` here."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from flask import Flask
from flask.cli import AppGroup

from config import ConfigurationError, Settings
from database.embedded import EmbeddedServerError, running_server_url
from database.migrations import MigrationError
from operations.backup import (
    Backup,
    BackupError,
    create_backup,
    list_backups,
    prune_backups,
    restore_backup,
    verify_backup,
)

app = Flask(__name__)


class PlainErrors(AppGroup):
    """Commands whose expected errors are one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (BackupError, ConfigurationError, EmbeddedServerError, MigrationError, psycopg.Error) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@app.cli.command()
def migrate() -> None:
    """Bring the database at DATABASE_URL up to date, with roles and partitions."""
    from database.provision import provision

    settings = Settings.from_environment()
    provision(settings.database_url, settings)
    click.echo("The database is up to date.")


@app.cli.command()
def serve() -> None:
    """Run everything: database, web processes, worker."""
    from operations.serve import serve as run

    sys.exit(run(Settings.from_environment()))


@app.cli.command()
def worker() -> None:
    """Run the background worker until SIGTERM."""
    from worker.loop import run

    run(Settings.from_environment())


@app.cli.group(cls=PlainErrors)
def backup() -> None:
    """Make, check and bring back backups of the database."""


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
