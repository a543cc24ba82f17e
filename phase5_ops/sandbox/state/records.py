"""The items that the platform writes: intents, attempts, outcomes, ledger entries, signals, notes and tasks. Pure builders.

Plain Python values (text, int, bool, list, dict), ready to be serialized. Both the running executor and the seeded past use
them, so that what a scenario starts with looks like what the platform goes on writing.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

from phase5_ops.clock import iso

LEDGER = "cc-native-ledger"
INTENTS = "cc-native-action-intent"
ATTEMPTS = "cc-native-execution-attempts"
OUTCOMES = "cc-native-execution-outcomes"
SIGNALS = "cc-native-signals"
NOTES = "cc-native-internal-notes"
TASKS = "cc-native-internal-tasks"
DEDUPE = "cc-native-external-write-dedupe"
REGISTRY = "cc-native-action-type-registry"
RESILIENCE = "cc-native-resilience"
TENANTS = "cc-native-tenants"
ACCOUNTS = "cc-native-accounts"

ATTEMPT_TTL = timedelta(seconds=3600 + 900)
OUTCOME_TTL = timedelta(days=90)
INTENT_TTL = timedelta(days=90)
DEDUPE_TTL = timedelta(days=7)

Item = dict[str, Any]


def table_specs() -> list[dict[str, Any]]:
    """The platform's tables: name, key, and where a table has them indexes and the attribute of its TTL."""
    specs: list[dict[str, Any]] = json.loads(files("phase5_ops.sandbox").joinpath("tables.json").read_text(encoding="utf-8"))
    return specs


def milliseconds(moment: datetime) -> int:
    """A moment in epoch milliseconds, as ids carry it."""
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def tenant_key(tenant: str) -> str:
    """The partition of a tenant."""
    return f"TENANT#{tenant}"


def account_key(tenant: str, account: str) -> str:
    """The partition of a tenant's account."""
    return f"TENANT#{tenant}#ACCOUNT#{account}"


def intent(
    intent_id: str, *, tenant: str, account: str, action_type: str, parameters: Mapping[str, Any], at: datetime, trace_id: str
) -> Item:
    """An approved action intent; `trace_id` is the decision's trace."""
    expires = at + INTENT_TTL
    decision = f"dec_{milliseconds(at)}_0"
    return {
        "pk": account_key(tenant, account),
        "sk": f"ACTION_INTENT#{intent_id}",
        "action_intent_id": intent_id,
        "action_type": action_type,
        "target": {"entity_type": "ACCOUNT", "entity_id": account},
        "parameters": dict(parameters),
        "parameters_schema_version": "v1",
        "approved_by": "seller-1",
        "approval_timestamp": iso(at),
        "execution_policy": {"retry_count": 3, "timeout_seconds": 300, "max_attempts": 1},
        "expires_at": iso(expires),
        "expires_at_epoch": int(expires.timestamp()),
        "original_decision_id": decision,
        "original_proposal_id": decision,
        "edited_fields": [],
        "tenant_id": tenant,
        "account_id": account,
        "trace_id": trace_id,
        "registry_version": 1,
        "confidence_score": Decimal("0.9"),
        "risk_level": "LOW",
    }


def idempotency_key(tenant: str, intent_id: str, tool: str, parameters: Mapping[str, Any], registry_version: int) -> str:
    """SHA-256 over tenant, intent, tool, canonical parameters and registry version."""
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{tenant}:{intent_id}:{tool}:{canonical}:{registry_version}".encode()).hexdigest()


def attempt(
    intent_item: Mapping[str, Any], *, attempt_id: str, count: int, key: str, trace_id: str, at: datetime, status: str = "RUNNING"
) -> Item:
    """The attempt item of an intent: its lock."""
    tenant, account, intent_id = intent_item["tenant_id"], intent_item["account_id"], intent_item["action_intent_id"]
    return {
        "pk": account_key(tenant, account),
        "sk": f"EXECUTION#{intent_id}",
        "gsi1pk": f"ACTION_INTENT#{intent_id}",
        "gsi1sk": f"UPDATED_AT#{iso(at)}",
        "gsi2pk": tenant_key(tenant),
        "gsi2sk": f"UPDATED_AT#{iso(at)}",
        "action_intent_id": intent_id,
        "attempt_count": count,
        "last_attempt_id": attempt_id,
        "status": status,
        "idempotency_key": key,
        "started_at": iso(at),
        "updated_at": iso(at),
        "tenant_id": tenant,
        "account_id": account,
        "trace_id": trace_id,
        "ttl": int((at + ATTEMPT_TTL).timestamp()),
    }


