"""Pages are bounded in bytes: a list of megabytes costs a web process no more than a few of its rows."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.conftest import Database
from tests.service import Client, Person, Service

BUDGET = 8 << 20
AT_ONCE = 10
ROWS = 30
SIZES = [7_000_000, 10, 3_000_000, 3_000_000, 3_000_000, 200, 7_000_000, 7_000_000, 40_000, 10]


@pytest.fixture(scope="module")
def service(module_database: Database) -> Iterator[Service]:
    """One process, so that it is known whose memory counts."""
    with Service(module_database.settings(web_workers=1)) as running:
        running.database = module_database
        yield running


@pytest.fixture(scope="module")
def random_text() -> str:
    """Seven megabytes that no compression makes smaller."""
    return random.Random(1).randbytes(3_500_000).hex()


def _filled(service: Service, name: str, config: str, rows: int) -> Person:
    """Somebody with integrations of this config, written as the rows themselves and their events."""
    person = service.person(name)
    for number in range(rows):
        person.integration(name=f"{name} {number}", config={"text": config})
    return person


@pytest.fixture(scope="module")
def heavy(service: Service, random_text: str) -> Person:
    """Somebody with thirty integrations of seven megabytes each."""
    return _filled(service, "Heavy", random_text, ROWS)


@pytest.fixture(scope="module")
def mixed(service: Service, random_text: str) -> Person:
    """Somebody with rows of all sizes, of which some compress well."""
    person = service.person("Mixed")
    for number, size in enumerate(SIZES):
        text = random_text[:size] if number % 2 else "a" * size
        person.integration(name=f"Row {number}", config={"text": text})
    return person


def _walk(client: Any, path: str, limit: int = 200) -> list[dict[str, Any]]:
    """All pages of a list, the way a client goes through them."""
    pages, cursor = [], ""
    while True:
        answer = client.get(f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}", timeout=120)
        assert answer.status == 200, answer.body[:300]
        page = {"size": len(answer.body), **answer.json}
        pages.append(page)
        assert (page["next_cursor"] is None) == (answer.headers["Link"] is None)
        if page["next_cursor"] is None:
            return pages
        assert page["items"]
        cursor = f"&cursor={page['next_cursor']}"


def _written(item: dict[str, Any]) -> int:
    return len(json.dumps(item, ensure_ascii=False).encode())


def _assert_bounded(pages: list[dict[str, Any]], *, exactly: bool) -> None:
    for number, page in enumerate(pages):
        sizes = [_written(item) for item in page["items"]]
        assert sum(sizes[:-1]) < BUDGET + 1_000_000
        if exactly and number + 1 < len(pages):  # and it is no smaller than it need be
            assert sum(sizes) >= BUDGET - 1_000_000


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "name", "-updated_at"])
@pytest.mark.parametrize("limit", [200, 3, 1])
def test_no_row_is_lost_or_doubled_between_pages(mixed: Person, sort: str, limit: int) -> None:
    whole = mixed.run("SELECT id::text FROM integrations WHERE author_id = %s", mixed.user_id)
    pages = _walk(mixed, f"/integrations?sort={sort}", limit)
    ids = [item["id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == len(whole) == len(SIZES)
    assert all(len(page["items"]) <= limit for page in pages)
    keys = [item[sort.removeprefix("-")] for page in pages for item in page["items"]]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    _assert_bounded(pages, exactly=False)


def test_a_page_of_an_organization_is_as_large_as_it_may_be(heavy: Person) -> None:
    pages = _walk(heavy, f"/integrations?organization_id={heavy.personal_organization_id}")
    assert [len(page["items"]) for page in pages] == [2] * (ROWS // 2)
    _assert_bounded(pages, exactly=True)


@pytest.mark.parametrize("sort", ["-created_at", "position", "-position"])
def test_events_are_bounded_in_each_order(heavy: Person, sort: str) -> None:
    """Those of an aggregate too, which have the statement of their own."""
    pages = _walk(heavy, f"/events?event_type=integration.created&sort={sort}")
    ids = [item["id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == ROWS
    _assert_bounded(pages, exactly=True)
    aggregate = pages[0]["items"][0]["aggregate_id"]
    (page,) = _walk(heavy, f"/events?aggregate_id={aggregate}&sort={sort}")
    assert [item["id"] for item in page["items"]] == [ids[0]]


def test_lists_below_a_parent_are_bounded(heavy: Person, random_text: str) -> None:
    """They are read within a transaction that has begun, which a refusal would end."""
    integration = heavy.integration(name="Versioned")
    for number in range(4):
        body = {"version": f"1.0.{number}", "config": {"text": random_text}, "changelog": "More."}
        assert heavy.post(f"/integrations/{integration['id']}/versions", body).status == 201
    pages = _walk(heavy, f"/integrations/{integration['id']}/versions")
    assert [len(page["items"]) for page in pages] == [2, 2]


def test_what_compresses_well_is_bounded_by_what_it_is_when_sent(service: Service) -> None:
    """Seven megabytes that take eighty kilobytes in the database, and numbers that are longer as text than stored."""
    dense = _filled(service, "Dense", "a" * 7_000_000, 12)
    _assert_bounded(_walk(dense, "/integrations"), exactly=True)
    numbers = service.person("Numbers")
    for _ in range(12):
        numbers.integration(config={"numbers": [1e300 + number * 1e285 for number in range(10_000)]})
    pages = _walk(numbers, "/integrations")
    assert sum(len(page["items"]) for page in pages) == 12
    assert all(page["size"] < BUDGET + 4_000_000 for page in pages)


def test_an_export_of_large_rows_is_whole(mixed: Person) -> None:
    expected = [item["id"] for page in _walk(mixed, "/integrations") for item in page["items"]]
    answer = mixed.get("/integrations/export?format=ndjson", timeout=120)
    assert [json.loads(line)["id"] for line in answer.body.splitlines()] == expected


def test_a_refused_statement_counts_no_request_twice(mixed: Person) -> None:
    key = mixed.key(rate_limit=100)
    left = []
    for _ in range(2):
        answer = key.get("/integrations?limit=200", timeout=60)
        left.append(int(answer.headers["RateLimit"].split("r=")[1].split(";")[0]))
    assert left[0] - left[1] == 1


@pytest.mark.parametrize("path", ["/integrations?limit=200", "/events?limit=200", "/events?limit=200&sort=position"])
def test_the_memory_of_a_web_process_stays_bounded(service: Service, heavy: Person, path: str) -> None:
    """Ten at once: without the bound one of these alone took half a gigabyte."""
    assert service._process is not None
    (worker,) = psutil.Process(service._process.pid).children()
    most = worker.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, worker.memory_info().rss)

    def ask(client: Client) -> None:
        answers.append(client.get(path, timeout=300).status)

    answers: list[int] = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    clients = [threading.Thread(target=ask, args=(heavy.client,)) for _ in range(AT_ONCE)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    done.set()
    watcher.join()
    assert answers == [200] * AT_ONCE
    assert most < 600 << 20
