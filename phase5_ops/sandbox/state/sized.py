"""A healthy platform of any size: so many tenants, tools and connectors, each with the data that the platform would hold of it.

For tests and benchmarks of how a run grows with a platform. Plain data, the same for the same present, size and seed. Every row
that passes on the healthy platform passes on this one, too, while there are tools enough: a connector that no tool runs through
is unknown to the registry, which row 2.1 does not let pass.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.sandbox.state.autonomy import add_autonomous_account
from phase5_ops.sandbox.state.blueprint import TENANTS, Blueprint, Traffic, closed
from phase5_ops.sandbox.state.execution_trail import add_execution, add_records
from phase5_ops.sandbox.state.healthy import add_dashboard, add_tool, executed
from phase5_ops.sandbox.state.ordinary_logs import execution_logs, ordinary_executions
from phase5_ops.sandbox.state.records import ACCOUNTS

_TENANTS_A_TOOL = 100  # whose calls a tool's metrics name, at most: a tenant uses some of the tools
_DAYS = 7  # of approvals by policy, spread over the tenants


@dataclass(frozen=True, slots=True)
class Size:
    """How large a platform is, its own healthy part included.

    Attributes:
        tenants, tools, connectors: how many there are; no fewer than the healthy platform has.
        seed: of what is chosen by chance: which tenants use a tool.
    """

    tenants: int
    tools: int
    connectors: int
    seed: int = 5


def enlarge(blueprint: Blueprint, size: Size, region: str) -> None:
    """Adds tenants, connectors and tools to a healthy platform until it has as many as `size` says."""
    tenants = [f"tenant-{number:05d}" for number in range(size.tenants - len(blueprint.tenants))]
    _add_tenants(blueprint, tenants)
    present = {connector_of_tool(tool) for tool in blueprint.tools()} | {"calendar"}
    connectors = [f"connector-{number:03d}" for number in range(size.connectors - len(present))]
    for number, connector in enumerate(connectors):
        blueprint.breakers.append({"pk": f"CONNECTOR#{connector}", "sk": "CONCURRENCY", "in_flight_count": 0})
        if number % 2:
            blueprint.breakers.append(closed(blueprint, connector, seconds_ago=40))
    prefixes = connectors or ["internal"]
    tools = [f"{prefixes[number % len(prefixes)]}.tool_{number:03d}" for number in range(size.tools - len(blueprint.tools()))]
    _add_tools(blueprint, tools, tenants, region, random.Random(size.seed))  # noqa: S311 - made-up traffic, not a secret


def _add_tenants(blueprint: Blueprint, tenants: Sequence[str]) -> None:
    """Tenants with an account each, of which the tables, the ledger, the logs and the bill have something."""
    for number, tenant in enumerate(tenants):
        blueprint.add_tenant(tenant)
        owner = (tenant, f"acct-{tenant}-1")
        blueprint.add(ACCOUNTS, {"tenantId": tenant, "accountId": owner[1], "status": "active"})
        moment = blueprint.now - timedelta(days=number % _DAYS, minutes=30 + number % 60)
        add_autonomous_account(blueprint, owner, moment)
        add_execution(blueprint, executed(blueprint, tenant, "internal.create_note", days_ago=2 + number % 20))
    for execution in ordinary_executions(list(tenants), blueprint.now_ms, each=1):
        blueprint.logs += execution_logs(execution)
        add_records(blueprint, execution)


def _add_tools(blueprint: Blueprint, tools: Sequence[str], tenants: Sequence[str], region: str, chance: random.Random) -> None:
    """Tools with traffic of some of the tenants, both alarms, and their place on the dashboard."""
    every = (*TENANTS, *tenants)
    for number, tool in enumerate(tools):
        blueprint.action_types[f"USE_TOOL_{number:03d}"] = tool
        callers = tuple(chance.sample(every, min(_TENANTS_A_TOOL, len(every))))
        add_tool(blueprint, Traffic(tool, connector_of_tool(tool), tenants=callers), region)
    add_dashboard(blueprint, region)
