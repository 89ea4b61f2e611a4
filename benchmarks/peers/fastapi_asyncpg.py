"""FastAPI on uvicorn, with asyncpg: the service's own statements, pydantic in and out."""

# mypy: disable-error-code="import-not-found,untyped-decorator,no-any-return"

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

from database.queries import Query, load

CONTEXT, INTEGRATIONS = load("context"), load("integrations")
LIST = INTEGRATIONS.list.variant("created_at", descending=True, continued=False, tenant_known=False)


class IntegrationCreate(BaseModel):
    """What comes in."""

    name: str
    service_type: str
    description: str | None = None
    version: str | None = None
    config: dict[str, Any] | None = None
    capabilities: list[str] | None = None
    metadata: dict[str, Any] | None = None
    organization_id: UUID | None = None
    repository_url: str | None = None
    documentation_url: str | None = None
    health_check_url: str | None = None


class Integration(BaseModel):
    """What goes out."""

    id: UUID
    name: str
    description: str | None
    status: str
    service_type: str
    version: str
    config: dict[str, Any]
    capabilities: list[str]
    metadata: dict[str, Any]
    author_id: UUID
    organization_id: UUID
    template_id: str | None
    repository_url: str | None
    documentation_url: str | None
    health_check_url: str | None
    deployed_at: datetime | None
    last_execution_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version_number: int


class Page(BaseModel):
    """A page of a list."""

    items: list[Integration]


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the pool open while the application runs."""
    size = int(os.environ["POOL_MAX_SIZE"])
    async with asyncpg.create_pool(
        os.environ["SERVICE_DATABASE_URL"], min_size=size, max_size=size, init=_prepare
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


async def authenticated(request: Request) -> AsyncIterator[PoolConnectionProxy]:
    """A transaction that acts for the caller."""
    credential = hashlib.sha256(request.headers["Authorization"].removeprefix("Bearer ").encode()).hexdigest()
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        client = request.client.host if request.client else None
        agent = request.headers.get("User-Agent")
        await connection.fetchrow(CONTEXT.authenticate_api_key.text, credential, None, client, agent)
        await connection.execute(CONTEXT.become_user.text)
        yield connection


# "function": the transaction is committed before the answer is sent, not after
Transaction = Annotated[PoolConnectionProxy, Depends(authenticated, scope="function")]


def _arguments(query: Query, **values: object) -> list[object]:
    return [values.get(name) for name in query.parameters]


@app.get("/api/v1/integrations/{integration_id}")
async def get_integration(integration_id: UUID, transaction: Transaction) -> Integration:
    """Get one."""
    query = INTEGRATIONS.get
    arguments = _arguments(query, integration_id=integration_id, include_deleted=False)
    row = await transaction.fetchrow(query.text, *arguments)
    if row is None:
        raise HTTPException(404)
    return Integration(**row)


@app.get("/api/v1/integrations")
async def list_integrations(transaction: Transaction, limit: int = 50) -> Page:
    """List the newest."""
    rows = await transaction.fetch(LIST.text, *_arguments(LIST, limit=limit, include_deleted=False))
    return Page(items=[Integration(**row) for row in rows])


@app.post("/api/v1/integrations", status_code=201)
async def create_integration(body: IntegrationCreate, transaction: Transaction) -> Integration:
    """Create one."""
    query = INTEGRATIONS.create
    return Integration(**await transaction.fetchrow(query.text, *_arguments(query, **body.model_dump())))
