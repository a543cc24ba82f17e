"""Finding codes of rows 3.1 and 3.3. Pure."""

from phase5_ops.probing import codes as probing
from phase5_ops.probing.request import Problem
from phase5_ops.verdict import FindingCode, Verdict

_FAIL, _WARN, _INCONCLUSIVE, _ERROR = Verdict.FAIL, Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.ERROR
_AUTHORIZER = (
    "Put an authorizer before /replay that verifies signature (RS256, keys of the pool only), iss, aud, exp and token_use."
)
_TENANT = "Take the tenant from the verified claim custom:tenant_id alone; ignore or refuse a tenant in query, header and body."

UNAUTHENTICATED_ACCEPTED = FindingCode(
    "unauthenticated_accepted", _FAIL, "A request without a token got past authentication.", _AUTHORIZER
)
FORGED_TOKEN_ACCEPTED = FindingCode(
    "forged_token_accepted", _FAIL, "A token that the user pool did not sign got past authentication.", _AUTHORIZER
)
EXPIRED_TOKEN_ACCEPTED = FindingCode("expired_token_accepted", _FAIL, "An expired token got past authentication.", _AUTHORIZER)
OTHER_CLIENT_ACCEPTED = FindingCode(
    "other_client_accepted", _WARN, "A token that was issued for another client of the pool got past authentication.", _AUTHORIZER
)
ACCESS_TOKEN_ACCEPTED = FindingCode(
    "access_token_accepted", _FAIL, "An access token was taken where an id token is due.", _AUTHORIZER
)
TENANT_FROM_QUERY = FindingCode("tenant_taken_from_query", _FAIL, "A tenant in the query string was acted on.", _TENANT)
TENANT_FROM_HEADER = FindingCode(
    "tenant_taken_from_header", _FAIL, "A tenant in a header (x-tenant-id, or one that proxies set) was acted on.", _TENANT
)
TENANT_FROM_COOKIE = FindingCode("tenant_taken_from_cookie", _FAIL, "A tenant in a cookie was acted on.", _TENANT)
TENANT_FROM_PATH = FindingCode("tenant_taken_from_path", _FAIL, "A tenant in the path was acted on.", _TENANT)
TENANT_FROM_BODY = FindingCode("tenant_taken_from_body", _FAIL, "A tenant in the request's body was acted on.", _TENANT)
TENANTLESS_TOKEN_ACCEPTED = FindingCode(
    "token_without_tenant_accepted",
    _FAIL,
    "A genuine token whose custom:tenant_id is missing, or is not exactly a tenant's id, was acted on.",
    "Refuse a token unless its claim custom:tenant_id is exactly one tenant's id; never go on to look for a tenant elsewhere.",
)
OTHER_WAY_IN = FindingCode(
    "replay_by_other_route",
    _FAIL,
    "What POST /replay refuses was accepted with another method, another spelling of the path or a method override.",
    "Let one route lead to replays: POST /replay exactly, with the authorizer before it; ignore headers that override methods.",
)
REFUSED_BUT_RECORDED = FindingCode(
    "refused_but_recorded",
    _FAIL,
    "A request that was refused, or not answered, is in the ledger all the same.",
    "Decide before anything is written.",
)
LATE_EFFECT = FindingCode(
    "refused_probe_acted_on_later",
    _FAIL,
    "What an earlier run's probe was refused, or should have been, was done after that run had looked.",
    "Decide before anything is queued or written; a refused request must leave nothing that is acted on later. Each is reported"
    " by one run of a state folder, and for as long as PHASE5_PROBES__LATE_EFFECT_DAYS by runs of another one.",
)
LEDGER_SEARCH_EMPTY = FindingCode(
    "ledger_search_empty",
    _INCONCLUSIVE,
    "Probes were accepted, and the ledger was searched and holds nothing of any of them: it shows neither guilt nor innocence.",
    "Check PHASE5_TABLES__LEDGER, and the clocks of the platform and of this machine (PHASE5_NOW).",
)
REQUEST_UNEXPLAINED = FindingCode(
    "replay_request_unexplained",
    _INCONCLUSIVE,
    "A test tenant's ledger has a replay request that names no probe; it may be one whose fields were lost.",
    "Find out who asked for it; nobody but the probes should use the test tenants.",
)
FOREIGN_INTENT_ACCEPTED = FindingCode(
    "foreign_intent_accepted",
    _FAIL,
    "A token of tenant A was taken for an intent of tenant B.",
    "Look intents up under the claim's tenant.",
)
FOREIGN_ACCOUNT_ACCEPTED = FindingCode(
    "foreign_account_accepted",
    _FAIL,
    "A token of tenant A was taken for an account of tenant B.",
    "Check that the account is in custom:account_ids before looking anything up.",
)
ACCOUNT_SCOPE_NOT_ENFORCED = FindingCode(
    "account_scope_not_enforced",
    _FAIL,
    "A token was taken for an account outside its custom:account_ids.",
    "Check that the account is in custom:account_ids before looking anything up.",
)
ACCOUNT_FROM_REQUEST = FindingCode(
    "account_taken_from_elsewhere",
    _FAIL,
    "An account that stands elsewhere than in account_id of the body was acted on.",
    "Take the account from account_id of the body alone, and check that it is in custom:account_ids.",
)
INTENT_OF_OTHER_ACCOUNT = FindingCode(
    "intent_of_other_account_accepted",
    _FAIL,
    "An intent of another account of the tenant was replayed under an account that has no such intent.",
    "Look intents up under the claim's tenant and the account of the request.",
)
EXPIRED_INTENT_EXECUTED = FindingCode(
    "expired_intent_executed",
    _FAIL,
    "The replay of an intent that had expired was executed.",
    "Refuse the replay, or end it with REPLAY_FAILED: check expires_at_epoch before anything is done.",
)
STOPPED_INTENT_EXECUTED = FindingCode(
    "stopped_intent_executed",
    _FAIL,
    "A replay was executed although the tenant's kill switch covers the action type of its intent.",
    "Refuse the replay, or end it with REPLAY_FAILED: look at the kill switches before anything is done.",
)
REPEAT_NOT_REPLAYED = FindingCode(
    "repeated_replay_lost",
    _FAIL,
    "A replay that was asked for again was accepted, and the ledger does not show that it was done.",
    "Refuse a replay that cannot be started (409), or start every one that is accepted.",
)
REPEAT_SAME_EXECUTION = FindingCode(
    "repeated_replay_shares_trace",
    _FAIL,
    "Two replays of one intent are under one trace: they cannot be told from each other.",
    "Start every replay as an execution with a trace of its own.",
)
MISSING_INTENT_ACCEPTED = FindingCode(
    "missing_intent_accepted",
    _FAIL,
    "A replay of an intent that does not exist was accepted.",
    "Look the intent up first; answer 404.",
)
MISSING_INTENT_STATUS = FindingCode(
    "missing_intent_not_404", _FAIL, "A missing intent was refused with another status than 404.", "Answer 404."
)
REQUIRED_FIELD_OPTIONAL = FindingCode(
    "required_field_optional", _FAIL, "A request without a required field was accepted.", "Answer 400 to it."
)
REQUIRED_FIELD_STATUS = FindingCode(
    "required_field_not_400",
    _WARN,
    "A request without a required field was refused, with another status than 400.",
    "Answer 400.",
)
MALFORMED_JSON_ACCEPTED = FindingCode(
    "malformed_json_accepted", _FAIL, "A body that is no JSON object was accepted.", "Answer 400 to it."
)
MALFORMED_JSON_500 = FindingCode(
    "malformed_json_500", _WARN, "A body that is no JSON object makes the API fail with 5xx.", "Answer 400 to it."
)
REQUESTER_NOT_AUTHENTICATED = FindingCode(
    "requester_not_authenticated",
    _FAIL,
    "The ledger's requested_by is what the request claimed, not who the token says.",
    "Write requested_by from the verified token; refuse a body that says otherwise.",
)
OWN_REPLAY_REFUSED = FindingCode(
    "own_replay_refused",
    _FAIL,
    "The replay of an own intent in an own account was refused.",
    "See the answer in the evidence table.",
)
OWN_REPLAY_STATUS = FindingCode(
    "own_replay_not_202", _WARN, "The own replay was accepted with another status than 202.", "Answer 202."
)
OWN_REPLAY_NOT_RECORDED = FindingCode(
    "own_replay_not_recorded",
    _FAIL,
    "The own replay was accepted, and no REPLAY_REQUESTED is in the tenant's ledger.",
    "Write REPLAY_REQUESTED before answering.",
)
OWN_REPLAY_ELSEWHERE = FindingCode(
    "own_replay_recorded_elsewhere",
    _FAIL,
    "A replay of tenant A's intent is in another partition of the ledger.",
    "Write ledger entries under the claim's tenant.",
)
CANARY_NOT_FINISHED = FindingCode(
    "canary_replay_not_finished",
    _FAIL,
    "The canary replay was accepted and did not come to its end in time.",
    "Check the rule for REPLAY_REQUESTED on the bus and the state machine; see PHASE5_PROBES__FOLLOW_SECONDS.",
)
CANARY_FAILED = FindingCode(
    "canary_replay_failed", _FAIL, "The canary replay ended with REPLAY_FAILED.", "Look at the execution's trace in the ledger."
)
PROBE_NOT_TRIED = FindingCode(
    "probe_not_tried",
    _INCONCLUSIVE,
    "Probes were not sent; what was not tried does not pass.",
    "The finding says why.",
    not_tried=True,
)
POSITIVE_CONTROL_FAILED = FindingCode(
    "positive_control_failed",
    _INCONCLUSIVE,
    "No request with a valid token was accepted, so refusals show nothing: an API that refuses everybody would look the same.",
    "See why the own replay (3.3) was not accepted.",
)
REFUSAL_UNCLEAR = FindingCode(
    "refusal_unclear",
    _INCONCLUSIVE,
    "A probe was refused with a status that does not tell whether its token was refused, on an API that took no valid one.",
    "Check PHASE5_CONTROL_CENTER_URL and the API's routes.",
)

