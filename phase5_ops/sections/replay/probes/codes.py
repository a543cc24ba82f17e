"""Finding codes of rows 3.1 and 3.3. Pure."""

from phase5_ops.probing.request import Problem
from phase5_ops.verdict import FindingCode, FindingCodes, Verdict

_FAIL, _WARN, _INCONCLUSIVE, _ERROR = Verdict.FAIL, Verdict.WARN, Verdict.INCONCLUSIVE, Verdict.ERROR
_AUTHORIZER = (
    "Put an authorizer before /replay that verifies signature (RS256, keys of the pool only), iss, aud, exp and token_use."
)
_TENANT = "Take the tenant from the verified claim custom:tenant_id alone; ignore or refuse a tenant in query, header and body."

_REACH = "Check PHASE5_CONTROL_CENTER_URL and the API's health, then run again."


def _unreached(meaning: str) -> FindingCode:
    """ERROR where no probe was answered at all, INCONCLUSIVE where some were."""
    return FindingCode(_ERROR, meaning, _REACH, also=(_INCONCLUSIVE,))


class AuthorizationCode(FindingCodes):
    """The finding codes of row 3.1 alone."""

    UNAUTHENTICATED_ACCEPTED = FindingCode(_FAIL, "A request without a token got past authentication.", _AUTHORIZER)
    FORGED_TOKEN_ACCEPTED = FindingCode(_FAIL, "A token that the user pool did not sign got past authentication.", _AUTHORIZER)
    EXPIRED_TOKEN_ACCEPTED = FindingCode(_FAIL, "An expired token got past authentication.", _AUTHORIZER)
    OTHER_CLIENT_ACCEPTED = FindingCode(
        _WARN, "A token that was issued for another client of the pool got past authentication.", _AUTHORIZER
    )
    ACCESS_TOKEN_ACCEPTED = FindingCode(_FAIL, "An access token was taken where an id token is due.", _AUTHORIZER)
    TENANT_TAKEN_FROM_QUERY = FindingCode(_FAIL, "A tenant in the query string was acted on.", _TENANT)
    TENANT_TAKEN_FROM_HEADER = FindingCode(
        _FAIL, "A tenant in a header (x-tenant-id, or one that proxies set) was acted on.", _TENANT
    )
    TENANT_TAKEN_FROM_COOKIE = FindingCode(_FAIL, "A tenant in a cookie was acted on.", _TENANT)
    TENANT_TAKEN_FROM_PATH = FindingCode(_FAIL, "A tenant in the path was acted on.", _TENANT)
    TENANT_TAKEN_FROM_BODY = FindingCode(_FAIL, "A tenant in the request's body was acted on.", _TENANT)
    TOKEN_WITHOUT_TENANT_ACCEPTED = FindingCode(
        _FAIL,
        "A genuine token whose custom:tenant_id is missing, or is not exactly a tenant's id, was acted on.",
        "Refuse a token unless its claim custom:tenant_id is exactly one tenant's id; never go on to look for a tenant"
        " elsewhere.",
    )
    REPLAY_BY_OTHER_ROUTE = FindingCode(
        _FAIL,
        "What POST /replay refuses was accepted with another method, another spelling of the path or a method override.",
        "Let one route lead to replays: POST /replay exactly, with the authorizer before it; ignore headers that override"
        " methods.",
    )
    POSITIVE_CONTROL_FAILED = FindingCode(
        _INCONCLUSIVE,
        "No request with a valid token was accepted, so refusals show nothing: an API that refuses everybody would look the"
        " same.",
        "See why the own replay (3.3) was not accepted.",
    )
    REFUSAL_UNCLEAR = FindingCode(
        _INCONCLUSIVE,
        "A probe was refused with a status that does not tell whether its token was refused, on an API that took no valid one.",
        "Check PHASE5_CONTROL_CENTER_URL and the API's routes.",
    )


