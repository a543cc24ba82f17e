"""The Control Center over HTTP: what a healthy one lets in, and that every fault is really there."""

import base64
import json
from http.client import HTTPException

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from phase5_ops.sandbox.control_center import server as control_center_server
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A, B
from phase5_ops.sandbox.state.records import TENANTS
from phase5_ops_tests.sandbox.ccnative.stored_items import FOREIGN, OUT_OF_SCOPE, OWN, REASON

pytestmark = [pytest.mark.slow, pytest.mark.over_sockets]

COMPLETE = ["REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED", "SIGNAL"]
FIELDS = ("action_intent_id", "account_id", "replay_reason", "requested_by")


def encoded(part):
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


@pytest.fixture(scope="module")
def forged(shared_platform):
    """Tokens that must not get in, by kind."""
    pool, genuine = shared_platform.platform.pool, shared_platform.token
    claims, kid = claims_of(genuine), jwt.get_unverified_header(genuine)["kid"]
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.PyJWK(pool.keys["keys"][0], algorithm="RS256").key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hashed = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{encoded(claims)}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(hashed.encode(), pem)
    header, _, signed = genuine.split(".")
    return {
        "none": "",
        "garbage": "not-a-token",
        "alg_none": f"{encoded({'alg': 'none', 'kid': kid})}.{encoded(claims)}.",
        "hs256": f"{hashed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}",
        "tampered": f"{header}.{encoded({**claims, 'email': 'somebody@example.com'})}.{signed}",
        "self_signed": jwt.encode(claims, own, algorithm="RS256", headers={"kid": kid}),
        "unknown_kid": jwt.encode(claims, own, algorithm="RS256", headers={"kid": "nobody-knows"}),
        "expired": pool.expired_token(A),
        "other_client": pool.tokens(A, client_id=pool.other_client_id)["IdToken"],
        "access": pool.tokens(A)["AccessToken"],
    }


LETS_IN = {
    PlatformFault.NO_TOKEN_ACCEPTED: {"none"},
    PlatformFault.ANY_TOKEN_ACCEPTED: {
        "garbage",
        "alg_none",
        "hs256",
        "tampered",
        "self_signed",
        "unknown_kid",
        "expired",
        "other_client",
        "access",
    },
    PlatformFault.ALG_NONE_ACCEPTED: {"alg_none"},
    PlatformFault.HS256_PUBLIC_KEY_ACCEPTED: {"hs256"},
    PlatformFault.SIGNATURE_NOT_CHECKED: {"tampered", "self_signed", "unknown_kid"},
    PlatformFault.EXPIRED_ACCEPTED: {"expired"},
    PlatformFault.OTHER_CLIENT_ACCEPTED: {"other_client"},
    PlatformFault.ACCESS_TOKEN_ACCEPTED: {"access"},
    PlatformFault.UNKNOWN_KID_ACCEPTED: {"unknown_kid"},
}


def test_the_owner_of_an_intent_may_replay_it_and_the_replay_completes(ccnative):
    intent = ccnative.intent()
    assert ccnative.replay(intent) == 202
    entries = ccnative.entries(intent)
    assert [entry["eventType"] for entry in entries] == COMPLETE
    assert entries[0]["traceId"].startswith("replay-request-")
    assert entries[0]["data"] == {
        "action_intent_id": intent,
        "replay_reason": REASON,
        "requested_by": A.username,
    }
    assert len({entry["traceId"] for entry in entries[1:]}) == 1
    assert len({entry["timestamp"] for entry in entries}) == len(entries)


def test_a_healthy_control_center_refuses_every_forged_token(ccnative, forged):
    intent = ccnative.intent()
    for kind, token in forged.items():
        for named in ({}, {"query": {"tenant_id": A.tenant_id}}, {"headers": [("x-tenant-id", A.tenant_id)]}):
            assert ccnative.replay(intent, token=token, **named) == 401, kind
        assert ccnative.replay(intent, token=token, tenant_id=A.tenant_id) == 401, kind
    assert ccnative.events(intent) == []


@pytest.mark.parametrize("fault", LETS_IN)
def test_a_hole_in_the_tokens_check_lets_in_exactly_its_tokens(ccnative, forged, fault):
    ccnative.platform_faults.add(fault)
    intents = {kind: ccnative.intent() for kind in forged}
    let_in = {kind for kind, token in forged.items() if ccnative.replay(intents[kind], token=token) == 202}
    assert let_in == LETS_IN[fault]
    stories = ccnative.stories()
    left = {kind: [entry["eventType"] for entry in stories.get(intent, [])] for kind, intent in intents.items()}
    assert left == {kind: COMPLETE if kind in let_in else [] for kind in forged}


