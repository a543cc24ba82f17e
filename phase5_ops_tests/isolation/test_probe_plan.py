"""The cross-tenant probes name the test tenants alone, and what is planted lies under B's keys alone."""

from dataclasses import replace

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.clock import parse_iso
from phase5_ops.isolation.cross_probes import TOLD_INTENT, new_mark
from phase5_ops.isolation.probe_plan import CrossTargets, build_cross_plan, own_requests, planted, told_entry, watched
from phase5_ops.probing.canary_intent import is_ours, new_intent_id
from phase5_ops.probing.guard import ForbiddenTarget, Ground, check_cross_tenant
from phase5_ops.probing.request import Request

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
    )


def ground(of: CrossTargets) -> Ground:
    return Ground(
        of.tenant_a,
        of.tenant_b,
        frozenset((of.account_a, of.account_b)),
        frozenset((of.intent_b, of.told_b, str(of.canary))),
        marks=frozenset((of.marker, of.written, of.export_b)),
    )


def token(tenant: str) -> str:
    return jwt.encode({"custom:tenant_id": tenant}, "s" * 32, algorithm="HS256")


@pytest.mark.parametrize("tenant", NASTY)
@pytest.mark.parametrize("other", ["phase5-canary-b", "acme-eu2"])
def test_every_request_of_the_plan_passes_the_guard_whatever_the_tenants_are_called(tenant: str, other: str):
    chosen = targets(tenant, other)
    for probe in (*build_cross_plan(chosen), *own_requests(chosen).values()):
        check_cross_tenant(probe.request(token(tenant), other), ground(chosen))


foreign_names = st.text(st.characters(categories=["L", "N"]), min_size=3, max_size=12)


TARGETS = targets()


@given(probe=st.sampled_from(build_cross_plan(TARGETS)), foreign=foreign_names)
def test_a_request_that_names_anybody_else_is_refused(probe, foreign):
    chosen = TARGETS
    request = probe.request(token(chosen.tenant_a), chosen.tenant_b)
    wrong = [
        replace(request, query={**request.query, "tenant_id": foreign}),
        replace(request, query={**request.query, "limit": "1"}),
        replace(request, headers={**request.headers, "X-Tenant-Id": foreign}),
        replace(request, headers={**request.headers, "Authorization": f"Bearer {token(foreign)}"}),
        replace(request, body={**(request.body or {}), "account_id": foreign}),
        replace(request, body={**(request.body or {}), "pk": f"TENANT#{foreign}"}),
        replace(request, body={**(request.body or {}), "max_autonomous_per_day": 5}),
        replace(request, path=f"/executions/{foreign}/status"),
        replace(request, path="/replay"),
        replace(request, method="DELETE"),
    ]
    for each in wrong:
        with pytest.raises(ForbiddenTarget):
            check_cross_tenant(each, ground(chosen))


def test_a_path_cannot_leave_its_route():
    with pytest.raises(ForbiddenTarget):
        check_cross_tenant(Request("GET", "/executions/../budget"), ground(targets()))


@pytest.mark.parametrize("tenant", NASTY)
def test_what_is_planted_lies_under_the_keys_of_b(tenant: str):
    chosen = targets("phase5-canary-a", tenant)
    for _, item in planted(chosen):
        assert item["pk"]["S"] in {
            f"TENANT#{tenant}",
            *(f"TENANT#{tenant}#ACCOUNT#{name}" for name in ("canary-a-1", "canary-b-1")),
        }
    assert told_entry(chosen, "2026-11-23T12:00:00.000Z")["pk"]["S"] == f"TENANT#{tenant}"
    assert is_ours(TOLD_INTENT)


def test_whatever_a_write_could_change_is_watched_for_both_tenants():
    chosen = targets()
    places = watched(chosen)
    roles = {probe.role for probe in build_cross_plan(chosen) if not probe.reads}
    for tenant in (chosen.tenant_a, chosen.tenant_b):
        assert roles <= {place.role for place in places if place.tenant == tenant}
