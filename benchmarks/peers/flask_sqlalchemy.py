"""Flask on gunicorn's threads, with SQLAlchemy's ORM and marshmallow in and out."""

# mypy: disable-error-code="import-not-found,no-any-return"

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from marshmallow import Schema, fields
from sqlalchemy import FetchedValue, String, create_engine, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    """The models."""


class Integration(Base):
    """An integration."""

    __tablename__ = "integrations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=FetchedValue())
    name: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=FetchedValue())
    service_type: Mapped[str]
    version: Mapped[str] = mapped_column(server_default=FetchedValue())
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    capabilities: Mapped[list[str]] = mapped_column(ARRAY(String))
    # Base.metadata is SQLAlchemy's own
    notes: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB)
    author_id: Mapped[uuid.UUID]
    organization_id: Mapped[uuid.UUID]
    template_id: Mapped[str | None]
    repository_url: Mapped[str | None]
    documentation_url: Mapped[str | None]
    health_check_url: Mapped[str | None]
    deployed_at: Mapped[datetime | None]
    last_execution_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime] = mapped_column(server_default=FetchedValue())
    deleted_at: Mapped[datetime | None]
    version_number: Mapped[int] = mapped_column(server_default=FetchedValue())

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # what INSERT … RETURNING brings back


class IntegrationCreate(Schema):
    """What comes in."""

    name = fields.String(required=True)
    description = fields.String()
    service_type = fields.String(required=True)
    config = fields.Dict(load_default=dict)
    capabilities = fields.List(fields.String(), load_default=list)
    notes = fields.Dict(data_key="metadata", load_default=dict)
    organization_id = fields.UUID(required=True)
    repository_url = fields.Url()
    documentation_url = fields.Url()
    health_check_url = fields.Url()


class IntegrationSchema(IntegrationCreate):
    """What goes out."""

    id = fields.UUID()
    status = fields.String()
    version = fields.String()
    author_id = fields.UUID()
    template_id = fields.String()
    deployed_at = fields.DateTime()
    last_execution_at = fields.DateTime()
    created_at = fields.DateTime()
    updated_at = fields.DateTime()
    deleted_at = fields.DateTime()
    version_number = fields.Integer()


app = Flask(__name__, static_folder=None)
engine = create_engine(
    os.environ["SERVICE_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"),
    pool_size=int(os.environ["POOL_MAX_SIZE"]),
    max_overflow=0,
)
sessions = sessionmaker(engine, expire_on_commit=False)
creating, one, many = IntegrationCreate(), IntegrationSchema(), IntegrationSchema(many=True)

AUTHENTICATE = text("SELECT user_id FROM authenticate_api_key(:credential, NULL, :address, :agent)")
BECOME_USER = text("SELECT set_config('role', 'authenticated_users', true)")


@contextmanager
def authenticated() -> Iterator[tuple[Session, uuid.UUID]]:
    """A transaction that acts for the caller, and who that is."""
    credential = hashlib.sha256(request.headers["Authorization"].removeprefix("Bearer ").encode()).hexdigest()
    with sessions.begin() as session:
        context = {"credential": credential, "address": request.remote_addr, "agent": request.user_agent.string}
        user_id = session.scalar(AUTHENTICATE, context)
        session.execute(BECOME_USER)
        yield session, user_id


@app.get("/api/v1/integrations/<uuid:integration_id>")
def get_integration(integration_id: uuid.UUID) -> Response:
    """Get one."""
    with authenticated() as (session, _):
        found = session.get(Integration, integration_id)
        if found is None or found.deleted_at is not None:
            abort(404)
        return jsonify(one.dump(found))


@app.get("/api/v1/integrations")
def list_integrations() -> Response:
    """List the newest."""
    newest = (
        select(Integration)
        .where(Integration.deleted_at.is_(None))
        .order_by(Integration.created_at.desc(), Integration.id.desc())
        .limit(func.least(request.args.get("limit", 50, int), 200))
    )
    with authenticated() as (session, _):
        return jsonify({"items": many.dump(session.scalars(newest))})


@app.post("/api/v1/integrations")
def create_integration() -> tuple[Response, int]:
    """Create one."""
    values = creating.load(request.get_json())
    with authenticated() as (session, user_id):
        made = Integration(**values, author_id=user_id)
        session.add(made)
        session.flush()
        return jsonify(one.dump(made)), 201
