"""Scenarios of rows 3.1 and 3.3: a Control Center with each fault, one that does not answer, and probes that are not sent.

Such a fault leaves entries in the ledger, so that row 3.2 may turn too; these scenarios declare rows 3.1 and 3.3 alone.
"""

from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, INCONCLUSIVE, WARN, Turns, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A
from phase5_ops.verdict import Verdict

AUTHORIZATION, PERMISSIONS = "3.1", "3.3"
#: The rows that these scenarios declare.
ROWS = (AUTHORIZATION, PERMISSIONS)

_FAR_FUTURE_EPOCH = "4102444800"  # 2100-01-01: leases are wall clock
_SHORT = {"PHASE5_PROBES__REQUEST_TIMEOUT_SECONDS": "5"}
#: With these an accepted replay never ends, so that a run would follow it until its time is over.
_ENDLESS = frozenset(
    {
        PlatformFault.MISSING_INTENT_ACCEPTED,
        PlatformFault.REQUIRED_FIELD_OPTIONAL,
        PlatformFault.REPLAY_NOT_STARTED,
        PlatformFault.REPLAY_NEVER_FINISHES,
        PlatformFault.OWN_REPLAY_RECORDED_ELSEWHERE,
    }
)


def _faulty(fault: PlatformFault, description: str, turns: Turns) -> None:
    @scenario(f"replay-{fault.value.removeprefix('replay-')}", description, turns)
    def _change(state: Blueprint) -> None:
        state.platform_faults.add(fault)
        state.settings |= {**_SHORT, "PHASE5_PROBES__FOLLOW_SECONDS": "2" if fault in _ENDLESS else "30"}


def _both(verdict: Verdict, code: str) -> Turns:
    return {AUTHORIZATION: (verdict, code), PERMISSIONS: (verdict, code)}


def _authorization(code: str, verdict: Verdict = FAIL) -> Turns:
    return {AUTHORIZATION: (verdict, code)}


def _permissions(code: str, verdict: Verdict = FAIL) -> Turns:
    return {PERMISSIONS: (verdict, code)}


