"""Versions of integrations over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.service import Person


def path_of(person: Person, **values: object) -> str:
    """The path of a new integration's versions."""
    return f"/integrations/{person.integration(**values)['id']}/versions"


def create(person: Person, path: str, version: str, **values: object) -> dict[str, object]:
    """A new version."""
    answer = person.post(path, {"version": version, **values})
    assert answer.status == 201, answer.body
    return dict(answer.json)


def test_create_takes_the_present_configuration(ann: Person) -> None:
    path = path_of(ann, config={"a": 1})
    first = create(ann, path, "1.0.0", changelog="First")
    assert (first["config"], first["is_active"], first["created_by"]) == ({"a": 1}, False, ann.user_id)
    assert create(ann, path, "2.0.0", config={"b": 2})["config"] == {"b": 2}
    assert ann.get(f"{path}/{first['id']}").json == first
    assert [each["version"] for each in ann.get(path).json["items"]] == ["2.0.0", "1.0.0"]


def test_labels_are_unique_within_the_integration(ann: Person) -> None:
    path = path_of(ann)
    create(ann, path, "1.0.0")
    answer = ann.post(path, {"version": "1.0.0"})
    assert (answer.status, answer.code, answer.json["errors"][0]["pointer"]) == (409, "duplicate", "/version")
    create(ann, path_of(ann), "1.0.0")


def test_one_is_active(ann: Person) -> None:
    path = path_of(ann, config={"a": 1})
    first, second = create(ann, path, "1.0.0"), create(ann, path, "2.0.0", config={"b": 2})
    for chosen, other in ((first, second), (second, first), (first, second)):
        answer = ann.post(f"{path}/{chosen['id']}/activate")
        assert (answer.status, answer.json["is_active"]) == (200, True)
        assert ann.get(f"{path}/{other['id']}").json["is_active"] is False
        integration = ann.get(path.removesuffix("/versions")).json
        assert (integration["version"], integration["config"]) == (chosen["version"], chosen["config"])


def test_many_activations_at_once_leave_one_active(ann: Person) -> None:
    path = path_of(ann)
    versions = [create(ann, path, f"{number}.0.0") for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda each: ann.post(f"{path}/{each['id']}/activate"), versions * 2))
    assert {each.status for each in answers} == {200}  # one after the other
    active = [each["version"] for each in ann.get(path).json["items"] if each["is_active"]]
    assert active == [ann.get(path.removesuffix("/versions")).json["version"]]


def test_a_version_belongs_to_its_integration(ann: Person, bob: Person) -> None:
    path, elsewhere = path_of(ann), path_of(ann)
    made = create(ann, path, "1.0.0")
    assert ann.get(f"{elsewhere}/{made['id']}").code == "not_found"
    assert ann.post(f"{elsewhere}/{made['id']}/activate").code == "not_found"
    assert bob.get(path).code == "not_found"
    assert bob.post(path, {"version": "2.0.0"}).code == "not_found"


def test_a_deleted_integration_has_no_versions(ann: Person) -> None:
    path = path_of(ann)
    create(ann, path, "1.0.0")
    ann.delete(path.removesuffix("/versions"), headers={"If-Match": "*"})
    assert ann.get(path).code == "not_found"
    assert ann.post(path, {"version": "2.0.0"}).code == "not_found"


def test_viewers_only_read(ann: Person, bob: Person) -> None:
    team = ann.organization()
    ann.add(team["id"], bob, "viewer")
    path = path_of(ann, organization_id=team["id"])
    made = create(ann, path, "1.0.0")
    assert bob.get(f"{path}/{made['id']}").json == made
    for answer in (bob.post(path, {"version": "2.0.0"}), bob.post(f"{path}/{made['id']}/activate")):
        assert (answer.status, answer.json["permission"]) == (403, "integrations:update")
