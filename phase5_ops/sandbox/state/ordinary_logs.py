"""What ordinary executions of the healthy platform leave in the logs and the tables: plain data for a blueprint.

Each execution runs through the platform's functions, each in an invocation of its own with Lambda's START, END and REPORT lines.
Lines are the platform's own, with one difference: the adapter names the intent it works for, as its plan says it should.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.ccnative.ledger import stamp_of
from phase5_ops.sandbox.state.records import ATTEMPT_TTL, ATTEMPTS, OUTCOMES, attempt, idempotency_key, outcome

GROUP_PREFIX = "/aws/lambda/cc-native-"
#: What every ordinary execution calls.
TOOL = "internal.create_note"
#: The name that a function's logger gives itself.
SERVICE_OF = {
    "execution-starter": "ExecutionStarterHandler",
    "execution-validator": "ExecutionValidatorHandler",
    "tool-mapper": "ToolMapperHandler",
    "tool-invoker": "ToolInvokerHandler",
    "execution-recorder": "ExecutionRecorderHandler",
    "execution-failure-recorder": "ExecutionFailureRecorderHandler",
    "internal-adapter-handler": "InternalAdapterHandler",
    "crm-adapter-handler": "CrmAdapterHandler",
    "autonomy-admin-api": "AutonomyAdminAPI",
    "execution-status-api": "ExecutionStatusAPIHandler",
    "audit-export-worker": "AuditExportWorker",
}

#: What a function logs: level, message, fields of the line's JSON object.
Said = tuple[str, str, Mapping[str, Any]]


@dataclass(frozen=True)
class LogLine:
    """One event: function, milliseconds before the platform's present, message."""

    function: str
    stream: str
    ago_ms: int
    message: str


@dataclass(frozen=True)
class OrdinaryExecution:
    """The ids of one ordinary execution, made from its tenant and number so that a scenario is the same each time."""

    tenant: str
    number: int
    ago_ms: int
    now_ms: int

    @property
    def _digest(self) -> str:
        return hashlib.sha256(f"{self.tenant}/{self.number}".encode()).hexdigest()

    @property
    def started(self) -> int:
        """Epoch milliseconds of its first line."""
        return self.now_ms - self.ago_ms

    @property
    def account(self) -> str:
        """The account it works for."""
        return f"acct-{self._digest[:4]}"

    @property
    def trace(self) -> str:
        """The execution trace."""
        return f"trace-{self.started}-{as_uuid(self._digest)}"

    @property
    def intent(self) -> str:
        """The action intent."""
        return f"ai_{self.started - 20}_{self._digest[:6]}"

    def request(self, step: int) -> str:
        """The Lambda request id of one step."""
        return as_uuid(hashlib.sha256(f"{self._digest}{step}".encode()).hexdigest())


def as_uuid(digest: str) -> str:
    """A hex digest in the form of a version 4 UUID."""
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


def logged(stamp: str, level: str, service: str, message: str, fields: Mapping[str, Any]) -> str:
    """A line as the platform's logger writes it; `stamp` is its time."""
    content = json.dumps(fields, separators=(",", ":"), ensure_ascii=False, default=str)
    return f"[{stamp}] [{level}] [{service}] {message} {content}"


def invocation(execution: OrdinaryExecution, step: int, function: str, lines: list[Said]) -> list[LogLine]:
    """One invocation: START, the lines, END and REPORT, each a millisecond after the one before."""
    request = execution.request(step)
    stream = f"{stamp_of(execution.now_ms)[:10].replace('-', '/')}/[$LATEST]{hashlib.sha256(function.encode()).hexdigest()[:32]}"
    texts = [f"START RequestId: {request} Version: $LATEST"]
    at = execution.ago_ms - 40 * step
    for offset, (level, message, fields) in enumerate(lines):
        stamp = stamp_of(execution.now_ms - at + offset + 1)
        texts.append(f"{stamp}\t{request}\t{level}\t{logged(stamp, level, SERVICE_OF[function], message, fields)}")
    texts += [f"END RequestId: {request}", f"REPORT RequestId: {request}\tDuration: 12.34 ms\tBilled Duration: 13 ms"]
    return [LogLine(function, stream, at - offset, text) for offset, text in enumerate(texts)]


