"""The page for operators over HTTP: who may see it, how they sign in, and what it tells."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from operations.accounts import set_permission
from tests.conftest import Database
from tests.service import PASSWORD, Answer, Client, Person, Service
from tests.waiting import eventually
from tests.web.operations_states import arrange, busy, in_trouble, operator
from web.operators_page.advice import advice

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FORM = {**BROWSER, "Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def watched(module_database: Database) -> Iterator[Service]:
    """A service of one process, that nobody else uses."""
    with Service(module_database.settings(web_workers=1)) as made:
        made.database = module_database
        yield made


def send(client: Client, path: str, form: dict[str, str], **headers: str) -> Answer:
    """Send a form as the page's own form does."""
    own = {"Origin": f"http://127.0.0.1:{client.port}", "Sec-Fetch-Site": "same-origin"}
    sent = {name: value for name, value in {**FORM, **own, **headers}.items() if value}
    return client.post(f"!{path}", urlencode(form).encode(), headers=sent)


def signed_in(service: Service, person: Person) -> Client:
    """A browser's cookie."""
    answer = send(service.client(), "/ops/login", {"email": person.email, "password": PASSWORD})
    assert (answer.status, answer.headers["Location"]) == (303, "/ops"), answer.body
    return service.client(Cookie=answer.headers["Set-Cookie"].partition(";")[0], **BROWSER)


def form_token(page: Answer) -> str:
    found = re.search(r'name="token" value="(\w+)"', page.body.decode())
    assert found, page.body
    return found[1]


def shown(page: Answer) -> str:
    """The page's text, without its tags."""
    assert page.headers.get_content_type() == "text/html", page.body
    return " ".join(re.sub(r"<[^>]+>", " ", page.body.decode()).split())


def test_strangers_are_asked_to_sign_in(watched: Service) -> None:
    page = watched.client().get("!/ops", headers=BROWSER)
    assert page.status == 401
    assert page.headers["WWW-Authenticate"].startswith("Bearer")
    assert '<form method="post" action="/ops/login">' in page.body.decode()
    assert watched.client().get("!/ops").code == "unauthenticated"  # of curl
    assert watched.client().get("!/ops/login").status == 200


