"""What is wrong with a document, and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MOST = 500  # faults of one answer: whoever has more has sent something else


class Fault(NamedTuple):
    """One thing that is wrong.

    :param pointer: where, as a JSON pointer (RFC 6901) into the document.
    :param detail: what, in a sentence.
    """

    pointer: str
    detail: str


class InvalidDocument(Exception):
    """A document with faults; `faults` lists them all."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def pointer(base: str, *steps: object) -> str:
    """A JSON pointer to something inside `base`."""
    return base + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def distinct(faults: Iterable[Fault]) -> list[Fault]:
    """The same faults, each once; what comes after the first MOST is counted."""
    found = list(dict.fromkeys(faults))
    if len(found) <= MOST:
        return found
    return [*found[:MOST], Fault("", f"There are {len(found) - MOST} more faults.")]
