"""The cross-tenant probes name the test tenants alone, and what is planted lies under B's keys alone."""

from dataclasses import replace

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.clock import parse_iso
from phase5_ops.probing.canary_intent import is_ours, new_intent_id
from phase5_ops.probing.channel import CHANNELS, TENANT_CHANNELS, Channel, Form, Medium
from phase5_ops.probing.forge import ODD_CLAIMS, TokenKind, WhoGroup, group_of
from phase5_ops.probing.guard import METHODS, ForbiddenTarget, check_cross_tenant
from phase5_ops.probing.request import Request
from phase5_ops.sections.isolation.harness.cross_probes import TOLD_INTENT, new_mark
from phase5_ops.sections.isolation.harness.probe_data import planted, planted_for_a, told_entry, watched
from phase5_ops.sections.isolation.harness.probe_matrix import SPELLINGS, build_cross_plan, combinations
from phase5_ops.sections.isolation.harness.probe_plan import CrossTargets, ExpectedAnswer, own_requests
from phase5_ops.sections.isolation.harness.probe_routes import ROUTES, Route

pytestmark = pytest.mark.slow

NASTY = [
    "a",
    "null",
    "acme",
    "acme-eu",
    "TENANT",
    "4f0c8b6e-7a53-4e42-9d0e-1f5f",
    "k@example.com",
    "Kunde.12",
    "m\u00fcller",
    "x#y",
]


def targets(tenant_a: str = "phase5-canary-a", tenant_b: str = "phase5-canary-b") -> CrossTargets:
    return CrossTargets(
        tenant_a=tenant_a,
        tenant_b=tenant_b,
        account_a="canary-a-1",
        account_b="canary-b-1",
        marker=new_mark(),
        written=new_mark(),
        intent_b=new_intent_id(),
        told_b=TOLD_INTENT,
        export_b="exp-0123456789ab",
        canary=new_intent_id(),
        now=parse_iso("2026-11-23T12:00:00Z"),
        account_out="canary-a-2",
    )


def token(tenant: str | list[str]) -> str:
    return jwt.encode({"custom:tenant_id": tenant}, "s" * 32, algorithm="HS256")


@pytest.mark.parametrize("tenant", NASTY)
@pytest.mark.parametrize("other", ["phase5-canary-b", "acme-eu2"])
def test_every_request_of_the_plan_passes_the_guard_whatever_the_tenants_are_called(tenant: str, other: str):
    chosen, genuine = targets(tenant, other), token(tenant)
    for probe in (*build_cross_plan(chosen), *own_requests(chosen).values()):
        check_cross_tenant(probe.request(genuine), chosen.ground)


foreign_names = st.text(st.characters(categories=["L", "N"]), min_size=3, max_size=12).filter(
    lambda name: name not in {*METHODS, "json"}
)


TARGETS = targets()


@given(probe=st.sampled_from(build_cross_plan(TARGETS)), foreign=foreign_names)
def test_a_request_that_names_anybody_else_is_refused(probe, foreign):
    chosen = TARGETS
    request = probe.request(token(chosen.tenant_a))
    query, headers, body = request.query_pairs, request.header_pairs, request.body_pairs
    wrong = [
        replace(request, query=[*query, ("tenant_id", foreign)]),
        replace(request, query=[("tenant_id", foreign), *query]),
        replace(request, query=[*query, ("tenant_id[]", foreign)]),
        replace(request, query=[*query, ("account_id", foreign)]),
        replace(request, query=[*query, ("limit", "1")]),
        replace(request, query=[*query, ("_method", foreign)]),
        replace(request, headers=[*headers, ("X-Tenant-Id", foreign)]),
        replace(request, headers=[*headers, ("x_tenant_id", foreign)]),
        replace(request, headers=[*headers, ("X-Forwarded-User", foreign)]),
        replace(request, headers=[*headers, ("Cookie", f"tenant_id={foreign}")]),
        replace(request, headers=[*headers, ("X-HTTP-Method-Override", foreign)]),
        replace(request, headers=[*headers, ("X-Whatever", chosen.tenant_a)]),
        replace(request, headers=[*headers, ("Authorization", f"Bearer {token(foreign)}")]),
        replace(request, headers=[*headers, ("Authorization", f"Bearer {token([chosen.tenant_a, foreign])}")]),
        replace(request, headers=[*headers, ("Authorization", f"Bearer {token(f' {foreign} ')}")]),
        replace(request, body=[*body, ("account_id", foreign)]),
        replace(request, body=[("account_id", foreign), *body]),
        replace(request, body=[*body, ("pk", f"TENANT#{foreign}")]),
        replace(request, body=[*body, ("sk", f"AUTONOMY#{foreign}")]),
        replace(request, body=[*body, ("decision_id", foreign)]),
        replace(request, body=[*body, ("max_autonomous_per_day", 5)]),
        replace(request, raw="{}"),
        replace(request, path=f"/executions/{foreign}/status"),
        replace(request, path=f"/actions/{foreign}/approve"),
        replace(request, path=f"/tenants/{foreign}/budget"),
        replace(request, path="/replay"),
        replace(request, method="DELETE"),
    ]
    for each in wrong:
        with pytest.raises(ForbiddenTarget):
            check_cross_tenant(each, chosen.ground)