_faulty(
    PlatformFault.NO_TOKEN_ACCEPTED, "The replay API takes requests without a token.", _authorization("unauthenticated_accepted")
)
_faulty(PlatformFault.ANY_TOKEN_ACCEPTED, "The replay API takes any text for a token.", _authorization("forged_token_accepted"))
_faulty(PlatformFault.ALG_NONE_ACCEPTED, "The replay API takes unsigned tokens.", _authorization("forged_token_accepted"))
_faulty(
    PlatformFault.HS256_PUBLIC_KEY_ACCEPTED,
    "The replay API takes tokens that are signed with the public key as a secret.",
    _authorization("forged_token_accepted"),
)
_faulty(PlatformFault.SIGNATURE_NOT_CHECKED, "The replay API does not check signatures.", _authorization("forged_token_accepted"))
_faulty(
    PlatformFault.UNKNOWN_KID_ACCEPTED, "The replay API takes tokens of unknown keys.", _authorization("forged_token_accepted")
)
_faulty(PlatformFault.EXPIRED_ACCEPTED, "The replay API takes expired tokens.", _authorization("expired_token_accepted"))
_faulty(
    PlatformFault.OTHER_CLIENT_ACCEPTED,
    "The replay API takes another client's tokens.",
    _authorization("other_client_accepted", WARN),
)
_faulty(PlatformFault.ACCESS_TOKEN_ACCEPTED, "The replay API takes access tokens.", _authorization("access_token_accepted"))
_faulty(
    PlatformFault.TENANT_FROM_QUERY,
    "The tenant of the query string overrides the claim.",
    _authorization("tenant_taken_from_query"),
)
_faulty(
    PlatformFault.TENANT_FROM_HEADER, "The header x-tenant-id overrides the claim.", _authorization("tenant_taken_from_header")
)
_faulty(
    PlatformFault.TENANT_FROM_HEADER_ANY_CASE,
    "The header X-Tenant-Id overrides the claim, in any case.",
    _authorization("tenant_taken_from_header"),
)
_faulty(PlatformFault.TENANT_FROM_BODY, "The tenant of the body overrides the claim.", _authorization("tenant_taken_from_body"))
_faulty(
    PlatformFault.TENANT_FALLBACK_QUERY,
    "Without a valid token the query names the tenant.",
    _authorization("tenant_taken_from_query"),
)
_faulty(
    PlatformFault.TENANT_FALLBACK_HEADER,
    "Without a valid token a header names the tenant.",
    _authorization("tenant_taken_from_header"),
)
_faulty(
    PlatformFault.TENANT_FALLBACK_BODY,
    "Without a valid token the body names the tenant.",
    _authorization("tenant_taken_from_body"),
)
_faulty(PlatformFault.REFUSED_BUT_RECORDED, "Refused requests are in the ledger.", _authorization("refused_but_recorded"))
_faulty(
    PlatformFault.FOREIGN_INTENT_ACCEPTED,
    "Intents are looked up without their tenant.",
    _both(FAIL, "foreign_intent_accepted"),
)
_faulty(
    PlatformFault.FOREIGN_ACCOUNT_ACCEPTED,
    "Accounts of another tenant are acted on.",
    {AUTHORIZATION: (FAIL, "foreign_intent_accepted"), PERMISSIONS: (FAIL, "foreign_account_accepted")},
)
_faulty(
    PlatformFault.ACCOUNT_SCOPE_NOT_ENFORCED, "custom:account_ids is not looked at.", _permissions("account_scope_not_enforced")
)
_faulty(  # row 3.1 turns too: the other tenant's intents do not exist among the caller's
    PlatformFault.MISSING_INTENT_ACCEPTED,
    "Replays of intents that do not exist are accepted.",
    {**_authorization("foreign_intent_accepted"), **_permissions("missing_intent_accepted")},
)
_faulty(
    PlatformFault.REQUIRED_FIELD_OPTIONAL,
    "Requests without a required field are accepted.",
    _permissions("required_field_optional"),
)
_faulty(PlatformFault.MALFORMED_JSON_500, "Malformed JSON makes the API fail.", _permissions("malformed_json_500", WARN))
_faulty(
    PlatformFault.REQUESTER_FROM_BODY,
    "The ledger keeps the requester that the body claims.",
    _permissions("requester_not_authenticated"),
)
_faulty(PlatformFault.REPLAY_NOT_STARTED, "No rule starts a requested replay.", _permissions("canary_replay_not_finished"))
_faulty(PlatformFault.REPLAY_NEVER_FINISHES, "Replays start and never end.", _permissions("canary_replay_not_finished"))
_faulty(PlatformFault.KILL_SWITCH_IGNORED, "Replays run under a kill switch.", _permissions("stopped_intent_executed"))
_faulty(PlatformFault.REPLAY_FAILS, "Every replay fails.", _permissions("canary_replay_failed"))
_faulty(
    PlatformFault.OWN_REPLAY_RECORDED_ELSEWHERE,
    "A tenant's replay is recorded under another tenant.",
    _both(FAIL, "own_replay_recorded_elsewhere"),
)
_faulty(PlatformFault.DOWN, "Nothing listens where the Control Center should be.", _both(ERROR, "control_center_down"))
_faulty(PlatformFault.SLOW, "The Control Center does not answer in time.", _both(ERROR, "control_center_slow"))
_faulty(PlatformFault.DRIP, "The Control Center answers a byte a second.", _both(ERROR, "control_center_slow"))
_faulty(PlatformFault.HTML, "A page answers in the Control Center's place.", _both(ERROR, "control_center_html"))
_faulty(PlatformFault.ERROR_500, "The Control Center answers 500.", _both(ERROR, "control_center_error"))
_faulty(
    PlatformFault.REDIRECT_ELSEWHERE, "The Control Center redirects to another host.", _both(ERROR, "control_center_redirect")
)