def test_a_raw_token_without_a_scheme_is_taken_as_api_gateway_takes_it(ccnative):
    path, headers = "/kill-switches", [("Authorization", ccnative.token)]
    assert ccnative.request("GET", path, headers=headers)[0] == 200


NAMED = {
    "query": {"query": {"tenant_id": B.tenant_id}},
    "header": {"headers": [("x-tenant-id", B.tenant_id)]},
    "header_title": {"headers": [("X-Tenant-Id", B.tenant_id)]},
    "body": {"tenant_id": B.tenant_id},
}
OVERRIDES = {
    PlatformFault.TENANT_FROM_QUERY: {"query"},
    PlatformFault.TENANT_FROM_HEADER: {"header"},
    PlatformFault.TENANT_FROM_HEADER_ANY_CASE: {"header", "header_title"},
    PlatformFault.TENANT_FROM_BODY: {"body"},
}
FALLBACKS = {
    PlatformFault.TENANT_FALLBACK_QUERY: {"query"},
    PlatformFault.TENANT_FALLBACK_HEADER: {"header", "header_title"},
    PlatformFault.TENANT_FALLBACK_BODY: {"body"},
}


def test_a_healthy_control_center_acts_for_the_claims_tenant_whatever_else_is_named(ccnative):
    for where, named in NAMED.items():
        own, foreign = ccnative.intent(), ccnative.intent(tenant=B.tenant_id)
        assert ccnative.replay(foreign, **named) in (403, 404), where
        assert ccnative.replay(own, **named) == (403 if where == "body" else 202), where
        assert ccnative.events(foreign, B.tenant_id) == []


@pytest.mark.parametrize("fault", OVERRIDES)
def test_a_tenant_named_beside_the_token_overrides_the_claim_with_its_fault(ccnative, fault):
    ccnative.platform_faults.add(fault)
    for where, named in NAMED.items():
        intent = ccnative.intent(tenant=B.tenant_id)
        assert (ccnative.replay(intent, **named) == 202) == (where in OVERRIDES[fault]), where
        assert ccnative.events(intent, B.tenant_id) == (COMPLETE if where in OVERRIDES[fault] else [])


@pytest.mark.parametrize("fault", FALLBACKS)
def test_a_fallback_serves_callers_without_a_valid_token(ccnative, forged, fault):
    ccnative.platform_faults.add(fault)
    for where, named in NAMED.items():
        for token in ("", forged["self_signed"]):
            intent = ccnative.intent(tenant=B.tenant_id)
            assert (ccnative.replay(intent, token=token, **named) == 202) == (where in FALLBACKS[fault]), where
        assert ccnative.replay(ccnative.intent(tenant=B.tenant_id), **named) in (403, 404)


def test_a_refused_request_leaves_nothing_unless_the_platform_has_that_fault(ccnative):
    intent = ccnative.intent()
    assert ccnative.replay(intent, token="garbage") == 401
    assert ccnative.events(intent) == []
    ccnative.platform_faults.add(PlatformFault.REFUSED_BUT_RECORDED)
    assert ccnative.replay(intent, token="garbage") == 401
    assert ccnative.events(intent) == ["REPLAY_REQUESTED"]


def test_what_is_not_the_callers_is_refused(ccnative):
    foreign = ccnative.intent(tenant=B.tenant_id, account=FOREIGN)
    beside = ccnative.intent(account=OUT_OF_SCOPE)
    assert ccnative.replay(foreign) == 404
    assert ccnative.replay(foreign, account=FOREIGN) == 403
    assert ccnative.replay(ccnative.intent(), account=FOREIGN) == 403
    assert ccnative.replay(beside, account=OUT_OF_SCOPE) == 403
    assert ccnative.replay(beside) == 404
    assert ccnative.events(foreign, B.tenant_id) == ccnative.events(beside) == []


def test_a_foreign_intent_is_replayed_with_its_fault(ccnative):
    ccnative.platform_faults.add(PlatformFault.FOREIGN_INTENT_ACCEPTED)
    foreign = ccnative.intent(tenant=B.tenant_id, account=FOREIGN)
    assert ccnative.replay(foreign) == 202
    assert ccnative.events(foreign, B.tenant_id) == COMPLETE


