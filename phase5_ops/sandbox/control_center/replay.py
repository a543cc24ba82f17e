"""POST /replay of the sandbox's Control Center, with the faults that are its own.

A replay that could not be started, because one of the same intent is under way, is refused with 409, so that whatever is accepted
is carried out.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.control_center.authorizer import Hints
from phase5_ops.sandbox.control_center.call import Answer, ControlCenterCall, RefusedCall, Routes, text_of
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A, other_tenant
from phase5_ops.sandbox.state.records import ATTEMPTS, INTENTS, Item, account_key, milliseconds

_FIELDS = ("action_intent_id", "account_id", "replay_reason", "requested_by")


class ReplayRoutes(Routes):
    """POST /replay."""

    def __init__(self, context: PlatformContext) -> None:
        super().__init__(context)
        self._asking = threading.Lock()
        self._asked: dict[str, int] = {}  # intent -> number of its attempts when it was asked for last

    def replay(self, call: ControlCenterCall) -> Answer:
        """Asks for a replay of one of the caller's intents."""
        return self.granted(call)()

    def granted(self, call: ControlCenterCall) -> Callable[[], Answer]:
        """A function that asks for the replay. Everything has been looked up by then, so that it may be called later.

        Raises:
            RefusedCall: the call may not ask for it.
        """
        body = call.body
        missing = [name for name in _FIELDS if not (isinstance(body.get(name), str) and body[name].strip())]
        optional = PlatformFault.REQUIRED_FIELD_OPTIONAL in self._faults
        if missing and (not optional or "action_intent_id" in missing):
            raise RefusedCall(400, f"{', '.join(_FIELDS)} required")
        intent_id, account = str(body["action_intent_id"]), text_of(body.get("account_id"))
        self._check_body_tenant(call)
        if account is not None:
            self._check_account(call, account)
        intent = self._intent(call, intent_id, account)
        if intent is None and PlatformFault.MISSING_INTENT_ACCEPTED not in self._faults:
            raise RefusedCall(404, "Intent not found")
        tenant = call.recorded_for or (str(intent["tenant_id"]) if intent else call.tenant)
        where = str(intent["account_id"]) if intent else account or ""
        reason, requester = text_of(body.get("replay_reason")) or "", self._requester(call)

        def ask() -> Answer:
            with self._asking:
                attempt = self._aws.get(ATTEMPTS, pk=account_key(tenant, where), sk=f"EXECUTION#{intent_id}") or {}
                attempts = int(attempt.get("attempt_count", 0))
                if attempt.get("status") == "RUNNING" or self._asked.get(intent_id) == attempts:
                    raise RefusedCall(409, "A replay of this intent is under way")
                self._asked[intent_id] = attempts
                self._request_replay(tenant, where, intent_id, reason, requester)
            return 202, {"status": "replay_requested", "action_intent_id": intent_id}

        return ask

    def _intent(self, call: ControlCenterCall, intent_id: str, account: str | None) -> Item | None:
        """The caller's intent; with a fault, the one with that id of whichever tenant."""
        if call.caller.tenant is not None and account is not None:
            key = {"pk": account_key(call.caller.tenant, account), "sk": f"ACTION_INTENT#{intent_id}"}
            if found := self._aws.get(INTENTS, **key):
                return found
        anonymous = call.caller.tenant is None or account is None
        foreign = {PlatformFault.FOREIGN_INTENT_ACCEPTED, PlatformFault.FOREIGN_ACCOUNT_ACCEPTED} & self._faults
        found = self._intent_by_id(intent_id) if anonymous or foreign else None
        if found is None or call.caller.tenant is None:
            return found
        mine, there = found["tenant_id"] == call.caller.tenant, found["account_id"] == account
        if PlatformFault.FOREIGN_INTENT_ACCEPTED in self._faults and not mine:
            return found
        if PlatformFault.FOREIGN_ACCOUNT_ACCEPTED in self._faults and (mine or there):
            return found
        return found if mine and account is None else None

    def _requester(self, call: ControlCenterCall) -> str:
        """Who is recorded: the token's identity, which the body may only repeat."""
        claimed = text_of(call.body.get("requested_by"))
        if PlatformFault.REQUESTER_FROM_BODY in self._faults or not call.caller.identities:
            return claimed or ""
        return claimed if claimed in call.caller.identities else call.caller.identities[0]

    def _request_replay(self, tenant: str, account: str, intent_id: str, reason: str, requested_by: str) -> None:
        elsewhere = PlatformFault.OWN_REPLAY_RECORDED_ELSEWHERE in self._faults
        self._record_request(other_tenant(tenant) if elsewhere else tenant, account, intent_id, reason, requested_by)
        detail = {"action_intent_id": intent_id, "tenant_id": tenant, "account_id": account}
        self._aws.put_event(
            "cc-native", "REPLAY_REQUESTED", {"data": {**detail, "replay_reason": reason, "requested_by": requested_by}}
        )

    def _record_request(self, tenant: str, account: str, intent_id: str, reason: str, requested_by: str) -> None:
        self._ledger.append(
            "REPLAY_REQUESTED",
            tenant=tenant,
            account=account,
            trace_id=f"replay-request-{milliseconds(self._ledger.moment())}-{intent_id}",
            data={"action_intent_id": intent_id, "replay_reason": reason, "requested_by": requested_by},
        )

    def record_refused(self, hints: Hints, body: Mapping[str, Any]) -> None:
        """Records a refused request where the platform has that fault: under the intent's tenant, else the one that was named."""
        intent_id = text_of(body.get("action_intent_id"))
        if PlatformFault.REFUSED_BUT_RECORDED not in self._faults or intent_id is None:
            return
        intent = self._intent_by_id(intent_id) or {}
        tenant = str(intent.get("tenant_id") or hints.body or hints.query or hints.header(any_case=True) or A.tenant_id)
        account = str(body.get("account_id") or intent.get("account_id") or "")
        self._record_request(
            tenant, account, intent_id, str(body.get("replay_reason") or ""), str(body.get("requested_by") or "")
        )
