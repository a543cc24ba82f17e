"""The cross-tenant probes of row 4.1 as data: what each asks with A's token, how B's data would show, what is planted. Pure.

Test tenant B gets data that holds a marker made for this run, also under the account id that is in the scope of A's user, so
that a refused account cannot hide a tenant that was taken from the request. What an answer shows of B is recognised by that
marker, or, where only B has what was asked for, by its being answered at all. A route counts as closed only if A's own data came
through it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.probing.canary_intent import Place
from phase5_ops.probing.guard import TENANT_HEADER
from phase5_ops.probing.request import JSON, Request

Item = dict[str, Any]

MARKER_ATTRIBUTE = "phase5_marker"


@dataclass(frozen=True, slots=True)
class CrossTargets:
    """What the probes name.

    Attributes:
        tenant_a, tenant_b: the test tenants.
        account_a, account_b: an account in the scope of A's user, and B's.
        marker: in all that is planted for B.
        written: in all that the writing probes try to write.
        intent_b: an intent that only B has an outcome of.
        told_b: an intent that only the ledger of B tells of.
        export_b: an export that only B has.
        canary: A's own executed intent; None if there is none.
        now: the platform's time.
    """

    tenant_a: str
    tenant_b: str
    account_a: str
    account_b: str
    marker: str
    written: str
    intent_b: str
    told_b: str
    export_b: str
    canary: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class CrossProbe:
    """One request with A's token.

    Attributes:
        name: stable name.
        family: probes that an own request of that name vouches for.
        method, path, query, body: the request, without its headers.
        header: also names B in the tenant header.
        only_b: only B has what is asked for, so any success shows it.
        role: setting of the table that a write would change; "" for a read.
    """

    name: str
    family: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    header: bool = False
    only_b: bool = False
    role: str = ""

    @property
    def reads(self) -> bool:
        """True for a request for B's data."""
        return not self.role

    @property
    def shown(self) -> str:
        """Method and route for people."""
        return f"{self.method} {self.path}"

    def request(self, token: str, tenant_b: str) -> Request:
        """The request as it is sent."""
        headers = {"Authorization": f"Bearer {token}", "Accept": JSON}
        if self.body is not None:
            headers["Content-Type"] = JSON
        if self.header:
            headers[TENANT_HEADER] = tenant_b
        return Request(self.method, self.path, self.query, headers, self.body)


def own_requests(targets: CrossTargets) -> dict[str, CrossProbe]:
    """For each family a request for A's own data, which has to succeed; else a refusal of B's data shows nothing."""
    account = {"account_id": targets.account_a}
    canary = targets.canary or targets.intent_b
    return {
        "explanation": _get("explanation", "/ledger/explanation", {"action_intent_id": canary, **account}),
        "budget": _get("budget", "/budget", account),
        "config": _get("config", "/config"),
        "kill_switches": _get("kill_switches", "/kill-switches"),
        "status": _get("status", f"/executions/{canary}/status", account),
        "executions": _get("executions", f"/accounts/{targets.account_a}/executions"),
    }


def _get(family: str, path: str, query: Mapping[str, str] | None = None) -> CrossProbe:
    return CrossProbe(f"own_{family}", family, "GET", path, query or {})


def build_cross_plan(targets: CrossTargets) -> tuple[CrossProbe, ...]:
    """Every cross-tenant probe: reads first."""
    return (*_reads(targets), *_writes(targets))


def _reads(targets: CrossTargets) -> list[CrossProbe]:
    own, foreign = {"account_id": targets.account_a}, {"account_id": targets.account_b}
    named = {"tenant_id": targets.tenant_b}
    told = {"action_intent_id": targets.told_b, **own}
    status = f"/executions/{targets.intent_b}/status"

    def read(name: str, family: str, path: str, query: Mapping[str, str], *, only_b: bool = False) -> CrossProbe:
        return CrossProbe(name, family, "GET", path, query, header=query.keys() >= named.keys(), only_b=only_b)

    return [
        read("ledger_explanation", "explanation", "/ledger/explanation", told, only_b=True),
        read("ledger_explanation_named", "explanation", "/ledger/explanation", told | named, only_b=True),
        read("budget_named", "budget", "/budget", own | named),
        read("budget_foreign_account", "budget", "/budget", foreign),
        read("budget_state_named", "budget", "/budget/state", own | named),
        read("budget_state_foreign_account", "budget", "/budget/state", foreign),
        read("config_named", "config", "/config", named),
        read("kill_switches_named", "kill_switches", "/kill-switches", named),
        read("export", "budget", f"/audit/exports/{targets.export_b}", {}, only_b=True),
        read("export_named", "budget", f"/audit/exports/{targets.export_b}", named, only_b=True),
        read("execution_status", "status", status, own, only_b=True),
        read("execution_status_named", "status", status, own | named, only_b=True),
        read("execution_status_foreign_account", "status", status, foreign, only_b=True),
        read("executions_named", "executions", f"/accounts/{targets.account_a}/executions", named),
        read("executions_foreign_account", "executions", f"/accounts/{targets.account_b}/executions", {}),
    ]


