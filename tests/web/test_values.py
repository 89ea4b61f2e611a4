"""Values that would be kept as others than were sent, or that say nothing."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.service import GREETING, PASSWORD, Client, Person
from tests.web.asking import assert_refused
from tests.web.test_bad_input import NEW, count

# --- numbers


@pytest.mark.parametrize(
    "number",
    [str(2**64), str(-(2**63) - 1), "123456789012345678901234567890", "9" * 300, "1e-400", "-1E-400", "0.01e-9999",
     f"0.{'0' * 400}1", f"1e-{'9' * 30}"],
)  # fmt: skip
def test_numbers_that_would_become_others(eve: Person, number: str) -> None:
    before = count(eve)
    path = f"/integrations/{eve.integration()['id']}"
    body = f'{{"name": "a", "service_type": "r", "config": {{"list": [1, {{"n": {number}}}]}}}}'
    for answer in (
        eve.post("/integrations", body.encode()),
        eve.post("/integrations/bulk", f'{{"items": [{{"body": {body}}}]}}'.encode()),
        eve.patch(path, f'{{"metadata": {{"n": {number}}}}}'.encode(), headers={"If-Match": "*"}),
    ):
        assert_refused(answer, 400, "malformed_request")
        assert answer.json["detail"].startswith(number[:60])
    assert count(eve) == before + 1
    assert eve.get(path).etag == '"1"'


def test_numbers_that_are_kept(eve: Person) -> None:
    """To the last digit; also what only looks like a number that is not, and what comes back is taken again."""
    written = [
        str(2**64 - 1),
        str(-(2**63)),
        str(10**18 + 1),
        "1e300",
        "5e-324",
        "0.1",
        "0e-999",
        "0.0000000000000000000",
    ]
    texts = ["1e-400", "9" * 30, '\\" 1e-400', str(uuid.UUID(int=0)), "7d2e-4001-8000"]
    config = f'{{"numbers": [{", ".join(written)}], "texts": {json.dumps(texts)}}}'
    for _ in range(2):
        answer = eve.post("/integrations", f'{{"name": "a", "service_type": "r", "config": {config}}}'.encode())
        assert answer.status == 201, answer.body
        numbers = [2**64 - 1, -(2**63), 10**18 + 1, 10**300, 5e-324, 0.1, 0, 0]
        assert answer.json["config"] == {"numbers": numbers, "texts": texts}
        config = json.dumps(answer.json["config"])
        assert str(10**300) in config


# --- names


@pytest.mark.parametrize(
    ("path", "required", "names"),
    [
        ("/integrations", ["service_type"], ["name", "version"]),
        ("/integrations", ["name"], ["service_type"]),
        ("/organizations", ["slug"], ["name"]),
        ("/workflows", ["definition"], ["name", "workflow_type"]),
        ("/integration-templates", ["id", "template_data"], ["name", "service_type", "schema_version"]),
        ("/api-keys", ["permissions"], ["name"]),
        ("/schedules", ["cron_expression", "workflow_id"], ["name"]),
    ],
)
@pytest.mark.parametrize("blank", [" ", "\n\t ", "\x1c\x85\u00a0\u2003\ufeff"])
def test_blank_names(eve: Person, path: str, required: list[str], names: list[str], blank: str) -> None:
    values: dict[str, Any] = {"service_type": "rest", "name": "Name", "definition": GREETING, "template_data": {}}
    values |= {
        "slug": f"s-{uuid.uuid4()}",
        "id": f"t-{uuid.uuid4()}",
        "permissions": [],
        "cron_expression": "0 7 * * *",
    }
    values["workflow_id"] = eve.workflow()["id"] if path == "/schedules" else None
    good = {name: values[name] for name in required}
    before = len(eve.get(f"{path}?limit=200").json["items"])
    for name in names:
        faults = assert_refused(eve.post(path, {**good, name: blank}), 422, "invalid")
        assert {"pointer": f"/{name}", "detail": "Nothing but white space."} in faults
    assert len(eve.get(f"{path}?limit=200").json["items"]) == before
    spaced = good | dict.fromkeys(names, " a b ")
    made = eve.post(path, spaced)
    assert made.status == 201, made.body
    assert [made.json[name] for name in names] == [" a b "] * len(names)  # kept as it was sent
    faults = assert_refused(
        eve.patch(f"{path}/{made.json['id']}", {names[0]: blank}, headers={"If-Match": "*"}), 422, "invalid"
    )
    assert faults[0]["pointer"] == f"/{names[0]}"


def test_more_blank_names(eve: Person, client: Client) -> None:
    path = f"/integrations/{eve.integration()['id']}"
    assert assert_refused(eve.post(f"{path}/dependencies", {"dependency_name": " "}), 422, "invalid")
    assert assert_refused(eve.post(f"{path}/versions", {"version": " "}), 422, "invalid")
    assert assert_refused(eve.patch("/me", {"name": " "}, headers={"If-Match": "*"}), 422, "invalid")
    somebody = {"email": f"{uuid.uuid4()}@example.org", "name": " ", "password": PASSWORD}
    assert assert_refused(client.post("/auth/register", somebody), 422, "invalid")
    (answer,) = eve.post("/integrations/bulk", {"items": [{"body": {**NEW, "name": " "}}]}).json["items"]
    assert answer["problem"]["errors"][0]["pointer"] == "/items/0/body/name"


def test_a_blank_name_of_old_is_no_obstacle(eve: Person) -> None:
    """Names that were blank before that was refused stay until they are changed."""
    path = f"/integrations/{eve.integration()['id']}"
    eve.run("UPDATE integrations SET name = ' ' WHERE id = %s RETURNING id", path.rpartition("/")[2])
    assert eve.get(path).json["name"] == " "
    assert eve.patch(path, {"description": "Old"}, headers={"If-Match": "*"}).status == 200
    item = {"operation": "change", "id": path.rpartition("/")[2], "if_match": "*", "body": {"name": "New"}}
    assert eve.post("/integrations/bulk", {"items": [item]}).json["items"][0]["body"]["name"] == "New"
