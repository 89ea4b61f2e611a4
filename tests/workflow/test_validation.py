"""Definitions that are accepted, and what is told of those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config import ROOT
from workflow.reading import MAX_DEPTH, MAX_NODES, from_yaml
from workflow.validation import KINDS, check

DOCUMENTS = sorted(Path(__file__).parent.joinpath("documents").glob("*.yaml"))
TEMPLATES = sorted(ROOT.glob("workflow/templates/*.yaml"))
HEAD = "document: {dsl: 1.0.3, namespace: tests, name: bad, version: 0.1.0}\n"
SET = "do: [{a: {set: {x: 1}}}]\n"


@pytest.mark.parametrize("path", [*DOCUMENTS, *TEMPLATES], ids=lambda path: path.stem)
def test_what_the_language_has_and_the_service_runs_is_accepted(path: Path) -> None:
    assert check(from_yaml(path.read_text("utf-8"))) == []


def test_the_documents_have_every_kind_of_task() -> None:
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    assert {kind for kind in KINDS if f"{kind}:" in text} == set(KINDS)


def test_the_lifecycle_has_its_stages_as_topics() -> None:
    template = from_yaml(TEMPLATES[0].read_text("utf-8"))
    stages = [next(iter(item)) for item in template["do"][0]["pipeline"]["try"]]
    assert stages == ["validate", "generate", "test", "review", "deploy", "activate"]


# what is wrong, what it is wrong about, and the pointers of all its faults, no more and no less
BAD: list[tuple[str, str, dict[str, str]]] = [
    ("nothing", "{}", {"/document": "required", "/do": "required"}),
    ("no object", "[]", {"": "is an object"}),
    ("names missing", "document: {dsl: 1.0.3}\n" + SET,
     {"/document/namespace": "required", "/document/name": "required", "/document/version": "required"}),
    ("no semantic version", HEAD.replace("0.1.0", "'1'") + SET, {"/document/version": "form"}),
    ("a long version", HEAD.replace("0.1.0", f"1.0.0-{'a' * 50}") + SET, {"/document/version": "50 characters"}),
    ("another language", HEAD.replace("1.0.3", "0.8.0") + SET, {"/document/dsl": "version 1.0"}),
    ("unknown at the top", HEAD + SET + "states: []", {"/states": "no such thing"}),
    ("unknown in a task", HEAD + "do: [{a: {set: {x: 1}, retries: 3}}]", {"/do/0/a/retries": "no such thing"}),
    ("no task", HEAD + "do: [{a: {sett: {x: 1}}}]", {"/do/0/a": "has no keyword"}),
    ("two tasks", HEAD + "do: [{a: {set: {x: 1}, wait: PT1S}}]", {"/do/0/a": "set and wait at once"}),
    ("a task that is text", HEAD + "do: [{a: set}]", {"/do/0/a": "is an object"}),
    ("no list", HEAD + "do: {a: {set: {x: 1}}}", {"/do": "a list"}),
    ("two names in one entry", HEAD + "do: [{a: {set: {x: 1}}, b: {set: {x: 1}}}]", {"/do/0": "more than one name"}),
    ("an empty entry", HEAD + "do: [{}]", {"/do/0": "empty"}),
    ("nothing set", HEAD + "do: [{a: {set: {}}}]", {"/do/0/a/set": "empty"}),
    ("the same name twice", HEAD + "do: [{a: {set: {x: 1}}}, {b: {set: {x: 1}}}, {a: {set: {x: 1}}}]",
     {"/do/2/a": "called a already"}),
    ("a directive's name", HEAD + "do: [{end: {set: {x: 1}}}]", {"/do/0/end": "cannot be called"}),
    ("then to nowhere", HEAD + "do: [{a: {set: {x: 1}, then: b}}]", {"/do/0/a/then": "no task b"}),
    ("then into another block", HEAD + "do: [{a: {set: {x: 1}, then: c}}, {b: {do: [{c: {set: {x: 1}, then: a}}]}}]",
     {"/do/0/a/then": "no task c", "/do/1/b/do/0/c/then": "no task a"}),
    ("then between branches", HEAD + "do: [{f: {fork: {branches: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 1}}}]}}}]",
     {"/do/0/f/fork/branches/0/a/then": "no task b"}),
    ("a switch to nowhere", HEAD + "do: [{s: {switch: [{c: {when: .x, then: b}}, {d: {then: c}}]}}]",
     {"/do/0/s/switch/0/c/then": "no task b", "/do/0/s/switch/1/d/then": "no task c"}),
    ("a switch without cases", HEAD + "do: [{s: {switch: []}}]", {"/do/0/s/switch": "empty"}),
    ("a case without then", HEAD + "do: [{s: {switch: [{c: {when: .x}}]}}]", {"/do/0/s/switch/0/c/then": "required"}),
    ("refused calls", HEAD + "do:\n- t: {call: asyncapi, with: {}}\n"
     "- u: {call: grpc}\n- v: {call: a2a, with: 7}\n- w: {call: mcp}\n",
     {"/do/0/t/call": "no asyncapi calls", "/do/1/u/call": "no grpc calls", "/do/2/v/call": "no a2a calls",
      "/do/3/w/call": "no mcp calls"}),
    ("refused runs",
     HEAD + "do:\n- a: {run: {shell: {command: ls}}}\n- b: {run: {script: {}}}\n- c: {run: {container: 7}}",
     {"/do/0/a/run/shell": "no shell", "/do/1/b/run/script": "no script", "/do/2/c/run/container": "no container"}),
    ("nothing to run", HEAD + "do: [{a: {run: {}}}]", {"/do/0/a/run/workflow": "required"}),
    ("extensions and catalogs", HEAD + "use: {extensions: [], catalogs: {}}\n" + SET,
     {"/use/extensions": "no extensions", "/use/catalogs": "no catalogs"}),
    ("a function of a catalog", HEAD + "do: [{a: {call: 'log:1.0.0@global'}}]", {"/do/0/a/call": "no catalogs"}),
    ("neither function nor topic", HEAD + "do: [{a: {call: 'two words'}}]", {"/do/0/a/call": "topic"}),
    ("an incomplete call", HEAD + "do: [{a: {call: http}}, {b: {call: http, with: {method: get}}}]",
     {"/do/0/a/with": "required", "/do/1/b/with/endpoint": "required"}),
    ("no endpoint", HEAD + "do: [{a: {call: http, with: {method: get, endpoint: 7}}}]",
     {"/do/0/a/with/endpoint": "Not an endpoint"}),
    ("a relative endpoint", HEAD + "do: [{a: {call: http, with: {method: get, endpoint: /pets}}}]",
     {"/do/0/a/with/endpoint": "Not an endpoint"}),
    ("names of use that are not there", HEAD + """
