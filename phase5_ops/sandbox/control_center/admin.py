"""The routes of the sandbox's Control Center beside /replay: switches, configuration, budgets, exports, ledger, executions."""

import uuid

from boto3.dynamodb.conditions import Attr

from phase5_ops.clock import iso
from phase5_ops.sandbox.ccnative.audit_export import EXPORTS, export_trace, presigned_url
from phase5_ops.sandbox.control_center.call import Answer, ControlCenterCall, RefusedCall, Routes, moment_of, text_of
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.records import (
    ATTEMPTS,
    LEDGER,
    OUTCOMES,
    TENANTS,
    Item,
    account_key,
    configuration_change,
    tenant_key,
)

CONFIG = "cc-native-autonomy-config"
BUDGETS = "cc-native-autonomy-budget-state"


class AdminRoutes(Routes):
    """What operators see and set."""

    def read_kill_switches(self, call: ControlCenterCall) -> Answer:
        """GET /kill-switches."""
        tenant = self._aws.get(TENANTS, tenantId=call.tenant)
        if tenant is None:
            raise RefusedCall(404, "Tenant not found")
        return 200, {
            "tenant_id": call.tenant,
            "execution_enabled": tenant.get("execution_enabled", True),
            "disabled_action_types": tenant.get("disabled_action_types", []),
        }

    def write_kill_switches(self, call: ControlCenterCall) -> Answer:
        """PUT /kill-switches; what is not given stays."""
        self._check_body_tenant(call)
        enabled, disabled = call.body.get("execution_enabled"), call.body.get("disabled_action_types")
        if not isinstance(enabled, bool | None) or not isinstance(disabled, list | None):
            raise RefusedCall(400, "execution_enabled is a boolean, disabled_action_types a list")
        tenant = self._aws.get(TENANTS, tenantId=call.tenant)
        if tenant is None:
            raise RefusedCall(404, "Tenant not found")
        given = {"execution_enabled": enabled, "disabled_action_types": disabled}
        tenant |= {name: value for name, value in given.items() if value is not None} | {"updated_at": iso(self._clock.now())}
        self._aws.put(TENANTS, tenant)
        self._tell(call, tenant)
        return self.read_kill_switches(call)

    def read_config(self, call: ControlCenterCall) -> Answer:
        """GET /config."""
        return 200, {"items": self._items(CONFIG, tenant_key(call.tenant))}

    def write_config(self, call: ControlCenterCall) -> Answer:
        """PUT /config."""
        chosen = {name: text for name in ("pk", "sk") if (text := text_of(call.body.get(name)))}
        if not chosen or not self._takes_keys(call):
            self._check_body_tenant(call)
            self._refuse_keys(call)
        mode = call.body.get("mode")
        if mode not in ("PROPOSE_ONLY", "APPROVAL_REQUIRED", "AUTO_EXECUTE", "DISABLED"):
            raise RefusedCall(400, "mode required")
        account = self._account(call, call.body) if "account_id" in call.body else None
        action_type = text_of(call.body.get("action_type"))
        item = {
            "pk": account_key(call.tenant, account) if account else tenant_key(call.tenant),
            "sk": f"AUTONOMY#{action_type or 'DEFAULT'}",
            "tenant_id": call.tenant,
            **({"account_id": account} if account else {}),
            **({"action_type": action_type} if action_type else {}),
            "mode": mode,
            "updated_at": iso(self._clock.now()),
            "updated_by": _who(call),
            "policy_version": "v1",
            **chosen,
        }
        self._aws.put(CONFIG, item)
        self._tell(call, item)
        return 200, item

    def _takes_keys(self, call: ControlCenterCall) -> bool:
        return call.keys_from_body or PlatformFault.CONFIG_KEY_FROM_BODY in self._faults

    @staticmethod
    def _refuse_keys(call: ControlCenterCall) -> None:
        if {"pk", "sk"} & call.body.keys():
            raise RefusedCall(400, "pk and sk are not for the caller to choose")

    def read_budget(self, call: ControlCenterCall) -> Answer:
        """GET /budget."""
        pk = account_key(call.tenant, self._account(call, call.query))
        config = self._aws.get(BUDGETS, pk=pk, sk="BUDGET#CONFIG")
        used = (self._aws.get(BUDGETS, pk=pk, sk=f"BUDGET_STATE#{self._clock.now():%Y-%m-%d}") or {}).get("total", 0)
        return 200, {
            "config": config,
            "remaining_today": max(0, int(config["max_autonomous_per_day"]) - int(used)) if config else 0,
        }

    def read_budget_state(self, call: ControlCenterCall) -> Answer:
        """GET /budget/state: what is used today."""
        pk = account_key(call.tenant, self._account(call, call.query))
        return 200, {"state": self._aws.get(BUDGETS, pk=pk, sk=f"BUDGET_STATE#{self._clock.now():%Y-%m-%d}")}

    def write_budget(self, call: ControlCenterCall) -> Answer:
        """PUT /budget."""
        self._check_body_tenant(call)
        chosen = {name: text for name in ("pk", "sk") if call.keys_from_body and (text := text_of(call.body.get(name)))}
        if not chosen:
            self._refuse_keys(call)
        account, limit = self._account(call, call.body), call.body.get("max_autonomous_per_day")
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            raise RefusedCall(400, "max_autonomous_per_day required")
        each = call.body.get("max_per_action_type")
        item = {
            "pk": account_key(call.tenant, account),
            "sk": "BUDGET#CONFIG",
            "tenant_id": call.tenant,
            "account_id": account,
            "max_autonomous_per_day": limit,
            **({"max_per_action_type": each} if isinstance(each, dict) else {}),
            "updated_at": iso(self._clock.now()),
            **chosen,
        }
        self._aws.put(BUDGETS, item)
        self._tell(call, item)
        return 200, item

    def _tell(self, call: ControlCenterCall, record: Item) -> None:
        """Tells the ledger of a change, as the platform's plan wants it."""
        why = text_of(call.body.get("reason"))
        self._ledger.append(**configuration_change(record, at=self._clock.now(), who=_who(call), why=why))

    # Ledger, exports, executions

    def explanation(self, call: ControlCenterCall) -> Answer:
        """GET /ledger/explanation."""
        intent_id = call.query.get("action_intent_id") or call.query.get("execution_id")
        if not intent_id:
            raise RefusedCall(400, "execution_id or action_intent_id required")
        account = self._account(call, call.query)
        ledger = tenant_key(call.tenant)
        traces = {entry["traceId"] for entry in self._items(LEDGER, ledger, Attr("data.action_intent_id").eq(intent_id))}
        entries = self._items(LEDGER, ledger, Attr("traceId").is_in(sorted(traces))) if traces else []
        told = [entry for entry in entries if entry.get("accountId") == account]
        if not told:
            raise RefusedCall(404, "Not found")
        return 200, {"execution_id": intent_id, "account_id": account, "entries": told}

    def request_export(self, call: ControlCenterCall) -> Answer:
        """POST /audit/exports."""
        self._check_body_tenant(call)
        begin, end = text_of(call.body.get("from")), text_of(call.body.get("to"))
        if begin is None or end is None or moment_of(begin) is None or moment_of(end) is None:
            raise RefusedCall(400, "from and to required")
        account = self._account(call, call.body) if "account_id" in call.body else None
        export_id, kind = f"exp-{str(uuid.uuid4())[:12]}", "csv" if call.body.get("format") == "csv" else "json"
        detail = {
            "export_id": export_id,
            "tenant_id": call.tenant,
            **({"account_id": account} if account else {}),
            "from": begin,
            "to": end,
            "format": kind,
        }
        item = {"pk": tenant_key(call.tenant), "sk": f"EXPORT#{export_id}", **detail}
        self._aws.put(EXPORTS, item | {"status": "PENDING", "created_at": iso(self._clock.now())})
        told = {"export_id": export_id, "from": begin, "to": end, "requested_by": _who(call)}
        trace = export_trace(export_id)
        self._ledger.append("AUDIT_EXPORT_REQUESTED", tenant=call.tenant, account=account, trace_id=trace, data=told)
        self._aws.put_event("cc-native.autonomy", "AuditExportRequested", detail)
        return 202, {"export_id": export_id, "status": "PENDING"}

    def read_export(self, call: ControlCenterCall) -> Answer:
        """GET /audit/exports/{id}."""
        item = self._aws.get(EXPORTS, pk=tenant_key(call.tenant), sk=f"EXPORT#{call.path['export_id']}")
        if item is None:
            raise RefusedCall(404, "Not found")
        link = presigned_url(self._aws, item, self._clock.now(), self._endpoint) if item["status"] == "COMPLETED" else {}
        if PlatformFault.EXPORT_LINK_ELSEWHERE in self._faults and link:
            link["presigned_url"] = "https://files.example.com/export.json"
        problem = {name: item[name] for name in ("error_message",) if name in item}
        return 200, {"export_id": item["export_id"], "status": item["status"], **problem, **link}

    def execution_status(self, call: ControlCenterCall) -> Answer:
        """GET /executions/{id}/status."""
        with self._logs.invocation("execution-status-api") as lines:
            route, intent_id = "/executions/{action_intent_id}/status", call.path["intent_id"]
            lines.info(
                "Execution status API request received",
                httpMethod="GET",
                route=route,
                resource=route,
                path=f"/executions/{intent_id}/status",
            )
        account = self._account(call, call.query)
        pk = account_key(call.tenant, account)
        outcome = self._aws.get(OUTCOMES, pk=pk, sk=f"OUTCOME#{intent_id}")
        attempt = self._aws.get(ATTEMPTS, pk=pk, sk=f"EXECUTION#{intent_id}")
        if outcome is None and attempt is None:
            raise RefusedCall(404, "Execution not found")
        shown = outcome or attempt or {}
        names = ("status", "started_at", "completed_at", "external_object_refs", "error_message", "error_class", "attempt_count")
        return 200, {"action_intent_id": intent_id, **{name: shown[name] for name in names if name in shown}}

    def executions(self, call: ControlCenterCall) -> Answer:
        """GET /accounts/{id}/executions: the newest first."""
        newest = self._newest(call, OUTCOMES, "OUTCOME#", by="completed_at")
        names = ("action_intent_id", "status", "started_at", "completed_at", "attempt_count")
        return 200, {"executions": [{name: item.get(name) for name in names} for item in newest]}


def _who(call: ControlCenterCall) -> str:
    return (call.caller.identities or ("unknown",))[0]