_REACH = "Check PHASE5_CONTROL_CENTER_URL and the API's health, then run again."


def _control_center(name: str, meaning: str) -> FindingCode:
    return FindingCode(f"control_center_{name}", _ERROR, meaning, _REACH, also=(_INCONCLUSIVE,))


#: ERROR where no probe was answered at all, INCONCLUSIVE where some were.
CONTROL_CENTER = {
    Problem.DOWN: _control_center("down", "The Control Center could not be reached, or broke off the connection."),
    Problem.TIMEOUT: _control_center("slow", "The Control Center gave no whole answer in time."),
    Problem.TLS: _control_center("tls", "The Control Center's certificate was not accepted; nothing was sent."),
    Problem.REDIRECT: _control_center("redirect", "The Control Center answered with a redirect, which was not followed."),
    Problem.HTML: _control_center("html", "The Control Center answered with a page instead of JSON."),
    Problem.TOO_LARGE: _control_center("answer_too_large", "The Control Center's answer was too large to be one of /replay."),
    Problem.SERVER_ERROR: _control_center("error", "The Control Center answered with 5xx, which is no refusal."),
    Problem.THROTTLED: _control_center("throttled", "The Control Center answered 429, which is no refusal of the token."),
}

AUTHORIZATION_CODES = (
    UNAUTHENTICATED_ACCEPTED,
    FORGED_TOKEN_ACCEPTED,
    EXPIRED_TOKEN_ACCEPTED,
    OTHER_CLIENT_ACCEPTED,
    ACCESS_TOKEN_ACCEPTED,
    TENANT_FROM_QUERY,
    TENANT_FROM_HEADER,
    TENANT_FROM_COOKIE,
    TENANT_FROM_PATH,
    TENANT_FROM_BODY,
    TENANTLESS_TOKEN_ACCEPTED,
    OTHER_WAY_IN,
    POSITIVE_CONTROL_FAILED,
    REFUSAL_UNCLEAR,
)
PERMISSION_CODES = (
    OWN_REPLAY_REFUSED,
    OWN_REPLAY_STATUS,
    OWN_REPLAY_NOT_RECORDED,
    OWN_REPLAY_ELSEWHERE,
    CANARY_NOT_FINISHED,
    CANARY_FAILED,
    FOREIGN_INTENT_ACCEPTED,
    FOREIGN_ACCOUNT_ACCEPTED,
    ACCOUNT_FROM_REQUEST,
    ACCOUNT_SCOPE_NOT_ENFORCED,
    INTENT_OF_OTHER_ACCOUNT,
    EXPIRED_INTENT_EXECUTED,
    STOPPED_INTENT_EXECUTED,
    REPEAT_NOT_REPLAYED,
    REPEAT_SAME_EXECUTION,
    MISSING_INTENT_ACCEPTED,
    MISSING_INTENT_STATUS,
    REQUIRED_FIELD_OPTIONAL,
    REQUIRED_FIELD_STATUS,
    MALFORMED_JSON_ACCEPTED,
    MALFORMED_JSON_500,
    REQUESTER_NOT_AUTHENTICATED,
)
SHARED_CODES = (
    REFUSED_BUT_RECORDED,
    LATE_EFFECT,
    LEDGER_SEARCH_EMPTY,
    REQUEST_UNEXPLAINED,
    PROBE_NOT_TRIED,
    *CONTROL_CENTER.values(),
    *probing.CODES,
)
CODES = (*AUTHORIZATION_CODES, *PERMISSION_CODES, *SHARED_CODES)
