"""The gate drill's cases of recorded runs, as data: the candidate's own record, and the newer runs that records tell of. Pure.

Each case is a trail of records made here and judged by the very rules that a decision uses (`recorded_rules.py`); the gate gets
what they find. So a rule that no longer closes lets its case open, which fails row 4.3. What must not live here: reading.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import SSlibKey

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.evidence.histories import Standing
from phase5_ops.gate.attestation.envelopes import pae
from phase5_ops.gate.attestation.keys import GATE, KeySet, TrustedKey
from phase5_ops.gate.attestation.run_record import RECORD_TYPE, RunFound, RunRecord, record_of, record_payload
from phase5_ops.gate.decision.recorded_rules import LeftEvidence, confirmed_runs, record_problems
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import GateInputs, OtherRun, Rows
from phase5_ops.verdict import Verdict

_NEWER, _MANIFEST, _OTHER = "newer-run-of-the-drill", "sha256:" + "e" * 64, "sha256:" + "0" * 64
_JUDGED = [row for row in ALL_CHECKS if not row.is_sign_off]
_PASSING: Rows = {row.id: (Verdict.PASS, ()) for row in _JUDGED}
_ONE_LESS: Rows = {row.id: (Verdict.PASS, ()) for row in _JUDGED[1:]}
_FAILING: Rows = {**_PASSING, _JUDGED[0].id: (Verdict.FAIL, ())}


@cache
def _private(name: str) -> ec.EllipticCurvePrivateKey:
    """A key of the drill's own; made when a case is tried."""
    return ec.generate_private_key(ec.SECP256R1())


def _key(name: str, role: str = GATE) -> TrustedKey:
    return TrustedKey(role, SSlibKey.from_crypto(_private(name).public_key()))


def _keys(*keys: TrustedKey) -> KeySet:
    return KeySet({key.key_id: key for key in keys or (_key("gate"), _key("role", "ops-sre"))})


def _record(inputs: GateInputs, run_id: str, seq: int = 1, previous: str = "", by: str = "", **changes: object) -> RunRecord:
    """A record, signed with one of the drill's keys where `by` names one."""
    found = RunFound(
        environment=inputs.release.environment if inputs.release else "",
        run_id=run_id,
        ended_at=inputs.now + timedelta(minutes=seq),
        fixed_now=False,
        assets=None,
        release_digest=inputs.release.digest if inputs.release else None,
        manifest=_MANIFEST,
        verdicts={row.check: Verdict.PASS for row in _JUDGED},
        standing=Standing(),
    )
    payload = record_payload(replace(found, **changes), seq, previous)  # type: ignore[arg-type]
    if not by:
        return record_of(payload)
    return record_of(payload, _key(by).key_id, _private(by).sign(pae(payload, RECORD_TYPE), ec.ECDSA(SHA256())))


@dataclass(frozen=True)
class RecordedCase:
    """A case: the trail of records, what Dagster knows of the newer run, what evidence is left of it, the stored digest."""

    trail: Callable[[GateInputs, str], Sequence[RunRecord]]
    known: Rows | None = None
    left: LeftEvidence = field(default_factory=lambda: LeftEvidence(_MANIFEST, _PASSING))
    keys: Callable[[], KeySet | None] = lambda: None
    stored: str | None = _MANIFEST
    before: Callable[[GateInputs], RunRecord | None] = lambda _inputs: None

    def given(self, inputs: GateInputs) -> GateInputs:
        """The inputs with what the rules make of it."""
        run_id, release = inputs.run_id or "", inputs.release
        trail, keys = self.trail(inputs, run_id), self.keys()
        known = (OtherRun(_NEWER, release.environment, inputs.now, self.known),) if release and self.known is not None else ()
        left = {_NEWER: self.left}
        return replace(
            inputs,
            closing=record_problems(trail, run_id, self.stored, keys, before=self.before(inputs)),
            other_runs=confirmed_runs(known, trail, left, run_id, keys, allow_fixed_now=False),
        )


def _own(**changes: object) -> Callable[[GateInputs, str], Sequence[RunRecord]]:
    return lambda inputs, run_id: (_record(inputs, run_id, **changes),)  # type: ignore[arg-type]


def _newer(**changes: object) -> Callable[[GateInputs, str], Sequence[RunRecord]]:
    """The candidate's run, and a newer one."""

    def trail(inputs: GateInputs, run_id: str) -> Sequence[RunRecord]:
        own = _record(inputs, run_id)
        return _record(inputs, _NEWER, 2, own.digest, **changes), own  # type: ignore[arg-type]

    return trail


def _unsigned_among_signed(inputs: GateInputs, run_id: str) -> Sequence[RunRecord]:
    own = _record(inputs, run_id)
    return _record(inputs, _NEWER, 2, own.digest, "gate"), own


def _one_gone(inputs: GateInputs, run_id: str) -> Sequence[RunRecord]:
    return _record(inputs, _NEWER, 3), _record(inputs, run_id)


