"""The peers as contestants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.calls import PAGE, Call, HttpRequest
from benchmarks.database import BenchmarkDatabase, identifier
from benchmarks.peers.installation import postgrest, python
from benchmarks.web_process import WebProcess

POSTGREST_FUNCTIONS = Path(__file__).with_name("postgrest.sql")


def peers(database: BenchmarkDatabase) -> list[WebProcess]:
    """FastAPI, Flask with SQLAlchemy, and PostgREST, with as many processes and connections as the service."""
    with psycopg.connect(database.admin_url) as connection:
        connection.execute(POSTGREST_FUNCTIONS.read_text("utf-8"))
    settings = database.settings
    workers, connections = settings.web_workers, settings.pool_max_size
    url, folder = _as_url(settings.service_database_url), settings.data_dir
    environment = {"SERVICE_DATABASE_URL": url, "WEB_WORKERS": str(workers), "POOL_MAX_SIZE": str(connections)}
    uvicorn = [
        python(),
        "-m",
        "uvicorn",
        "benchmarks.peers.fastapi_asyncpg:app",
        "--port={port}",
        f"--workers={workers}",
    ]
    uvicorn += ["--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
    gunicorn = [python(), "-m", "gunicorn", "--config=benchmarks/peers/sqlalchemy_gunicorn.py"]
    gunicorn.append("benchmarks.peers.flask_sqlalchemy:app")
    postgrest_environment = {
        "PGRST_DB_URI": url,
        "PGRST_DB_SCHEMAS": "public",
        "PGRST_DB_ANON_ROLE": "authenticated_users",
        "PGRST_DB_PRE_REQUEST": "authenticate_postgrest",
        "PGRST_DB_POOL": str(workers * connections),
        "PGRST_SERVER_HOST": "127.0.0.1",
        "PGRST_LOG_LEVEL": "error",
    }

    def same_requests(call: Call) -> list[bytes]:
        return call.requests(database.keys)

    return [
        WebProcess("fastapi", uvicorn, environment, same_requests, folder / "fastapi.log"),
        WebProcess("sqlalchemy", gunicorn, environment, same_requests, folder / "sqlalchemy.log"),
        WebProcess(
            "postgrest",
            [postgrest()],
            postgrest_environment,
            lambda call: _postgrest_requests(call, database.keys),
            folder / "postgrest.log",
            port_variable="PGRST_SERVER_PORT",
        ),
    ]


def _as_url(conninfo: str) -> str:
    """A login as the one spelling that asyncpg, SQLAlchemy and PostgREST all read."""
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    user, password = quote(parts.pop("user"), safe=""), quote(parts.pop("password"), safe="")
    return f"postgresql://{user}:{password}@/{quote(parts.pop('dbname'), safe='')}?{urlencode(parts)}"


def _postgrest_requests(call: Call, keys: list[str]) -> list[bytes]:
    requests = []
    for key, request in call.drawn(len(keys)):
        requests.append(_as_postgrest(call, key, request).encode(**{"X-API-Key": keys[key - 1]}))
    return requests


def _as_postgrest(call: Call, key: int, request: HttpRequest) -> HttpRequest:
    """The same call as PostgREST spells it."""
    one = {"Accept": "application/vnd.pgrst.object+json"}
    if call.name == "get":
        return replace(request, path=f"/integrations?id=eq.{request.path.rpartition('/')[2]}", headers=one)
    if call.name == "list":
        return replace(request, path=f"/integrations?deleted_at=is.null&order=created_at.desc,id.desc&limit={PAGE}")
    body = {**(request.body or {}), "author_id": identifier("user", key)}
    return replace(request, path="/integrations", body=body, headers={**one, "Prefer": "return=representation"})
