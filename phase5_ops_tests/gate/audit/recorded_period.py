"""A gate with one of each of its records, made by what makes them: what an auditor comes to see."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from phase5_ops.commands.audit_export import Exported, export
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import NoFacts
from phase5_ops.files import sha256_of
from phase5_ops.gate.approval.freeze import statement_rows
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.approval.waive import record_waiver
from phase5_ops.gate.attestation.acceptance import ACCEPTANCE_TYPE, Acceptance, acceptance_payload
from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.attestation.orders import OrderKind, idempotency_key
from phase5_ops.gate.attestation.override_statement import Override
from phase5_ops.gate.attestation.run_record import RECORD_TYPE
from phase5_ops.gate.audit.contents import AuditPeriod
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import GATE_DRILL
from phase5_ops.gate.inputs.promotion_records import publication_statement
from phase5_ops.gate.promotion.observing import observe
from phase5_ops.gate.promotion.publication import attested
from phase5_ops.gate.records import Waiver
from phase5_ops.gate.session import signature_over
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.gate.state.items import Candidate, Fate, Promotion
from phase5_ops.gate.state.run_records import StoredAcceptance
from phase5_ops_tests.gate.own_aws import CHECKS, DIGEST, NOW, RELEASE, readiness_payload
from phase5_ops_tests.gate.people import Desk, begun_once, complete_for_release, with_waived
from phase5_ops_tests.gate.state.test_run_records import BROKEN, found

PERIOD = AuditPeriod(NOW - timedelta(days=1), NOW + timedelta(days=1))
REFUSED = replace(RELEASE, name="r-1.2.4", digest="sha256:" + "e" * 64)
SIGNS = {"eng-reliability": "alice", "ops-sre": "bob", "security-compliance": "carol"}
WAIVER = Waiver(
    "w-1",
    "1.2",
    DIGEST,
    frozenset({("latency_alarm_missing", "crm.write")}),
    "retired on Friday | <b>",
    "OPS-7",
    NOW,
    NOW + timedelta(days=3),
    "security-compliance",
    "carol",
    RELEASE.environment,
)


class Platform:
    """What runs: what was promoted."""

    deployed = ({("function", "cc-native-a"): ("1", "code"), ("parameter", "/deployed"): ("3", DIGEST)}, ())


@dataclass(frozen=True)
class Audited:
    """What was exported: the archive, and the keys that were given out."""

    exported: Exported
    keys: Path

    @property
    def path(self) -> Path:
        return self.exported.path


def record_everything(desk: Desk) -> None:
    """One of each record of the gate, around NOW."""
    session = desk.open()
    list(session.upgrades.upgrade(RELEASE.environment, NOW))
    pin_keys(session.reader, desk.settings, session.state, NOW)
    digest = _evidence(desk)
    for run in (
        found("run-0", release_digest=REFUSED.digest),
        found("run-1", manifest=digest, release_digest=DIGEST),
        found("run-2"),
    ):
        session.records.append(run, lambda payload: session.signed_by_gate(payload, RECORD_TYPE))
    _promotion(desk, digest)
    observe(desk.open(now=NOW + timedelta(minutes=1)), Platform())
    _override(desk, OrderKind.ROLLBACK, ["ops-sre"])
    _override(desk, OrderKind.BREAK_GLASS, ["ops-sre", "eng-reliability"])
    _acceptance(desk)
    session.state.register(Candidate(REFUSED, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline"))
    desk.states(release=REFUSED)
    session.state.set_fate(session.state.candidate(REFUSED), Fate.REJECTED, "1.2 FAIL")


def _evidence(desk: Desk) -> str:
    store = EvidenceStore(desk.settings.state_dir / "evidence")
    store.write_table("run-1", "gate_drill", GATE_DRILL.gathered([], NoFacts()))
    store.write_verdict("run-1", "gate_blocks_on_failure", {"verdict": "PASS"})
    return store.seal("run-1")


def _promotion(desk: Desk, evidence: str) -> None:
    inputs = with_waived(complete_for_release(), [WAIVER])
    rows = statement_rows(decide(inputs), inputs, CHECKS)
    candidate = desk.ready(readiness_payload(waivers=[WAIVER], rows=rows, evidence_digest=evidence))
    record_waiver(desk.person("carol"), candidate, WAIVER)
    for role, person in SIGNS.items():
        session = desk.person(person)
        what = to_sign(session, registered(session, RELEASE.name))
        sign_off(session, role, what, signer(session, role, what))
    desk.promotes(NOW, waivers=[WAIVER])
    desk.states()


def _override(desk: Desk, kind: OrderKind, roles: list[str]) -> None:
    """An order of a kind, signed for these roles, that took effect."""
    session = desk.open(now=NOW + timedelta(hours=1))
    first = session.state.promotion(RELEASE, 1)
    order = Override(
        f"{kind.lower().replace('_', '-')}-1",
        kind,
        RELEASE,
        1,
        "orders are lost",
        "INC-1",
        "bob",
        session.now,
        session.now + timedelta(hours=1),
        rests_on=(sha256_of(first.readiness_envelope.encode()), sha256_of(first.decision_envelope.encode()))
        if kind is OrderKind.ROLLBACK
        else (),
        goes_past=("1.2 FAIL latency_alarm_missing crm.write",) if kind is OrderKind.BREAK_GLASS else (),
    )
    session.state.add_override(RELEASE.environment, order.id, order.payload)
    stored = []
    for role in roles:
        person = desk.person(SIGNS[role], now=session.now)
        stored.append(signature_over(person, role, order.payload, release=RELEASE, series=1, who=person.person))
        session.state.add_override_signature(RELEASE.environment, order.id, stored[-1])
    envelope = envelope_bytes(order.payload, {each.key_id: each.signature for each in stored})
    counted = verified_sign_offs(stored, [order.payload], session.keys)
    policy = complete_for_release().policy_digest
    made = attested(session, RELEASE, envelope, counted, policy_digest=policy, at=session.now, override=order)
    key = idempotency_key(RELEASE, 1, order.id)
    record = Promotion("run-o", session.now, key, made.readiness.decode(), made.decision.decode(), "then")
    key_id, signature = session.signed_by_gate(publication_statement(record, RELEASE, 1, order))
    session.state.record_promotion(RELEASE, 1, replace(record, key_id=key_id, signature=signature.hex()), override=order.id)


def _acceptance(desk: Desk) -> None:
    session = desk.person("bob")
    accepted = Acceptance("a1", RELEASE.environment, "run-1", (BROKEN,), "ops-sre", "bob", "volume lost", "OPS-8", NOW)
    made = session.signed("ops-sre", acceptance_payload(accepted), ACCEPTANCE_TYPE)
    stored = StoredAcceptance("a1", acceptance_payload(accepted), made.key_id, made.signature)
    session.records.accept(RELEASE.environment, stored)


def exported(
    desk: Desk, folder: Path, *, sign: bool = False, name: str = "audit.tar.gz", period: AuditPeriod = PERIOD
) -> Audited:
    """The period's archive in a folder."""
    return Audited(export(desk.open(), period, folder / name, sign=sign), desk.settings.state_dir / "keys.json")


@pytest.fixture(scope="module")
def recorded_once(tmp_path_factory) -> Callable[[Desk], None]:
    return begun_once(tmp_path_factory.mktemp("recorded"), record_everything)


@pytest.fixture
def audited_desk(aws, tmp_path, monkeypatch, recorded_once) -> Desk:
    """A gate with one of each record."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, tmp_path / "state")
    recorded_once(desk)
    return desk
