"""`flask` commands: parsing only, one line of work each. `.flaskenv` leads `flask` here."""

from __future__ import annotations

import sys

import click
from flask import Flask

from config import Settings


app = Flask(__name__)


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
