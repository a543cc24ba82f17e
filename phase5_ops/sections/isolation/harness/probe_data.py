"""What row 4.1 plants for the test tenants before its probes, and which partitions are compared and put back. Pure."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.probing.canary_intent import CanaryPlace
from phase5_ops.probing.guard import REASON_PREFIX
from phase5_ops.sections.isolation.harness.probe_plan import CrossTargets

Item = dict[str, Any]

MARKER_ATTRIBUTE = "phase5_marker"
#: Everything that a probe of any run would write holds a text of this form.
ANY_MARK = re.compile(r"PHASE5_[0-9A-F]{16}(?:_\d+)?")
_PERIODS_BEFORE = "1980"  # probes ask for exports of earlier years only


@dataclass(frozen=True, slots=True)
class Watched:
    """A partition of a test tenant that is compared before and after the probes; `role` is the setting of its table."""

    role: str
    partition: str
    tenant: str

    @property
    def attribute(self) -> str:
        """The partition key's name."""
        return "tenantId" if self.role == "tenants" else "pk"


def watched(targets: CrossTargets) -> list[Watched]:
    """Every partition of both test tenants that a probe could change; also A's, since writes for A are put back too."""
    found = []
    for tenant in (targets.tenant_a, targets.tenant_b):
        accounts = [CanaryPlace(tenant, each).partition for each in targets.accounts]
        whole = f"TENANT#{tenant}"
        for role in ("autonomy_budget_state", "decision_proposal", "decision_budget"):
            found += [Watched(role, partition, tenant) for partition in accounts]
        found += [Watched("autonomy_config", partition, tenant) for partition in (whole, *accounts)]
        found.append(Watched("autonomy_budget_state", whole, tenant))  # where the key in the body alone would put a budget
        found += [Watched("audit_export", whole, tenant), Watched("tenants", tenant, tenant)]
    return found


def late_mark(item: Item) -> str | None:
    """Why an item comes from a probe of some run: the mark in it, or an export's period; None for any other item."""
    text = repr(item)
    if found := ANY_MARK.search(text):
        return found.group()
    period = item.get("from", {}).get("S", "")
    return f"an export of {period}" if "export_id" in item and period and period < _PERIODS_BEFORE else None


def outcomes(targets: CrossTargets) -> list[tuple[CanaryPlace, str]]:
    """Where outcomes are planted, and of which intents."""
    of_b = [CanaryPlace(targets.tenant_b, account) for account in dict.fromkeys((targets.account_a, targets.account_b))]
    return [*((place, targets.intent_b) for place in of_b), *((place, targets.intent_out) for place in beside(targets))]


def planted(targets: CrossTargets) -> list[tuple[str, Item]]:
    """B's test data: the setting of the table, and the item in DynamoDB JSON. What B has already is kept."""
    items: list[tuple[str, Item]] = [_config(targets, targets.tenant_b, targets.marker)]
    items.append(_export(targets, targets.tenant_b, targets.export_b, targets.marker))
    for account in dict.fromkeys((targets.account_a, targets.account_b)):
        items += _of_account(targets, CanaryPlace(targets.tenant_b, account), targets.marker, targets.intent_b)
    items.append(_decision(targets, CanaryPlace(targets.tenant_b, targets.account_b), targets.marker, of_b=True))
    if targets.account_a != targets.account_b:
        items.append(_decision(targets, CanaryPlace(targets.tenant_b, targets.account_a), targets.marker))
    return items


def planted_for_a(targets: CrossTargets) -> list[tuple[str, Item]]:
    """A's own test data: under the account of A's user, and under accounts that this user may not name."""
    items: list[tuple[str, Item]] = [_config(targets, targets.tenant_a, targets.own_marker)]
    items.append(_export(targets, targets.tenant_a, targets.export_a, targets.own_marker))
    items.append(_decision(targets, CanaryPlace(targets.tenant_a, targets.account_a), targets.own_marker, of_b=False))
    items += _of_account(targets, CanaryPlace(targets.tenant_a, targets.account_a), targets.own_marker, "")
    for place in beside(targets):
        items += _of_account(targets, place, targets.scope_marker, targets.intent_out)
    items.append(_decision(targets, CanaryPlace(targets.tenant_a, targets.account_beside), targets.scope_marker))
    return items


def beside(targets: CrossTargets) -> list[CanaryPlace]:
    """A's accounts that A's user may not name."""
    return [CanaryPlace(targets.tenant_a, account) for account in targets.accounts if account != targets.account_a]


def _marked(targets: CrossTargets, tenant: str, marker: str) -> Item:
    return {MARKER_ATTRIBUTE: _text(marker), "tenant_id": _text(tenant), "updated_at": _text(iso(targets.now))}