def gateway_name(tool: str) -> str:
    """The form in which the gateway names a tool: internal.create_note is internal-create-note___internal.create_note."""
    return f"{tool.replace('.', '-').replace('_', '-')}___{tool}"


def outcome(
    intent_item: Mapping[str, Any],
    *,
    status: str,
    trace_id: str,
    started_at: datetime | str,
    at: datetime,
    count: int,
    tool: str | None,
    refs: list[Item] | None = None,
    error: Mapping[str, str] | None = None,
    approval: Mapping[str, Any] | None = None,
) -> Item:
    """The outcome of an execution.

    Args:
        intent_item: the intent.
        status: SUCCEEDED or FAILED.
        trace_id: the execution's trace.
        started_at: when the attempt began.
        at: when it completed.
        count: the attempt's number.
        tool: the tool that ran; None for a failure before any tool, as the failure recorder writes it.
        refs: external object references.
        error: error_code, error_class and error_message of a failure.
        approval: approval_source and auto_executed, where the event had them.
    """
    tenant, account, intent_id = intent_item["tenant_id"], intent_item["account_id"], intent_item["action_intent_id"]
    name = gateway_name(tool) if tool else "unknown"
    return {
        "pk": account_key(tenant, account),
        "sk": f"OUTCOME#{intent_id}",
        "gsi1pk": f"ACTION_INTENT#{intent_id}",
        "gsi1sk": f"COMPLETED_AT#{iso(at)}",
        "gsi2pk": tenant_key(tenant),
        "gsi2sk": f"COMPLETED_AT#{iso(at)}",
        "action_intent_id": intent_id,
        "status": status,
        "external_object_refs": refs or [],
        **(error or {}),
        "attempt_count": count,
        "tool_name": name,
        "tool_schema_version": "v1.0" if tool else "unknown",
        "registry_version": 1,
        "tool_run_ref": f"toolrun/{trace_id}/{count}/{name}" if tool else f"pre-tool-failure-{intent_id}",
        "started_at": started_at if isinstance(started_at, str) else iso(started_at),
        "completed_at": iso(at),
        "compensation_status": "NONE",
        "tenant_id": tenant,
        "account_id": account,
        "trace_id": trace_id,
        **(approval or {}),
        "ttl": int((at + OUTCOME_TTL).timestamp()),
    }


def ledger_entry(
    event_type: str,
    *,
    tenant: str,
    account: str | None,
    trace_id: str,
    at: datetime,
    unique: str,
    data: Mapping[str, Any],
    evidence_refs: list[Item] | None = None,
) -> Item:
    """One entry of the execution ledger; `unique` is the random part of its id."""
    entry_id, stamp = f"entry-{milliseconds(at)}-{unique}", iso(at)
    return {
        "pk": tenant_key(tenant),
        "sk": f"ENTRY#{stamp}#{entry_id}",
        "gsi1pk": f"TRACE#{trace_id}",
        "gsi1sk": stamp,
        "gsi2pk": tenant_key(tenant),
        "gsi2sk": stamp,
        "eventType": event_type,
        "tenantId": tenant,
        **({"accountId": account} if account is not None else {}),
        "traceId": trace_id,
        "timestamp": stamp,
        "data": dict(data),
        "entryId": entry_id,
        **({"evidenceRefs": evidence_refs} if evidence_refs is not None else {}),
    }


#: What an entry of a change tells beside who and why, and its type, by what the record holds.
_CONFIGURATION = {
    "mode": ("AUTONOMY_CONFIG_CHANGED", ("mode", "action_type")),
    "action_types": ("AUTONOMY_CONFIG_CHANGED", ("action_types",)),
    "max_autonomous_per_day": ("BUDGET_CHANGED", ("max_autonomous_per_day", "max_per_action_type")),
    "execution_enabled": ("KILL_SWITCHES_CHANGED", ("execution_enabled", "disabled_action_types")),
    "disabled_action_types": ("KILL_SWITCHES_CHANGED", ("execution_enabled", "disabled_action_types")),
}


