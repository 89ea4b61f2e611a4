"""A client that was generated from the OpenAPI document, on the README's way through the service."""

from __future__ import annotations

import compileall
import importlib
import os
import pkgutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.service import PASSWORD, Client

TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def generated(client_document: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The generated package."""
    folder = tmp_path_factory.mktemp("generated")
    package = folder / "control_plane"
    command = [
        str(TOOLS / "openapi-python-client"),
        "generate",
        "--path",
        str(client_document),
        "--output-path",
        str(package),
    ]
    made = subprocess.run(
        [*command, "--meta", "none", "--fail-on-warning"],
        env={**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert compileall.compile_dir(package, quiet=2)
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("control_plane")
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def client_document(service: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as the service gives it."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(service.client().get("!/openapi.json").body)
    return path


def operation(tag: str, name: str) -> Any:
    """The module of an operation."""
    return importlib.import_module(f"control_plane.api.{tag}.{name}")


def model(name: str) -> Any:
    """A class of the document's schemas."""
    return getattr(importlib.import_module("control_plane.models"), name)


def test_every_module_can_be_imported(generated: Any) -> None:
    names = [each.name for each in pkgutil.walk_packages(generated.__path__, "control_plane.")]
    assert len(names) > 100
    for name in names:
        importlib.import_module(name)


def test_the_tour(generated: Any, client: Client) -> None:
    base = f"http://127.0.0.1:{client.port}"
    anybody = generated.Client(base_url=base, raise_on_unexpected_status=True)
    email = f"generated-{uuid.uuid4()}@example.org"
    person = model("Registration")(email=email, name="Ann", password=PASSWORD)
    registered = operation("auth", "register").sync_detailed(client=anybody, body=person)
    assert registered.status_code == 201, registered.content
    tokens = operation("auth", "login").sync(client=anybody, body=model("Login")(email=email, password=PASSWORD))
    ann = generated.AuthenticatedClient(base_url=base, token=tokens.access_token, raise_on_unexpected_status=True)

    create = operation("integrations", "create_integration")
    wanted = model("IntegrationCreate")(name="Stripe", service_type="rest")
    made = create.sync(client=ann, body=wanted, idempotency_key="tour-1")
    assert (made.name, made.status) == ("Stripe", model("IntegrationStatus").DRAFT)
    assert create.sync(client=ann, body=wanted, idempotency_key="tour-1").id == made.id

    page = operation("integrations", "list_integrations").sync(client=ann, limit=5)
    assert ([each.id for each in page.items], page.next_cursor) == ([made.id], None)

    changed = operation("integrations", "change_integration").sync_detailed(
        made.id, client=ann, body=model("IntegrationChange")(description="Takes payments"), if_match='"1"'
    )
    assert (changed.parsed.description, changed.headers["ETag"]) == ("Takes payments", '"2"')
    moved = operation("integrations", "move_integration").sync(
        made.id, client=ann, body=model("StatusChange")(status=model("StatusChangeStatus").VALIDATING)
    )
    assert "generating" in moved.allowed
    refused = operation("integrations", "move_integration").sync(
        made.id, client=ann, body=model("StatusChange")(status=model("StatusChangeStatus").ACTIVE)
    )
    assert (refused.code, refused.status) == ("forbidden_transition", 409)
