"""How attested statements are read: their names, and strict parsing of what `attestation.py` writes. Pure.

A statement is believed only after its signatures were verified; reading it here checks its shape, not its truth.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from phase5_ops.clock import iso, parse_iso
from phase5_ops.digest import sha256_of
from phase5_ops.gate.envelopes import MalformedEnvelope, canonical_json, strict_json
from phase5_ops.gate.orders import Kind
from phase5_ops.gate.records import Pair, Release, RowFacts, SignedFacts, Waiver
from phase5_ops.gate.waiver import waiver_fields
from phase5_ops.verdict import Finding, Verdict

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"

#: Names of the readiness statement's resource descriptors.
EVIDENCE, POLICY, ROWS_DESCRIPTOR, WAIVERS = "evidence", "policy", "rows", "waivers"

#: Predicate of a signed order to promote without an open gate; see `overrides.py`.
OVERRIDE = "urn:phase5-ops:predicate:override:v1"
#: Predicate of what the gate signs once a target took an order; see `promotion_records.py`.
PUBLICATION = "urn:phase5-ops:predicate:publication:v1"

#: verificationResult and verifiedLevels of a decision, by the right by which it promotes. Broken glass has not passed: who only
#: looks for PASSED must not take it for an open gate.
OUTCOMES: Mapping[Kind, tuple[str, tuple[str, ...]]] = {
    Kind.OPEN: ("PASSED", ("PHASE5_OPEN",)),
    Kind.ROLLBACK: ("PASSED", ("PHASE5_ROLLBACK",)),
    Kind.BREAK_GLASS: ("FAILED", ("FAILED", "PHASE5_BREAK_GLASS")),
}

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto Statement with one subject."""

    name: str
    digest: str
    predicate_type: str
    predicate: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReadinessFacts:
    """What a readiness statement says, beside its rows."""

    name: str
    digest: str
    result: str
    run_id: str
    environment: str
    evaluated_at: datetime
    evidence_digest: str
    policy_digest: str


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made a signature that counted, as the gate states it: the state table's word at that time."""

    role: str
    person: str
    session: str
    key_id: str
    request_id: str
    signed_at: datetime

    def __str__(self) -> str:
        """For people."""
        return f"{self.person} at {iso(self.signed_at)}, session {self.session}, KMS request {self.request_id}, key {self.key_id}"


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """What a decision statement says.

    `verifier` and `resource` name the environment; `proved` is key id -> when that key signed what the decision rests on, of keys
    that were revoked when it was made. `signers` is empty in statements of an earlier version.
    """

    name: str
    digest: str
    result: str
    levels: tuple[str, ...]
    time_verified: datetime
    policy_digest: str
    inputs: tuple[str, ...]
    verifier: str
    resource: str
    proved: Mapping[str, datetime]
    signers: tuple["Signer", ...] = ()


def gate_id(environment: str) -> str:
    """How a decision names the gate of an environment."""
    return f"urn:phase5-ops:gate:{environment}"


def resource_uri(environment: str, name: str) -> str:
    """How a decision names a release of an environment."""
    return f"urn:phase5-ops:release:{environment}:{name}"


