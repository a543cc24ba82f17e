"""How long pairing and judging replays takes, and how that grows: `python benchmarks/replay_pairing.py [entries ...]`.

Makes a ledger of whole replays in memory (five entries each, spread over six days, one intent in five replayed concurrently with
others), pairs and judges it, and prints one line per size: wall seconds and CPU seconds of reading items into entries, of
pairing, of the table with its verdict, and of comparing with the kept history; and the time per entry relative to the smallest.
"""

import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from phase5_ops.ccnative.execution_records import ExecutionRecords
from phase5_ops.ccnative.ledger import Ledger, epoch_ms, stamp_of
from phase5_ops.clock import iso
from phase5_ops.evidence.history import History
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import Read, ReadStatus, attach
from phase5_ops.sections.replay.audit.evidence import Window, replay_audit, within
from phase5_ops.sections.replay.audit.history import LedgerHistory, Seen
from phase5_ops.sections.replay.audit.judge import judge_replay_audit
from phase5_ops.sections.replay.audit.pairing import pair_replays

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = ReplayPolicy(max_replays_per_intent=1_000_000)
STEPS = (
    ("REPLAY_REQUESTED", 0),
    ("REPLAY_STARTED", 800),
    ("EXECUTION_STARTED", 830),
    ("ACTION_EXECUTED", 2100),
    ("REPLAY_COMPLETED", 2140),
)


def items(entries: int):  # noqa: ANN201 - a generator of DynamoDB items
    """Ledger items of `entries // 5` replays in DynamoDB JSON, in the order of a scan: none."""
    chosen = random.Random(7)
    end = epoch_ms(iso(NOW)) - 3_600_000
    for number in range(entries // 5):
        tenant = f"tenant-{number % 50}"
        intent = f"ai_{number % 997 if number % 5 == 0 else number}_x"
        began = end - chosen.randrange(6 * 86_400_000)
        for event, after in STEPS:
            stamp, trace = stamp_of(began + after), f"trace-{number}"
            if event == "REPLAY_REQUESTED":
                trace = f"replay-request-{number}"
            entry_id = f"entry-{began + after}-{number:08x}-{after:04x}-4000-8000-{chosen.getrandbits(48):012x}"
            data = {"action_intent_id": {"S": intent}}
            if event.startswith("REPLAY"):
                data |= {"replay_reason": {"S": "outage"}, "requested_by": {"S": "ops@example.com"}}
            yield {
                "pk": {"S": f"TENANT#{tenant}"},
                "sk": {"S": f"ENTRY#{stamp}#{entry_id}"},
                "eventType": {"S": event},
                "tenantId": {"S": tenant},
                "accountId": {"S": "acct-1"},
                "traceId": {"S": trace},
                "timestamp": {"S": stamp},
                "entryId": {"S": entry_id},
                "data": {"M": data},
            }


class Stopwatch:
    """Wall and CPU seconds of the steps of one size."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[float, float]] = {}

    def time(self, name: str, call):  # noqa: ANN001, ANN201 - whatever it returns
        """Calls, and notes how long that took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        self.steps[name] = (time.perf_counter() - wall, time.process_time() - cpu)
        return result


def measure(entries: int, folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds of each step for a ledger of this many entries."""
    watch, ledger, seen = Stopwatch(), Ledger("ledger"), Seen()
    made = items(entries)

    def read() -> None:
        for item in made:
            ledger.add(item)

    watch.time("make and read", read)
    replays = watch.time("pair", lambda: pair_replays(ledger.entries, POLICY))
    window = Window.before(NOW, POLICY)
    at = iso(NOW)

    def judge():  # noqa: ANN202
        none = ExecutionRecords()
        table = replay_audit(within(replays, window), ledger=ledger, window=window, outcomes=none, attempts=none)
        attach(table, [Read("file:Read", "ledger", ReadStatus.OK, None, 1, at, at)], NOW)
        return judge_replay_audit(table, policy=POLICY, now=NOW, links=None)

    verdict = watch.time("table and verdict", judge)
    assert (verdict.verdict, verdict.facts["completed"]) == ("PASS", entries // 5), verdict.summary
    replays.clear()
    ledger.entries.clear()
    watch.time("digests", lambda: [seen.add(item) for item in items(entries)])
    history = LedgerHistory(folder / f"{entries}.sqlite", History(folder / "history.sqlite"), str(entries))
    for name in ("first history", "next history"):
        found = watch.time(
            name,
            lambda: history.compare_and_add(seen, since="", drop_before="", partitions=None, run_id="run", now=NOW),
        )
        assert (found.missing_count, found.changed_count, found.broken) == (0, 0, [])
    print(f"{'':>10} history file {(folder / f'{entries}.sqlite').stat().st_size / 1e6:.1f} MB", file=sys.stderr)
    return watch.steps


def main() -> None:
    """Prints a table of the sizes."""
    sizes = [int(text) for text in sys.argv[1:]] or [10_000, 100_000, 1_000_000]
    base = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, entries in enumerate(sizes):
            steps = measure(entries, Path(folder))
            if number == 0:
                print(
                    f"{'entries':>10} " + " ".join(f"{name:>22}" for name in steps) + "  pairing CPU per entry, growth   max RSS"
                )
            per_entry = steps["pair"][1] / entries
            base = base or per_entry
            cells = " ".join(f"{wall:>9.2f} s ({cpu:>6.2f} CPU)" for wall, cpu in steps.values())
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{entries:>10} {cells}  {per_entry * 1e6:>8.2f} us x{per_entry / base:.2f} {rss:>18.0f} MB", flush=True)


if __name__ == "__main__":
    main()