class PermissionCode(FindingCodes):
    """The finding codes of row 3.3 alone."""

    OWN_REPLAY_REFUSED = FindingCode(
        _FAIL,
        "The replay of an own intent in an own account was refused.",
        "See the answer in the evidence table.",
    )
    OWN_REPLAY_NOT_202 = FindingCode(_WARN, "The own replay was accepted with another status than 202.", "Answer 202.")
    OWN_REPLAY_NOT_RECORDED = FindingCode(
        _FAIL,
        "The own replay was accepted, and no REPLAY_REQUESTED is in the tenant's ledger.",
        "Write REPLAY_REQUESTED before answering.",
    )
    OWN_REPLAY_RECORDED_ELSEWHERE = FindingCode(
        _FAIL,
        "A replay of tenant A's intent is in another partition of the ledger.",
        "Write ledger entries under the claim's tenant.",
    )
    CANARY_REPLAY_NOT_FINISHED = FindingCode(
        _FAIL,
        "The canary replay was accepted and did not come to its end in time.",
        "Check the rule for REPLAY_REQUESTED on the bus and the state machine; see PHASE5_PROBES__FOLLOW_SECONDS.",
    )
    CANARY_REPLAY_FAILED = FindingCode(
        _FAIL, "The canary replay ended with REPLAY_FAILED.", "Look at the execution's trace in the ledger."
    )
    FOREIGN_INTENT_ACCEPTED = FindingCode(
        _FAIL,
        "A token of tenant A was taken for an intent of tenant B.",
        "Look intents up under the claim's tenant.",
    )
    FOREIGN_ACCOUNT_ACCEPTED = FindingCode(
        _FAIL,
        "A token of tenant A was taken for an account of tenant B.",
        "Check that the account is in custom:account_ids before looking anything up.",
    )
    ACCOUNT_TAKEN_FROM_ELSEWHERE = FindingCode(
        _FAIL,
        "An account that stands elsewhere than in account_id of the body was acted on.",
        "Take the account from account_id of the body alone, and check that it is in custom:account_ids.",
    )
    ACCOUNT_SCOPE_NOT_ENFORCED = FindingCode(
        _FAIL,
        "A token was taken for an account outside its custom:account_ids.",
        "Check that the account is in custom:account_ids before looking anything up.",
    )
    INTENT_OF_OTHER_ACCOUNT_ACCEPTED = FindingCode(
        _FAIL,
        "An intent of another account of the tenant was replayed under an account that has no such intent.",
        "Look intents up under the claim's tenant and the account of the request.",
    )
    EXPIRED_INTENT_EXECUTED = FindingCode(
        _FAIL,
        "The replay of an intent that had expired was executed.",
        "Refuse the replay, or end it with REPLAY_FAILED: check expires_at_epoch before anything is done.",
    )
    STOPPED_INTENT_EXECUTED = FindingCode(
        _FAIL,
        "A replay was executed although the tenant's kill switch covers the action type of its intent.",
        "Refuse the replay, or end it with REPLAY_FAILED: look at the kill switches before anything is done.",
    )
    REPEATED_REPLAY_LOST = FindingCode(
        _FAIL,
        "A replay that was asked for again was accepted, and the ledger does not show that it was done.",
        "Refuse a replay that cannot be started (409), or start every one that is accepted.",
    )
    REPEATED_REPLAY_SHARES_TRACE = FindingCode(
        _FAIL,
        "Two replays of one intent are under one trace: they cannot be told from each other.",
        "Start every replay as an execution with a trace of its own.",
    )
    MISSING_INTENT_ACCEPTED = FindingCode(
        _FAIL,
        "A replay of an intent that does not exist was accepted.",
        "Look the intent up first; answer 404.",
    )
    MISSING_INTENT_NOT_404 = FindingCode(_FAIL, "A missing intent was refused with another status than 404.", "Answer 404.")
    REQUIRED_FIELD_OPTIONAL = FindingCode(_FAIL, "A request without a required field was accepted.", "Answer 400 to it.")
    REQUIRED_FIELD_NOT_400 = FindingCode(
        _WARN,
        "A request without a required field was refused, with another status than 400.",
        "Answer 400.",
    )
    MALFORMED_JSON_ACCEPTED = FindingCode(_FAIL, "A body that is no JSON object was accepted.", "Answer 400 to it.")
    MALFORMED_JSON_500 = FindingCode(_WARN, "A body that is no JSON object makes the API fail with 5xx.", "Answer 400 to it.")
    REQUESTER_NOT_AUTHENTICATED = FindingCode(
        _FAIL,
        "The ledger's requested_by is what the request claimed, not who the token says.",
        "Write requested_by from the verified token; refuse a body that says otherwise.",
    )


