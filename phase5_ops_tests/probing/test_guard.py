"""No probe ever names anybody but the two test tenants."""

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.canary_intent import new_intent_id
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.guard import ALLOWED_HEADERS, ForbiddenTarget, Ground, check, tenants_of_token
from phase5_ops.probing.request import Request
from phase5_ops.sections.replay.probes.matrix import build_plan
from phase5_ops.sections.replay.probes.plan import Targets, intents_of, request_of
from phase5_ops.settings import ConfigurationError

POLICY = ProbePolicy()
TARGETS = Targets.of(POLICY, run_id="run-1", tenant_a="phase5-a", tenant_b="phase5-b", requester="probe@example.com")
PLAN = build_plan(TARGETS, new_intent_id, other_client=True)
ACCOUNTS = frozenset((POLICY.account_a, POLICY.account_a_out_of_scope, POLICY.account_b))
GROUND = Ground("phase5-a", "phase5-b", ACCOUNTS, frozenset(probe.intent for probe in PLAN), frozenset(("probe@example.com",)))
OWN = next(probe for probe in PLAN if probe.name == "own_replay")


def token(tenant: str) -> str:
    return jwt.encode({"custom:tenant_id": tenant}, "s" * 32, algorithm="HS256")


def test_every_request_of_the_plan_passes():
    own = token("phase5-a")
    for probe in PLAN:
        check(request_of(probe, None if probe.token is TokenKind.NONE else own), GROUND)


def test_the_plan_writes_intents_for_the_test_tenants_alone():
    assert {place.tenant for place, _ in intents_of(PLAN)} == {"phase5-a", "phase5-b"}
    assert {place.account for place, _ in intents_of(PLAN)} <= ACCOUNTS


names = st.text(min_size=1, max_size=20).filter(lambda text: text not in {*GROUND.tenants, *ACCOUNTS, *GROUND.intents})


@given(
    probe=st.sampled_from([probe for probe in PLAN if probe.raw is None]),
    where=st.sampled_from(["query", "header", "body", "account_id", "action_intent_id", "requested_by", "token"]),
    foreign=names,
    spelling=st.sampled_from(["x-tenant-id", "X-Tenant-Id", "X-TENANT-ID", "x-TENANT-id"]),
)
def test_a_request_that_names_anybody_else_is_refused_wherever_the_name_stands(probe, where, foreign, spelling):
    request = request_of(probe, token(foreign) if where == "token" else None)
    query, headers, body = dict(request.query), dict(request.headers), dict(request.body or {})
    if where == "query":
        query["tenant_id"] = foreign
    elif where == "header":
        headers = {name: value for name, value in headers.items() if name.lower() != "x-tenant-id"} | {spelling: foreign}
    elif where != "token":
        body["tenant_id" if where == "body" else where] = foreign
    with pytest.raises(ForbiddenTarget):
        check(Request("POST", "/replay", query, headers, body), GROUND)


@given(target=names, probe=st.sampled_from(PLAN))
def test_a_change_of_the_tenants_in_the_settings_makes_every_request_unsendable(target, probe):
    other = Ground(target, "phase5-b", ACCOUNTS, GROUND.intents, GROUND.requesters)
    with pytest.raises(ForbiddenTarget):
        check(request_of(probe, token("phase5-a")), other)


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/replay"),
        Request("POST", "/audit/exports"),
        Request("POST", "/replay", {"account_id": "canary-a-1"}),
        Request("POST", "/replay", {}, {"X-Forwarded-Host": "phase5-a"}),
        Request("POST", "/replay", {}, {}, {"owner": "phase5-a"}),
        Request("POST", "/replay", {}, {}, {"replay_reason": "because"}),
        Request("POST", "/replay", {}, {}, raw='{"tenant_id": "acme"}'),
        Request("POST", "/replay", {}, {"Authorization": "Bearer x\r\nx-tenant-id: acme"}),
    ],
    ids=["method", "path", "query field", "header", "body field", "reason", "raw body", "line break"],
)
def test_what_is_not_known_to_be_harmless_is_refused(request_):
    with pytest.raises(ForbiddenTarget):
        check(request_, GROUND)


def test_a_refusal_is_a_configuration_error_and_shows_no_token():
    secret = token("acme")
    with pytest.raises(ConfigurationError) as caught:
        check(Request("POST", "/replay", {}, {"Authorization": f"Bearer {secret}"}), GROUND)
    assert secret not in str(caught.value)
    assert "acme" in str(caught.value)


def test_two_equal_test_tenants_are_refused():
    with pytest.raises(ForbiddenTarget):
        check(request_of(OWN, None), Ground("phase5-a", "phase5-a", ACCOUNTS, GROUND.intents, GROUND.requesters))


def test_a_token_that_is_no_token_claims_no_tenant():
    assert [tenants_of_token(text) for text in ("Bearer garbage", "Bearer a.b.c", "Bearer a.!!.c", "")] == [[]] * 4
    assert {"authorization", "content-type", "accept", "x-tenant-id"} == ALLOWED_HEADERS


def test_a_header_that_was_allowed_once_is_allowed_on_that_ground_alone_and_a_refused_one_stays_refused():
    here, elsewhere = (Ground(a, b, ACCOUNTS, GROUND.intents) for a, b in (("phase5-a", "phase5-b"), ("phase5-c", "phase5-d")))
    ours = Request(
        "POST",
        "/replay",
        {},
        [("x-tenant-id", "phase5-b"), ("Authorization", token("phase5-a"))],
        {"action_intent_id": OWN.intent},
    )
    theirs = Request("POST", "/replay", {}, [("x-tenant-id", "phase5-c"), ("Authorization", token("phase5-d"))], ours.body)
    for _ in range(2):
        check(ours, here)
        check(theirs, elsewhere)
        for request, ground in ((theirs, here), (ours, elsewhere)):
            with pytest.raises(ForbiddenTarget):
                check(request, ground)
    assert here == Ground("phase5-a", "phase5-b", ACCOUNTS, GROUND.intents)
