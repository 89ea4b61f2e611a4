"""Checking a definition: against the language's schema, and against what this service runs of the language."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from workflow import language
from workflow.faults import Fault, distinct, pointer
from workflow.inputs import schema_faults
from workflow.reading import refuse_unstorable
from workflow.times import cron_fault

# the keyword of each kind of task → its definition in the schema; `for` has a `do` too, so it comes first
KINDS = {
    "call": "callTask", "for": "forTask", "do": "doTask", "fork": "forkTask", "emit": "emitTask",
    "listen": "listenTask", "raise": "raiseTask", "run": "runTask", "set": "setTask", "switch": "switchTask",
    "try": "tryTask", "wait": "waitTask",
}  # fmt: skip
DIRECTIVES = ("continue", "exit", "end")
REFUSED_CALLS = ("asyncapi", "grpc", "a2a", "mcp")
REFUSED_RUNS = ("container", "script", "shell")

MAX_LABEL = 50  # characters of a version's label

_TOPIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DSL = re.compile(r"1\.0\.[0-9]+(-[0-9A-Za-z.-]+)?")
# where the parts of a task hold what tasks hold: key → the lists of tasks in it, each as the steps that lead there
_BLOCKS = {
    "do": (("do",),),
    "for": (("do",),),
    "try": (("try",), ("catch", "do")),
    "listen": (("foreach", "do"),),
    "fork": (("fork", "branches"),),
}


def check(definition: Any) -> list[Fault]:
    """Everything that is wrong with a definition; nothing where it is accepted.

    The syntax of expressions is not looked at, beyond the braces around them: compiling a program that a stranger wrote
    belongs into the sandbox that runs it.
    """
    found = refuse_unstorable(definition)
    if found:
        return distinct(found)
    if not isinstance(definition, dict):
        return [Fault("", "A definition is an object.")]
    return distinct([*language.faults(definition, ""), *_Checker(definition).faults()])


class _Checker:
    """What the schema cannot say of a definition, or would say badly. Takes nothing in it for well-formed."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.use = _object(definition.get("use"))

    def faults(self) -> Iterator[Fault]:
        dsl = _object(self.definition.get("document")).get("dsl")
        if isinstance(dsl, str) and not _DSL.fullmatch(dsl):
            yield Fault("/document/dsl", "This service speaks version 1.0 of the language, such as 1.0.3.")
        version = _object(self.definition.get("document")).get("version")
        if isinstance(version, str) and len(version) > MAX_LABEL:
            yield Fault("/document/version", f"Has more than {MAX_LABEL} characters.")
        for name in ("extensions", "catalogs"):
            if name in self.use:
                yield Fault(f"/use/{name}", f"This service has no {name}.")
        yield from _open_expressions(self.definition, "")
        yield from self.data(self.definition, "")
        yield from self.timeout(self.definition.get("timeout"), "/timeout")
        yield from self.schedule()
        for name, task in _object(self.use.get("functions")).items():
            yield from self.task(task, pointer("/use/functions", name), ())
        for name, policy in _object(self.use.get("authentications")).items():
            yield from self.policy(policy, pointer("/use/authentications", name))
        yield from self.block(self.definition.get("do"), "/do")

    def schedule(self) -> Iterator[Fault]:
        schedule = self.definition.get("schedule")
        if schedule == {}:
            yield Fault("/schedule", "Needs one of after, cron, every, on.")
        every = _object(schedule).get("every")
        if _is_nothing(every):
            yield Fault("/schedule/every", "This is no time at all: it would always be due.")
        cron = _object(schedule).get("cron")
        if isinstance(cron, str) and (fault := cron_fault(cron)):
            yield Fault("/schedule/cron", fault)

    def block(self, tasks: Any, base: str, *, beside: bool = False) -> Iterator[Fault]:
        """A list of tasks.

        :param beside: whether they run beside each other, so that none follows another.
        """
        seen: set[str] = set()
        entries = [_entry(item) for item in tasks] if isinstance(tasks, list) else []
        names = () if beside else [entry[0] for entry in entries if entry]
        for index, entry in enumerate(entries):
            if entry is None:
                continue  # the schema has told
            name, task = entry
            place = pointer(base, index, name)
            if name in seen:
                yield Fault(place, f"Another task of this block is called {name} already.")
            if name in DIRECTIVES:
                yield Fault(place, f"{name} is what `then` says to go on; a task cannot be called so.")
            seen.add(name)
            yield from self.task(task, place, names)

    def task(self, task: Any, base: str, names: Collection[str]) -> Iterator[Fault]:
        """A task.

        :param names: the tasks of its block, where `then` may lead.
        """
        if not isinstance(task, dict):
            yield Fault(base, "A task is an object.")
            return
        kinds = [keyword for keyword in KINDS if keyword in task]
        if "for" in kinds and "do" in kinds:
            kinds.remove("do")
        if len(kinds) != 1:
            what = f"is {' and '.join(kinds)} at once" if kinds else "has no keyword"
            yield Fault(base, f"The task {what}; it needs one of {', '.join(sorted(KINDS))}.")
            yield from self.shared(task, base, names)
            return
        kind = kinds[0]
        value, place = task[kind], pointer(base, kind)
        refusals = list(_refusals(kind, value, place))
        yield from refusals
        if not refusals:
            branch = language.call_branch(value) if kind == "call" and isinstance(value, str) else None
            yield from language.faults(task, base, KINDS[kind], branch)
        yield from self.shared(task, base, names)
        yield from self.inside(kind, value, task, base, names)
        for steps in _BLOCKS.get(kind, ()):
            yield from self.block(_at(task, steps), pointer(base, *steps), beside=kind == "fork")

    def shared(self, task: dict[str, Any], base: str, names: Collection[str]) -> Iterator[Fault]:
        """What every task may have."""
        yield from self.data(task, base)
        yield from self.then(task.get("then"), f"{base}/then", names)
        yield from self.timeout(task.get("timeout"), f"{base}/timeout")

    def inside(self, kind: str, value: Any, task: dict[str, Any], base: str, names: Collection[str]) -> Iterator[Fault]:
        """What only this kind of task has."""
        match kind:
            case "call" if isinstance(value, str):
                yield from self.call(value, _object(task.get("with")), base)
            case "switch":
                for index, entry in enumerate(value if isinstance(value, list) else ()):
                    name, case = _entry(entry) or ("", None)
                    place = pointer(base, "switch", index, name, "then")
                    yield from self.then(_object(case).get("then"), place, names)
            case "raise":
                error = _object(value).get("error")
                yield from self.reference(error, "errors", f"{base}/raise/error")
            case "try":
                retry = _at(task, ("catch", "retry"))
                yield from self.reference(retry, "retries", f"{base}/catch/retry")
            case "listen":
                for name in ("output", "export"):
                    yield from self.data({name: _at(task, ("foreach", name))}, f"{base}/foreach")

    def call(self, kind: str, arguments: dict[str, Any], base: str) -> Iterator[Fault]:
        place = f"{base}/with"
        if kind == "http":
            yield from self.endpoint(arguments.get("endpoint"), f"{place}/endpoint")
        elif kind == "openapi":
            yield from self.endpoint(_at(arguments, ("document", "endpoint")), f"{place}/document/endpoint")
            yield from self.authentication(arguments.get("authentication"), f"{place}/authentication")
        elif kind not in _object(self.use.get("functions")) and not _TOPIC.fullmatch(kind) and not _catalogued(kind):
            yield Fault(f"{base}/call", "Neither a function of `use.functions` nor a topic, which has letters, digits,"
                        " dots, hyphens and underscores.")  # fmt: skip

    def data(self, holder: dict[str, Any], base: str) -> Iterator[Fault]:
        """The schemas of what goes in and comes out."""
        for name in ("input", "output", "export"):
            described = _at(holder, (name, "schema"))
            if not isinstance(described, dict):
                continue
            place = f"{base}/{name}/schema"
            form = described.get("format", "json")
            if isinstance(form, str) and form.partition(":")[0] != "json":
                yield Fault(f"{place}/format", "Only JSON Schema is known: json.")
            elif "document" in described:
                yield from schema_faults(described["document"], f"{place}/document")
            yield from self.endpoint(_at(described, ("resource", "endpoint")), f"{place}/resource/endpoint")

    def then(self, target: Any, place: str, names: Collection[str]) -> Iterator[Fault]:
        if isinstance(target, str) and target not in DIRECTIVES and target not in names:
            yield Fault(place, f"There is no task {target} in this block; other than a task's name it may be"
                        " continue, exit or end.")  # fmt: skip

    def timeout(self, value: Any, place: str) -> Iterator[Fault]:
        yield from self.reference(value, "timeouts", place)

    def endpoint(self, value: Any, place: str) -> Iterator[Fault]:
        yield from self.authentication(_object(value).get("authentication"), f"{place}/authentication")

    def authentication(self, value: Any, place: str) -> Iterator[Fault]:
        yield from self.reference(_object(value).get("use"), "authentications", f"{place}/use")
        yield from self.policy(value, place)

    def policy(self, value: Any, place: str) -> Iterator[Fault]:
        for scheme in ("basic", "bearer", "digest", "oauth2", "oidc"):
            yield from self.reference(_at(value, (scheme, "use")), "secrets", f"{place}/{scheme}/use")

    def reference(self, name: Any, kind: str, place: str) -> Iterator[Fault]:
        """A name that stands for something under `use`; what is no string is no reference."""
        known = self.use.get(kind)
        if isinstance(name, str) and not (isinstance(known, dict | list) and name in known):
            yield Fault(place, f"There is no {name} in `use.{kind}`.")