def test_a_foreign_account_is_accepted_with_its_fault(ccnative):
    ccnative.platform_faults.add(PlatformFault.FOREIGN_ACCOUNT_ACCEPTED)
    own, foreign = ccnative.intent(), ccnative.intent(tenant=B.tenant_id, account=FOREIGN)
    assert ccnative.replay(own, account=FOREIGN) == 202
    assert ccnative.replay(foreign, account=FOREIGN) == 202
    assert ccnative.replay(ccnative.intent(account=OUT_OF_SCOPE), account=OUT_OF_SCOPE) == 403
    assert ccnative.events(own) == ccnative.events(foreign, B.tenant_id) == COMPLETE


def test_an_own_account_out_of_scope_is_accepted_with_its_fault(ccnative):
    ccnative.platform_faults.add(PlatformFault.ACCOUNT_SCOPE_NOT_ENFORCED)
    intent = ccnative.intent(account=OUT_OF_SCOPE)
    assert ccnative.replay(intent, account=OUT_OF_SCOPE) == 202
    assert ccnative.replay(ccnative.intent(), account=FOREIGN) == 403
    assert ccnative.events(intent) == COMPLETE


def test_a_missing_intent_is_not_found_unless_the_platform_has_that_fault(ccnative):
    assert ccnative.replay("ai_1_nowhere") == 404
    ccnative.platform_faults.add(PlatformFault.MISSING_INTENT_ACCEPTED)
    assert ccnative.replay("ai_1_nowhere") == 202
    assert ccnative.events("ai_1_nowhere") == ["REPLAY_REQUESTED"]


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_required_unless_the_platform_has_that_fault(ccnative, field):
    intent = ccnative.intent()
    fields = {"action_intent_id": intent, "account_id": OWN, "replay_reason": REASON, "requested_by": "somebody"}

    def send(value):
        body = {name: value if name == field else given for name, given in fields.items()}
        return ccnative.request("POST", "/replay", {n: v for n, v in body.items() if v is not None}, token=ccnative.token)[0]

    assert [send(value) for value in (None, "", " ", 7, ["a"])] == [400] * 5
    assert ccnative.events(intent) == []
    ccnative.platform_faults.add(PlatformFault.REQUIRED_FIELD_OPTIONAL)
    assert send(None) == (400 if field == "action_intent_id" else 202)


@pytest.mark.parametrize("body", [b"{", b'{"a": }', b"\xff\xfe"])
def test_malformed_json_is_the_callers_error_unless_the_platform_has_that_fault(ccnative, body):
    assert ccnative.request("POST", "/replay", body, token=ccnative.token)[0] == 400
    ccnative.platform_faults.add(PlatformFault.MALFORMED_JSON_500)
    assert ccnative.request("POST", "/replay", body, token=ccnative.token)[0] == 500


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null", b""])
def test_a_body_that_is_no_object_is_the_callers_error(ccnative, body):
    assert ccnative.request("POST", "/replay", body, token=ccnative.token)[0] == 400


def test_the_requester_is_whom_the_token_names_unless_the_platform_has_that_fault(ccnative):
    plain, repeated, claimed = (ccnative.intent() for _ in range(3))
    assert ccnative.replay(plain, requested_by="the-boss") == 202
    assert ccnative.replay(repeated, requested_by=A.email) == 202
    ccnative.platform_faults.add(PlatformFault.REQUESTER_FROM_BODY)
    assert ccnative.replay(claimed, requested_by="the-boss") == 202
    names = [
        {entry["data"]["requested_by"] for entry in ccnative.entries(intent) if entry["eventType"].startswith("REPLAY")}
        for intent in (plain, repeated, claimed)
    ]
    assert names == [{A.username}, {A.email}, {"the-boss"}]


def test_an_own_replay_is_recorded_under_the_other_tenant_with_its_fault(ccnative):
    ccnative.platform_faults.add(PlatformFault.OWN_REPLAY_RECORDED_ELSEWHERE)
    intent = ccnative.intent()
    assert ccnative.replay(intent) == 202
    assert ccnative.events(intent) == []
    assert ccnative.events(intent, B.tenant_id) == COMPLETE