def test_a_path_cannot_leave_its_route():
    with pytest.raises(ForbiddenTarget):
        check_cross_tenant(Request("GET", "/executions/../budget"), targets().ground)


@pytest.mark.parametrize("tenant", NASTY)
def test_what_is_planted_lies_under_the_keys_of_its_tenant(tenant: str):
    chosen = targets("phase5-canary-a", tenant)
    for of, items in ((tenant, planted(chosen)), ("phase5-canary-a", planted_for_a(chosen))):
        keys = {f"TENANT#{of}", *(f"TENANT#{of}#ACCOUNT#{name}" for name in ("canary-a-1", "canary-a-2", "canary-b-1"))}
        assert {item["pk"]["S"] for _, item in items} <= keys
    assert told_entry(chosen, "2026-11-23T12:00:00.000Z")["pk"]["S"] == f"TENANT#{tenant}"
    assert all(is_ours(intent) for intent in chosen.ground.intents)


def test_nothing_is_planted_where_it_is_not_put_back():
    chosen = targets()
    places = {(place.role, place.partition) for place in watched(chosen)}
    kept = {(role, item["pk"]["S"]) for role, item in (*planted(chosen), *planted_for_a(chosen)) if role != "execution_outcomes"}
    assert kept <= places


def test_whatever_a_write_could_change_is_watched_for_both_tenants():
    chosen = targets()
    places = watched(chosen)
    roles = {probe.role for probe in build_cross_plan(chosen) if not probe.reads}
    for tenant in (chosen.tenant_a, chosen.tenant_b):
        assert roles <= {place.role for place in places if place.tenant == tenant}


PLAN = build_cross_plan(TARGETS)
IN_TURN = {"query", "body", "body_key", "body_array", "forwarded_host", "original_url", "rewrite_url", "path_end"}
"""Channels that are tried alone, each on some routes: those that change the route, and spellings together."""


def test_every_route_is_asked_by_every_kind_of_token_and_through_every_channel_of_a_tenant():
    asked = {(probe.route.name, probe.who, channel) for probe in PLAN for channel in (*probe.channels, "")}
    missing = [
        (route.name, kind, channel.name)
        for route in ROUTES
        for kind in TokenKind
        for channel in TENANT_CHANNELS
        if channel.name not in IN_TURN
        and not (route.reads and channel.medium is Medium.BODY)
        and not _left_out(route, kind, channel)
        and (route.name, kind, channel.name) not in asked
    ]
    assert missing == []


def _left_out(route: Route, kind: TokenKind, channel: Channel) -> bool:
    """What no request is made of: a name twice with a token that claims a tenant, writes of B, what would start A's own work."""
    if channel.form in (Form.OWN_FIRST, Form.OWN_LAST):
        return kind is not TokenKind.VALID and (channel.form is Form.OWN_LAST or not _named_twice(kind))
    if kind in SPELLINGS:
        return any(probe.who is kind and channel.name in probe.channels for probe in PLAN)  # once is enough
    if kind in (TokenKind.VALID_B, TokenKind.UNSCOPED):
        return channel.medium is Medium.PATH or (kind is TokenKind.VALID_B and not route.reads) or route.starts_work
    return False


def _named_twice(kind: TokenKind) -> bool:
    return group_of(kind) in (WhoGroup.NOBODY, WhoGroup.UNCLAIMED) or kind in ODD_CLAIMS


def test_every_single_deviation_is_a_request_of_its_own():
    alone = [probe for probe in PLAN if len(probe.channels) <= 1]
    assert {probe.who for probe in alone if not probe.channels} >= set(TokenKind) - {TokenKind.VALID_B, TokenKind.UNSCOPED}
    by_a = {channel for probe in alone if probe.who is TokenKind.VALID for channel in probe.channels}
    assert by_a >= set(CHANNELS)
    for route in ROUTES:
        ways = {way for probe in PLAN if probe.route is route for way in probe.name.split("+")}
        assert {"trailing_slash", "as_post" if route.reads else "as_patch"} <= ways
        assert route.reads or {"method_override", "get_override", "get"} <= ways
    assert {probe.route.role for probe in PLAN if probe.name.endswith("+key")} == {
        "autonomy_config",
        "autonomy_budget_state",
        "tenants",
    }


def test_the_plan_is_a_small_part_of_the_product_and_each_probe_has_its_own_name_and_mark():
    assert len({probe.name for probe in PLAN}) == len({probe.mark for probe in PLAN}) == len(PLAN)
    assert 1500 < len(PLAN) < combinations() / 50


def test_what_is_not_sent_in_refusals_mode_may_be_a_write_for_the_caller_itself():
    kept = [probe for probe in PLAN if not probe.harmless]
    assert kept
    assert {probe.expect for probe in kept} == {ExpectedAnswer.OWN_ONLY}
    assert not any(probe.reads for probe in kept)
    assert {probe.who for probe in kept} <= {TokenKind.VALID, TokenKind.UNSCOPED}
