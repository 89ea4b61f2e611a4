"""Pages of other origins, and callers without a credential."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Database
from tests.service import PASSWORD, Service

PAGE = "https://app.example.org"


@pytest.fixture(scope="module")
def strict(module_database: Database) -> Iterator[Service]:
    """A service that knows one origin and has little patience with addresses."""
    origins = (PAGE, "https://other.example.org")
    with Service(module_database.settings(cors_origins=origins, address_rate_limit=5)) as running:
        yield running


def test_a_page_of_a_known_origin_may_ask_and_read(strict: Service) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}
    answer = strict.client().call("OPTIONS", "/integrations", headers=asked)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "if-match"
    answer = strict.client().get("/integrations", headers={"Origin": PAGE})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (401, PAGE)
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers.get_all("Vary") == ["Authorization, X-API-Key", "Origin"]


def test_others_may_not(strict: Service, service: Service) -> None:
    for running, origin in ((strict, "https://evil.example.org"), (service, PAGE)):
        answer = running.client().get("/integrations", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_what_needs_no_credential_is_counted_by_address(strict: Service) -> None:
    client = strict.client()
    login = {"email": "nobody@example.org", "password": PASSWORD}
    first = client.post("/auth/login", {"email": "no address"})
    assert (first.status, first.headers["RateLimit"][:10]) == (422, '"hour";r=4'), "also what is refused at once"
    answers = [client.post("/auth/login", login) for _ in range(5)]
    assert [each.status for each in answers] == [401] * 4 + [429]
    assert answers[-1].code == "rate_limited"
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert client.get("!/readyz").status == 200, "probes are not"
