"""What is attested: the readiness statement that people sign, and the decision statement made at promotion. Pure.

Both are in-toto Statements v1 (https://github.com/in-toto/attestation/tree/main/spec/v1). The readiness statement carries the
predicate test-result v0.1, its rows, waivers and inputs as resource descriptors with annotations, so that nothing stands outside
the predicate's own fields. The decision statement is a SLSA Verification Summary v1 that names the signed readiness envelope as
its input. Equal facts give equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phase5_ops.checklist import CHECKLIST_VERSION
from phase5_ops.clock import iso
from phase5_ops.digest import sha256_of
from phase5_ops.gate.decision import Decision
from phase5_ops.gate.envelopes import canonical_json
from phase5_ops.gate.orders import Kind
from phase5_ops.gate.overrides import Override
from phase5_ops.gate.records import GateInputs, Release, SignOff, Waiver
from phase5_ops.gate.statements import (
    EVIDENCE,
    OUTCOMES,
    POLICY,
    ROWS_DESCRIPTOR,
    TEST_RESULT,
    VERIFICATION_SUMMARY,
    WAIVERS,
    digest_entry,
    gate_id,
    resource_uri,
    statement_bytes,
    waiver_entry,
)
from phase5_ops.verdict import Verdict


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One row as it is signed.

    Attributes:
        id: row id, or the name of an extra check.
        verdict: the judge's, or the gate's own state where the result does not count.
        opens, waived, blocking: as the gate decided.
        findings: (code, subject, verdict), in order.
        observed_at: when its evidence was read; None if it has none.
    """

    id: str
    verdict: str
    opens: bool
    waived: bool
    blocking: bool
    findings: tuple[tuple[str, str, str], ...] = ()
    observed_at: datetime | None = None


def statement_rows(decision: Decision, inputs: GateInputs, checks: Mapping[str, str]) -> tuple[StatementRow, ...]:
    """The rows of a decision without the sign-offs, which are signatures over the statement.

    Args:
        decision: what the gate decided.
        inputs: what it decided from.
        checks: row id -> check name, of every row that is stated.
    """
    rows = []
    for row in decision.rows:
        if row.row not in checks:
            continue
        result = inputs.results.get(checks[row.row])
        findings = tuple(sorted((f.code, f.subject, str(f.verdict)) for f in result.findings)) if result else ()
        rows.append(
            StatementRow(
                row.row, row.state, row.opens, row.waived, row.blocking, findings, result.observed_at if result else None
            )
        )
    return tuple(rows)


def readiness_statement(
    *,
    release: Release,
    run_id: str,
    evaluated_at: datetime,
    evidence_digest: str,
    policy_digest: str,
    rows: Sequence[StatementRow],
    tables: Mapping[str, str],
    waivers: Sequence[Waiver] = (),
    in_a_row: Mapping[str, int] | None = None,
    loosened: Sequence[str] = (),
    not_tried: Sequence[str] = (),
    url: str | None = None,
) -> bytes:
    """The statement that the gate and the three roles sign.

    Args:
        release: the subject.
        run_id: the readiness run.
        evaluated_at: when it was decided.
        evidence_digest: `sha256:...` of the run's evidence.
        policy_digest: `sha256:...` of what it was judged under.
        rows: every row and extra check but the sign-offs.
        tables: asset -> `sha256:...` of every table of the evidence: the inputs.
        waivers: those in use.
        in_a_row: id of a waiver -> for how many releases in a row the same finding was waived, this one included; 1 by default.
        loosened: thresholds looser than the shipped ones, in words.
        not_tried: what could not be tried, in words.
        url: where the report of the run is.

    Raises:
        ValueError: a digest is not a sha256.
    """
    stated = [_row(row) for row in rows]
    waived = [_waiver(waiver, (in_a_row or {}).get(waiver.id, 1)) for waiver in sorted(waivers, key=lambda waiver: waiver.id)]
    run = {
        "run_id": run_id,
        "evaluated_at": iso(evaluated_at),
        "environment": release.environment,
        "not_tried": sorted(not_tried),
    }
    rules = {"checklist_version": CHECKLIST_VERSION, "loosened": sorted(loosened)}
    configuration = [
        _descriptor(EVIDENCE, evidence_digest, run),
        _descriptor(POLICY, policy_digest, rules),
        _descriptor(ROWS_DESCRIPTOR, sha256_of(canonical_json(stated)), {"rows": stated}),
        _descriptor(WAIVERS, sha256_of(canonical_json(waived)), {"waivers": waived}),
        *(_descriptor(f"tables/{asset}", digest) for asset, digest in sorted(tables.items())),
    ]
    predicate = {"result": _result(rows), "configuration": configuration, **_tests(rows), **({"url": url} if url else {})}
    return statement_bytes(release, TEST_RESULT, predicate)


