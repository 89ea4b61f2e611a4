"""What needs a look: the alerts of deploy/prometheus, and what only reports tell. The manual has each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from web.operators_page.advice import advice
from web.operators_page.reading import Reading
from web.operators_page.words import counted, duration, number, share, size

HOUR, DAY = 3600, 86400
WEEKLY = ("verify-backup", "create-base-backup", "drill-recovery")
FREEZE_AT_LAST = 1_000_000_000  # transactions; autovacuum should have frozen at a fifth of it


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    :param alert: its name, and its heading in docs/operations.md.
    :param words: one sentence.
    :param section: where on the page it is shown.
    :param urgent: whether it is worth being woken for.
    """

    alert: str
    words: str
    section: str
    urgent: bool = False

    @property
    def advice(self) -> Markup:
        """What to do."""
        return advice(self.alert)


def findings(reading: Reading) -> list[Finding]:
    """Everything that needs a look, what is urgent first."""
    found = [finding for judge in JUDGES for finding in judge(reading)]
    return sorted(found, key=lambda finding: not finding.urgent)


def _requests(reading: Reading) -> Iterator[Finding]:
    requests, failed, slow = (reading.recent.total(name) for name in ("requests", "failed_requests", "slow_requests"))
    if failed >= 3 and failed / max(requests, failed) > 0.02:
        words = f"{share(failed / max(requests, failed))} of the answers of the last ten minutes are errors of ours."
        yield Finding("ErrorRate", words, "requests", urgent=True)
    if slow >= 3 and slow / max(requests, slow) > 0.01:
        words = f"{share(slow / max(requests, slow))} of the answers of the last ten minutes took over a second."
        yield Finding("SlowAnswers", words, "requests")


def _worker(reading: Reading) -> Iterator[Finding]:
    if reading.recent.series("database_connections") == [None]:
        yield Finding(
            "NoSamples", "No worker has taken samples for ten minutes: is one running?", "queues", urgent=True
        )


def _queues(reading: Reading) -> Iterator[Finding]:
    for queue, seconds in reading.gauges("queue_oldest_seconds").items():
        if seconds > 300:
            words = f"{QUEUES.get(queue, queue)}: the oldest has waited for {duration(seconds)}."
            yield Finding("QueueAge", words, "queues", urgent=True)


def _webhooks(reading: Reading) -> Iterator[Finding]:
    attempts = reading.recent.totals("attempts")
    failed, total = sum(count for outcome, count in attempts.items() if outcome != "delivered"), sum(attempts.values())
    if failed >= 5 and failed / total > 0.5:
        words = f"{share(failed / total)} of the attempts at webhooks fail, of all in the last ten minutes."
        yield Finding("WebhooksFailing", words, "webhooks")
    for_long = [
        row for row in reading.rows("failing-webhooks")
        if row["disabled_at"] is None and (reading.at - row["failing_since"]).total_seconds() > HOUR
    ]  # fmt: skip
    if for_long:
        verb = "has" if len(for_long) == 1 else "have"
        words = f"{counted(len(for_long), 'endpoint', 'endpoints')} {verb} failed for more than an hour."
        yield Finding("WebhooksFailing", words, "webhooks")


def _executions(reading: Reading) -> Iterator[Finding]:
    counts = reading.gauges("executions_last_hour")
    for kind in ("workflow", "integration"):
        ended = {label.partition(" ")[2]: count for label, count in counts.items() if label.startswith(f"{kind} ")}
        failed, total = ended.get("faulted", 0) + ended.get("failed", 0), sum(ended.values())
        if total >= 10 and failed / total > 0.5:
            words = f"{share(failed / total)} of the {kind} executions of the last hour failed."
            yield Finding("ExecutionsFailing", words, "executions")


def _partitions(reading: Reading) -> Iterator[Finding]:
    ahead = reading.gauge("partitions_ahead_months")
    if ahead is not None and ahead < 1:
        words = (
            f"Partitions run out in {duration(ahead * 30.4375 * DAY)}."
            if ahead > 0
            else "A table lacks the partition of this month."
        )
        yield Finding("PartitionsRunOut", words, "partitions", urgent=True)
    for table, rows in reading.gauges("partition_filler_rows").items():
        if rows:
            words = f"{counted(int(rows), 'row', 'rows')} of {table} lie in a filler: no month covered them."
            yield Finding("FillerRows", words, "partitions")


