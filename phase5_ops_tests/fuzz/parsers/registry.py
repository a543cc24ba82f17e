"""Items of the action type registry and of the tenants' register: which tools and tenants there are."""

from functools import cache

from phase5_ops.ccnative.registry import malformed_reads
from phase5_ops.ccnative.tenant_register import parse_tenants
from phase5_ops.sections.slo.summary.judges.visible import MetricsCase, judge_metrics_visible
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.costs.bill.cost_platform import tenant
from phase5_ops_tests.sections.slo.summary.gathering import LINKS, NAMESPACE, TOOLS, World, registry_item

READS = "items of the action type registry and of the tenants' register (`ccnative/registry`, `ccnative/tenant_register`)"
MALFORMED = (
    "`registry_record_malformed` in row 1.1, an INVALID read in rows that build on it; a malformed tenant in row 5.2; never PASS"
)

BROKEN = {
    "pk": ({"S": "ACTION_TYPE#"}, {"S": "X"}, {"N": "1"}, None, {"S": "\ud800"}),
    "sk": ({"S": "REGISTRY_VERSION#x"}, {"S": "REGISTRY_VERSION#"}, {"S": "REGISTRY_VERSION#2"}, {"BOOL": True}),
    "action_type": ({"S": ""}, {"S": "OTHER"}, {"N": "1"}, "x", None),
    "tool_name": ({"S": ""}, {"S": "gateway___"}, {"M": {}}, None, {"S": "\ud800"}),
    "registry_version": ({"N": "-1"}, {"N": "1.0"}, {"N": "9" * 5000}, {"S": "1"}, {"N": 1}),
}


@cache
def _world() -> tuple[World, object]:
    world = World().steady()
    return world, world.summary()


def fuzz(data: bytes) -> None:
    """Judges row 1.1 with altered items; an item that is surely broken never passes."""
    source = Source(data)
    broken = source.chance(2)
    world, summary = _world()
    items = source.changed([registry_item(tool) for tool in TOOLS], attributes=True)
    items = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []  # a table holds items only
    if broken:
        name = source.one_of(sorted(BROKEN))
        items.append({**registry_item("erp.sync"), name: source.one_of(BROKEN[name])})
    world = World(cloudwatch=world.cloudwatch, items=items)
    registered = world.registered()
    malformed_reads(registered)
    judgement = judge_metrics_visible(MetricsCase(summary, registered, world.policy, world.now, LINKS, NAMESPACE))
    if not data:
        assert judgement.verdict is Verdict.PASS, judgement.findings
    assert not broken or judgement.verdict is not Verdict.PASS, "a broken item passes"
    tenants = source.changed([tenant("acme"), tenant("globex", createdAt={"S": "2026-11-01T00:00:00Z"})], attributes=True)
    listed = tenants if isinstance(tenants, list) else [tenants]
    found, malformed = parse_tenants(listed, "cc-native-tenants")
    assert len(found) + len(malformed) <= len(listed), "a tenant of nothing"
    assert all(each.problem for each in malformed), "does not say why"