def configuration_change(record: Mapping[str, Any], *, at: datetime, who: str, why: str | None) -> Item:
    """What the ledger is told of a change of a mode, an allowlist, a budget or kill switches: arguments of `ledger_entry`."""
    event, told = next(_CONFIGURATION[name] for name in _CONFIGURATION if name in record)
    tenant = record.get("tenant_id") or record["tenantId"]
    data = {"changed_by": who, **({"reason": why} if why is not None else {})}
    return {
        "event_type": event,
        "tenant": tenant,
        "account": record.get("account_id"),
        "trace_id": f"config-{tenant}-{milliseconds(at)}",
        "data": data | {name: record[name] for name in told if name in record},
    }


def signal(intent_item: Mapping[str, Any], *, succeeded: bool, trace_id: str, completed_at: datetime, at: datetime) -> Item:
    """The signal about an execution's outcome."""
    tenant, account, intent_id = intent_item["tenant_id"], intent_item["account_id"], intent_item["action_intent_id"]
    kind = "ACTION_EXECUTED" if succeeded else "ACTION_FAILED"
    signal_id, version = f"exec-{intent_id}-{account}-{kind}", "execution-outcome-v1"
    window = f"{account}-{intent_id}"
    return {
        "tenantId": tenant,
        "signalId": signal_id,
        "signalType": kind,
        "accountId": account,
        "traceId": trace_id,
        "createdAt": iso(at),
        "updatedAt": iso(at),
        "dedupeKey": hashlib.sha256(f"{tenant}:{window}:{kind}".encode()).hexdigest(),
        "windowKey": window,
        "detectorVersion": version,
        "detectorInputVersion": version,
        "status": "ACTIVE",
        "metadata": {
            "confidence": 1,
            "confidenceSource": "direct",
            "severity": "low" if succeeded else "medium",
            "ttl": {"ttlDays": 90, "expiresAt": iso(at + timedelta(days=90)), "isPermanent": False},
        },
        "evidence": {
            "evidenceRef": {
                "s3Uri": f"execution://{tenant}/{account}/{intent_id}",
                "sha256": hashlib.sha256(f"{trace_id}:{kind}".encode()).hexdigest(),
                "capturedAt": iso(completed_at),
                "schemaVersion": version,
                "detectorInputVersion": version,
            },
            "evidenceSchemaVersion": version,
        },
        "suppression": {"suppressed": False, "suppressedAt": None, "suppressedBy": None, "inferenceActive": True},
        "description": f"Execution {'succeeded' if succeeded else 'failed'}: {intent_id}",
        "context": {"original_decision_id": intent_item.get("original_decision_id"), "registry_version": 1},
        "timestamp": iso(at),
    }


def signal_entry_data(signal_item: Mapping[str, Any]) -> tuple[Item, list[Item]]:
    """`data` and `evidenceRefs` of the SIGNAL entry that goes with a signal."""
    reference = signal_item["evidence"]["evidenceRef"]
    data = {
        "signalId": signal_item["signalId"],
        "signalType": signal_item["signalType"],
        "confidence": 1,
        "severity": signal_item["metadata"]["severity"],
    }
    return data, [{"type": "s3", "location": reference["s3Uri"], "timestamp": reference["capturedAt"]}]


def remembered_write(key: str, *, refs: list[Item], intent_id: str, tool: str, at: datetime) -> tuple[Item, Item]:
    """What remembers a write to an external system: the item of its moment, and the one that is found by its idempotency key."""
    stamp = f"CREATED_AT#{milliseconds(at)}"
    item = {
        "pk": f"IDEMPOTENCY_KEY#{key}",
        "idempotency_key": key,
        "external_object_refs": refs,
        "action_intent_id": intent_id,
        "tool_name": tool,
        "created_at": iso(at),
        "ttl": int((at + DEDUPE_TTL).timestamp()),
    }
    return item | {"sk": stamp}, item | {"sk": "LATEST", "latest_sk": stamp}


def note(tenant: str, account: str, *, note_id: str, content: str, at: datetime, created_by: str) -> Item:
    """An internal note."""
    return {
        "pk": account_key(tenant, account),
        "sk": f"NOTE#{note_id}",
        "note_id": note_id,
        "content": content,
        "tenant_id": tenant,
        "account_id": account,
        "created_at": iso(at),
        "created_by": created_by,
    }


def task(tenant: str, account: str, *, task_id: str, fields: Mapping[str, str], at: datetime, created_by: str) -> Item:
    """An internal task; `fields` has the title, and the description where there is one."""
    return {
        "pk": account_key(tenant, account),
        "sk": f"TASK#{task_id}",
        "task_id": task_id,
        **fields,
        "tenant_id": tenant,
        "account_id": account,
        "created_at": iso(at),
        "created_by": created_by,
    }
