"""A small CCNative as its breakers show it, in the shapes that the platform's own code wrote."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.registry import RegisteredTool
from phase5_ops.ccnative.runbook import runbook_table
from phase5_ops.clock import iso
from phase5_ops.evidence.history import Snapshot
from phase5_ops.policy import BreakerPolicy, RunbookPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.breakers.evidence import DAY, Snapshots, breaker_snapshot, snapshot_payloads
from phase5_ops.sections.breakers.judge import judge_operator_action, judge_state_observable
from phase5_ops.verdict import Judgement

TABLE = "cc-native-resilience"
TENANTS = "cc-native-tenants"
NOW = datetime(2026, 11, 23, 9, 16, 0, tzinfo=UTC)
T = int(NOW.timestamp())
LINKS = ConsoleLinks("us-west-2")
TTL = 14 * DAY
RUNBOOK = "# Runbook\n\n## Circuit breaker OPEN\n\nDo not close by hand; use kill switches.\n"


def read(operation: str = "dynamodb:Scan", resource: str = TABLE, status: ReadStatus = ReadStatus.OK) -> Read:
    error = None if status is ReadStatus.OK else "AccessDeniedException: no"
    return Read(operation, resource, status, error, 1, iso(NOW), iso(NOW))


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def state(
    connector: str, state: str = "CLOSED", *, start: int = T - 60, written: int | None = None, **more: Any
) -> dict[str, Any]:
    """A STATE item written at `written` (default: at its window start); `more` replaces attributes, None removes them."""
    item: dict[str, Any] = {
        "pk": {"S": f"CONNECTOR#{connector}"},
        "sk": {"S": "STATE"},
        "state": {"S": state},
        "failure_count": number(0 if state == "CLOSED" else 5),
        "window_start_epoch_sec": number(start),
        "ttl_epoch_sec": number((start if written is None else written) + TTL),
    }
    if state == "OPEN":
        item["open_until_epoch_sec"] = number(start + 30)
    if state == "HALF_OPEN":
        item["half_open_probe_in_flight"] = {"BOOL": True}
    item.update(more)
    return {name: value for name, value in item.items() if value is not None}


def slots(connector: str, in_flight: int = 0) -> dict[str, Any]:
    return {"pk": {"S": f"CONNECTOR#{connector}"}, "sk": {"S": "CONCURRENCY"}, "in_flight_count": number(in_flight)}


def tenant(name: str, **switches: Any) -> dict[str, Any]:
    return {"tenantId": {"S": name}, "name": {"S": name}, "status": {"S": "active"}, **switches}


OFF = {"execution_enabled": {"BOOL": False}}

REGISTERED = (
    RegisteredTool("crm.create_task", "crm_salesforce", ["CREATE_CRM_TASK"], "registry", "steady"),
    RegisteredTool("internal.create_note", "internal", ["CREATE_INTERNAL_NOTE"], "registry", "steady"),
    RegisteredTool("internal.create_task", "internal", ["CREATE_INTERNAL_TASK"], "registry", "steady"),
)


@dataclass
class Platform:
    """What the readers found; healthy unless changed."""

    items: list[Any] = field(default_factory=lambda: [state("internal"), slots("internal"), slots("crm_salesforce")])
    tenants: list[Any] = field(default_factory=lambda: [tenant("tenant-a"), tenant("tenant-b")])
    registered: Sequence[RegisteredTool] = REGISTERED
    datapoints: dict[str, Any] = field(default_factory=lambda: {"internal": NOW, "crm_salesforce": NOW})
    connectors: tuple[str, ...] = ()
    history: list[Snapshot] = field(default_factory=list)
    reads: list[Read] = field(
        default_factory=lambda: [read(), read(resource=TENANTS), read("cloudwatch:GetMetricData", "metrics")]
    )
    runbook: str | None = RUNBOOK
    policy: BreakerPolicy = field(default_factory=BreakerPolicy)
    now: datetime = NOW

    def table(self) -> Snapshots:
        points = pd.DataFrame({"connector": list(self.datapoints), "last_datapoint_at": list(self.datapoints.values())})
        return breaker_snapshot(
            items=self.items,
            tenants=self.tenants,
            registered_tools=self.registered,
            tool_slo_summary=points,
            connectors=self.connectors,
            history=self.history,
            now=self.now,
            policy=self.policy,
            table_name=TABLE,
        ).with_reads(self.reads, self.now)

    def observable(self) -> Judgement:
        return judge_state_observable(self.table(), policy=self.policy, now=self.now, links=LINKS)

    def operated(self) -> Judgement:
        found = read("file:Read", "runbook.md", ReadStatus.OK if self.runbook is not None else ReadStatus.NOT_FOUND)
        runbook = runbook_table(self.runbook, found, location="runbook.md", url="https://example.org/r.md", observed_at=self.now)
        return judge_operator_action(
            self.table(),
            runbook,
            policy=self.policy,
            runbook_policy=RunbookPolicy(),
            now=self.now,
            links=LINKS,
        )

    def seen_before(self, *items: dict[str, Any], seconds_ago: float = 60, datapoint: datetime | None = None) -> None:
        """Adds what an earlier run saw: a scan of `items`, `seconds_ago` before NOW."""
        at = NOW - timedelta(seconds=seconds_ago)
        points = dict.fromkeys(("internal", "crm_salesforce"), datapoint)
        earlier = Platform(items=list(items), datapoints=points, now=at, policy=self.policy)
        run = f"run-{len(self.history)}"
        self.history += [Snapshot(name, run, at, entry) for name, entry in snapshot_payloads(earlier.table()).items()]


def codes(judgement: Judgement) -> list[tuple[str, str, str]]:
    """Verdict, code and subject of every finding."""
    return [(str(finding.verdict), finding.code, finding.subject) for finding in judgement.findings]