class ProbeCode(FindingCodes):
    """The finding codes of both rows."""

    REFUSED_BUT_RECORDED = FindingCode(
        _FAIL,
        "A request that was refused, or not answered, is in the ledger all the same.",
        "Decide before anything is written.",
    )
    REFUSED_PROBE_ACTED_ON_LATER = FindingCode(
        _FAIL,
        "What an earlier run's probe asked for was done, although it was refused, or should have been, and that run did not find"
        " it: it was done after that run had looked, or that run could not look.",
        "Decide before anything is queued or written; a refused request must leave nothing that is acted on later. Runs"
        " with the same state folder report each such entry once; runs with another one report it for"
        " PHASE5_PROBES__LATE_EFFECT_DAYS.",
    )
    LEDGER_SEARCH_EMPTY = FindingCode(
        _INCONCLUSIVE,
        "Probes were accepted, and the ledger holds no entry of any of them, so it does not show what the platform did.",
        "Check PHASE5_TABLES__LEDGER, and the clocks of the platform and of this machine (PHASE5_NOW).",
    )
    REPLAY_REQUEST_UNEXPLAINED = FindingCode(
        _INCONCLUSIVE,
        "A test tenant's ledger has a replay request that names no probe; it may be one whose fields were lost.",
        "Find out who asked for it; nobody but the probes should use the test tenants.",
    )
    PROBE_NOT_TRIED = FindingCode(
        _INCONCLUSIVE,
        "Probes were not sent; what was not tried does not pass.",
        "The finding says why.",
        not_tried=True,
    )
    CONTROL_CENTER_DOWN = _unreached("The Control Center could not be reached, or broke off the connection.")
    CONTROL_CENTER_SLOW = _unreached("The Control Center gave no whole answer in time.")
    CONTROL_CENTER_TLS = _unreached("The Control Center's certificate was not accepted; nothing was sent.")
    CONTROL_CENTER_REDIRECT = _unreached("The Control Center answered with a redirect, which was not followed.")
    CONTROL_CENTER_HTML = _unreached("The Control Center answered with a page instead of JSON.")
    CONTROL_CENTER_ANSWER_TOO_LARGE = _unreached("The Control Center's answer was too large to be one of /replay.")
    CONTROL_CENTER_ERROR = _unreached("The Control Center answered with 5xx, which is no refusal.")
    CONTROL_CENTER_THROTTLED = _unreached("The Control Center answered 429, which is no refusal of the token.")


CONTROL_CENTER = {
    Problem.DOWN: ProbeCode.CONTROL_CENTER_DOWN,
    Problem.TIMEOUT: ProbeCode.CONTROL_CENTER_SLOW,
    Problem.TLS: ProbeCode.CONTROL_CENTER_TLS,
    Problem.REDIRECT: ProbeCode.CONTROL_CENTER_REDIRECT,
    Problem.HTML: ProbeCode.CONTROL_CENTER_HTML,
    Problem.TOO_LARGE: ProbeCode.CONTROL_CENTER_ANSWER_TOO_LARGE,
    Problem.SERVER_ERROR: ProbeCode.CONTROL_CENTER_ERROR,
    Problem.THROTTLED: ProbeCode.CONTROL_CENTER_THROTTLED,
}