def test_the_cookie_is_kept_from_everybody_else(watched: Service) -> None:
    person = operator(watched)
    answer = send(watched.client(), "/ops/login", {"email": person.email, "password": PASSWORD})
    attributes = {part.strip().lower() for part in answer.headers["Set-Cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/ops", "max-age=43200"} <= attributes
    assert "secure" not in attributes
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_cookie_is_secure_where_the_service_is(module_database: Database) -> None:
    settings = module_database.settings(web_workers=1, public_url="https://control.example.org")
    with Service(settings) as service:
        service.database = module_database
        person = operator(service)
        origin = "https://control.example.org"
        answer = send(service.client(), "/ops/login", {"email": person.email, "password": PASSWORD}, Origin=origin)
    assert answer.status == 303
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_are_refused(watched: Service, headers: dict[str, str]) -> None:
    person = operator(watched)
    answer = send(watched.client(), "/ops/login", {"email": person.email, "password": PASSWORD}, **headers)
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    client = signed_in(watched, person)
    token = form_token(client.get("!/ops"))
    assert send(client, "/ops/logout", {"token": token}, **headers).status == 403
    assert client.get("!/ops").status == 200


def test_forms_of_other_sessions_are_refused(watched: Service) -> None:
    client, other = signed_in(watched, operator(watched)), signed_in(watched, operator(watched))
    for token in ("", "0" * 64, form_token(other.get("!/ops")), "é"):
        assert send(client, "/ops/logout", {"token": token}).status == 403
        assert send(client, "/ops/maintenance-runs", {"token": token, "task": "cleanup-mail"}).status == 403
    assert client.get("!/ops").status == 200


def test_signing_out_ends_the_session(watched: Service) -> None:
    client = signed_in(watched, operator(watched))
    answer = send(client, "/ops/logout", {"token": form_token(client.get("!/ops"))})
    assert (answer.status, answer.headers["Location"]) == (303, "/ops/login")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert client.get("!/ops").status == 401  # with the cookie as it was


def test_the_session_is_renewed_when_its_token_ends(watched: Service) -> None:
    person = operator(watched)
    client = signed_in(watched, person)
    token = form_token(client.get("!/ops"))
    person.run(
        "UPDATE user_sessions SET access_expires_at = now() - interval '1 minute' WHERE user_id = %s", person.user_id
    )
    page = client.get("!/ops")
    assert page.status == 200
    renewed = page.headers["Set-Cookie"].partition(";")[0]
    assert renewed != client.headers["Cookie"]
    client = watched.client(Cookie=renewed, **BROWSER)
    assert client.get("!/ops").status == 200
    assert send(client, "/ops/logout", {"token": token}).status == 303  # the form was drawn before


@pytest.mark.parametrize("cookie", ["ccb_operator=", "ccb_operator=.", "ccb_operator=cca_a.ccr_b", "ccb_operator=%00"])
def test_a_cookie_of_nobody(watched: Service, cookie: str) -> None:
    assert watched.client(Cookie=cookie, **BROWSER).get("!/ops").status == 401


def test_a_wrong_password_is_throttled_and_recorded_as_over_the_api(watched: Service) -> None:
    person = operator(watched)
    client = Client(watched.port, source="127.1.0.9")
    answers = [send(client, "/ops/login", {"email": person.email, "password": "wrong"}) for _ in range(8)]
    statuses = [answer.status for answer in answers]
    assert statuses[0] == 401
    assert "The address or the password is wrong." in shown(answers[0])
    assert statuses[-1] == 429
    assert "Too many failed attempts. Try again in" in shown(answers[-1])
    assert person.email in answers[-1].body.decode()  # need not be typed again
    rows = person.run(
        "SELECT id FROM audit_logs WHERE action = 'session.refused' AND user_id = %s",
        person.user_id,
    )
    assert len(rows) == statuses.count(401)


@pytest.mark.parametrize(
    "form", [{}, {"email": "a@example.org"}, {"email": "a" * 300, "password": "b"}, {"email": "\0", "password": "\0"}]
)
def test_a_form_that_is_not_filled_in(watched: Service, form: dict[str, str]) -> None:
    page = send(watched.client(), "/ops/login", form)
    assert page.status == 422
    assert "Type in the address and the password." in shown(page)


def test_only_operators_see_it(watched: Service) -> None:
    person = watched.person("Ann")
    page = signed_in(watched, person).get("!/ops")
    assert page.status == 403
    assert f"flask users permit {person.email} operations:read" in shown(page)
    form_token(page)  # to sign out with
    for client in (person.client, operator(watched).key("*"), operator(watched).key("operations:run")):
        answer = client.get("!/ops")
        assert (answer.status, answer.json["permission"]) == (403, "operations:read")
    assert operator(watched).key("operations:read").get("!/ops").status == 200
    assert operator(watched, "operations:read").get("!/ops").status == 200


def test_taking_the_permission_back_holds_at_once(watched: Service) -> None:
    person = operator(watched)
    client = signed_in(watched, person)
    assert client.get("!/ops").status == 200
    set_permission(watched.database.admin_url, person.email, "operations:read", False)
    assert client.get("!/ops").status == 403


def test_maintenance_is_asked_for(watched: Service) -> None:
    person = operator(watched)
    client = signed_in(watched, person)
    token = form_token(client.get("!/ops"))
    answer = send(client, "/ops/maintenance-runs", {"token": token, "task": "cleanup-mail"})
    assert (answer.status, answer.headers["Location"]) == (303, "/ops#maintenance")
    assert person.get("/operations/maintenance-runs?task=cleanup-mail").json["items"][0]["outcome"] == "requested"
    assert re.search("cleanup-mail requested", shown(client.get("!/ops")))
    assert send(client, "/ops/maintenance-runs", {"token": token, "task": "nonsense"}).status == 422
    reader = signed_in(watched, operator(watched, "operations:read"))
    page = reader.get("!/ops")
    assert "Run now" not in page.body.decode()
    assert send(reader, "/ops/maintenance-runs", {"token": form_token(page), "task": "cleanup-mail"}).status == 403


def test_nothing_comes_from_elsewhere_and_no_script_runs(watched: Service) -> None:
    client = signed_in(watched, operator(watched))
    for path, status in (("/ops", 200), ("/ops/login", 200), ("/ops/nowhere", 404), ("/ops/operators.css", 200)):
        page = client.get(f"!{path}")
        assert page.status == status
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    body = client.get("!/ops").body.decode()
    assert not re.search(r"<script|style=|\bon\w+=|https?://(?!127)", body)
    loaded = re.findall(r'<link[^>]* href="([^"]+)"', body)
    assert len(loaded) == 2
    for path in loaded:
        assert client.get(f"!{path}").status == 200
    for path in ("/ops/", "/ops/documentation.js", "/ops/../config.py", "/ops/%2e%2e/config.py"):
        assert client.get(f"!{path}").status == 404


def test_what_people_chose_is_text(watched: Service) -> None:
    person = operator(watched)
    team = person.organization(name="<script>alert(1)</script>")
    integration = person.integration(organization_id=team["id"])
    answer = person.post(
        "/webhooks",
        {
            "integration_id": integration["id"],
            "events": ["*"],
            "url": "https://hooks.example.org/a-secret?token=private",
        },
    )
    assert answer.status == 201, answer.body
    person.run("UPDATE webhooks SET failing_since = now() WHERE id = %s", answer.json["id"])
    body = signed_in(watched, person).get("!/ops").body.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
    assert "<script" not in body
    assert "https://hooks.example.org" in body
    assert "a-secret" not in body
    assert "private" not in body


def test_a_report_that_fails_takes_no_other_along(database: Database) -> None:
    with Service(database.settings(web_workers=1)) as service:
        service.database = database
        person = operator(service)
        person.run(
            "CREATE OR REPLACE FUNCTION report_bloat() RETURNS TABLE (schema_name text, table_name text,"
            " live_rows bigint, dead_rows bigint, dead_percent numeric, bytes bigint, size text,"
            " last_vacuum timestamptz, last_analyze timestamptz) LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'late' USING ERRCODE = '57014'; END $$"
        )
        page = signed_in(service, person).get("!/ops")
        text = shown(page)
    assert page.status == 200
    assert "bloat could not be read: The database did not answer in time." in text
    assert "integration_executions" in text


def test_a_lock_is_named_and_does_not_hold_up_the_page(watched: Service) -> None:
    client = signed_in(watched, operator(watched))
    with watched.database.admin() as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE integration_templates")
        page = client.get("!/ops")
        holder.execute("ROLLBACK")
    assert page.status == 200
    assert "table-sizes could not be read: The database did not answer in time." in shown(page)


def test_without_the_database(module_database: Database) -> None:
    """Whoever was let in before is told what is known all the same."""
    with Service(module_database.settings(web_workers=1)) as service:
        service.database = module_database
        cookie = signed_in(service, operator(service)).headers["Cookie"]
    nowhere = "postgresql://ccb_service@127.0.0.1:1/nowhere"
    with Service(module_database.settings(service_database_url=nowhere, pool_timeout=0.2, web_workers=1)) as service:
        page = service.client(Cookie=cookie, **BROWSER).get("!/ops")
        stranger = service.client(Cookie="ccb_operator=cca_a.ccr_b", **BROWSER).get("!/ops")
        assert service.client(Cookie=cookie).get("!/ops").code == "unavailable"
        form = send(service.client(), "/ops/login", {"email": "a@example.org", "password": "b"})
    for answer in (page, stranger, form):
        assert (answer.status, answer.headers["Refresh"]) == (503, "30")
        assert "The database does not answer" in shown(answer)
        assert "Traceback" not in answer.body.decode()
    assert "What this process knows" in shown(page)
    assert "What this process knows" not in shown(stranger)


def test_what_the_web_processes_count_is_sampled(watched: Service) -> None:
    person = operator(watched)
    client = watched.client()
    for _ in range(20):
        client.get("/me")

    def sampled() -> bool:
        rows = person.run("SELECT coalesce(sum(value), 0) AS value FROM operations_samples WHERE name = 'requests'")
        return rows[0]["value"] >= 20

    eventually(sampled, "requests are sampled", 40)


def test_all_is_well(database: Database) -> None:
    with Service(database.settings(web_workers=1)) as service:
        service.database = database
        client = signed_in(service, operator(service))
        busy(service)
        page = client.get("!/ops")
        text = shown(page)
        assert "All is well" in text
        assert re.search("Last backup 5 h ago .* Last drill that proved a backup 3 d 4 h ago", text)
        assert 'class="flag"' not in page.body.decode()
        assert "<title>All is well · Operations</title>" in page.body.decode()
        for hours in ("1", "336", "nonsense", "-1"):
            assert client.get(f"!/ops?hours={hours}").status == 200
        refreshing = client.get("!/ops?hours=1&refresh")
        assert refreshing.headers["Refresh"] == "30"
        assert "Refresh" not in page.headers


def test_what_is_wrong_stands_at_the_top(database: Database) -> None:
    with Service(database.settings(web_workers=1)) as service:
        service.database = database
        person = operator(service)
        client = signed_in(service, person)
        in_trouble(service, person)
        page = client.get("!/ops")
    text = shown(page)
    body = page.body.decode()
    assert "<title>11 things wrong · Operations</title>" in body
    for words in (
        "of the answers of the last ten minutes are errors of ours.",
        "of the answers of the last ten minutes took over a second.",
        "Mail: the oldest has waited for 3 h.",
        "of the attempts at webhooks fail, of all in the last ten minutes.",
        "2 endpoints have failed for more than an hour.",
        "A table lacks the partition of this month.",
        "40 rows of metrics lie in a filler: no month covered them.",
        "create-partitions failed the last time it ran.",
        "cleanup-old-data last went through 4 d ago.",
        "No backup was ever made.",
        "1 index was begun and never finished.",
    ):
        assert words in text
    assert str(advice("QueueAge")) in body
    anchors = re.findall(r'<a href="#(\w+)"', body)
    assert len(anchors) == 11
    for anchor in anchors:
        assert f'<h2 id="{anchor}">' in body
    # urgent ones first
    urgencies = re.findall(r'class="urgency ([a-z]*)"', body)
    assert urgencies == sorted(urgencies, reverse=True)
    assert urgencies.count("urgent") == 3


def test_an_empty_service_shows_that_nobody_samples(database: Database) -> None:
    with Service(database.settings(web_workers=1)) as service:
        service.database = database
        page = signed_in(service, operator(service)).get("!/ops")
        assert "No worker has taken samples for ten minutes" in shown(page)
        assert "No samples yet." in shown(page)
        arrange(database, "maintained")
        assert re.search("cleanup-mail ✓? ?succeeded", shown(signed_in(service, operator(service)).get("!/ops")))


def test_who_knows_no_address_has_no_page(watched: Service) -> None:
    answer = send(watched.client(), "/ops/login", {"email": f"{uuid.uuid4()}@example.org", "password": "x"})
    assert answer.status == 401