def _config(targets: CrossTargets, tenant: str, marker: str) -> tuple[str, Item]:
    return (
        "autonomy_config",
        {
            "pk": _text(f"TENANT#{tenant}"),
            "sk": _text(f"AUTONOMY#{marker}"),
            "action_type": _text(marker),
            "mode": _text("PROPOSE_ONLY"),
            **_marked(targets, tenant, marker),
        },
    )


def _export(targets: CrossTargets, tenant: str, export: str, marker: str) -> tuple[str, Item]:
    stamp = _text(iso(targets.now))
    return (
        "audit_export",
        {
            "pk": _text(f"TENANT#{tenant}"),
            "sk": _text(f"EXPORT#{export}"),
            "export_id": _text(export),
            "status": _text("PENDING"),
            "format": _text("json"),
            "from": stamp,
            "to": stamp,
            "created_at": stamp,
            **_marked(targets, tenant, marker),
        },
    )


def _of_account(targets: CrossTargets, place: CanaryPlace, marker: str, intent: str) -> list[tuple[str, Item]]:
    """The budget of one account, what is used of it, and an outcome of the intent if one is given."""
    stamp, day = iso(targets.now), f"{targets.now:%Y-%m-%d}"
    mark = _marked(targets, place.tenant, marker)
    key = {"pk": _text(place.partition), "account_id": _text(place.account), **mark}
    state = {"total": {"N": "0"}, "counts": {"M": {}}, "date_key": _text(day)}
    items = [
        ("autonomy_budget_state", {**key, "sk": _text("BUDGET#CONFIG"), "max_autonomous_per_day": {"N": "0"}}),
        ("autonomy_budget_state", {**key, "sk": _text(f"BUDGET_STATE#{day}"), **state}),
    ]
    if intent:
        items.append(("execution_outcomes", {**key, "sk": _text(f"OUTCOME#{intent}"), **_outcome(targets, intent, stamp)}))
    return items


def _decision(targets: CrossTargets, place: CanaryPlace, marker: str, *, of_b: bool | None = None) -> tuple[str, Item]:
    """A decision that proposes one harmless action; `of_b` None: a decision that is only listed and that no probe names."""
    decision = targets.listed[place.tenant == targets.tenant_b] if of_b is None else targets.decisions[of_b]
    note = _text(f"{REASON_PREFIX}{decision}: a canary, safe to delete")
    action = {
        "action_ref": _text(f"{decision}_5" if of_b is None else targets.actions[of_b]),
        "action_type": _text(targets.action_type),
        "parameters": {"M": {"title": _text("phase5 canary"), "content": note}},
    }
    return (
        "decision_proposal",
        {
            "pk": _text(place.partition),
            "sk": _text(f"DECISION#{decision}"),
            "decision_id": _text(decision),
            "account_id": _text(place.account),
            "decision_type": _text(marker),
            "status": _text("PENDING"),
            "created_at": _text(iso(targets.now)),
            "trace_id": _text(f"trace-phase5-{decision}"),
            "actions": {"L": [{"M": action}]},
            **_marked(targets, place.tenant, marker),
        },
    )


def _outcome(targets: CrossTargets, intent: str, stamp: str) -> Item:
    return {
        "action_intent_id": _text(intent),
        "status": _text("SUCCEEDED"),
        "external_object_refs": {"L": []},
        "attempt_count": {"N": "1"},
        "started_at": _text(stamp),
        "completed_at": _text(stamp),
        "ttl": {"N": str(int((targets.now + timedelta(hours=1)).timestamp()))},
    }


def told_entry(targets: CrossTargets, stamp: str) -> Item:
    """An entry of B's ledger that its explanation shows. It stays for later runs, as nothing is ever deleted there."""
    entry_id = f"entry-{targets.told_b}"
    return {
        "pk": _text(f"TENANT#{targets.tenant_b}"),
        "sk": _text(f"ENTRY#{stamp}#{entry_id}"),
        "entryId": _text(entry_id),
        "gsi1pk": _text(f"TRACE#trace-{targets.told_b}"),
        "gsi1sk": _text(stamp),
        "gsi2pk": _text(f"TENANT#{targets.tenant_b}"),
        "gsi2sk": _text(stamp),
        "eventType": _text("ACTION_APPROVED"),
        "tenantId": _text(targets.tenant_b),
        "accountId": _text(targets.account_a),
        "traceId": _text(f"trace-{targets.told_b}"),
        "timestamp": _text(stamp),
        "data": {
            "M": {
                "action_intent_id": _text(targets.told_b),
                "decision_id": _text(f"dec-{targets.told_b}"),
                "edited_fields": {"L": []},
            }
        },
    }


def _text(value: str) -> dict[str, str]:
    return {"S": value}
