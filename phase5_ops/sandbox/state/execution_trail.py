"""What an execution leaves beside its outcome: its start and end in the ledger, and its attempt while that is kept. Pure.

A platform's state is consistent before a scenario changes it: each outcome that is put into it brings the rest with it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from phase5_ops.clock import parse_iso
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.ordinary_logs import OrdinaryExecution, ledger_items, stored_records
from phase5_ops.sandbox.state.records import ATTEMPT_TTL, ATTEMPTS, LEDGER, OUTCOMES, Item, attempt, idempotency_key, ledger_entry


def add_execution(blueprint: Blueprint, outcome: Item) -> None:
    """Puts in an outcome, and what its execution left beside it."""
    blueprint.add(OUTCOMES, outcome)
    for table, item in execution_trail(outcome, blueprint.now):
        blueprint.add(table, item)


def add_records(blueprint: Blueprint, execution: OrdinaryExecution) -> None:
    """Puts in what an ordinary execution leaves in the tables."""
    blueprint.raw_items += [(LEDGER, item) for item in ledger_items(execution)]
    for table, item in stored_records(execution):
        blueprint.add(table, item)


def execution_trail(outcome: Item, now: datetime) -> Iterator[tuple[str, Item]]:
    """The ledger entries of an outcome's execution, and its attempt unless that has expired at `now`; each with its table."""
    tenant, account, intent, trace = (outcome[name] for name in ("tenant_id", "account_id", "action_intent_id", "trace_id"))
    started, completed = parse_iso(outcome["started_at"]), parse_iso(outcome["completed_at"])
    succeeded = outcome["status"] == "SUCCEEDED"
    reported = outcome["tool_name"] != "unknown"
    key = idempotency_key(tenant, intent, outcome["tool_name"], {}, 1)
    attempt_id = f"attempt_{int(started.timestamp() * 1000)}_{key[:6]}"
    common = {"action_intent_id": intent, "registry_version": 1}

    def entry(event: str, at: datetime, data: Mapping[str, Any]) -> tuple[str, Item]:
        unique = str(uuid5(NAMESPACE_URL, f"{trace}/{event}"))
        made = ledger_entry(event, tenant=tenant, account=account, trace_id=trace, at=at, unique=unique, data={**common, **data})
        return LEDGER, made

    count = {"attempt_count": outcome["attempt_count"]}
    yield entry(
        "EXECUTION_STARTED", started + timedelta(milliseconds=8), {"attempt_id": attempt_id, "idempotency_key": key, **count}
    )
    told = {"status": outcome["status"], "external_object_refs": outcome["external_object_refs"], **count} if reported else {}
    said = ("error_code", "error_class") if reported else ("error_code", "error_class", "error_message")
    failure: Item = {name: outcome[name] for name in said if name in outcome}
    yield entry("ACTION_EXECUTED" if succeeded else "ACTION_FAILED", completed + timedelta(milliseconds=20), {**told, **failure})
    if started + ATTEMPT_TTL > now:
        yield (
            ATTEMPTS,
            attempt(
                outcome,
                attempt_id=attempt_id,
                count=outcome["attempt_count"],
                key=key,
                trace_id=trace,
                at=started,
                status=outcome["status"],
            ),
        )
