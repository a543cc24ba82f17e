"""The execution path of the sandbox's platform: takes an approved or replayed intent from the bus and really executes it.

The functions of the platform's state machine, one method each: starter, validator, mapper, invoker, recorder, failure recorder.
What they write is what was observed of CCNative, in the observed order. An event that cannot be started leaves a line in the
starter's log and nothing in the ledger, as there.
"""

import json
import logging
import secrets
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.awslambda.models import lambda_backends

from phase5_ops.clock import iso
from phase5_ops.sandbox.aws.access_trail import Actor, acting_as
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import from_item, to_item
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.ccnative.leaks import ExecutionLeaks
from phase5_ops.sandbox.ccnative.logs import Invocation
from phase5_ops.sandbox.ccnative.tool_invoker import PlatformError, ToolCall, ToolInvoker, ToolResult
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import other_tenant
from phase5_ops.sandbox.state.records import (
    ATTEMPTS,
    INTENTS,
    OUTCOMES,
    REGISTRY,
    SIGNALS,
    TENANTS,
    Item,
    account_key,
    attempt,
    idempotency_key,
    milliseconds,
    outcome,
    signal,
    signal_entry_data,
)

STATE_MACHINE = "cc-native-execution-orchestrator"
GLOBAL_STOP = "GLOBAL_EXECUTION_STOP"
STARTER, VALIDATOR = "cc-native-execution-starter", "cc-native-execution-validator"

_WORKERS = 4
_TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartedExecution:
    """One started execution.

    Attributes:
        intent: the intent's item.
        trace_id: the execution's own trace.
        attempt_id, attempt_count: of this attempt.
        key: the idempotency key.
        tool: the tool its action type is mapped to.
        started_at: when the attempt began.
        approval: approval_source and auto_executed, where the event had them.
        replay: of a replay, why and by whom it was asked for, as every REPLAY_* entry has it; None otherwise.
        ledger_tenant: the partition its entries go to; the intent's tenant, unless the platform has a fault.
    """

    intent: Item
    trace_id: str
    attempt_id: str
    attempt_count: int
    key: str
    tool: str
    started_at: datetime
    approval: Item
    replay: Item | None
    ledger_tenant: str

    @property
    def intent_id(self) -> str:
        """The intent's id."""
        return str(self.intent["action_intent_id"])

    @property
    def tenant(self) -> str:
        """The intent's tenant."""
        return str(self.intent["tenant_id"])

    @property
    def account(self) -> str:
        """The intent's account."""
        return str(self.intent["account_id"])

    @property
    def names(self) -> dict[str, str]:
        """What the platform's log lines name."""
        return {"action_intent_id": self.intent_id, "tenant_id": self.tenant, "account_id": self.account}


