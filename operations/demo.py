"""The demo tenant: what a newcomer finds after the first start."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from pathlib import Path

from config import Settings
from database import ActingFor, Nobody, Pool, transaction
from database.private_files import write_private
from repositories.api_keys import ApiKeys
from repositories.integration_templates import IntegrationTemplates
from repositories.integrations import Integrations
from repositories.organizations import Organizations
from repositories.users import Users
from security.api_keys import new_api_key, shown_prefix
from security.passwords import hash_password

EMAIL = "demo@example.org"
RATE_LIMIT = 100_000  # requests an hour: a newcomer may try a load generator


def load_demo(service_url: str, settings: Settings) -> bool:
    """Make the demo tenant and note its credentials in DATA_DIR/demo.json, unless that was done before.

    Where the service is now reached under another address, the note is told.

    :param service_url: the service's own login: the demo is made the way users make things.
    :return: whether it was made now.
    """
    note = settings.data_dir / "demo.json"
    if made := _noted(note):
        if made.get("base_url") != settings.base_url:
            _note(note, made, settings)
        return False
    pool = Pool(service_url, settings)
    pool.open()
    try:
        made = _make(pool, settings)
    finally:
        pool.close()
    _note(note, made, settings)
    return True


def _noted(note: Path) -> dict[str, str]:
    try:
        return dict(json.loads(note.read_text("utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _note(note: Path, made: dict[str, str], settings: Settings) -> None:
    write_private(note, json.dumps({**made, "base_url": settings.base_url}, indent=2) + "\n")


def _make(pool: Pool, settings: Settings) -> dict[str, str]:
    # an address of its own for each start on an empty DATA_DIR: the database may know the last one's
    email = EMAIL.replace("@", f"+{secrets.token_hex(4)}@")
    password, key, user_id = secrets.token_urlsafe(12), new_api_key(), str(uuid.uuid4())
    with transaction(Nobody(pool, request_id="demo")) as connection:
        Users(connection).register(
            user_id=user_id, email=email, name="Demo User", password_hash=hash_password(password, settings.bcrypt_cost)
        )
    with transaction(ActingFor(pool, user_id, request_id="demo")) as connection:
        organization = Organizations(connection).create(
            name="Demo", slug=f"demo-{secrets.token_hex(4)}", description="Made on the first start.", settings={}
        )
        template = IntegrationTemplates(connection).create(
            id=f"demo-rest-api-{secrets.token_hex(4)}",
            organization_id=organization["id"],
            name="REST API",
            description="Connects any REST API.",
            service_type="rest",
            template_data={"config": {"timeout_seconds": 30, "retries": 3}, "capabilities": ["read"]},
        )
        integrations = Integrations(connection)
        for name, description, path in _INTEGRATIONS:
            row = integrations.create(
                name=name, description=description, template_id=template["id"], organization_id=organization["id"]
            )
            for status in path:
                integrations.set_status(row["id"], None, status)
        ApiKeys(connection).create(
            name="demo",
            organization_id=organization["id"],
            permissions=["*"],
            rate_limit=RATE_LIMIT,
            key_hash=hashlib.sha256(key.encode()).hexdigest(),
            key_prefix=shown_prefix(key),
        )
    return {"api_key": key, "organization_id": str(organization["id"]), "email": email, "password": password}


_ACTIVE = ("validating", "generating", "testing", "reviewing", "deploying", "active")
_INTEGRATIONS = (
    ("Stripe payments", "Takes payments and refunds.", _ACTIVE),
    ("Slack alerts", "Posts alerts into a channel.", _ACTIVE[:3]),
    ("Warehouse stock", "Reads stock levels every hour.", ()),
)
