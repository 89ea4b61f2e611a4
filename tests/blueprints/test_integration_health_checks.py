"""Health checks over HTTP: asked for, watched, listed."""

from __future__ import annotations

import threading

from tests.service import Answer, Person, Service

URL = "https://stripe.example.org/health"


def test_ask_and_watch(ann: Person) -> None:
    integration = ann.integration(health_check_url=URL)
    path = f"/integrations/{integration['id']}"
    answer = ann.post(f"{path}/health-check")
    assert answer.status == 202, answer.body
    check = answer.json
    assert answer.headers["Location"] == f"/api/v1{path}/health-checks/{check['id']}"
    assert (check["status"], check["attempt"], check["requested_by"]) == ("pending", 0, ann.user_id)
    assert check["http_status"] is check["latency_ms"] is check["error_message"] is None
    assert ann.get(f"{path}/health-checks/{check['id']}").json == check
    assert ann.get(f"{path}/health-checks").json["items"] == [check]
    assert ann.get(f"{path}/health-checks?status=healthy").json["items"] == []
    assert "lease_token" not in check


def test_asking_again_before_the_answer_is_asking_once(ann: Person, service: Service) -> None:
    path = f"/integrations/{ann.integration(health_check_url=URL)['id']}/health-check"
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(ann.post(path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in answers} == {202}
    (first,) = {answer.json["id"] for answer in answers}
    with service.database.admin() as admin:
        admin.execute("UPDATE integration_health_checks SET status = 'healthy' WHERE id = %s", [first])
    assert ann.post(path).json["id"] != first


def test_where_there_is_nothing_to_ask(ann: Person) -> None:
    integration = ann.integration()
    path = f"/integrations/{integration['id']}"
    answer = ann.post(f"{path}/health-check")
    assert (answer.status, answer.code) == (409, "conflict")
    assert "health_check_url" in answer.json["detail"]
    assert ann.delete(path, headers={"If-Match": "*"}).status == 204
    assert ann.post(f"{path}/health-check").code == ann.get(f"{path}/health-checks").code == "not_found"


def test_others_see_nothing_and_viewers_only_look(ann: Person, bob: Person) -> None:
    team = ann.organization()
    path = f"/integrations/{ann.integration(organization_id=team['id'], health_check_url=URL)['id']}"
    check = ann.post(f"{path}/health-check").json
    for read in (f"{path}/health-checks", f"{path}/health-checks/{check['id']}"):
        assert bob.get(read).code == "not_found"
    ann.add(team["id"], bob, "viewer")
    assert bob.get(f"{path}/health-checks/{check['id']}").json == check
    answer = bob.post(f"{path}/health-check")
    assert (answer.status, answer.json["permission"]) == (403, "integrations:update")
