"""What was measured, as a table for people and as JSON for comparisons."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rounds import SERVICE, Comparison

RESULTS = Path(__file__).with_name("results")


def table(comparisons: list[Comparison]) -> str:
    """Medians of all contestants, and the service's rate by theirs: the median and the range over the rounds."""
    lines = [
        f"{'call':8}{'contestant':12}{'rate/s':>9}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'web µs':>9}{'database':>9}{'load':>7}{'sum':>7}   service's rate by this one's"
    ]
    for each in comparisons:
        for name in each.rounds:
            median = each.median(name)
            line = f"{each.call:8}{name:12}{median.rate:9.0f}{median.p50:9.1f}{median.p99:9.1f}"
            if spent := median.processor:
                line += f"{spent.web:9.0f}{spent.database:9.0f}{spent.load:7.0f}{spent.total:7.0f}"
            if name != SERVICE:
                ratios = each.ratios(name)
                line += f"   {each.ratio(name):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
            lines.append(line)
    return "\n".join(lines)


def write(comparisons: list[Comparison], conditions: dict[str, Any]) -> Path:
    """Keep everything in a file of its own under `benchmarks/results`."""
    calls = {
        each.call: {
            name: {
                "rounds": [asdict(measured) for measured in taken],
                "median": asdict(each.median(name)),
                **({} if name == SERVICE else {"ratios": each.ratios(name), "ratio": each.ratio(name)}),
            }
            for name, taken in each.rounds.items()
        }
        for each in comparisons
    }
    return keep({"conditions": conditions, "calls": calls})


def keep(found: dict[str, Any]) -> Path:
    """Keep what was found, with the time and the machine, in a file of its own under `benchmarks/results`."""
    moment = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{moment:%Y%m%dT%H%M%SZ}.json"
    machine = {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
    head = {"time": moment.isoformat(timespec="seconds"), "machine": machine}
    path.write_text(json.dumps({**head, **found}, indent=1, default=str) + "\n", "utf-8")
    return path