def _revoked(name: str) -> KeySet:
    return _keys(replace(_key(name), revoked_at=datetime(2000, 1, 1, tzinfo=UTC)))


_CRASHED = {"verdicts": {row.check: Verdict.PASS for row in _JUDGED[1:]}}
_FAILED = {"verdicts": {row.check: Verdict.FAIL if row is _JUDGED[0] else Verdict.PASS for row in _JUDGED}}

#: What can be wrong with records: name -> (code of the reason, the case).
RECORDED_FAULTS: Mapping[str, tuple[str, RecordedCase]] = {
    "no run was ever recorded": (GateReason.RUN_NOT_RECORDED.code, RecordedCase(lambda _inputs, _run_id: ())),
    "the run is not recorded": (GateReason.RUN_NOT_RECORDED.code, RecordedCase(lambda inputs, _: (_record(inputs, _NEWER),))),
    "evidence and manifest rewritten": (GateReason.EVIDENCE_NOT_AS_RECORDED.code, RecordedCase(_own(), stored=_OTHER)),
    "evidence gone, its record there": (GateReason.EVIDENCE_NOT_AS_RECORDED.code, RecordedCase(_own(), stored=None)),
    "record signed by another key": (GateReason.RUN_RECORD_NOT_BELIEVED.code, RecordedCase(_own(by="stranger"), keys=_keys)),
    "record signed by a role's key": (GateReason.RUN_RECORD_NOT_BELIEVED.code, RecordedCase(_own(by="role"), keys=_keys)),
    "record signed by a revoked key": (
        GateReason.RUN_RECORD_NOT_BELIEVED.code,
        RecordedCase(_own(by="gate"), keys=lambda: _revoked("gate")),
    ),
    "record unsigned where others are signed": (
        GateReason.RUN_RECORD_NOT_BELIEVED.code,
        RecordedCase(_unsigned_among_signed, keys=_keys),
    ),
    "record unsigned where that of an earlier candidate is signed": (
        GateReason.RUN_RECORD_NOT_BELIEVED.code,
        RecordedCase(_own(seq=2), keys=_keys, before=lambda inputs: _record(inputs, "earlier-run", by="gate")),
    ),
    "a record is gone": (GateReason.RUN_RECORDS_BROKEN.code, RecordedCase(_one_gone)),
    "a record was exchanged": (
        GateReason.RUN_RECORDS_BROKEN.code,
        RecordedCase(lambda inputs, run_id: (_record(inputs, _NEWER, 2, _OTHER), _record(inputs, run_id))),
    ),
    "a newer run's evidence is gone": (
        GateReason.NEWER_RUN_UNREADABLE.code,
        RecordedCase(_newer(), left=LeftEvidence(None, None)),
    ),
    "a newer run's evidence is gone, Dagster knows it": (
        GateReason.NEWER_RUN_UNREADABLE.code,
        RecordedCase(_newer(), known=_PASSING, left=LeftEvidence(None, None)),
    ),
    "a newer run's evidence was rewritten": (
        GateReason.NEWER_RUN_UNREADABLE.code,
        RecordedCase(_newer(), left=LeftEvidence(_OTHER, _PASSING)),
    ),
    "a newer run's verdicts were rewritten": (GateReason.NEWER_RUN_UNREADABLE.code, RecordedCase(_newer(**_FAILED))),
    "a newer run's results in Dagster were rewritten": (
        GateReason.NEWER_RUN_UNREADABLE.code,
        RecordedCase(_newer(**_FAILED), known=_PASSING, left=LeftEvidence(_MANIFEST, _FAILING)),
    ),
    "a newer run failed and Dagster forgot it": (
        GateReason.NEWER_RUN_DISAGREES.code,
        RecordedCase(_newer(**_FAILED), left=LeftEvidence(_MANIFEST, _FAILING)),
    ),
    "a newer run failed": (
        GateReason.NEWER_RUN_DISAGREES.code,
        RecordedCase(_newer(**_FAILED), known=_FAILING, left=LeftEvidence(_MANIFEST, _FAILING)),
    ),
    "a newer run's check crashed": (
        GateReason.NEWER_RUN_DISAGREES.code,
        RecordedCase(_newer(**_CRASHED), known=_ONE_LESS, left=LeftEvidence(_MANIFEST, _ONE_LESS)),
    ),
    "a newer run failed and is not recorded": (GateReason.NEWER_RUN_DISAGREES.code, RecordedCase(_own(), known=_FAILING)),
}

#: Where the records say nothing against the candidate.
RECORDED_CONTROLS: Mapping[str, RecordedCase] = {
    "the run is recorded": RecordedCase(_own()),
    "the run is recorded and signed": RecordedCase(_own(by="gate"), keys=_keys),
    "a newer run passed and is recorded": RecordedCase(_newer(), known=_PASSING),
    "a newer run passed and is not recorded": RecordedCase(_own(), known=_PASSING),
}