def test_a_control_center_that_answers_something_else(ccnative):
    intent = ccnative.intent()
    ccnative.platform_faults.add(PlatformFault.HTML)
    assert ccnative.request("POST", "/replay", {}, token=ccnative.token)[1].startswith(b"<!doctype html>")
    ccnative.platform_faults.clear()
    ccnative.platform_faults.add(PlatformFault.ERROR_500)
    assert ccnative.replay(intent) == 500
    ccnative.platform_faults.clear()
    ccnative.platform_faults.add(PlatformFault.REDIRECT_ELSEWHERE)
    assert ccnative.replay(intent) == 302
    assert ccnative.events(intent) == []


def test_a_control_center_that_goes_down_resets_its_connections(ccnative):
    ccnative.platform_faults.add(PlatformFault.DOWN)
    with pytest.raises((ConnectionError, HTTPException)):
        ccnative.replay(ccnative.intent())


def test_nothing_listens_where_the_control_center_is_down_from_the_start(ccnative):
    server = control_center_server.ControlCenterServer(lambda *_: [], {PlatformFault.DOWN})
    server.start()
    original, ccnative.platform.control_center = ccnative.platform.control_center, server
    try:
        with pytest.raises(ConnectionRefusedError):
            ccnative.replay("ai_1_any")
    finally:
        ccnative.platform.control_center = original
        server.stop()


def test_kill_switches_are_read_and_written_for_the_callers_tenant_alone(ccnative):
    body = {"execution_enabled": False, "disabled_action_types": ["CREATE_CRM_TASK"]}
    try:
        assert ccnative.request("PUT", "/kill-switches", body, token=ccnative.token)[0] == 200
        assert ccnative.request("PUT", "/kill-switches", {"execution_enabled": True}, token=ccnative.token)[0] == 200
        shown = ccnative.request("GET", "/kill-switches", token=ccnative.token)[1]
        assert shown == {"tenant_id": A.tenant_id, "execution_enabled": True, "disabled_action_types": ["CREATE_CRM_TASK"]}
        assert "disabled_action_types" not in ccnative.aws.get(TENANTS, tenantId=B.tenant_id)
        foreign = {"tenant_id": B.tenant_id, "execution_enabled": False}
        assert ccnative.request("PUT", "/kill-switches", foreign, token=ccnative.token)[0] == 403
        assert ccnative.request("PUT", "/kill-switches", {"execution_enabled": "no"}, token=ccnative.token)[0] == 400
    finally:
        ccnative.request("PUT", "/kill-switches", {"disabled_action_types": []}, token=ccnative.token)


def test_configuration_goes_to_the_callers_own_partition(ccnative):
    def put(**body):
        return ccnative.request("PUT", "/config", body, token=ccnative.token)[0]

    assert put(mode="PROPOSE_ONLY", action_type="CREATE_INTERNAL_NOTE", account_id=OWN) == 200
    assert put(mode="DISABLED") == 200
    assert put(mode="DISABLED", tenant_id=B.tenant_id) == 403
    assert put(mode="DISABLED", pk=f"TENANT#{B.tenant_id}", sk="AUTONOMY#DEFAULT") == 400
    assert put(mode="DISABLED", account_id=FOREIGN) == 403
    assert put(mode="SOMETIMES") == 400
    items = ccnative.request("GET", "/config", token=ccnative.token)[1]["items"]
    assert [(item["pk"], item["sk"]) for item in items] == [(f"TENANT#{A.tenant_id}", "AUTONOMY#DEFAULT")]
    assert ccnative.request("GET", "/config", token=ccnative.token_b)[1] == {"items": []}


def test_budgets_are_those_of_accounts_in_scope(ccnative):
    def get(path, account):
        return ccnative.request("GET", path, token=ccnative.token, query={"account_id": account} if account else None)

    assert get("/budget", OWN) == (200, {"config": None, "remaining_today": 0})
    assert get("/budget/state", OWN) == (200, {"state": None})
    budget = {"account_id": OWN, "max_autonomous_per_day": 3}
    assert ccnative.request("PUT", "/budget", budget, token=ccnative.token)[0] == 200
    assert get("/budget", OWN)[1]["remaining_today"] == 3
    assert get("/budget", None)[0] == get("/budget/state", None)[0] == 400
    assert get("/budget", FOREIGN)[0] == get("/budget/state", OUT_OF_SCOPE)[0] == 403
    for wrong in ({"account_id": FOREIGN}, {"tenant_id": B.tenant_id}):
        assert ccnative.request("PUT", "/budget", budget | wrong, token=ccnative.token)[0] == 403
    assert ccnative.request("PUT", "/budget", budget | {"max_autonomous_per_day": -1}, token=ccnative.token)[0] == 400