def _maintenance(reading: Reading) -> Iterator[Finding]:
    for task, failing in reading.gauges("maintenance_failing").items():
        if failing:
            yield Finding("MaintenanceFailing", f"{task} failed the last time it ran.", "maintenance")
    for task, seconds in reading.gauges("maintenance_age_seconds").items():
        if seconds > (HOUR if task == "refresh-views" else 8 * DAY if task in WEEKLY else 2 * DAY):
            yield Finding("MaintenanceLate", f"{task} last went through {duration(seconds)} ago.", "maintenance")


def _backups(reading: Reading) -> Iterator[Finding]:
    if reading.gauge("wal_archiving_failing"):
        yield Finding("WalArchivingFailing", "The log cannot be archived and piles up.", "backups", urgent=True)
    if "backups" not in reading.reports:
        return
    made = reading.backups()
    if not made:
        yield Finding("NoBackup", "No backup was ever made.", "backups")
    for each in made:
        seconds = (reading.at - each.made_at).total_seconds()
        if seconds > (8 * DAY if each.kind == "base" else 26 * HOUR):
            yield Finding("BackupAge", f"The last {each.name} is {duration(seconds)} old.", "backups", urgent=True)
        if each.proven_at is None or (reading.at - each.proven_at).total_seconds() > 8 * DAY:
            words = f"No {each.name} was proven by restoring it for more than a week."
            yield Finding("DrillAge", words, "backups")


def _server(reading: Reading) -> Iterator[Finding]:
    used, most = reading.gauge("database_connections"), reading.gauge("database_connections_max")
    if used is not None and most and used > 0.8 * most:
        words = f"{number(used)} of {number(most)} connections to the database are in use."
        yield Finding("ConnectionsRunOut", words, "server", urgent=True)
    age = reading.gauge("transaction_id_age")
    if age is not None and age > FREEZE_AT_LAST:
        words = f"{share(age / 2**31)} of the transaction ids are used up; at 100 % the server stops."
        yield Finding("TransactionIdsRunOut", words, "server", urgent=True)
    blocked = [row for row in reading.rows("locks") if (row["waiting_seconds"] or 0) > 10]
    if blocked:
        words = f"{counted(len(blocked), 'statement waits', 'statements wait')} for a lock for more than ten seconds."
        yield Finding("LocksHeld", words, "queries")
    idle = [row for row in reading.rows("running-queries")
            if (row["transaction_seconds"] or 0) > (60 if "idle" in (row["state"] or "") else 10 * 60)]  # fmt: skip
    if idle:
        words = f"{counted(len(idle), 'transaction is', 'transactions are')} open for too long."
        yield Finding("LongTransactions", words, "queries")
    if indexes := reading.rows("invalid-indexes"):
        words = f"{counted(len(indexes), 'index was', 'indexes were')} begun and never finished."
        yield Finding("InvalidIndexes", words, "tables")


def _replication(reading: Reading) -> Iterator[Finding]:
    for standby, seconds in reading.gauges("replication_lag_seconds").items():
        if seconds > 60:
            yield Finding("ReplicationLag", f"{standby} is {duration(seconds)} behind.", "server")
    for slot, kept in reading.gauges("replication_slot_retained_bytes").items():
        if kept > 10 * 1024**3:
            words = f"The slot {slot} keeps {size(kept)} of log: the disk will fill."
            yield Finding("SlotRetainsLog", words, "server", urgent=True)


def _unread(reading: Reading) -> Iterator[Finding]:
    for report, fault in reading.faults.items():
        yield Finding("ReportUnread", f"{report} could not be read: {fault}", "server")


QUEUES = {
    "deliveries": "Webhook deliveries",
    "executions": "Workflow executions",
    "mail": "Mail",
    "health_checks": "Health checks",
}
JUDGES: tuple[Callable[[Reading], Iterator[Finding]], ...] = (
    _requests, _worker, _queues, _webhooks, _executions, _partitions, _maintenance, _backups, _server, _replication,
    _unread,
)  # fmt: skip