def statement_bytes(release: Release, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """The bytes of an in-toto Statement about a release.

    Raises:
        ValueError: its digest is not a sha256.
    """
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": release.name, "digest": digest_entry(release.digest)}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    )


def digest_entry(digest: str) -> dict[str, str]:
    """A digest as attestations write it: `{"sha256": ...}`.

    Raises:
        ValueError: it is not a sha256.
    """
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or not _HEX.fullmatch(value):
        raise ValueError(f"not a sha256 digest: {digest!r}")
    return {"sha256": value}


def read_statement(payload: bytes) -> Statement:
    """The statement in a payload.

    Raises:
        MalformedEnvelope: it is no in-toto Statement v1 about exactly one artifact.
    """
    content = strict_json(payload)
    if not isinstance(content, dict) or content.get("_type") != STATEMENT_TYPE:
        raise MalformedEnvelope(f"the payload is not an in-toto Statement ({STATEMENT_TYPE})")
    if content.keys() != {"_type", "subject", "predicateType", "predicate"}:
        raise MalformedEnvelope(f"the statement's fields are {', '.join(sorted(content))}")
    subjects, kind, predicate = content["subject"], content["predicateType"], content["predicate"]
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise MalformedEnvelope("the statement is not about exactly one artifact")
    if not isinstance(kind, str) or not isinstance(predicate, dict):
        raise MalformedEnvelope("the statement has no predicate")
    return Statement(_text(subjects[0], "name"), _sha256(subjects[0]), kind, predicate)


def readiness_facts(statement: Statement) -> ReadinessFacts:
    """What a readiness statement says.

    Raises:
        MalformedEnvelope: a part is missing.
    """
    parts = _descriptors(statement)
    run = _annotations(parts, EVIDENCE)
    return ReadinessFacts(
        statement.name,
        statement.digest,
        _text(statement.predicate, "result"),
        _text(run, "run_id"),
        _text(run, "environment"),
        _moment(run, "evaluated_at"),
        _sha256(parts[EVIDENCE]),
        _sha256(_part(parts, POLICY)),
    )


def decision_facts(statement: Statement) -> DecisionFacts:
    """What a decision statement says.

    Raises:
        MalformedEnvelope: a part is missing.
    """
    predicate = statement.predicate
    levels, inputs = predicate.get("verifiedLevels"), predicate.get("inputAttestations")
    if not isinstance(levels, list) or not isinstance(inputs, list) or not all(isinstance(level, str) for level in levels):
        raise MalformedEnvelope("the decision has no verifiedLevels or no inputAttestations")
    return DecisionFacts(
        statement.name,
        statement.digest,
        _text(predicate, "verificationResult"),
        tuple(levels),
        _moment(predicate, "timeVerified"),
        _sha256(predicate.get("policy")),
        tuple(_sha256(entry) for entry in inputs),
        _text(predicate.get("verifier"), "id"),
        _text(predicate, "resourceUri"),
        _proved(inputs[0]) if inputs else {},
        _signers(inputs[0]) if inputs else (),
    )


def _proved(entry: Mapping[str, Any]) -> dict[str, datetime]:
    return {_text(each, "keyid"): _moment(each, "signedAt") for each in _annotated(entry, "signatures")}


def _signers(entry: Mapping[str, Any]) -> tuple[Signer, ...]:
    return tuple(
        Signer(
            role=_text(each, "role"),
            person=_text(each, "person"),
            session=_text(each, "session"),
            key_id=_text(each, "keyid"),
            request_id=_text(each, "kmsRequestId"),
            signed_at=_moment(each, "signedAt"),
        )
        for each in _annotated(entry, "signers")
    )


def _annotated(entry: Mapping[str, Any], name: str) -> list[Any]:
    annotations = entry.get("annotations", {})
    found = annotations.get(name, []) if isinstance(annotations, dict) else None
    if not isinstance(found, list):
        raise MalformedEnvelope("the decision's annotations are not what they should be")
    return found


def facts_of(payload: bytes) -> SignedFacts:
    """What a readiness statement binds, for the gate's decision.

    Raises:
        MalformedEnvelope: it is no readiness statement, or its rows are not those of their digest.
    """
    statement = read_statement(payload)
    if statement.predicate_type != TEST_RESULT:
        raise MalformedEnvelope(f"not a readiness statement: {statement.predicate_type}")
    facts, parts = readiness_facts(statement), _descriptors(statement)
    rows = _listed(parts, ROWS_DESCRIPTOR, "rows")
    waivers = _listed(parts, WAIVERS, "waivers")
    stated = {_text(row, "id"): _row_facts(row) for row in rows}
    if len(stated) != len(rows):
        raise MalformedEnvelope("a row is stated twice")
    return SignedFacts(
        statement_digest=sha256_of(payload),
        release_digest=facts.digest,
        policy_digest=facts.policy_digest,
        evidence_digest=facts.evidence_digest,
        rows={name: row for name, row in stated.items() if row is not None},
        waivers=frozenset(_text(waiver, "id") for waiver in waivers),
    )


def stated_findings(payload: bytes) -> dict[str, tuple[Finding, ...]]:
    """Row id -> its findings as a readiness statement shows them: code, verdict and subject.

    Raises:
        MalformedEnvelope: it is no readiness statement.
    """
    rows = _listed(_descriptors(read_statement(payload)), ROWS_DESCRIPTOR, "rows")
    found = {}
    for row in rows:
        if _row_facts(row) is not None:
            entries = [(str(code), str(subject), str(verdict)) for code, subject, verdict in row["findings"]]
            if unknown := {verdict for _, _, verdict in entries} - set(Verdict):
                raise MalformedEnvelope(f"no verdicts: {', '.join(sorted(unknown))}")
            found[_text(row, "id")] = tuple(
                Finding(code, Verdict(verdict), subject, "", "") for code, subject, verdict in entries
            )
    return found


def waived_findings(payload: bytes) -> frozenset[tuple[str, Pair]]:
    """(row id, (code, subject)) of every finding that a readiness statement shows as waived.

    Raises:
        MalformedEnvelope: it is no readiness statement.
    """
    parts = _descriptors(read_statement(payload))
    rows = {_text(row, "id"): row for row in _listed(parts, ROWS_DESCRIPTOR, "rows") if row.get("waived") is True}
    found = set()
    for waiver in _listed(parts, WAIVERS, "waivers"):
        row = rows.get(_text(waiver, "row"))
        facts, pairs = _row_facts(row) if row else None, waiver.get("pairs")
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004
            raise MalformedEnvelope("a waiver's pairs are not (code, subject)")
        named = {(str(code), str(subject)) for code, subject in pairs}
        found |= {(_text(waiver, "row"), pair) for pair in (facts.findings & named if facts else ())}
    return frozenset(found)


def waiver_entry(waiver: Waiver) -> dict[str, Any]:
    """A waiver as a readiness statement shows it, but for how often it was given."""
    return waiver_fields(waiver, "id", "row", "pairs", "reason", "ticket", "until", "signed_by", "identity")


def shows_waiver(statement: Statement, waiver: Waiver, role: str) -> bool:
    """Whether a readiness statement shows this very waiver as signed by this role.

    Raises:
        MalformedEnvelope: it is no readiness statement.
    """
    wanted = waiver_entry(replace(waiver, signed_by=role))
    shown = _listed(_descriptors(statement), WAIVERS, "waivers")
    return any(all(entry.get(name) == value for name, value in wanted.items()) for entry in shown)


def _row_facts(row: Mapping[str, Any]) -> RowFacts | None:
    """None for a row whose result did not count when the statement was made."""
    if row.get("verdict") not in set(Verdict):
        return None
    found = row.get("findings")
    if not isinstance(found, list) or not all(isinstance(f, list) and len(f) == 3 for f in found):  # noqa: PLR2004 - code, subject, verdict
        raise MalformedEnvelope("a row's findings are not (code, subject, verdict)")
    return RowFacts(Verdict(row["verdict"]), frozenset((str(code), str(subject)) for code, subject, _ in found))


def _descriptors(statement: Statement) -> dict[str, Mapping[str, Any]]:
    parts = statement.predicate.get("configuration")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise MalformedEnvelope("the predicate has no configuration")
    named = {_text(part, "name"): part for part in parts}
    if len(named) != len(parts):
        raise MalformedEnvelope("a part of the configuration is named twice")
    return named


def _part(parts: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    if name not in parts:
        raise MalformedEnvelope(f"the statement does not name its {name}")
    return parts[name]


def _annotations(parts: Mapping[str, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    annotations = _part(parts, name).get("annotations")
    if not isinstance(annotations, dict):
        raise MalformedEnvelope(f"{name} has no annotations")
    return annotations


def _listed(parts: Mapping[str, Mapping[str, Any]], part: str, name: str) -> list[Mapping[str, Any]]:
    entries = _annotations(parts, part).get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise MalformedEnvelope(f"{name} is not a list of objects")
    if sha256_of(canonical_json(entries)) != _sha256(parts[part]):
        raise MalformedEnvelope(f"the {name} are not those of their digest")
    return entries


def _text(holder: Any, name: str) -> str:  # noqa: ANN401 - any JSON value
    value = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(value, str) or not value:
        raise MalformedEnvelope(f"{name} is missing")
    return value


def _moment(holder: Mapping[str, Any], name: str) -> datetime:
    try:
        return parse_iso(_text(holder, name))
    except ValueError as error:
        raise MalformedEnvelope(f"{name} is not a time: {error}") from error


def _sha256(holder: Any) -> str:  # noqa: ANN401 - any JSON value
    digest = holder.get("digest") if isinstance(holder, dict) else None
    value = digest.get("sha256") if isinstance(digest, dict) and len(digest) == 1 else None
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise MalformedEnvelope("a digest is missing, or is not a sha256")
    return f"sha256:{value}"