@scenario("probes-off", "Probes are switched off.", _both(INCONCLUSIVE, "probes_off"))
def _probes_off(state: Blueprint) -> None:
    state.settings["PHASE5_PROBE_MODE"] = "off"


@scenario("probes-refusals", "Only probes that start no work are sent.", _both(INCONCLUSIVE, "probe_not_tried"))
def _probes_refusals(state: Blueprint) -> None:
    state.settings["PHASE5_PROBE_MODE"] = "refusals"


@scenario("probes-stopped", "The platform's global stop is set.", _both(INCONCLUSIVE, "probes_stopped"))
def _probes_stopped(state: Blueprint) -> None:
    state.global_stop = True


@scenario("probe-tenant-stopped", "The kill switch of test tenant A is set.", _both(INCONCLUSIVE, "probes_stopped"))
def _probe_tenant_stopped(state: Blueprint) -> None:
    next(tenant for tenant in state.tenants if tenant["tenantId"] == A.tenant_id)["execution_enabled"] = False


@scenario("probe-lease-held", "Another run is probing.", _both(INCONCLUSIVE, "probe_lease_held"))
def _probe_lease_held(state: Blueprint) -> None:
    lease = {
        "pk": {"S": "PROBES"},
        "sk": {"S": "LEASE"},
        "holder": {"S": "another-run"},
        "expires_at_epoch": {"N": _FAR_FUTURE_EPOCH},
    }
    state.raw_items.append(("phase5-readiness", lease))


@scenario("probe-state-missing", "phase5's state table does not exist.", _both(ERROR, "probe_state_unavailable"))
def _probe_state_missing(state: Blueprint) -> None:
    state.missing_tables.add("phase5-readiness")


@scenario("probe-password-wrong", "The password of probe user A is wrong.", _both(ERROR, "probe_token_unavailable"))
def _probe_password_wrong(state: Blueprint) -> None:
    state.settings["PHASE5_PROBE_USERS__A__PASSWORD"] = "not-the-password"  # noqa: S105 - that is the point


@scenario(
    "probe-user-missing",
    "The settings name no user whose token names no tenant.",
    _both(INCONCLUSIVE, "probe_user_missing"),
)
def _probe_user_missing(state: Blueprint) -> None:
    state.settings["PHASE5_PROBE_USERS__UNCLAIMED__USERNAME"] = ""


@scenario(
    "probe-user-unfit",
    "The user whose token should name no tenant cannot sign in.",
    _both(INCONCLUSIVE, "probe_user_unfit"),
)
def _probe_user_unfit(state: Blueprint) -> None:
    state.settings["PHASE5_PROBE_USERS__UNCLAIMED__PASSWORD"] = "not-the-password"  # noqa: S105 - that is the point


@scenario("probe-tenant-unmarked", "Nothing shows that the test tenants are test tenants.", _both(ERROR, "probe_tenant_refused"))
def _probe_tenant_unmarked(state: Blueprint) -> None:
    state.settings["PHASE5_PROBES__TEST_TENANT_PREFIX"] = "somebody-"


@scenario("probe-stop-unreadable", "Whether the platform is stopped cannot be read.", _both(ERROR, "stop_unreadable"))
def _probe_stop_unreadable(state: Blueprint) -> None:
    state.faults.append({"kind": "denied", "service": "lambda"})


@scenario("expired-token-missing", "There is no expired token to try.", _authorization("expired_token_unavailable", INCONCLUSIVE))
def _expired_token_missing(state: Blueprint) -> None:
    state.settings["PHASE5_PROBES__EXPIRED_TOKEN_FILE"] = "/nonexistent"  # noqa: S105 - a path


@scenario("probe-ledger-denied", "The ledger cannot be searched after the probes.", _both(ERROR, "read_failed"))
def _probe_ledger_denied(state: Blueprint) -> None:
    state.faults.append({"kind": "denied", "operation": "Query", "match": "cc-native-ledger"})
