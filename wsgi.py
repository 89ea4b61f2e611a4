"""What gunicorn serves."""

import contextlib

import psycopg

import logs
from app import create_app
from config import Settings
from database.powers import refuse_powers

settings = Settings.from_environment()
logs.configure(settings.log_level)
app = create_app(settings)
# a database that is away for the moment does not keep the process from starting; each new connection is checked again
with contextlib.suppress(psycopg.OperationalError):
    refuse_powers(settings.service_database_url)
app.extensions["pool"].open()
app.extensions["monitoring"].begin()