def execution_logs(execution: OrdinaryExecution) -> list[LogLine]:
    """The lines of one execution that succeeds."""
    e = execution
    scope = {"tenant_id": e.tenant, "account_id": e.account}
    both = {"action_intent_id": e.intent, **scope, "trace_id": e.trace}
    tool = TOOL
    signal = {"signalId": f"exec-{e.intent}-{e.account}-ACTION_EXECUTED", "accountId": e.account, "tenantId": e.tenant}
    started = {"action_intent_id": e.intent, **scope, "executionTraceId": e.trace, "is_replay": False}
    invoked = {"action_intent_id": e.intent, "tool_name": tool, "trace_id": e.trace}
    said: list[tuple[str, str, Mapping[str, Any]]] = [
        ("execution-starter", "Execution starter invoked", started),
        ("execution-validator", "Execution validator invoked", both),
        ("tool-mapper", "Tool mapper invoked", {**both, "registry_version": 1}),
        ("tool-invoker", "Tool invoker invoked", invoked),
        ("tool-invoker", "MCP tools/call response", {"tool_name": tool, "status": 200}),
        ("internal-adapter-handler", "Gateway Lambda invocation", {"toolName": tool, "action_intent_id": e.intent}),
        ("internal-adapter-handler", "Internal note created", {"noteId": f"note_{e.started}", **scope}),
        ("execution-recorder", "Execution recorder invoked", {"action_intent_id": e.intent, "trace_id": e.trace}),
        ("execution-recorder", "Execution signal created", signal),
    ]
    steps: dict[str, list[Said]] = {}
    for function, message, fields in said:
        steps.setdefault(function, []).append(("INFO", message, fields))
    return [line for step, (function, lines) in enumerate(steps.items()) for line in invocation(e, step, function, lines)]


def ledger_items(execution: OrdinaryExecution) -> list[dict[str, Any]]:
    """The ledger entries of one execution that succeeds, in DynamoDB JSON."""
    items = []
    for offset, event in enumerate(("EXECUTION_STARTED", "ACTION_EXECUTED", "SIGNAL")):
        at = stamp_of(execution.started + 5 + 40 * offset)
        entry = f"entry-{execution.started}-{execution.request(100 + offset)}"
        plain = {
            "pk": f"TENANT#{execution.tenant}",
            "sk": f"ENTRY#{at}#{entry}",
            "gsi1pk": f"TRACE#{execution.trace}",
            "gsi1sk": at,
            "gsi2pk": f"TENANT#{execution.tenant}",
            "gsi2sk": at,
            "eventType": event,
            "tenantId": execution.tenant,
            "accountId": execution.account,
            "traceId": execution.trace,
            "timestamp": at,
            "entryId": entry,
        }
        data = {} if event == "SIGNAL" else {"action_intent_id": {"S": execution.intent}, "attempt_count": {"N": "1"}}
        if event == "ACTION_EXECUTED":
            data["status"] = {"S": "SUCCEEDED"}
        items.append({**{name: {"S": value} for name, value in plain.items()}, "data": {"M": data}})
    return items


def stored_records(execution: OrdinaryExecution) -> list[tuple[str, dict[str, Any]]]:
    """The outcome of one execution that succeeds, and its attempt while that is kept, as plain items with their tables."""
    e = execution
    started, now = (datetime.fromtimestamp(at / 1000, UTC) for at in (e.started, e.now_ms))
    intent = {"tenant_id": e.tenant, "account_id": e.account, "action_intent_id": e.intent}
    approval = {"approval_source": "HUMAN", "auto_executed": False}
    ended = started + timedelta(milliseconds=40)
    made = outcome(
        intent, status="SUCCEEDED", trace_id=e.trace, started_at=started, at=ended, count=1, tool=TOOL, approval=approval
    )
    found = [(OUTCOMES, made)]
    if started + ATTEMPT_TTL > now:
        key, attempt_id = idempotency_key(e.tenant, e.intent, TOOL, {}, 1), f"attempt_{e.started}_{e.intent[-6:]}"
        lock = attempt(intent, attempt_id=attempt_id, count=1, key=key, trace_id=e.trace, at=started, status="SUCCEEDED")
        found.append((ATTEMPTS, lock))
    return found


def ordinary_executions(tenants: list[str], now_ms: int, *, each: int = 3) -> list[OrdinaryExecution]:
    """`each` executions of every tenant over the last hours, never two in one second."""
    return [
        OrdinaryExecution(tenant, number, ago_ms=(number + 1) * 3_600_000 - 2_000 * index, now_ms=now_ms)
        for index, tenant in enumerate(tenants)
        for number in range(each)
    ]