def _writes(targets: CrossTargets) -> list[CrossProbe]:
    b, mark = {"tenant_id": targets.tenant_b}, targets.written
    mode = {"mode": "PROPOSE_ONLY", "action_type": mark}
    budget = {"max_autonomous_per_day": 0, "max_per_action_type": {mark: 0}}
    period = {"from": iso(targets.now - timedelta(hours=1)), "to": iso(targets.now)}
    keyed = {"pk": f"TENANT#{targets.tenant_b}", "sk": f"AUTONOMY#{mark}"}
    switches = {"execution_enabled": True, "disabled_action_types": [mark]}
    return [
        CrossProbe("write_config", "config", "PUT", "/config", body=b | mode, role="autonomy_config"),
        CrossProbe("write_config_key", "config", "PUT", "/config", body=b | mode | keyed, role="autonomy_config"),
        CrossProbe(
            "write_budget",
            "budget",
            "PUT",
            "/budget",
            body=b | budget | {"account_id": targets.account_a},
            role="autonomy_budget_state",
        ),
        CrossProbe(
            "write_budget_foreign_account",
            "budget",
            "PUT",
            "/budget",
            body=b | budget | {"account_id": targets.account_b},
            role="autonomy_budget_state",
        ),
        CrossProbe("write_kill_switches", "kill_switches", "PUT", "/kill-switches", body=b | switches, role="tenants"),
        CrossProbe(
            "write_kill_switches_named",
            "kill_switches",
            "PUT",
            "/kill-switches",
            query=b,
            body=switches,
            header=True,
            role="tenants",
        ),
        CrossProbe(
            "create_export", "budget", "POST", "/audit/exports", body=b | period | {"format": "json"}, role="audit_export"
        ),
    ]


# What is planted for B, and what is watched


@dataclass(frozen=True, slots=True)
class Watched:
    """A partition of a test tenant that is compared before and after the probes: setting of its table, and its key."""

    role: str
    partition: str
    tenant: str

    @property
    def attribute(self) -> str:
        """The partition key's name."""
        return "tenantId" if self.role == "tenants" else "pk"


def watched(targets: CrossTargets) -> list[Watched]:
    """Every partition that a probe could change, of both test tenants: what is written for A itself is put back too."""
    found = []
    for tenant in (targets.tenant_a, targets.tenant_b):
        accounts = [Place(tenant, account).partition for account in (targets.account_a, targets.account_b)]
        whole = f"TENANT#{tenant}"
        found += [Watched("autonomy_budget_state", partition, tenant) for partition in accounts]
        found += [Watched("autonomy_config", partition, tenant) for partition in (whole, *accounts)]
        found += [Watched("audit_export", whole, tenant), Watched("tenants", tenant, tenant)]
    return found


def planted(targets: CrossTargets) -> list[tuple[str, Item]]:
    """B's test data in DynamoDB JSON with the setting of its table; what B has there already is kept beside the marker."""
    stamp, day = iso(targets.now), f"{targets.now:%Y-%m-%d}"
    mark = {MARKER_ATTRIBUTE: _text(targets.marker), "tenant_id": _text(targets.tenant_b), "updated_at": _text(stamp)}
    items: list[tuple[str, Item]] = [
        (
            "autonomy_config",
            {
                "pk": _text(f"TENANT#{targets.tenant_b}"),
                "sk": _text(f"AUTONOMY#{targets.marker}"),
                "action_type": _text(targets.marker),
                "mode": _text("PROPOSE_ONLY"),
                **mark,
            },
        ),
        (
            "audit_export",
            {
                "pk": _text(f"TENANT#{targets.tenant_b}"),
                "sk": _text(f"EXPORT#{targets.export_b}"),
                "export_id": _text(targets.export_b),
                "status": _text("PENDING"),
                "format": _text("json"),
                "from": _text(stamp),
                "to": _text(stamp),
                "created_at": _text(stamp),
                **mark,
            },
        ),
    ]
    for account in (targets.account_a, targets.account_b):
        key = {"pk": _text(Place(targets.tenant_b, account).partition), "account_id": _text(account), **mark}
        items.append(("autonomy_budget_state", {**key, "sk": _text("BUDGET#CONFIG"), "max_autonomous_per_day": {"N": "0"}}))
        state = {"total": {"N": "0"}, "counts": {"M": {}}, "date_key": _text(day)}
        items.append(("autonomy_budget_state", {**key, "sk": _text(f"BUDGET_STATE#{day}"), **state}))
        items.append(("execution_outcomes", {**key, "sk": _text(f"OUTCOME#{targets.intent_b}"), **_outcome(targets, stamp)}))
    return items


def _outcome(targets: CrossTargets, stamp: str) -> Item:
    return {
        "action_intent_id": _text(targets.intent_b),
        "status": _text("SUCCEEDED"),
        "external_object_refs": {"L": []},
        "attempt_count": {"N": "1"},
        "started_at": _text(stamp),
        "completed_at": _text(stamp),
        "ttl": {"N": str(int((targets.now + timedelta(hours=1)).timestamp()))},
    }


def told_entry(targets: CrossTargets, stamp: str) -> Item:
    """An entry of B's ledger that its explanation shows; it stays, as nothing is ever deleted there, and serves later runs."""
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