timeout: never
use: {authentications: {shop: {bearer: {use: token}}}}
do:
- a: {call: http, with: {method: get, endpoint: {uri: 'https://x', authentication: {use: nobody}}}, timeout: quick}
- b: {call: openapi, with: {document: {endpoint: 'https://x'}, operationId: x, authentication: {basic: {use: word}}}}
- c: {raise: {error: gone}}
- d: {try: [{e: {set: {x: 1}}}], catch: {retry: thrice}}
""", {"/timeout": "use.timeouts", "/use/authentications/shop/bearer/use": "use.secrets",
      "/do/0/a/with/endpoint/authentication/use": "use.authentications", "/do/0/a/timeout": "use.timeouts",
      "/do/1/b/with/authentication/basic/use": "use.secrets", "/do/2/c/raise/error": "use.errors",
      "/do/3/d/catch/retry": "use.retries"}),
    ("durations", HEAD + "timeout: {after: 10s}\ndo: [{a: {wait: P}}, {b: {wait: {weeks: 1}}},"
     " {c: {wait: {seconds: -1}}}, {d: {wait: {minutes: long}}}, {e: {wait: {}}}, {f: {wait: 5}}]",
     {"/timeout/after": "Not a duration", "/do/0/a/wait": "Not a duration", "/do/1/b/wait/weeks": "no such thing",
      "/do/2/c/wait/seconds": "less than 0", "/do/3/d/wait/minutes": "whole number", "/do/4/e/wait": "empty",
      "/do/5/f/wait": "Not a duration"}),
    ("schedules", HEAD + "schedule: {cron: '61 * * * *', every: soon}\n" + SET,
     {"/schedule/cron": "cron expression", "/schedule/every": "Not a duration"}),
    ("six fields", HEAD + "schedule: {cron: '* * * * * *'}\n" + SET, {"/schedule/cron": "five fields"}),
    ("a day that never comes", HEAD + "schedule: {cron: '0 0 */20 * 1L'}\n" + SET, {"/schedule/cron": "never due"}),
    ("every moment", HEAD + "schedule: {every: PT0M0S}\n" + SET, {"/schedule/every": "no time at all"}),
    ("every nothing", HEAD + "schedule: {every: {seconds: 0}}\n" + SET, {"/schedule/every": "no time at all"}),
    ("an empty schedule", HEAD + "schedule: {}\n" + SET, {"/schedule": "Needs one of"}),
    ("open expressions", HEAD + "do: [{a: {set: {x: '${ .x', y: ['${ }']}}}, {b: {set: '${ .z '}}]",
     {"/do/0/a/set/x": "not closed", "/do/0/a/set/y/0": "empty", "/do/1/b/set": "not closed"}),
    ("schemas", HEAD + "input: {schema: {document: {type: strange}}}\noutput: {schema: {format: avro, document: {}}}\n"
     "do: [{a: {set: {x: 1}, export: {schema: {document: {$ref: 'https://x/y'}}}}}]",
     {"/input/schema/document/type": "JSON Schema", "/output/schema/format": "Only JSON Schema",
      "/do/0/a/export/schema/document/$ref": "own parts"}),
    ("a listen that contradicts itself",
     HEAD + "do: [{a: {listen: {to: {any: [], one: {}}}}}, {b: {listen: {to: {}}}}]",
     {"/do/0/a/listen/to/one": "does not go with", "/do/1/b/listen/to": "one of all, any, one"}),
    ("an event that says nothing",
     HEAD + "do: [{a: {emit: {event: {with: {type: t}}}}}, {b: {listen: {to: {one: {with: {}}}}}}]",
     {"/do/0/a/emit/event/with/source": "required", "/do/1/b/listen/to/one/with": "empty"}),
    ("two backoffs", HEAD + "use: {retries: {r: {backoff: {constant: {}, linear: {}}, limit: {attempts: 1}}}}\n" + SET,
     {"/use/retries/r/backoff": "Only one of", "/use/retries/r/limit/attempts": "no such thing"}),
    ("deep inside", HEAD + """
