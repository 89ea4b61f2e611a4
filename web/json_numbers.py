"""Numbers in requests' bodies that would be kept as others: orjson makes floats of the largest and the smallest."""

from __future__ import annotations

import json
from decimal import Decimal

# any digit to 0, any e to e: what stands for many numbers is found with two searches
_SHAPES = bytes(
    ord("0" if chr(byte) in "0123456789" else chr(byte | 32) if chr(byte) in "eE-." else "_") for byte in range(256)
)
_LONG, _TINY = b"0" * 19, b"e-000"
_INTEGERS = range(-(2**63), 2**64)  # which orjson keeps
_SHOWN = 60  # characters


class _Inexact(ValueError):
    pass


def inexact_number(body: bytes) -> str | None:
    """The first number of a JSON text that would be kept as another one, shortened; None where there is none.

    An integer is kept if it has 64 bits, or is what the nearest float is written as (1e30, as a list of digits, comes
    back from PostgreSQL so). A fraction is rounded as everywhere, but what is not 0 does not become 0.

    :param body: what orjson could parse, without deep nesting.
    """
    if not _may_hold_one(body.translate(_SHAPES)):
        return None  # 3 µs for 2 kB; the rest takes 25, and does not mistake texts for numbers
    try:
        json.loads(body, parse_int=_check_integer, parse_float=_check_fraction)
    except _Inexact as found:
        return str(found)
    return None


def _may_hold_one(shapes: bytes) -> bool:
    at = shapes.find(_LONG)
    while at >= 0 and shapes[at - 1 : at] == b".":  # of a fraction, which metrics are full of
        at = shapes.find(_LONG, at + len(_LONG))
    return at >= 0 or _TINY in shapes


def _check_integer(written: str) -> None:
    if len(written) >= len(_LONG):
        number = int(written)
        if number not in _INTEGERS and Decimal(repr(float(number))) != number:
            raise _Inexact(_short(written))


def _check_fraction(written: str) -> None:
    if float(written) == 0 and written.lower().partition("e")[0].strip("-0."):
        raise _Inexact(_short(written))


def _short(written: str) -> str:
    return written if len(written) <= _SHOWN else f"{written[:_SHOWN]}…"
