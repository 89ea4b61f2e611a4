"""`bin/bench`: measures the service against its floors and, on request, its peers."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack

from benchmarks import metrics, pages, report, streams
from benchmarks.calls import CALLS
from benchmarks.database import BenchmarkDatabase, benchmark_database
from benchmarks.measurement import Contestant
from benchmarks.peers.contestants import peers
from benchmarks.peers.installation import install_peers
from benchmarks.pgbench import PgBench
from benchmarks.rounds import SERVICE, compare
from benchmarks.targets import verdicts
from benchmarks.web_process import WebProcess, gunicorn, service_environment
from benchmarks.webhooks import drill, measurements

QUIET = 0.5  # load average of a machine that has nothing else to do


def main() -> int:
    """Measure; gives the exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that what was started is stopped too
    if options.streams:
        streams.run(options.seconds, options.clients)
        return 0
    if options.metrics:
        return metrics.main(rounds=options.rounds, rows=options.rows, check=options.check)
    if options.pages:
        return pages.main(rounds=options.rounds, rows=options.rows, check=options.check)
    if options.webhooks:
        measurements.run(options.rounds, options.seconds)
        return 0
    if options.drill:
        outcome = drill.drill(20_000, kill_every=3.0, deadline=3600)
        print(outcome, *outcome.faults(), sep="\n")
        return 1 if outcome.faults() else 0
    if options.peers:
        install_peers()
    load_before = os.getloadavg()  # whether the machine was ours
    calls = [call for call in CALLS if call.name in options.calls]
    with ExitStack() as stack:
        database = stack.enter_context(benchmark_database())
        contestants = _contestants(database, stack, with_peers=options.peers)
        comparisons = [
            compare(
                call,
                contestants,
                rounds=options.rounds,
                seconds=options.seconds,
                clients=options.clients,
                settle=database.settle,
                database=database.process(),
            )
            for call in calls
        ]
        conditions = {
            "postgresql": database.version(),
            "load_average_before": load_before,
            "clients": options.clients,
            "seconds": options.seconds,
            "web_workers": database.settings.web_workers,
            "connections_per_worker": database.settings.pool_max_size,
        }
    path = report.write(comparisons, conditions)
    print(report.table(comparisons))
    print(f"\nEverything: {path}")
    if load_before[0] > QUIET:
        print(f"The machine was busy before (load average {load_before[0]:.1f}): the ratios are not to be relied on.")
    missed = [each for each in verdicts(comparisons) if not each.reached]
    for each in missed:
        print(f"{'missed' if each.reached is False else 'cannot tell'}: {each.text}")
    return 1 if options.check and any(each.reached is False for each in missed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternations (default: 5)")
    parser.add_argument("--seconds", type=float, default=5, help="length of one measurement (default: 5)")
    parser.add_argument("--clients", type=int, default=32, help="simultaneous clients (default: 32)")
    names = [call.name for call in CALLS]
    parser.add_argument("--calls", nargs="+", default=names, choices=names, help="default: all three")
    parser.add_argument("--webhooks", action="store_true", help="measure webhook deliveries instead")
    parser.add_argument("--drill", choices=["webhooks"], help="kill everything under load instead, and count")
    parser.add_argument("--peers", action="store_true", help="measure other stacks too; installs them into .venv-peers")
    parser.add_argument("--streams", action="store_true", help="measure open event streams instead")
    parser.add_argument("--metrics", action="store_true", help="measure metrics instead: ingest, and a month's query")
    parser.add_argument(
        "--pages", action="store_true", help="measure lists instead: first and thousandth page, few and many"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of --metrics and --pages (default: a million)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    return parser.parse_args()


def _contestants(database: BenchmarkDatabase, stack: ExitStack, *, with_peers: bool) -> list[Contestant]:
    environment, folder = service_environment(database.settings), database.settings.data_dir
    service, empty = (
        stack.enter_context(
            WebProcess(
                name,
                gunicorn(application),
                environment,
                lambda call: call.requests(database.keys),
                folder / f"{name}.log",
            )
        )
        for name, application in ((SERVICE, "wsgi:app"), ("empty route", "benchmarks.empty_route:app"))
    )
    pgbench = PgBench(database.settings.service_database_url, len(database.keys))
    others = [stack.enter_context(peer) for peer in peers(database)] if with_peers else []
    return [service, pgbench, empty, *others]


sys.exit(main())
