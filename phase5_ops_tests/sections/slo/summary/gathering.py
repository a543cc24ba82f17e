"""How the tables of row 1.1 are gathered, against a fake CloudWatch: readers first, then the pure evidence functions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from phase5_ops.aws.dashboards import read_dashboards
from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.aws.metrics import list_metric_sets, read_metric_data
from phase5_ops.ccnative.metrics import ERROR, LATENCY, SUCCESS, TOOL_METRICS
from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.ccnative.registry import Registry, registered_tools
from phase5_ops.evidence.history import History
from phase5_ops.policy import SloPolicy, ToolSetting
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.slo.summary.dashboards import dashboard_coverage
from phase5_ops.sections.slo.summary.evidence import Summary, error_sets, tool_slo_summary
from phase5_ops.sections.slo.summary.judges.visible import MetricsCase
from phase5_ops.sections.slo.summary.plan import plan
from phase5_ops.sections.slo.summary.set_history import known_sets
from phase5_ops_tests.aws.fake_cloudwatch import FakeCloudWatch

NAMESPACE = "CCNative/Execution"
NOW = datetime(2026, 11, 23, 9, 16, 41, tzinfo=UTC)
LINKS = ConsoleLinks("us-east-1")
GOOD_READ = Read("dynamodb:Scan", "cc-native-action-type-registry", ReadStatus.OK, None, 1, "", "")
TOOLS = ("crm.create_task", "internal.create_note")


def registry_item(tool: str, action_type: str | None = None, version: int = 1) -> dict[str, dict[str, str]]:
    """An item of the action type registry as the platform seeds it."""
    action_type = action_type or tool.upper().replace(".", "_")
    return {
        "pk": {"S": f"ACTION_TYPE#{action_type}"},
        "sk": {"S": f"REGISTRY_VERSION#{version}"},
        "action_type": {"S": action_type},
        "tool_name": {"S": tool},
        "registry_version": {"N": str(version)},
    }


def search_dashboard() -> str:
    """A dashboard that shows every tool by SEARCH."""
    base, full = "{CCNative/Execution,tool_name,connector_id}", "{CCNative/Execution,tool_name,connector_id,tenant_id}"
    lines = [
        [{"expression": f"SEARCH('{base} MetricName=\"{LATENCY}\"', 'p99', 300)", "id": "e1"}],
        [{"expression": f"SEARCH('{base} MetricName=\"{SUCCESS}\"', 'Sum', 300)", "id": "e2"}],
        [{"expression": f"SEARCH('{full} MetricName=\"{ERROR}\"', 'Sum', 300)", "id": "e3"}],
    ]
    return json.dumps({"widgets": [{"type": "metric", "properties": {"region": "us-east-1", "metrics": lines}}]})


@dataclass
class World:
    """A platform to judge: its metrics, dashboards, registry, policy and time."""

    cloudwatch: FakeCloudWatch = field(default_factory=lambda: FakeCloudWatch(dashboards={"tools": search_dashboard()}))
    items: list[dict[str, object]] = field(default_factory=lambda: [registry_item(tool) for tool in TOOLS])
    tools: Sequence[ToolSetting] = ()
    policy: SloPolicy = field(default_factory=SloPolicy)
    now: datetime = NOW
    read_at: datetime = NOW
    canaries: frozenset[str] = frozenset()
    registry_read: Read = GOOD_READ
    history: History | None = None

    def calls(
        self,
        tool: str,
        count: int,
        *,
        ago: timedelta = timedelta(minutes=10),
        latency: float = 200,
        failed: int = 0,
        tenant: str | None = None,
        connector: str | None = None,
    ) -> "World":
        """Calls as the platform emits them: `count` in all at one moment, of which `failed` failed for tenant t1."""
        base = {"tool_name": tool, "connector_id": connector or connector_of_tool(tool)}
        at = self.now - ago
        good = base | ({"tenant_id": tenant} if tenant else {})
        bad = base | {"tenant_id": tenant or "t1"}
        for metric, dimensions, value, number in (
            (LATENCY, good, latency, count - failed),
            (SUCCESS, good, 1, count - failed),
            (LATENCY, bad, latency, failed),
            (ERROR, bad, 1, failed),
        ):
            self.cloudwatch.put(metric, at, dimensions, value, number)
        return self

    def steady(self, *tools: str, hours: int = 24, each: int = 20) -> "World":
        """Good traffic in every hour for these tools, the last of it five minutes old."""
        for tool in tools or TOOLS:
            for hour in range(hours):
                self.calls(tool, each, ago=timedelta(hours=hour, minutes=10))
            self.calls(tool, each, ago=timedelta(minutes=6))
        return self

    def registered(self) -> Registry:
        """The table registered_tools."""
        return registered_tools(self.items, self.registry_read, self.tools, observed_at=self.now)

    def summary(self) -> Summary:
        """The table tool_slo_summary."""
        registered = self.registered()
        with TemporaryDirectory() as folder:
            history = self.history or History(Path(folder) / "history.db")
            listed, listing = list_metric_sets(self.cloudwatch, NAMESPACE, TOOL_METRICS)
            known = known_sets(history, "scope", listed, now=self.now, whole=listing.status is ReadStatus.OK)
        series, data_reads = read_metric_data(
            self.cloudwatch, NAMESPACE, plan(known.metric_sets, self.policy, now=self.now, read_at=self.read_at)
        )
        bodies, dashboard_reads = read_dashboards(self.cloudwatch)
        coverage = dashboard_coverage(
            bodies, registered.rows, error_sets(series), namespace=NAMESPACE, region=self.cloudwatch.region, account=None
        )
        return tool_slo_summary(
            series,
            known,
            registered.rows,
            coverage,
            policy=self.policy,
            canary_tenants=self.canaries,
            now=self.now,
            reads=[listing, *data_reads, *dashboard_reads],
        )

    def judge(self, judge):
        """A judge's answer about this world."""
        return judge(MetricsCase(self.summary(), self.registered(), self.policy, self.now, LINKS, NAMESPACE))
