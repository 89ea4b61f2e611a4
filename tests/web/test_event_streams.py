"""Live events on real sockets: nothing missed, nobody else's, and no weight on the rest of the service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Database, Databases
from tests.service import PASSWORD, Client, Person, Service
from tests.sql.people import People
from tests.waiting import eventually
from tests.web.listening import Listening
from tests.web.tcp_proxy import TcpProxy

MOST = 5


@pytest.fixture(scope="module")
def stream_database(databases: Databases) -> Iterator[Database]:
    """The database behind the proxy."""
    clone = databases.clone()
    yield clone
    databases.drop(clone.name)


@pytest.fixture(scope="module")
def proxy(stream_database: Database) -> Iterator[TcpProxy]:
    """What the service takes for its database."""
    made = TcpProxy(stream_database.logins.service)
    yield made
    made.close()


@pytest.fixture(scope="module")
def streaming(stream_database: Database, proxy: TcpProxy) -> Iterator[Service]:
    """A service with one worker, few streams and a quick heartbeat."""
    settings = stream_database.settings(
        service_database_url=proxy.url, web_workers=1, event_streams_max=MOST, event_stream_heartbeat=0.2
    )
    with Service(settings) as running:
        running.database = stream_database
        yield running


@pytest.fixture
def eve(streaming: Service) -> Person:
    """Somebody who follows events."""
    return streaming.person("Eve")


def rename(person: Person, integration: str, name: str) -> None:
    """One more event."""
    answer = person.patch(f"/integrations/{integration}", {"name": name}, headers={"If-Match": "*"})
    assert answer.status == 200, answer.body


def test_events_arrive_as_they_happen(eve: Person) -> None:
    before = eve.integration()
    with Listening.of(eve.client) as stream:
        headers = stream.answer.headers
        assert headers.get_content_type() == "text/event-stream"
        assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert headers["RateLimit"]
        made = eve.integration()
        rename(eve, before["id"], "Renamed")
        events = stream.expect(2)
        assert [(each["aggregate_id"], each["version"]) for each in events] == [(made["id"], 1), (before["id"], 2)]
        assert stream.names() == ["integration.created", "integration.updated"]
        assert events == [eve.get(f"/events/{each['id']}").json for each in events]


def test_a_stream_resumes_where_it_broke_off(eve: Person) -> None:
    made = eve.integration()
    with Listening.of(eve.client) as stream:
        opened = stream.last_id
        rename(eve, made["id"], "1")
        stream.expect(1)
        last = stream.last_id
    for number in range(2, 151):  # more than is read at a time
        rename(eve, made["id"], str(number))
    with Listening.of(eve.client, **{"Last-Event-ID": last}) as stream:
        assert [each["version"] for each in stream.expect(149)] == list(range(3, 152))
    # the id that a stream begins with leads back to there, also where the old query repeats an older cursor
    with Listening.of(eve.client, f"?cursor={last}", **{"Last-Event-ID": opened}) as stream:
        assert [each["version"] for each in stream.expect(150)] == list(range(2, 152))


def test_lists_and_streams_understand_each_others_cursors(eve: Person) -> None:
    made = eve.integration()
    cursor = eve.get("/events?sort=position&limit=200&event_type=integration.*").json["resume_cursor"]
    rename(eve, made["id"], "1")
    with Listening.of(eve.client, f"?cursor={cursor}") as stream:
        (event,) = stream.expect(1)
        assert event["version"] == 2
        eve.organization()  # the cursor keeps its filters
        rename(eve, made["id"], "2")
        assert [each["version"] for each in stream.expect(2)] == [2, 3]
    listed = eve.get(f"/events?cursor={stream.last_id}").json
    assert (listed["items"], listed["next_cursor"]) == ([], None)
    unfit = eve.get("/events?sort=created_at&limit=1").json["next_cursor"]
    assert eve.get(f"/events/stream?cursor={unfit}").status == 422
    for wrong in ("x", f"{cursor}x"):
        assert eve.get("/events/stream", headers={"Last-Event-ID": wrong}).code == "bad_cursor"


def test_a_transaction_that_commits_late_is_not_missed(eve: Person, stream_database: Database) -> None:
    late, soon = eve.integration(), eve.integration()
    people = People(stream_database)
    with Listening.of(eve.client) as stream:
        with people.acting(eve.user_id, keep=True) as connection:
            connection.execute("SELECT pg_current_xact_id()")
            rename(eve, soon["id"], "Soon")
            heard = stream.comments
            eventually(lambda: stream.comments > heard + 2, "the stream has looked meanwhile")
            assert stream.events == []
            connection.execute("UPDATE integrations SET name = 'Late' WHERE id = %s", [late["id"]])
        assert [each["aggregate_id"] for each in stream.expect(2)] == [late["id"], soon["id"]]
        # one that writes no event lets the others through when it ends, though nobody tells of it
        with people.acting(eve.user_id, keep=True) as connection:
            connection.execute("SELECT pg_current_xact_id()")
            rename(eve, soon["id"], "Again")
            eventually(lambda: stream.comments > heard + 4, "the stream has looked meanwhile")
            assert len(stream.events) == 2
        began = time.monotonic()
        stream.expect(3)
        assert time.monotonic() - began < 2
    people.close()


def test_a_stream_shows_what_its_filters_and_its_caller_allow(streaming: Service, eve: Person) -> None:
    bob = streaming.person("Bob")
    team = eve.organization()
    with (
        Listening.of(eve.client, f"?organization_id={team['id']}&event_type=integration.*") as filtered,
        Listening.of(bob.client) as others,
    ):
        eve.integration()
        made = eve.integration(organization_id=team["id"])
        mine = bob.integration()
        assert [each["aggregate_id"] for each in filtered.expect(1)] == [made["id"]]
        assert [each["aggregate_id"] for each in others.expect(1)] == [mine["id"]]
        eve.add(team["id"], bob, "viewer")
        # whoever joins a team hears of it from there on, at the next look
        rename(eve, made["id"], "Renamed")
        seen = eve.get(f"/events?organization_id={team['id']}&limit=200&sort=position").json["items"]
        (renamed,) = [each["position"] for each in seen if each["event_type"] == "integration.updated"]
        bob.integration()  # wakes the stream of his
        eventually(lambda: renamed in [each["position"] for each in others.events], "the team's event")


def test_the_idle_are_kept_alive_by_comments(eve: Person) -> None:
    with Listening.of(eve.client) as stream:
        began = time.monotonic()
        eventually(lambda: stream.comments >= 5, "five heartbeats")
        assert 0.8 < time.monotonic() - began < 5
        eve.integration()
        stream.expect(1)
        assert not stream.has_ended


@pytest.mark.parametrize("how", ["revoked", "deactivated", "rotated", "expired"])
def test_revocation_ends_a_stream(streaming: Service, stream_database: Database, how: str) -> None:
    person = streaming.person("Sam")
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    key = person.key(**({"expires_at": soon} if how == "expired" else {}))
    with Listening.of(key) as stream:
        path = f"/api-keys/{key.get('/api-keys/self').json['id']}"
        if how == "revoked":
            person.delete(path, headers={"If-Match": "*"})
        elif how == "rotated":
            assert person.post(f"{path}/rotate", {"overlap_seconds": 1}).status == 201
        elif how == "deactivated":
            with stream_database.admin() as admin:
                admin.execute("UPDATE users SET is_active = false WHERE id = %s", [person.user_id])
        eventually(lambda: stream.has_ended, "the stream has ended", 5)
        assert stream.names()[-1] == "end"
        assert stream.messages[-1].data["code"] == "unauthenticated"
    assert Listening(key).answer.status == 401


@pytest.mark.parametrize("how", ["/auth/logout", "/auth/sessions"])
def test_the_end_of_a_session_ends_its_streams(streaming: Service, how: str) -> None:
    person = streaming.person("Sam")
    with Listening.of(person.client) as stream:
        other = Client(streaming.port)
        tokens = other.post("/auth/login", {"email": person.email, "password": PASSWORD}).json
        other.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        if how == "/auth/logout":
            person.post(how)
        else:
            other.delete(how)
        eventually(lambda: stream.has_ended, "the stream has ended", 5)
        assert stream.messages[-1].data["code"] == "unauthenticated"


def test_a_stream_ends_with_the_membership_that_it_needs(streaming: Service, eve: Person) -> None:
    bob = streaming.person("Bob")
    team = eve.organization()
    eve.add(team["id"], bob, "developer")
    bound = bob.key(organization_id=team["id"])
    with (
        Listening.of(bob.client, f"?organization_id={team['id']}") as filtered,
        Listening.of(bound) as narrowed,
        Listening.of(bob.client) as whole,
    ):
        left = eve.delete(f"/organizations/{team['id']}/members/{bob.user_id}", headers={"If-Match": "*"})
        assert left.status == 204, left.body
        for stream, code in ((filtered, "not_found"), (narrowed, "permission_denied")):
            eventually(lambda stream=stream: stream.has_ended, "the stream has ended", 5)  # type: ignore[misc]
            assert stream.messages[-1].data["code"] == code
        eve.integration(organization_id=team["id"])
        mine = bob.integration()
        assert mine["id"] in [each["aggregate_id"] for each in whole.expect(1)]
        assert team["id"] not in {each["organization_id"] for each in whole.events}


def test_who_may_read_no_events_is_told_so(eve: Person, streaming: Service) -> None:
    refused = eve.key("integrations:read").get("/events/stream")
    assert (refused.status, refused.json["permission"]) == (403, "events:read")
    theirs = streaming.person("Bob").organization()["id"]
    assert eve.get(f"/events/stream?organization_id={theirs}").code == "not_found"


def test_a_stream_costs_one_request(eve: Person) -> None:
    key = eve.key(rate_limit=20)
    with Listening.of(key) as stream:
        for _ in range(25):
            eve.integration()
        stream.expect(25)
        assert not stream.has_ended
    assert key.get("/integrations").status == 200


def test_beyond_the_most_streams_there_is_a_clear_answer(eve: Person) -> None:
    with ExitStack() as stack:
        eventually(lambda: _opened(eve, stack) == MOST, "earlier streams have gone", 20)
        refused = eve.get("/events/stream")
        assert (refused.status, refused.code, refused.headers["Retry-After"]) == (503, "unavailable", "5")
        assert eve.get("/integrations").status == 200
    with ExitStack() as stack:  # those that hang up make place
        eventually(lambda: _opened(eve, stack) == MOST, "there is place again", 20)


def _opened(person: Person, stack: ExitStack) -> int:
    """Open one more stream if there is a place; gives how many are open."""
    stream = Listening(person.client)
    if stream.answer.status == 200:
        stack.callback(stream.close)
    return len(stack._exit_callbacks)  # type: ignore[attr-defined]


def test_bad_requests_are_answered_as_everywhere(eve: Person) -> None:
    assert eve.get("/events/stream?nonsense=1").status == 422
    assert eve.get("/events/stream?sort=created_at").status == 422
    assert eventually(lambda: eve.call("HEAD", "/events/stream").status == 200, "a place")


def test_a_listener_that_is_cut_off_misses_nothing(eve: Person, stream_database: Database) -> None:
    made = eve.integration()
    with Listening.of(eve.client) as stream:
        rename(eve, made["id"], "1")
        stream.expect(1)
        with stream_database.admin() as admin:
            listening = "application_name = 'claude-code-bot listener' AND datname = current_database()"
            ended = admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listening}")
            assert ended.rowcount == 1
            rename(eve, made["id"], "2")
            assert [each["version"] for each in stream.expect(2)] == [2, 3]
            eventually(
                lambda: admin.execute(f"SELECT FROM pg_stat_activity WHERE {listening}").rowcount, "it listens again"
            )
        rename(eve, made["id"], "3")
        stream.expect(3)


def test_streams_outlive_a_database_that_is_away(eve: Person, proxy: TcpProxy) -> None:
    made = eve.integration()
    with Listening.of(eve.client) as stream:
        proxy.cut()
        heard = stream.comments
        eventually(lambda: stream.comments > heard + 3, "it goes on")
        proxy.mend()
        eventually(lambda: eve.get(f"/integrations/{made['id']}").status == 200, "the database is back")
        rename(eve, made["id"], "1")
        assert [each["version"] for each in stream.expect(1)] == [2]


@pytest.fixture(scope="module")
def calm(stream_database: Database) -> Iterator[Service]:
    """A service with two places for streams, and the usual heartbeat."""
    with Service(stream_database.settings(web_workers=1, event_streams_max=2)) as running:
        yield running


def test_places_of_clients_that_have_gone_are_given_to_others(calm: Service) -> None:
    person = calm.person("Zoe")
    for _ in range(2):
        Listening.of(person.client).close()
    began = time.monotonic()
    with Listening.of(person.client), Listening.of(person.client):
        assert time.monotonic() - began < 10  # far from two heartbeats


def test_streams_do_not_hold_up_a_stop(calm: Service) -> None:
    with Listening.of(calm.person("Zoe").client) as stream:
        began = time.monotonic()
        calm.stop()
        assert time.monotonic() - began < 10  # far from graceful_timeout
        eventually(lambda: stream.has_ended, "the stream has ended", 5)
        assert stream.last_id