def _refusals(kind: str, value: Any, place: str) -> Iterator[Fault]:
    """What the language has and this service does not do."""
    if kind == "call" and isinstance(value, str):
        if value in REFUSED_CALLS:
            yield Fault(place, f"This service makes no {value} calls.")
        elif _catalogued(value):
            yield Fault(place, "This service has no catalogs: define the function in `use.functions`.")
    if kind == "run" and isinstance(value, dict) and "workflow" not in value:
        refused = [name for name in REFUSED_RUNS if name in value]
        yield from (Fault(pointer(place, name), f"This service runs no {name}; only workflow.") for name in refused)
        if not refused:
            yield Fault(pointer(place, "workflow"), "This is required.")


def _catalogued(function: str) -> bool:
    """Whether a function is one of a catalog (`name:version@catalog`) or of a URL."""
    return "@" in function or "://" in function


def _is_nothing(duration: Any) -> bool:
    """Whether a duration is zero: every number in it, as an object or as ISO 8601."""
    numbers = re.findall(r"[0-9]+", duration) if isinstance(duration, str) else _object(duration).values()
    return bool(numbers) and not any(str(number).strip("0.") for number in numbers)


def _open_expressions(value: Any, place: str) -> Iterator[Fault]:
    """Strings that begin as expressions and do not end as such."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _open_expressions(inner, pointer(place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _open_expressions(inner, pointer(place, index))
    elif isinstance(value, str) and (text := value.strip()).startswith("${"):
        if not text.endswith("}"):
            yield Fault(place, "The expression is not closed: } is missing at its end.")
        elif not text[2:-1].strip():
            yield Fault(place, "The expression is empty.")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entry(item: Any) -> tuple[str, Any] | None:
    """The name and the content of an entry of a list of tasks or cases."""
    return next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else None


def _at(value: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        value = _object(value).get(step)
    return value
