"""Whoever the tests of HTTP conventions call as."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Person, Service


@pytest.fixture(scope="module")
def owner(service: Service) -> Person:
    """Whoever the specimens belong to."""
    return service.person("Owner")


@pytest.fixture(scope="module")
def stranger(service: Service) -> Person:
    """Somebody who shares nothing with the owner."""
    return service.person("Stranger")


@pytest.fixture(scope="module")
def eve(service: Service) -> Person:
    """Somebody who sends nonsense."""
    return service.person("Eve")


@pytest.fixture(scope="module")
def other(service: Service) -> Person:
    """Somebody else."""
    return service.person("Other")


@pytest.fixture(scope="module")
def integration(eve: Person) -> dict[str, Any]:
    """One of hers."""
    return eve.integration()
