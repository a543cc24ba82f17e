"""The tool invoker and the adapters behind it: runs one tool for one intent, through breaker, slots and metrics.

Internal tools write their note or task; the CRM tool writes its two idempotency items, and its object exists in the reference
alone. A call that the tool answers with a failure is a success to breaker and metrics, as on the platform.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from phase5_ops.ccnative.metrics import CONNECTOR_DIMENSION, LATENCY, SUCCESS, TENANT_DIMENSION, TOOL_DIMENSION
from phase5_ops.ccnative.names import connector_of_tool
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import to_item
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.ccnative.leaks import ExecutionLeaks
from phase5_ops.sandbox.state.blueprint import DAY, NAMESPACE
from phase5_ops.sandbox.state.records import (
    DEDUPE,
    NOTES,
    RESILIENCE,
    TASKS,
    Item,
    account_key,
    gateway_name,
    milliseconds,
    note,
    remembered_write,
    task,
)

MAX_IN_FLIGHT = 20
BREAKER_TTL_DAYS = 14
TENANT_SAMPLE = 100
"""One success in so many carries the tenant dimension."""

_REQUIRED = {"internal.create_note": "content", "internal.create_task": "title", "crm.create_task": "title"}


class PlatformError(Exception):
    """A step of an execution refused or failed, as the state machine sees it.

    Attributes:
        name: the error's name (`KillSwitchEnabledError`).
        error_class, error_code: as the platform classifies it.
    """

    def __init__(
        self, name: str, message: str, *, error_class: str = "VALIDATION", error_code: str = "VALIDATION_FAILED"
    ) -> None:
        super().__init__(message)
        self.name, self.error_class, self.error_code = name, error_class, error_code


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        tool: canonical name.
        arguments: the tool's parameters.
        intent_id, tenant, account, trace_id: whose call it is.
        idempotency_key: the execution's.
        fails: whether the tool is to report a failure.
    """

    tool: str
    arguments: Mapping[str, Any]
    intent_id: str
    tenant: str
    account: str
    trace_id: str
    idempotency_key: str
    fails: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool reported: references of what it made, or why it failed."""

    refs: list[Item]
    error: str | None = None


class ToolInvoker:
    """Calls tools; safe for several threads."""

    def __init__(self, context: PlatformContext, leaks: ExecutionLeaks) -> None:
        self._leaks = leaks
        self._aws, self._clock, self._logs, self._region = context.aws, context.clock, context.logs, context.region

    def invoke(self, call: ToolCall) -> ToolResult:
        """Runs the tool.

        Raises:
            PlatformError: its breaker is open, or all slots are taken.
        """
        connector, name = connector_of_tool(call.tool), gateway_name(call.tool)
        with self._logs.invocation("tool-invoker") as lines:
            host = f"cc-native-execution-gateway.gateway.{self._region}.amazonaws.com"
            lines.info(
                "Tool invoker invoked",
                action_intent_id=call.intent_id,
                tool_name=name,
                trace_id=call.trace_id,
                gateway_url_host=host,
            )
            began = time.perf_counter()
            self._enter_breaker(connector)
            self._take_slot(connector)
            try:
                lines.info(
                    "MCP tools/call request",
                    action_intent_id=call.intent_id,
                    tool_name=name,
                    gateway_url_host=host,
                    params_name=name,
                    params_arguments_keys=_argument_keys(call),
                )
                result = self._adapter(call)
            finally:
                self._count_slots(connector, -1)
            self._note_success(connector)
            self._emit(call, connector, (time.perf_counter() - began) * 1000)
            return result

    def _enter_breaker(self, connector: str) -> None:
        state = self._aws.get(RESILIENCE, pk=f"CONNECTOR#{connector}", sk="STATE") or {}
        now = int(self._clock.now().timestamp())
        refused = None
        if state.get("state") == "OPEN" and int(state.get("open_until_epoch_sec", 0)) > now:
            refused = f"Circuit open for {connector}"
        if state.get("state") == "HALF_OPEN" and state.get("half_open_probe_in_flight"):
            refused = f"Probe in flight for {connector}"
        if refused:
            raise PlatformError("TransientError", refused, error_class="DOWNSTREAM", error_code="CIRCUIT_OPEN")
        if state.get("state") == "OPEN":
            self._aws.dynamodb.update_item(
                TableName=RESILIENCE,
                Key=to_item({"pk": f"CONNECTOR#{connector}", "sk": "STATE"}),
                UpdateExpression="SET #s = :half, half_open_probe_in_flight = :yes, ttl_epoch_sec = :ttl"
                " REMOVE open_until_epoch_sec",
                ConditionExpression="#s = :open",
                ExpressionAttributeNames={"#s": "state"},
                ExpressionAttributeValues=to_item(
                    {":half": "HALF_OPEN", ":yes": True, ":open": "OPEN", ":ttl": now + BREAKER_TTL_DAYS * DAY}
                ),
            )

    def _note_success(self, connector: str) -> None:
        """A success writes only where the breaker has an item: it is closed, and its window begins anew."""
        key = {"pk": f"CONNECTOR#{connector}", "sk": "STATE"}
        if self._aws.get(RESILIENCE, **key) is None:
            return
        now = int(self._clock.now().timestamp())
        fresh = {
            "state": "CLOSED",
            "failure_count": 0,
            "window_start_epoch_sec": now,
            "ttl_epoch_sec": now + BREAKER_TTL_DAYS * DAY,
        }
        self._aws.put(RESILIENCE, key | fresh)

    def _take_slot(self, connector: str) -> None:
        failed = self._aws.dynamodb.exceptions.ConditionalCheckFailedException
        try:
            self._count_slots(connector, +1)
        except failed as error:
            raise PlatformError(
                "TransientError", f"No slot free for {connector}", error_class="RATE_LIMIT", error_code="BACKPRESSURE"
            ) from error

    def _count_slots(self, connector: str, change: int) -> None:
        limit = {"ConditionExpression": "attribute_not_exists(in_flight_count) OR in_flight_count < :max"} if change > 0 else {}
        values = {":change": change} | ({":max": MAX_IN_FLIGHT} if change > 0 else {})
        self._aws.dynamodb.update_item(
            TableName=RESILIENCE,
            Key=to_item({"pk": f"CONNECTOR#{connector}", "sk": "CONCURRENCY"}),
            UpdateExpression="ADD in_flight_count :change",
            ExpressionAttributeValues=to_item(values),
            **limit,
        )

    def _emit(self, call: ToolCall, connector: str, latency_ms: float) -> None:
        dimensions = [{"Name": TOOL_DIMENSION, "Value": call.tool}, {"Name": CONNECTOR_DIMENSION, "Value": connector}]
        if secrets.randbelow(TENANT_SAMPLE) == 0:
            dimensions.append({"Name": TENANT_DIMENSION, "Value": call.tenant})
        shared = {"Timestamp": self._clock.now(), "Dimensions": dimensions}
        cloudwatch_backends[ACCOUNT][self._region].put_metric_data(
            NAMESPACE,
            [
                {"MetricName": LATENCY, "Value": round(latency_ms, 3), "Unit": "Milliseconds", **shared},
                {"MetricName": SUCCESS, "Value": 1.0, "Unit": "Count", **shared},
            ],
        )

    def _adapter(self, call: ToolCall) -> ToolResult:
        internal = call.tool.startswith("internal.")
        message_id = f"invoke-{milliseconds(self._clock.now())}"
        with self._logs.invocation("internal-adapter-handler" if internal else "crm-adapter-handler") as lines:
            lines.info(
                "Gateway Lambda invocation",
                toolName=call.tool,
                gatewayId="cc-native-execution-gateway",
                targetId=call.tool.replace(".", "-").replace("_", "-"),
                mcpMessageId=message_id,
                action_intent_id=call.intent_id,  # CCNative's adapters name none; its plan says that they should
                eventKeys=_argument_keys(call),
            )
            problem = _problem(call)
            if problem:
                name = f"ValidationError - {problem}"
                lines.error(
                    f"Adapter execute() failed: {name}", toolName=call.tool, invocationId=message_id, errorName="ValidationError"
                )
                return ToolResult([], problem)
            at = self._clock.now()
            if not internal:
                return ToolResult([self._crm_task(call, at)])
            kind = "note" if call.tool.endswith("note") else "task"
            object_id = f"{kind}_{milliseconds(at)}_{secrets.token_hex(3)}"
            self._internal_object(call, kind, object_id, at, message_id)
            lines.info(f"Internal {kind} created", **{f"{kind}Id": object_id}, tenant_id=call.tenant, account_id=call.account)
            reference = {"system": "INTERNAL", "object_type": kind.title(), "object_id": object_id}
            self._leaks.remember_write(call.tenant, call.intent_id, call.tool, call.arguments, [reference])
            return ToolResult([reference])

    def _internal_object(self, call: ToolCall, kind: str, object_id: str, at: datetime, created_by: str) -> None:
        if kind == "note":
            content = str(call.arguments["content"])
            item = note(call.tenant, call.account, note_id=object_id, content=content, at=at, created_by=created_by)
            self._aws.put(NOTES, self._leaks.note(item))
            return
        fields = {name: str(call.arguments[name]) for name in ("title", "description") if name in call.arguments}
        self._aws.put(TASKS, task(call.tenant, call.account, task_id=object_id, fields=fields, at=at, created_by=created_by))

    def _crm_task(self, call: ToolCall, at: datetime) -> Item:
        """Makes the CRM's task once for an idempotency key, and remembers it for seven days."""
        if known := self._aws.get(DEDUPE, pk=f"IDEMPOTENCY_KEY#{call.idempotency_key}", sk="LATEST"):
            reference: Item = known["external_object_refs"][0]
            return reference
        self._aws.get("cc-native-connector-config", pk=account_key(call.tenant, call.account), sk="CONNECTOR#salesforce")
        object_id = f"00T{secrets.token_hex(6)}"
        reference = {
            "system": "CRM",
            "object_type": "Task",
            "object_id": object_id,
            "object_url": f"https://example.my.salesforce.com/{object_id}",
        }
        for item in remembered_write(call.idempotency_key, refs=[reference], intent_id=call.intent_id, tool=call.tool, at=at):
            self._aws.put(DEDUPE, item)
        return reference


def _argument_keys(call: ToolCall) -> list[str]:
    return [*call.arguments, "idempotency_key", "action_intent_id", "tenant_id", "account_id"]


def _problem(call: ToolCall) -> str | None:
    """Why the tool reports a failure, if it does."""
    if call.tool not in _REQUIRED:
        return f"Unknown tool: {call.tool}"
    if not call.arguments.get(_REQUIRED[call.tool]):
        return f"Missing required field: {_REQUIRED[call.tool]}"
    return "The tool reported a failure" if call.fails else None