do:
- a: {for: {in: .x}, do: [{b: {try: [{c: {waits: 1}}], catch: {do: [{d: {set: 1}}]}}}]}
- e: {listen: {to: {one: {with: {type: t}}}}, foreach: {do: [{f: {call: grpc}}]}}
""", {"/do/0/a/do/0/b/try/0/c": "no keyword", "/do/0/a/do/0/b/catch/do/0/d/set": "Expected an object",
      "/do/1/e/foreach/do/0/f/call": "no grpc calls"}),
    ("inside a function",
     HEAD + "use: {functions: {f/g: {call: http, with: {method: 7, endpoint: 'https://x'}}}}\n" + SET,
     {"/use/functions/f~1g/with/method": "a string"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [pytest.param(text, faults, id=name) for name, text, faults in BAD])
def test_every_fault_is_told_where_it_is_and_nothing_else(text: str, expected: dict[str, str]) -> None:
    faults = check(from_yaml(text))
    assert sorted(fault.pointer for fault in faults) == sorted(expected)
    for fault in faults:
        assert expected[fault.pointer] in fault.detail, fault
        assert len(fault.detail) < 250


@pytest.mark.parametrize(
    "value", [None, 7, "text", [], [1], {"do": 1}, {"use": []}, {"do": [[]], "use": {"errors": 1}}]
)
def test_nothing_that_is_sent_breaks_it(value: Any) -> None:
    """Whatever stands where something else should."""
    assert check(value)
    for name in ("document", "input", "output", "use", "do", "timeout", "schedule"):
        check({"document": {}, "do": [], name: value})
    for kind in KINDS:
        check(
            {
                "do": [
                    {"a": {kind: value}},
                    {"b": {kind: {"with": value, "error": value}, "with": value, "catch": value}},
                ]
            }
        )


def test_what_costs_too_much_is_refused_before_it_is_looked_at() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert [fault.detail for fault in check({"do": deep})] == [
        f"The definition is nested deeper than {MAX_DEPTH} levels."
    ]
    (wide,) = check({"do": [1] * MAX_NODES})
    assert "more than" in wide.detail
    (long,) = check({"document": {"title": "x" * 300_000}})
    assert "bytes" in long.detail


def test_what_cannot_be_stored_is_refused() -> None:
    values = {"a": "nul \0", "b": "\ud800", "c": 2**63, "d": float("inf"), "e\0": 1}
    assert sorted(fault.pointer for fault in check({"do": [values]})) == [
        "/do/0",
        "/do/0/a",
        "/do/0/b",
        "/do/0/c",
        "/do/0/d",
    ]


def test_the_list_of_faults_ends_somewhere() -> None:
    faults = check({"document": {}, "do": [{f"t{number}": {}} for number in range(2000)]})
    assert len(faults) == 501
    assert faults[-1].detail == "There are 1504 more faults."
