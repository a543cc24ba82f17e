"""The Control Center of the sandbox's platform: the HTTP routes that operators and probes use, on the platform's real tables.

A healthy one takes the tenant from the token's claim alone, refuses what its caller may not name, and records who asked by the
token's identity. `authorizer.py` verifies tokens, the handlers of the routes are in `replay.py`,
`admin.py` and `decisions.py`, `planted_calls.py` lets requests through faults, `server.py` serves.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from werkzeug.exceptions import HTTPException, abort
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from phase5_ops.sandbox.aws.access_trail import Actor, acting_as
from phase5_ops.sandbox.ccnative.context import PlatformContext
from phase5_ops.sandbox.control_center.admin import AdminRoutes
from phase5_ops.sandbox.control_center.authorizer import Authorizer, Hints, Unauthorized
from phase5_ops.sandbox.control_center.call import Answer, ControlCenterCall, RefusedCall, named_tenant
from phase5_ops.sandbox.control_center.decisions import DecisionRoutes
from phase5_ops.sandbox.control_center.named_tenant import FAULT_OF_ROUTE, owner_of_named
from phase5_ops.sandbox.control_center.planted_calls import RawRequest, Taken, sent_headers, take
from phase5_ops.sandbox.control_center.planted_faults import ApiRoute, Effect
from phase5_ops.sandbox.control_center.replay import ReplayRoutes
from phase5_ops.sandbox.state.platform_faults import PlatformFault

LATE_SECONDS = 15.0
"""How long after its refusal a request is carried out all the same, where the platform has that fault."""

_MAX_BODY = 1_000_000

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Content-Type,Authorization,X-Api-Key,X-Tenant-Id",
    "Access-Control-Allow-Methods": "GET,PUT,POST,OPTIONS",
}

_ROUTES = Map(
    [
        Rule("/replay", methods=["POST"], endpoint="replay"),
        Rule("/kill-switches", methods=["GET"], endpoint="read_kill_switches"),
        Rule("/kill-switches", methods=["PUT"], endpoint="write_kill_switches"),
        Rule("/ledger/explanation", methods=["GET"], endpoint="explanation"),
        Rule("/audit/exports", methods=["POST"], endpoint="request_export"),
        Rule("/audit/exports/<export_id>", methods=["GET"], endpoint="read_export"),
        Rule("/config", methods=["GET"], endpoint="read_config"),
        Rule("/config", methods=["PUT"], endpoint="write_config"),
        Rule("/budget", methods=["GET"], endpoint="read_budget"),
        Rule("/budget", methods=["PUT"], endpoint="write_budget"),
        Rule("/budget/state", methods=["GET"], endpoint="read_budget_state"),
        Rule("/executions/<intent_id>/status", methods=["GET"], endpoint="execution_status"),
        Rule("/accounts/<account>/executions", methods=["GET"], endpoint="executions"),
        Rule("/decisions/evaluate", methods=["POST"], endpoint="evaluate_decision"),
        Rule("/decisions/<decision_id>/status", methods=["GET"], endpoint="decision_status"),
        Rule("/accounts/<account>/decisions", methods=["GET"], endpoint="decisions"),
        Rule("/actions/<action_ref>/approve", methods=["POST"], endpoint="approve_action"),
        Rule("/actions/<action_ref>/reject", methods=["POST"], endpoint="reject_action"),
    ],
    redirect_defaults=False,
    strict_slashes=False,
)


class ControlCenter:
    """The WSGI application."""

    def __init__(self, context: PlatformContext, authorizer: Authorizer) -> None:
        self._aws, self._logs = context.aws, context.logs
        self._authorizer, self._faults = authorizer, context.platform_faults
        self._replay = ReplayRoutes(context)
        self._handlers: dict[str, Callable[[ControlCenterCall], Answer]] = {}
        for routes in (self._replay, AdminRoutes(context), DecisionRoutes(context)):
            self._handlers |= {route.value: getattr(routes, route.value) for route in ApiRoute if hasattr(routes, route.value)}
        self._late: list[Callable[[], Answer]] = []
        self._late_lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:  # noqa: ANN401 - the types of WSGI
        """Answers one request."""
        with acting_as(Actor("cc-native-autonomy-admin-api")):
            status, content = self._answer(Request(environ))
        body = b"" if status == 204 else json.dumps(content, default=_number).encode()  # noqa: PLR2004 - HTTP's own
        return Response(body, status, _CORS, content_type="application/json")(environ, start_response)

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return 204, {}
        if (answer := self._slipped_through(request)) is not None:
            return answer
        try:
            endpoint, path = _ROUTES.bind_to_environ(request.environ).match()
            if (request.content_length or 0) > _MAX_BODY:
                abort(413)
            raw = request.get_data()
        except HTTPException as error:
            return (413, {"error": "Too large"}) if error.code == 413 else (404, {"error": "Not found"})  # noqa: PLR2004
        try:
            caller = self._authorizer.caller(request.headers.get("Authorization"), _hints(request, _lenient(raw)))
        except Unauthorized as error:
            if endpoint == ApiRoute.REPLAY:
                self._replay.record_refused(_hints(request, _lenient(raw)), _lenient(raw))
            return 401, {"error": str(error)}
        try:
            call = ControlCenterCall(caller, request.args.to_dict(), self._body(raw), path)
            if FAULT_OF_ROUTE.get(endpoint) in self._faults:
                call = self._for_named(call, _hints(request, call.body))
            return self._handlers[endpoint](call)
        except RefusedCall as refusal:
            return refusal.status, {"error": str(refusal)}

    def _slipped_through(self, request: Request) -> Answer | None:
        """The answer to a request that slips through a planted fault; None for every other."""
        if (request.content_length or 0) > _MAX_BODY:
            return None
        asked = RawRequest(request, request.get_data())
        taken = take(self._faults, asked, _ROUTES, self._authorizer, self._aws)
        if taken is None:
            return None
        if taken.refused:
            return 400, {"error": "tenant_id required"}
        return self._acted_on(taken)

    def _acted_on(self, taken: Taken) -> Answer:
        effect, call = taken.fault.effect, taken.call

        def act() -> Answer:
            try:
                return ask()
            except RefusedCall as refusal:
                return refusal.status, {"error": str(refusal)}

        def ask() -> Answer:
            return self._handlers[taken.fault.route](call)

        if taken.fault.route is ApiRoute.REPLAY:
            try:
                ask = self._replay.granted(call)  # looked up now, also where it is done later
            except RefusedCall as refusal:
                return refusal.status, {"error": str(refusal)}
        if effect is Effect.ACTS_LATE:
            with self._late_lock:
                self._late.append(act)
            timer = threading.Timer(LATE_SECONDS, self.act_late)
            timer.daemon = True
            timer.start()
        if effect is Effect.DESPITE_REFUSAL:
            act()
        if effect in (Effect.ACTS_LATE, Effect.DESPITE_REFUSAL):
            return 403, {"error": "Forbidden"}
        return act()

    def act_late(self) -> None:
        """Carries out the requests that were refused and put off."""
        with self._late_lock:
            acts, self._late[:] = list(self._late), []
        with acting_as(Actor("cc-native-autonomy-admin-api")):
            for act in acts:
                act()

    def _body(self, raw: bytes) -> Mapping[str, Any]:
        if not raw.strip():
            return {}
        try:
            body = json.loads(raw)
        except ValueError as error:
            if PlatformFault.MALFORMED_JSON_500 in self._faults:
                with self._logs.invocation("autonomy-admin-api") as lines:
                    lines.error("Autonomy admin API error", error={})
                raise RefusedCall(500, "Internal server error") from error
            raise RefusedCall(400, "Malformed JSON") from error
        if not isinstance(body, dict):
            raise RefusedCall(400, "A JSON object is required")
        return body

    def _for_named(self, call: ControlCenterCall, hints: Hints) -> ControlCenterCall:
        """The call as a faulty route takes it: for the tenant that the request names, and with all accounts of that tenant."""
        tenant = hints.query or hints.body or hints.header(any_case=True)
        tenant = tenant or owner_of_named(self._aws, {**call.body, **call.query, **call.path})
        return replace(call, caller=replace(call.caller, tenant=tenant, accounts=None)) if tenant else call


def _hints(request: Request, body: Mapping[str, Any]) -> Hints:
    return Hints(named_tenant(request.args), sent_headers(request), named_tenant(body))


def _lenient(raw: bytes) -> Mapping[str, Any]:
    """The body's object where it has one."""
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _number(value: object) -> int | float | str:
    """Decimals of DynamoDB as JSON numbers."""
    number = float(str(value))
    return int(number) if number.is_integer() else number
