"""The floor: pgbench runs the service's statements, each a round trip of its own, under the same policies."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from benchmarks.calls import Call, variables
from benchmarks.measurement import Measurement
from database.binaries import bundled

THREADS = 2


class PgBench:
    """PostgreSQL's own load generator, with the service's login and a connection for each client."""

    name = "pgbench"
    process = None

    def __init__(self, url: str, keys: int) -> None:
        parts = conninfo_to_dict(url)
        self._environment = {**os.environ, **{f"PG{_ENVIRONMENT[name]}": str(value) for name, value in parts.items()}}
        self._variables = variables(keys)
        self._program = bundled()[0].bin / "pgbench"

    def measure(self, call: Call, seconds: float, clients: int) -> Measurement:
        """Run the call's script.

        :raises RuntimeError: a transaction failed; what pgbench said.
        """
        with tempfile.TemporaryDirectory(prefix="pgbench-") as folder:
            script = Path(folder) / f"{call.name}.sql"
            script.write_text(call.script(), "utf-8")
            options = ["--no-vacuum", "--protocol=prepared", "--log", f"--file={script}", f"--time={round(seconds)}"]
            options += [f"--client={clients}", f"--jobs={min(THREADS, clients)}"]
            options += [f"--define={name}={value}" for name, value in self._variables.items()]
            ran = subprocess.run(
                [self._program, *options],
                env=self._environment,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode != 0 or "number of failed transactions: 0 " not in ran.stdout:
                raise RuntimeError(f"pgbench failed on {call.name}: {ran.stderr[-2000:]}")
            # client, transaction, microseconds, script, and when it ended in seconds and microseconds
            lines = [line.split() for log in Path(folder).glob("pgbench_log.*") for line in log.open()]
        ends = [int(line[4]) + int(line[5]) / 1e6 for line in lines]
        latencies = [int(line[2]) / 1e6 for line in lines]
        began = min(end - latency for end, latency in zip(ends, latencies))
        return Measurement.of(latencies, max(ends) - began)


_ENVIRONMENT = {"user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT", "dbname": "DATABASE"}
