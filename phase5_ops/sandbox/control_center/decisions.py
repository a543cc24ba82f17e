"""The decision API of the sandbox: evaluations, decisions, and what people decide about proposed actions.

A healthy one takes the tenant from the token's claim, and shows and changes decisions of that tenant's accounts alone. (The
observed platform takes the tenant from a header or the body: that is a fault here.)
"""

import secrets
import uuid
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.sandbox.control_center.call import Answer, ControlCenterCall, RefusedCall, Routes, text_of
from phase5_ops.sandbox.state.records import INTENTS, Item, account_key, intent, milliseconds

DECISIONS = "cc-native-decision-proposal"
DECISION_BUDGETS = "cc-native-decision-budget"


class DecisionRoutes(Routes):
    """The routes of the decision API."""

    def evaluate_decision(self, call: ControlCenterCall) -> Answer:
        """POST /decisions/evaluate: 202 and an evaluation that is asked for on the bus."""
        self._check_body_tenant(call)
        account = self._account(call, call.body)
        key = {"pk": account_key(call.tenant, account), "sk": "BUDGET"}
        budget = self._aws.get(DECISION_BUDGETS, **key)
        if budget is not None:
            remaining = int(budget["daily_decisions_remaining"])
            if remaining < 1:
                raise RefusedCall(429, "Decision budget exhausted")
            changed = {"daily_decisions_remaining": remaining - 1, "updated_at": iso(self._clock.now())}
            self._aws.put(DECISION_BUDGETS, budget | changed)
        evaluation, trigger = f"eval-{uuid.uuid4()}", text_of(call.body.get("trigger_type")) or "MANUAL"
        trace = f"trace-{milliseconds(self._clock.now())}-{uuid.uuid4()}"
        data = {"evaluation_id": evaluation, "trigger_type": trigger, "status": "PENDING"}
        self._ledger.append("DECISION_EVALUATION_REQUESTED", tenant=call.tenant, account=account, trace_id=trace, data=data)
        detail = {"account_id": account, "tenant_id": call.tenant, "trigger_type": trigger}
        self._aws.put_event(
            "cc-native.decision", "DECISION_EVALUATION_REQUESTED", detail | {"evaluation_id": evaluation, "trace_id": trace}
        )
        return 202, {"evaluation_id": evaluation, "status": "PENDING"}

    def decision_status(self, call: ControlCenterCall) -> Answer:
        """GET /decisions/{id}/status."""
        decision = self._decision(call, call.path["decision_id"])
        return 200, _shown(decision)

    def decisions(self, call: ControlCenterCall) -> Answer:
        """GET /accounts/{id}/decisions: the newest first."""
        newest = self._newest(call, DECISIONS, "DECISION#", by="created_at")
        return 200, {"decisions": [_shown(item) for item in newest]}

    def approve_action(self, call: ControlCenterCall) -> Answer:
        """POST /actions/{id}/approve: the action becomes an approved intent, which the bus has executed."""
        decision, action = self._action(call)
        now = self._clock.now()
        intent_id = f"ai_{milliseconds(now)}_{secrets.token_hex(4)}"
        item = intent(
            intent_id,
            tenant=decision["tenant_id"],
            account=decision["account_id"],
            action_type=str(action["action_type"]),
            parameters=action.get("parameters") or {},
            at=now,
            trace_id=str(decision["trace_id"]),
        )
        origin = {"original_decision_id": decision["decision_id"], "original_proposal_id": decision["decision_id"]}
        self._aws.put(INTENTS, item | origin | {"approved_by": (call.caller.identities or ("unknown",))[0]})
        told = {"action_intent_id": intent_id, "decision_id": decision["decision_id"], "edited_fields": []}
        self._tell("ACTION_APPROVED", decision, told)
        detail = {"action_intent_id": intent_id, "tenant_id": decision["tenant_id"], "account_id": decision["account_id"]}
        self._aws.put_event("cc-native", "ACTION_APPROVED", {"data": detail})
        return 200, {"action_intent_id": intent_id, "status": "APPROVED"}

    def reject_action(self, call: ControlCenterCall) -> Answer:
        """POST /actions/{id}/reject."""
        decision, action = self._action(call)
        by = (call.caller.identities or ("unknown",))[0]
        told = {"action_ref": action["action_ref"], "decision_id": decision["decision_id"], "rejected_by": by}
        self._tell("ACTION_REJECTED", decision, told | {"rejection_reason": text_of(call.body.get("reason")) or ""})
        return 200, {"action_ref": action["action_ref"], "status": "REJECTED"}

    def _tell(self, event: str, decision: Item, data: dict[str, Any]) -> None:
        self._ledger.append(
            event,
            tenant=str(decision["tenant_id"]),
            account=str(decision["account_id"]),
            trace_id=str(decision["trace_id"]),
            data=data,
        )

    def _decision(self, call: ControlCenterCall, decision_id: str) -> Item:
        """A decision of the caller's tenant and accounts; whether another's exists is not said."""
        found = self._aws.indexed(DECISIONS, "decision-id-index", "decision_id", decision_id)
        if found is None or (not call.finds_foreign and found["tenant_id"] != call.tenant):
            raise RefusedCall(404, "Decision not found")
        if not call.finds_foreign:
            self._check_account(call, str(found["account_id"]))
        return found

    def _action(self, call: ControlCenterCall) -> tuple[Item, Item]:
        self._check_body_tenant(call)
        decision_id = text_of(call.body.get("decision_id"))
        if decision_id is None:
            raise RefusedCall(400, "decision_id required")
        if "account_id" in call.body:
            self._account(call, call.body)
        decision = self._decision(call, decision_id)
        for action in decision.get("actions") or []:
            if action.get("action_ref") == call.path["action_ref"]:
                return decision, action
        raise RefusedCall(404, "Action not found")


def _shown(decision: Item) -> Item:
    names = ("decision_id", "account_id", "decision_type", "status", "created_at", "actions")
    return {name: decision[name] for name in names if name in decision}