class Executor:
    """Executes what the bus delivers, on threads of its own."""

    def __init__(self, context: PlatformContext) -> None:
        self._aws, self._clock, self._logs, self._ledger = context.aws, context.clock, context.logs, context.ledger
        self._region, self._faults = context.region, context.platform_faults
        self._leaks = ExecutionLeaks(context)
        self._tools = ToolInvoker(context, self._leaks)
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="platform")
        self._running = 0
        self._changed = threading.Condition()

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Takes an event of the bus and returns at once."""
        if event.get("detail-type") == "REPLAY_REQUESTED" and PlatformFault.REPLAY_NOT_STARTED in self._faults:
            return
        with self._changed:
            self._running += 1
        try:
            self._pool.submit(self._run, event)
        except RuntimeError:  # it is being stopped
            self._finished()

    def wait_idle(self, timeout: float = 10.0) -> bool:
        """Waits until nothing is being executed; False if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout)

    def stop(self) -> None:
        """Ends the threads, and forgets what was not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _finished(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _run(self, event: Mapping[str, Any]) -> None:
        try:
            self._execute(event)
        except Exception:  # noqa: BLE001 - whatever an event holds, the sandbox goes on serving
            _log.exception("an execution of the sandbox ended in an error")
        finally:
            self._finished()

    def _execute(self, event: Mapping[str, Any]) -> None:
        trace_id = f"trace-{milliseconds(self._clock.now())}-{uuid.uuid4()}"
        execution = self._start(event, trace_id)
        if execution is None or (execution.replay and PlatformFault.REPLAY_NEVER_FINISHES in self._faults):
            return
        try:
            self._validate(execution)
            arguments = self._map(execution)
            result = self._invoke(execution, arguments)
        except PlatformError as error:
            self._record_failure(execution, error)
        else:
            self._record(execution, result)

    @contextmanager
    def _function(self, name: str, trace_id: str) -> Iterator[Invocation]:
        """An invocation of one of the platform's functions for an execution: its calls of AWS count as its work."""
        with acting_as(Actor(f"cc-native-{name}", trace_id)), self._logs.invocation(name) as lines:
            yield lines

    # StartExecution

    def _start(self, event: Mapping[str, Any], trace_id: str) -> StartedExecution | None:
        """Takes the attempt's lock and announces the execution; None if it cannot be started."""
        detail = event.get("detail")
        data = detail.get("data") if isinstance(detail, Mapping) else None
        data = data if isinstance(data, Mapping) else {}
        is_replay = event.get("detail-type") == "REPLAY_REQUESTED"
        names = {name: data.get(name) for name in ("action_intent_id", "tenant_id", "account_id")}
        with self._function("execution-starter", trace_id) as lines:
            lines.info("Execution starter invoked", **names, executionTraceId=trace_id, is_replay=is_replay)
            try:
                execution = self._locked(data, trace_id, is_replay=is_replay)
            except PlatformError as error:
                lines.error(
                    "Execution starter failed",
                    action_intent_id=data.get("action_intent_id"),
                    error=str(error),
                    errorName=error.name,
                    stack=f"{error.name}: {error}",
                )
                return None
            if execution.replay:
                self._append(execution, "REPLAY_STARTED", **execution.replay, attempt_id=execution.attempt_id)
            self._append(
                execution,
                "EXECUTION_STARTED",
                attempt_id=execution.attempt_id,
                attempt_count=execution.attempt_count,
                idempotency_key=execution.key,
                registry_version=1,
                decision_trace_id=execution.intent.get("trace_id"),
            )
            return execution

    def _locked(self, data: Mapping[str, Any], trace_id: str, *, is_replay: bool) -> StartedExecution:
        fields = [data.get(name) for name in ("action_intent_id", "tenant_id", "account_id")]
        if not all(isinstance(value, str) and value for value in fields):
            raise PlatformError("ValidationError", "action_intent_id, tenant_id, account_id required")
        intent_id, tenant, account = map(str, fields)
        intent = self._aws.get(INTENTS, pk=account_key(tenant, account), sk=f"ACTION_INTENT#{intent_id}")
        if intent is None:
            raise PlatformError("IntentNotFoundError", f"ActionIntent not found: {intent_id}")
        tool = self._tool_of(str(intent.get("action_type")))
        now = self._ledger.moment()
        attempt_id = f"attempt_{milliseconds(now)}_{secrets.token_hex(3)}"
        parameters = intent.get("parameters")
        key = idempotency_key(tenant, intent_id, tool, parameters if isinstance(parameters, Mapping) else {}, 1)
        count = self._lock(intent, attempt_id, key, trace_id, now, again=is_replay)
        asked = {name: str(data.get(name) or "") for name in ("replay_reason", "requested_by")}
        elsewhere = PlatformFault.OWN_REPLAY_RECORDED_ELSEWHERE if is_replay else PlatformFault.EXECUTION_RECORDED_ELSEWHERE
        return StartedExecution(
            intent=intent,
            trace_id=trace_id,
            attempt_id=attempt_id,
            attempt_count=count,
            key=key,
            tool=tool,
            started_at=now,
            approval={name: data[name] for name in ("approval_source", "auto_executed") if name in data},
            replay=asked if is_replay else None,
            ledger_tenant=other_tenant(tenant) if elsewhere in self._faults else tenant,
        )

    def _tool_of(self, action_type: str) -> str:
        """The tool of the registry's highest version of an action type."""
        found = self._aws.dynamodb.query(
            TableName=REGISTRY,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": f"ACTION_TYPE#{action_type}"}),
            ScanIndexForward=False,
            Limit=1,
        )["Items"]
        if not found:
            raise PlatformError("ValidationError", f"No tool mapping for action type: {action_type}")
        return str(from_item(found[0])["tool_name"])

    def _lock(self, intent: Item, attempt_id: str, key: str, trace_id: str, now: datetime, *, again: bool) -> int:
        """Takes the one attempt item of an intent; returns the number of this attempt.

        Raises:
            PlatformError: the intent is being executed, or it was and this is no replay.
        """
        first = attempt(intent, attempt_id=attempt_id, count=1, key=key, trace_id=trace_id, at=now)
        if self._aws.put(ATTEMPTS, first, once_by="pk"):
            return 1
        problem = PlatformError("ExecutionAlreadyStartedError", f"Execution already started for {intent['action_intent_id']}")
        known = self._aws.get(ATTEMPTS, pk=first["pk"], sk=first["sk"]) or {}
        abandoned = known.get("status") == "RUNNING" and int(known.get("ttl", 0)) < now.timestamp()
        if not again or not (known.get("status") in _TERMINAL or abandoned):
            raise problem
        count = int(known.get("attempt_count", 0)) + 1
        try:
            self._aws.dynamodb.put_item(
                TableName=ATTEMPTS,
                Item=to_item(first | {"attempt_count": count}),
                ConditionExpression="last_attempt_id = :last AND #s = :status",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues=to_item({":last": known["last_attempt_id"], ":status": known["status"]}),
            )
        except self._aws.dynamodb.exceptions.ConditionalCheckFailedException as error:
            raise problem from error
        return count

    # ValidatePreflight, MapActionToTool, InvokeTool

    def _validate(self, execution: StartedExecution) -> None:
        """Refuses an expired intent, and whatever a kill switch covers."""
        with self._function("execution-validator", execution.trace_id) as lines:
            lines.info("Execution validator invoked", **execution.names, trace_id=execution.trace_id)
            self._leaks.reads_before(execution.tenant, execution.account, execution.intent_id)
            try:
                self._check_stops(execution)
            except PlatformError as error:
                lines.error(
                    "Execution validation failed",
                    **execution.names,
                    error=str(error),
                    errorName=error.name,
                    errorClass=error.error_class,
                    errorCode=error.error_code,
                    retryable=False,
                    stack=f"{error.name}: {error}",
                )
                raise

    def _check_stops(self, execution: StartedExecution) -> None:
        now, expires = int(self._clock.now().timestamp()), execution.intent.get("expires_at_epoch")
        if expires is not None and int(expires) <= now:
            text = f"ActionIntent expired: {execution.intent_id} (expires_at_epoch: {expires}, now: {now})"
            raise PlatformError("IntentExpiredError", text, error_code="INTENT_EXPIRED")
        action_type = str(execution.intent.get("action_type"))
        tenant = self._aws.get(TENANTS, tenantId=execution.tenant) or {}
        switched_off = tenant.get("execution_enabled") is False or action_type in (tenant.get("disabled_action_types") or ())
        ignored = execution.replay is not None and PlatformFault.KILL_SWITCH_IGNORED in self._faults
        if (switched_off and not ignored) or self._globally_stopped():
            text = f"Execution disabled for tenant: {execution.tenant}, action_type: {action_type}"
            raise PlatformError("KillSwitchEnabledError", text, error_code="KILL_SWITCH_ENABLED")

    def _globally_stopped(self) -> bool:
        """Whether the validator's environment says so; no function, no stop."""
        functions = lambda_backends[ACCOUNT][self._region]
        found = [each for each in functions.list_functions() if each.function_name == VALIDATOR]
        return any(each.environment_vars.get(GLOBAL_STOP) == "true" for each in found)

    def _map(self, execution: StartedExecution) -> Mapping[str, Any]:
        with self._function("tool-mapper", execution.trace_id) as lines:
            lines.info("Tool mapper invoked", **execution.names, trace_id=execution.trace_id, registry_version=1)
            action_type = str(execution.intent.get("action_type"))
            self._aws.get(REGISTRY, pk=f"ACTION_TYPE#{action_type}", sk="REGISTRY_VERSION#1")
            parameters = execution.intent.get("parameters")
            return parameters if isinstance(parameters, Mapping) else {}

    def _invoke(self, execution: StartedExecution, arguments: Mapping[str, Any]) -> ToolResult:
        call = ToolCall(
            tool=execution.tool,
            arguments=arguments,
            intent_id=execution.intent_id,
            tenant=execution.tenant,
            account=execution.account,
            trace_id=execution.trace_id,
            idempotency_key=execution.key,
            fails=execution.replay is not None and PlatformFault.REPLAY_FAILS in self._faults,
        )
        with acting_as(Actor("cc-native-tool-invoker", execution.trace_id)):
            return self._tools.invoke(call)

    # RecordOutcome, RecordFailure

    def _record(self, execution: StartedExecution, result: ToolResult) -> None:
        """What the recorder does after a tool ran, whether that reported success or failure."""
        status = "FAILED" if result.error else "SUCCEEDED"
        codes = {"error_code": "UNKNOWN_ERROR", "error_class": "UNKNOWN"} if result.error else {}
        with self._function("execution-recorder", execution.trace_id) as lines:
            trace_id = execution.trace_id
            lines.info("Execution recorder invoked", action_intent_id=execution.intent_id, trace_id=trace_id, registry_version=1)
            completed = self._ledger.moment()
            error = codes | {"error_message": result.error} if result.error else None
            self._write_outcome(execution, completed, status, refs=result.refs, error=error, tool=execution.tool)
            self._close_attempt(execution, status)
            self._append(
                execution,
                "ACTION_FAILED" if result.error else "ACTION_EXECUTED",
                status=status,
                external_object_refs=result.refs,
                **codes,
                registry_version=1,
                decision_trace_id=execution.intent.get("trace_id"),
                attempt_count=execution.attempt_count,
            )
            self._append_end(execution, status)
            signal_id, kind = self._emit_signal(execution, completed, succeeded=result.error is None)
            lines.info(
                "Execution signal created",
                signalId=signal_id,
                signalType=kind,
                accountId=execution.account,
                tenantId=execution.tenant,
            )

    def _record_failure(self, execution: StartedExecution, problem: PlatformError) -> None:
        """What the failure recorder does where no tool ran: no signal, and an error class of its own."""
        cause = json.dumps(
            {"errorType": problem.name, "errorMessage": str(problem), "trace": [f"{problem.name}: {problem}"]},
            separators=(",", ":"),
        )
        error = {"error_class": "UNKNOWN", "error_code": "EXECUTION_FAILED", "error_message": cause}
        ids = {"action_intent_id": execution.intent_id, "trace_id": execution.trace_id}
        with self._function("execution-failure-recorder", execution.trace_id) as lines:
            lines.info("Execution failure recorder invoked", **ids, errorDetails={"Error": problem.name, "Cause": cause})
            written = self._write_outcome(execution, self._ledger.moment(), "FAILED", refs=[], error=error, tool=None)
            self._close_attempt(execution, "FAILED", last_error_class="UNKNOWN")
            self._append(
                execution, "ACTION_FAILED", **error, decision_trace_id=execution.intent.get("trace_id"), registry_version=1
            )
            self._append_end(execution, "FAILED")
            lines.info("Execution failure recorded", **ids, outcome=written)

    def _write_outcome(
        self, execution: StartedExecution, at: datetime, status: str, *, refs: list[Item], error: Item | None, tool: str | None
    ) -> Item:
        """Writes the outcome once per intent: a replay's does not replace that of the first execution."""
        whole = outcome(
            execution.intent,
            status=status,
            trace_id=execution.trace_id,
            started_at=execution.started_at,
            at=at,
            count=execution.attempt_count,
            tool=tool,
            refs=refs,
            error=error,
            approval=execution.approval,
        )
        item = self._leaks.outcome(whole)
        if item is None:
            return whole
        self._leaks.cache_outcome(item)
        if self._aws.put(OUTCOMES, item, once_by="pk"):
            return item
        return self._aws.get(OUTCOMES, pk=item["pk"], sk=item["sk"]) or item

    def _close_attempt(self, execution: StartedExecution, status: str, **more: str) -> None:
        now = iso(self._ledger.moment())
        values = {":status": status, ":now": now, ":updated": f"UPDATED_AT#{now}", ":mine": execution.attempt_id}
        extra = "".join(f", {name} = :{name}" for name in more)
        try:
            self._aws.dynamodb.update_item(
                TableName=ATTEMPTS,
                Key=to_item({"pk": account_key(execution.tenant, execution.account), "sk": f"EXECUTION#{execution.intent_id}"}),
                UpdateExpression=f"SET #s = :status, updated_at = :now, gsi1sk = :updated, gsi2sk = :updated{extra}",
                ConditionExpression="last_attempt_id = :mine",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues=to_item(values | {f":{name}": value for name, value in more.items()}),
            )
        except self._aws.dynamodb.exceptions.ConditionalCheckFailedException:
            _log.info("the attempt of %s was removed or taken over meanwhile", execution.intent_id)

    def _append(self, execution: StartedExecution, event_type: str, **data: Any) -> None:  # noqa: ANN401 - values of a ledger entry
        if self._leaks.loses_entry(event_type):
            return
        whole = {"action_intent_id": execution.intent_id, **data}
        self._ledger.append(
            event_type,
            tenant=execution.ledger_tenant,
            account=execution.account,
            trace_id=execution.trace_id,
            data=self._leaks.entry_data(event_type, execution.tenant, whole),
        )

    def _append_end(self, execution: StartedExecution, status: str) -> None:
        """The terminal REPLAY_* entry of a replay; it lies between the action's entry and the signal."""
        if execution.replay:
            event_type = "REPLAY_COMPLETED" if status == "SUCCEEDED" else "REPLAY_FAILED"
            self._append(execution, event_type, status=status, **execution.replay)

    def _emit_signal(self, execution: StartedExecution, completed: datetime, *, succeeded: bool) -> tuple[str, str]:
        item = signal(
            execution.intent,
            succeeded=succeeded,
            trace_id=execution.trace_id,
            completed_at=completed,
            at=self._ledger.moment(),
        )
        self._aws.put(SIGNALS, self._leaks.signal(item))
        data, references = signal_entry_data(item)
        self._ledger.append(
            "SIGNAL",
            tenant=execution.ledger_tenant,
            account=execution.account,
            trace_id=execution.trace_id,
            data=data,
            evidence_refs=references,
        )
        signal_id, kind = str(item["signalId"]), str(item["signalType"])
        detail = {
            "eventType": "SIGNAL_CREATED",
            "source": "perception",
            "payload": {"signalId": signal_id, "signalType": kind, "accountId": execution.account},
            "traceId": execution.trace_id,
            "tenantId": execution.tenant,
            "ts": item["createdAt"],
        }
        self._aws.put_event("cc-native.perception", "SIGNAL_CREATED", self._leaks.event_detail(detail))
        return signal_id, kind