def test_an_execution_is_explained_to_its_own_tenant_alone(ccnative):
    intent = ccnative.intent()
    assert ccnative.replay(intent) == 202
    assert ccnative.events(intent) == COMPLETE
    query = {"action_intent_id": intent, "account_id": OWN}
    status, told = ccnative.request("GET", "/ledger/explanation", token=ccnative.token, query=query)
    assert (status, [entry["eventType"] for entry in told["entries"]]) == (200, COMPLETE)
    status, shown = ccnative.request("GET", f"/executions/{intent}/status", token=ccnative.token, query={"account_id": OWN})
    assert (status, shown["status"]) == (200, "SUCCEEDED")
    status, listed = ccnative.request("GET", f"/accounts/{OWN}/executions", token=ccnative.token)
    assert status == 200
    assert listed["executions"][0]["action_intent_id"] == intent
    for account, answer in ((OWN, 403), (FOREIGN, 404)):  # B may not name A's account, and its own has no such intent
        query = {"action_intent_id": intent, "account_id": account}
        for path in ("/ledger/explanation", f"/executions/{intent}/status"):
            assert ccnative.request("GET", path, token=ccnative.token_b, query=query)[0] == answer, path
    assert ccnative.request("GET", f"/accounts/{OWN}/executions", token=ccnative.token_b)[0] == 403
    assert ccnative.request("GET", f"/accounts/{OWN}/executions", token=ccnative.token, query={"limit": "0"})[0] == 400


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_export_holds_the_callers_own_entries(ccnative, kind):
    mine, other = ccnative.intent(), ccnative.intent(tenant=B.tenant_id, account=FOREIGN)
    assert ccnative.replay(mine) == ccnative.replay(other, account=FOREIGN, token=ccnative.token_b) == 202
    traces = ccnative.entries(mine)[0]["traceId"], ccnative.entries(other, B.tenant_id)[0]["traceId"]
    span = {"from": "2020-01-01T00:00:00.000Z", "to": "2099-01-01T00:00:00.000Z", "format": kind}
    status, asked = ccnative.request("POST", "/audit/exports", span, token=ccnative.token)
    assert status == 202
    path = f"/audit/exports/{asked['export_id']}"
    status, found = ccnative.request("GET", path, token=ccnative.token)
    assert (status, found["status"]) == (200, "COMPLETED")
    assert "X-Amz-Signature" in found["presigned_url"] or "Signature" in found["presigned_url"]
    assert ccnative.request("GET", path, token=ccnative.token_b)[0] == 404
    name = f"audit-exports/{A.tenant_id}/{asked['export_id']}.{kind}"
    bucket = f"cc-native-audit-export-123456789012-{ccnative.sandbox.region}"
    content = ccnative.aws.client("s3").get_object(Bucket=bucket, Key=name)["Body"].read().decode()
    assert [trace in content for trace in traces] == [True, False]
    assert ccnative.request("POST", "/audit/exports", {"from": "yesterday"}, token=ccnative.token)[0] == 400
    assert ccnative.request("POST", "/audit/exports", span | {"tenant_id": B.tenant_id}, token=ccnative.token)[0] == 403


def test_every_route_asks_for_a_token(ccnative):
    routes = [
        ("GET", "/kill-switches"),
        ("PUT", "/kill-switches"),
        ("GET", "/ledger/explanation"),
        ("POST", "/audit/exports"),
        ("GET", "/audit/exports/exp-1"),
        ("GET", "/config"),
        ("PUT", "/config"),
        ("GET", "/budget"),
        ("PUT", "/budget"),
        ("GET", "/budget/state"),
        ("GET", "/executions/ai_1_x/status"),
        ("GET", "/accounts/canary-a-1/executions"),
    ]
    for method, path in routes:
        assert ccnative.request(method, path)[0] == 401, path


def test_other_routes_are_not_found_and_options_are_answered(ccnative):
    assert ccnative.request("GET", "/breakers", token=ccnative.token) == (404, {"error": "Not found"})
    assert ccnative.request("DELETE", "/replay", token=ccnative.token)[0] == 404
    assert ccnative.request("OPTIONS", "/replay")[0] == 204
    assert ccnative.request("POST", "/replay", b"x" * 1_000_001, token=ccnative.token)[0] == 413
