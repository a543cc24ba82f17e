"""Every planted fault of the routes is found by row 4.1, whatever route, token, channel and effect; a healthy platform passes."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.clock import iso
from phase5_ops.policy import IsolationPolicy, ProbePolicy
from phase5_ops.probing.forge import ODD_CLAIMS, OTHER_CLAIMS, Forger, TokenKind
from phase5_ops.sandbox.control_center.planted_faults import ApiRoute, Effect, PlantedFault, TenantSource, Who, family
from phase5_ops.sandbox.state.probe_tenants import A, B
from phase5_ops.sections.isolation.harness import cross_probes
from phase5_ops.sections.isolation.harness.cross_probes import TOLD, CrossProbing, tell_once
from phase5_ops.sections.isolation.harness.evidence import AccessKind, HarnessRow, Result
from phase5_ops.sections.isolation.harness.judge import findings_of
from phase5_ops.sections.isolation.harness.probe_data import ANY_MARK
from phase5_ops.sections.isolation.harness.probe_matrix import build_cross_plan
from phase5_ops.sections.isolation.harness.probe_plan import CrossTargets, own_requests
from phase5_ops.sections.isolation.harness.probe_routes import DECISIONS
from phase5_ops.settings import Tables
from phase5_ops.verdict import Finding
from phase5_ops_tests.sandbox.control_center.memory_platform import (
    JWK,
    NOW,
    OTHER_CLIENT,
    MemoryPlatform,
    MemoryPool,
    MemoryReader,
)

pytestmark = pytest.mark.slow(40)

MARKER, WRITTEN = "PHASE5_AAAAAAAAAAAAAAAA", "PHASE5_BBBBBBBBBBBBBBB1"
CANARY = "ai_1795435200000_phase5c"
#: The sandbox's routes under the names of the plan.
NAMES = {
    ApiRoute.READ_KILL_SWITCHES: "kill_switches",
    ApiRoute.EXPLANATION: "ledger_explanation",
    ApiRoute.REQUEST_EXPORT: "create_export",
    ApiRoute.READ_EXPORT: "export",
    ApiRoute.READ_CONFIG: "config",
    ApiRoute.READ_BUDGET: "budget",
    ApiRoute.READ_BUDGET_STATE: "budget_state",
    ApiRoute.EVALUATE_DECISION: "evaluate",
    ApiRoute.APPROVE_ACTION: "approve",
    ApiRoute.REJECT_ACTION: "reject",
}
FAULTS = [fault for fault in family() if fault.row == "4.1"]


def all_tokens() -> Mapping[TokenKind, str | None]:
    """A token of every kind."""
    pool = MemoryPool()
    genuine = pool.token()
    forger = Forger(genuine, JWK, B.tenant_id)
    return {
        **{kind: forger.token(kind) for kind in forger.kinds | OTHER_CLAIMS},
        TokenKind.NONE: None,
        TokenKind.EMPTY: "",
        TokenKind.VALID: genuine,
        TokenKind.ACCESS: pool.token(token_use="access", aud=None, client_id="web-client", **{"custom:tenant_id": None}),
        TokenKind.EXPIRED: pool.token(exp=1),
        TokenKind.OTHER_CLIENT: pool.token(aud=OTHER_CLIENT),
        TokenKind.VALID_B: pool.token(B),
        TokenKind.UNSCOPED: pool.token(**{"custom:account_ids": None}),
        TokenKind.UNCLAIMED: pool.token(**{"custom:tenant_id": None}),
        TokenKind.CLAIM_EMPTY: pool.token(**{"custom:tenant_id": ""}),
        TokenKind.CLAIM_BLANKS: pool.token(**{"custom:tenant_id": f" {A.tenant_id} "}),
        TokenKind.CLAIM_CASE: pool.token(**{"custom:tenant_id": A.tenant_id.upper()}),
        TokenKind.CLAIM_LIST: pool.token(**{"custom:tenant_id": f'["{A.tenant_id}", "{B.tenant_id}"]'}),
    }


def targets() -> CrossTargets:
    return CrossTargets(
        tenant_a=A.tenant_id,
        tenant_b=B.tenant_id,
        account_a="canary-a-1",
        account_b="canary-b-1",
        marker=MARKER,
        written=WRITTEN,
        intent_b="ai_1795435200000_phase5b",
        told_b="ai_1_phase5told",
        export_b="exp-0123456789ab",
        canary=CANARY,
        now=NOW,
        account_out="canary-a-2",
    )


TOKENS = all_tokens()
PLAN = build_cross_plan(targets())
WHO = {
    kind: MemoryPlatform().authorizer.kind_of(None if token is None else f"Bearer {token}").who for kind, token in TOKENS.items()
}


class Probed:
    """A platform in memory with the probes of row 4.1 before it."""

    def __init__(self, *faults: PlantedFault) -> None:
        self.platform = MemoryPlatform()
        self.platform.platform_faults.update(faults)
        key = {"pk": f"TENANT#{A.tenant_id}#ACCOUNT#canary-a-1", "sk": f"OUTCOME#{CANARY}"}
        outcome = {"action_intent_id": CANARY, "status": "SUCCEEDED", "completed_at": "2026-11-23T12:00:00.000Z"}
        self.platform.aws.put("cc-native-execution-outcomes", {**key, **outcome})
        settings = SimpleNamespace(
            tables=Tables(),
            isolation=IsolationPolicy(probe_requests_per_second=1000),
            probes=ProbePolicy(parallel_requests=1),  # what is in memory answers no sooner to several at once
            probes_partition="PROBES",
        )
        self.context = SimpleNamespace(
            settings=settings, reader=MemoryReader(self.platform.tables), run_id="run", now=lambda: NOW
        )

        tell_once(self.context, targets(), iso(NOW))
        self.platform.ledger.append(
            "ACTION_EXECUTED",
            tenant=A.tenant_id,
            account="canary-a-1",
            trace_id=f"trace-{CANARY}",
            data={"action_intent_id": CANARY},
        )

    def run(self, *only: str, who: Who | None = None, **more: Any) -> list[HarnessRow]:
        """The rows of one run: of all probes, or of those of some routes and of such tokens.

        A fault looks at the token first, so requests with others are answered as by the healthy platform. Where a token of that
        kind is not taken for any tenant is seen by what it may read. For A's own data is asked by the families of these routes.
        """
        probing = CrossProbing(self.context, targets(), self.platform, TOKENS, sleep=lambda _: None, **more)
        asked = [probe for probe in PLAN if who is None or WHO[probe.who] is who]
        plan = tuple(
            probe for probe in asked if not only or probe.route.name in only or (probe.reads and probe.who in ODD_CLAIMS)
        )
        probing.plan = lambda: plan
        families = {probe.family for probe in plan} | {DECISIONS}  # an API that may be another one
        own = {family: probe for family, probe in own_requests(targets()).items() if family in families}
        assert own.keys() == families
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cross_probes, "own_requests", lambda _: own)
            patch.setattr(cross_probes, "_READERS", 1)  # here, too
            return probing.run()

    def codes(self, fault: PlantedFault) -> set[str]:
        """The codes of the findings of one run of what the fault could answer otherwise."""
        return {finding.code for finding in findings(self.run(NAMES.get(fault.route, fault.route), who=fault.who))}

    def everything(self) -> Mapping[str, Any]:
        """Every item, the ledger aside, and how far a run looked at it."""
        tables = self.platform.tables.tables
        kept = {name: {key: item for key, item in items.items() if key[-1] != TOLD} for name, items in tables.items()}
        return {name: items for name, items in kept.items() if items and name != "cc-native-ledger"}


def findings(rows: list[HarnessRow]) -> list[Finding]:
    return findings_of(rows, production=True, links=ConsoleLinks("us-west-2"))


def test_a_healthy_platform_passes_and_is_left_as_it_was():
    probed = Probed()
    before = probed.everything()
    rows = probed.run()
    probes = [row for row in rows if row.kind is AccessKind.PROBE]
    assert findings(rows) == []
    assert {row.result for row in probes} == {Result.REFUSED}
    assert len({row.key for row in probes}) == len(probes) > 1500
    assert probed.everything() == before


def codes_of(fault: PlantedFault) -> set[str]:
    """The codes by which a fault may show."""
    if fault.effect is Effect.ACTS_LATE:
        return {"late_effect"}
    if fault.effect is Effect.DESPITE_REFUSAL:
        return {"foreign_data_writable"}
    if fault.who is Who.CLAIMED:
        foreign = {"foreign_data_readable", "foreign_data_writable"}
        return (
            {*foreign, "foreign_account_answered"} if fault.channel.of_account or fault.channel is TenantSource.OWNER else foreign
        )
    if fault.who is Who.OTHER_CLIENT:
        return {"other_client_request_answered"}
    return {"request_without_tenant_answered" if fault.who.genuine else "unauthorized_request_answered"}


@pytest.mark.parametrize("route", sorted({fault.route for fault in FAULTS}))
def test_every_planted_hole_of_a_route_is_found_and_its_effects_are_put_back(route: ApiRoute):
    missed, left = [], []
    for fault in (each for each in FAULTS if each.route is route):
        probed = Probed(fault)
        before = probed.everything()
        found = probed.codes(fault)
        if fault.effect is Effect.ACTS_LATE:
            assert found == set(), fault.name
            probed.platform.application.act_late()
            found = probed.codes(fault)
            clean = not ANY_MARK.search(repr(probed.everything()))  # what it took the place of nobody knows
        else:
            clean = probed.everything() == before
        if not found & codes_of(fault):
            missed.append((fault.name, found))
        if not clean:
            left.append(fault.name)
    assert (missed, left) == ([], [])


def test_the_family_has_more_than_enough_distinct_faults():
    assert len(set(family())) == len(family()) >= 120
    assert len(FAULTS) >= 120
    assert {fault.row for fault in family()} == {"3.1", "3.3", "4.1"}
    assert all(PlantedFault.named(fault.name) == fault for fault in family())