def decision_statement(
    *,
    release: Release,
    readiness_envelope: bytes,
    policy_digest: str,
    time_verified: datetime,
    version: str,
    proved: Mapping[str, datetime] | None = None,
    signers: Sequence[SignOff] = (),
) -> bytes:
    """The statement that the gate signs when it promotes because it is open.

    Args:
        release: the subject.
        readiness_envelope: the signed readiness envelope, byte for byte as it is stored.
        policy_digest: what was decided under.
        time_verified: when it was decided.
        version: of phase5_ops.
        proved: key id -> when KMS's record says that it signed, of keys that are revoked by now.
        signers: the signatures that counted; who made each, in which session, by which request and when is stated.

    Raises:
        ValueError: a digest is not a sha256.
    """
    return _summary(
        release,
        Kind.OPEN,
        inputs=[sha256_of(readiness_envelope)],
        policy_digest=policy_digest,
        time_verified=time_verified,
        version=version,
        proved=proved,
        signers=signers,
    )


def override_decision_statement(
    *,
    override: Override,
    override_envelope: bytes,
    policy_digest: str,
    time_verified: datetime,
    version: str,
    proved: Mapping[str, datetime] | None = None,
    signers: Sequence[SignOff] = (),
) -> bytes:
    """The statement that the gate signs when it promotes by an override; it never says that the gate was open.

    Args:
        override: the order.
        override_envelope: as it was signed, byte for byte as it is stored.
        policy_digest: what is in force.
        time_verified: when the override was found to stand.
        version: of phase5_ops.
        proved: as in `decision_statement`.
        signers: as in `decision_statement`.

    Raises:
        ValueError: a digest is not a sha256.
    """
    inputs = [sha256_of(override_envelope), *override.rests_on]
    return _summary(
        override.release,
        override.kind,
        inputs=inputs,
        policy_digest=policy_digest,
        time_verified=time_verified,
        version=version,
        proved=proved,
        signers=signers,
    )


def _summary(
    release: Release,
    kind: Kind,
    *,
    inputs: Sequence[str],
    policy_digest: str,
    time_verified: datetime,
    version: str,
    proved: Mapping[str, datetime] | None,
    signers: Sequence[SignOff],
) -> bytes:
    """`proved` and `signers` belong to the first input, whose signatures they are about; see `statements.DecisionFacts`."""
    result, levels = OUTCOMES[kind]
    attested: list[dict[str, Any]] = [{"digest": digest_entry(digest)} for digest in inputs]
    annotations: dict[str, Any] = {}
    if signers:
        annotations["signers"] = [_signer(off) for off in sorted(signers, key=lambda off: off.role)]
    if proved:
        annotations["signatures"] = [{"keyid": key_id, "signedAt": iso(moment)} for key_id, moment in sorted(proved.items())]
    attested[0] |= {"annotations": annotations} if annotations else {}
    predicate = {
        "verifier": {"id": gate_id(release.environment), "version": {"phase5-ops": version}},
        "timeVerified": iso(time_verified),
        "resourceUri": resource_uri(release.environment, release.name),
        "policy": {"uri": "urn:phase5-ops:policy", "digest": digest_entry(policy_digest)},
        "inputAttestations": attested,
        "verificationResult": result,
        "verifiedLevels": list(levels),
        "slsaVersion": "1.1",
    }
    return statement_bytes(release, VERIFICATION_SUMMARY, predicate)


def _signer(off: SignOff) -> dict[str, str]:
    return {
        "role": off.role,
        "person": off.identity,
        "session": off.session,
        "keyid": off.key_id,
        "kmsRequestId": off.request_id,
        "signedAt": iso(off.signed_at),
    }


def _descriptor(name: str, digest: str, annotations: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"name": name, "digest": digest_entry(digest), **({"annotations": dict(annotations)} if annotations else {})}


def _row(row: StatementRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "verdict": row.verdict,
        "opens": row.opens,
        "waived": row.waived,
        "blocking": row.blocking,
        "findings": [list(finding) for finding in row.findings],
        "observed_at": iso(row.observed_at) if row.observed_at else None,
    }


def _waiver(waiver: Waiver, in_a_row: int) -> dict[str, Any]:
    return {**waiver_entry(waiver), "releases_in_a_row": in_a_row}


def _plain_pass(row: StatementRow) -> bool:
    return row.verdict == Verdict.PASS and row.opens and not row.waived


def _result(rows: Sequence[StatementRow]) -> str:
    if not rows or not all(row.opens for row in rows):
        return "FAILED"
    return "PASSED" if all(_plain_pass(row) for row in rows) else "WARNED"


def _tests(rows: Sequence[StatementRow]) -> dict[str, list[str]]:
    return {
        "passedTests": [row.id for row in rows if _plain_pass(row)],
        "warnedTests": [row.id for row in rows if row.opens and not _plain_pass(row)],
        "failedTests": [row.id for row in rows if not row.opens],
    }
