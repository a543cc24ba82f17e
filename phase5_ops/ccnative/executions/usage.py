"""Measured usage: executions by tenant and tool, counted from the outcomes table. Pure.

One outcome is one execution of a tool for a tenant, whatever its status: a failed call used the platform too. `tool_name` has the
gateway's form; `unknown` stands for an execution that failed before its tool.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from phase5_ops.ccnative.attributes import AttributeProblem, MalformedRecord, as_item, moment, required, shown, text
from phase5_ops.ccnative.autonomy import owner_of_key
from phase5_ops.ccnative.names import canonical_tool, connector_of_tool

#: The attributes of an outcome that are needed.
ATTRIBUTES = ("pk", "sk", "tenant_id", "tool_name", "completed_at")

UNKNOWN_TOOL = "unknown"
_KEPT_MALFORMED = 50


@dataclass
class ExecutionUsage:
    """Counts outcomes completed from `start` to before `end`, page by page; memory grows with tenants, not with executions."""

    start: datetime
    end: datetime
    table: str
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (tenant, canonical tool)
    malformed: list[MalformedRecord] = field(default_factory=list)
    further_malformed: int = 0

    def take(self, items: Iterable[object]) -> None:
        """Counts the items of one page, DynamoDB JSON."""
        for entry in items:
            key = shown(entry)
            try:
                item = as_item(entry)
                key = f"{shown(item.get('pk'))} {shown(item.get('sk'))}"
                tenant = required(text(item, "tenant_id") or None, "tenant_id")
                tool = required(text(item, "tool_name") or None, "tool_name")
                _own_partition(item, tenant)
                completed = required(moment(item, "completed_at"), "completed_at")
            except AttributeProblem as problem:
                self._note(MalformedRecord(self.table, key, problem.attribute, problem.problem))
                continue
            if self.start <= completed < self.end:
                self.counts[tenant, canonical_tool(tool)] += 1

    def _note(self, record: MalformedRecord) -> None:
        if len(self.malformed) < _KEPT_MALFORMED:
            self.malformed.append(record)
        else:
            self.further_malformed += 1


def _own_partition(item: Mapping[str, Any], tenant: str) -> None:
    """An outcome that lies in another tenant's partition is counted for neither: who used the platform cannot be told."""
    pk = text(item, "pk")
    if pk is not None and owner_of_key(pk)[0] != tenant:
        raise AttributeProblem("tenant_id", f"names {shown(tenant)} under {shown(pk)}")


def connector_of_usage(tool: str) -> str:
    """The connector an execution ran through; "" where it failed before its tool was known."""
    return "" if tool == UNKNOWN_TOOL else connector_of_tool(tool)
