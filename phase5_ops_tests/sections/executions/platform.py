"""A platform of a few executions in memory: ledger, outcomes, attempts, metrics; gathered and judged by the product's code."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.executions.stored import attempts, outcomes
from phase5_ops.ccnative.executions.trails import ExecutionTrails
from phase5_ops.ccnative.ledger import epoch_ms
from phase5_ops.ccnative.ledger_window import Window, read_from
from phase5_ops.clock import iso
from phase5_ops.policy import ExecutionPolicy, ReplayPolicy, SloPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.state.execution_trail import execution_trail
from phase5_ops.sandbox.state.records import ATTEMPT_TTL, ATTEMPTS, LEDGER, OUTCOMES, Item, attempt, milliseconds, outcome
from phase5_ops.sections.executions.evidence import Executions, Records, Span, execution_outcomes
from phase5_ops.sections.executions.judges.calls import Measured, judge_calls_measured
from phase5_ops.sections.executions.judges.ends import judge_executions_end
from phase5_ops.verdict import Judgement
from phase5_ops_tests.sections.replay.audit.ledgers import dynamodb

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINKS = ConsoleLinks("us-west-2")
NOTE = "internal.create_note"
TEST_TENANT = "phase5-canary-a"


@dataclass
class Execution:
    """The records of one execution, plain; those that are taken away are not there."""

    number: int
    ago: timedelta = timedelta(hours=5)
    tenant: str = "acme"
    status: str = "SUCCEEDED"
    tool: str | None = NOTE
    count: int = 1
    intent: str = ""
    message: str = ""
    replayed: bool = False

    def __post_init__(self) -> None:
        completed = NOW - self.ago
        started = completed - timedelta(milliseconds=200)
        self.intent = self.intent or f"ai_{milliseconds(completed)}_{self.number:06d}"
        about = {"tenant_id": self.tenant, "account_id": "acct-1", "action_intent_id": self.intent}
        trace = f"trace-{milliseconds(started)}-{self.number}"
        error = {"error_code": "X", "error_class": "UNKNOWN", "error_message": self.message} if self.message else None
        self.outcome: Item | None = outcome(
            about,
            status=self.status,
            trace_id=trace,
            started_at=started,
            at=completed,
            count=self.count,
            tool=self.tool,
            error=error,
        )
        self.start, self.end, *_ = (item for _, item in execution_trail(self.outcome, NOW))
        self.more: list[Item] = [again(self.start, eventType="REPLAY_STARTED")] if self.replayed else []
        lock = attempt(about, attempt_id="attempt_1", count=self.count, key="k", trace_id=trace, at=started, status=self.status)
        self.attempt: Item | None = lock if started + ATTEMPT_TTL > NOW else None
        self.measured_at = completed

    @property
    def entries(self) -> list[Item]:
        """Those that are in the ledger."""
        return [entry for entry in (self.start, self.end, *self.more) if entry]


def again(entry: Item, **changes: Any) -> Item:
    """An entry once more, under an id of its own; `changes` of its attributes, `data` among them."""
    data = {**entry["data"], **changes.pop("data", {})}
    return {**entry, "entryId": entry["entryId"] + "-again", "sk": entry["sk"] + "-again", "data": data, **changes}


def dated(entry: Item, at: datetime) -> Item:
    """An entry as it were if it had been written at this time."""
    stamp, entry_id = iso(at), f"entry-{milliseconds(at)}-{entry['entryId'].split('-', 2)[2]}"
    return {**entry, "timestamp": stamp, "entryId": entry_id, "sk": f"ENTRY#{stamp}#{entry_id}"}


def read(resource: str, status: ReadStatus = ReadStatus.OK) -> Read:
    """A read of a table."""
    return Read("dynamodb:Scan", resource, status, None if status is ReadStatus.OK else "said so", 1, iso(NOW), iso(NOW))


@dataclass
class MeasuredRow:
    """A row of `tool_slo_summary`, as far as it is looked at."""

    canonical_tool: str
    requests: int
    windows: list[Mapping[str, Any]]


@dataclass
class Platform:
    """Executions, and what the metrics show of them; the reads end as told."""

    executions: list[Execution]
    calls: Counter[tuple[str, datetime]] = field(default_factory=Counter)  # (tool, moment), those that succeeded
    errors: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    items: dict[str, list[Any]] = field(default_factory=dict)  # further items, DynamoDB JSON, by table
    status: dict[str, ReadStatus] = field(default_factory=dict)  # of the read of a table, or of GetMetricData
    policy: ExecutionPolicy = field(default_factory=ExecutionPolicy)
    slo: SloPolicy = field(default_factory=SloPolicy)

    @classmethod
    def of(cls, *executions: Execution, **more: Any) -> "Platform":
        """A platform whose metrics show exactly what these executions called."""
        made = cls(list(executions), **more)
        for each in executions:
            if each.tool is not None:
                kind = made.calls if each.status == "SUCCEEDED" else made.errors
                kind[each.tool, each.measured_at] += 1
        return made

    def table(self) -> Executions:
        """What is gathered of it."""
        window = Window.before(NOW, ReplayPolicy())
        since = read_from(window, ReplayPolicy())
        latest = epoch_ms(iso(NOW + timedelta(minutes=5)))
        trails = ExecutionTrails(LEDGER, timedelta(seconds=ReplayPolicy().entry_id_tolerance_seconds), latest)
        records = Records(trails, outcomes(OUTCOMES, since, latest), attempts(ATTEMPTS, since, latest))
        for each in self.executions:
            for entry in each.entries:
                records.trails.take(dynamodb(entry))
        for item in self.items.get(LEDGER, []):
            records.trails.take(item)
        for table, stored, name in ((OUTCOMES, records.outcomes, "outcome"), (ATTEMPTS, records.attempts, "attempt")):
            stored.take([dynamodb(item) for each in self.executions if (item := getattr(each, name))])
            stored.take(self.items.get(table, []))
        found = execution_outcomes(
            records,
            span=Span.of(NOW, window.start, since, self.policy),
            policy=self.policy,
            clock_skew_ms=ReplayPolicy().clock_skew_ms,
            test_tenants={TEST_TENANT},
            calls_since=epoch_ms(iso(NOW - timedelta(hours=self.slo.lookback_hours))),
        )
        found.facts.tables["ledger"] = LEDGER
        reads = [read(table, self.status.get(table, ReadStatus.OK)) for table in (LEDGER, OUTCOMES, ATTEMPTS)]
        return found.with_reads(reads, NOW)

    def measured(self) -> Measured:
        """What the metrics show."""
        tools = {tool for tool, _ in (*self.calls, *self.errors)}
        rows = [self._row(tool) for tool in sorted(tools)]
        status = self.status.get("GetMetricData", ReadStatus.OK)
        metrics = Read("cloudwatch:GetMetricData", "ns", status, None, 1, iso(NOW), iso(NOW))
        return Measured(rows, [metrics], NOW - timedelta(hours=self.slo.lookback_hours), NOW)

    def _row(self, tool: str) -> MeasuredRow:
        requests: Counter[int] = Counter()
        errors: Counter[int] = Counter()
        for kinds, of in ((self.calls, (requests,)), (self.errors, (requests, errors))):
            for (name, moment), count in kinds.items():
                if name == tool:
                    for counted in of:
                        counted[int(moment.timestamp()) // 300 * 300] += count
        windows = [
            {
                "start": iso(datetime.fromtimestamp(start, UTC)),
                "requests": count,
                "errors": errors[start],
                "latency_samples": count,
            }
            for start, count in sorted(requests.items())
        ]
        return MeasuredRow(tool, requests.total(), windows)

    def ends(self) -> Judgement:
        """Of `executions_end`."""
        return judge_executions_end(self.table(), policy=self.policy, links=LINKS)

    def measures(self) -> Judgement:
        """Of `calls_are_measured`."""
        return judge_calls_measured(self.table(), self.measured(), policy=self.policy, slo=self.slo, namespace="ns", links=LINKS)


def codes(judgement: Judgement) -> list[str]:
    """Of its findings."""
    return [finding.code for finding in judgement.findings]


def several(ago: Iterable[timedelta]) -> list[Execution]:
    """An execution at each of these times."""
    return [Execution(number, each) for number, each in enumerate(ago)]
