"""The readiness statement, which the gate and the three roles sign: written and read here. Pure.

An in-toto Statement v1 (https://github.com/in-toto/attestation/tree/main/spec/v1) with the predicate test-result v0.1. Its rows,
waivers and inputs are resource descriptors with annotations, so that nothing stands outside the predicate's own fields. Equal
facts give equal bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictInt, TypeAdapter

from phase5_ops.checklist import CHECKLIST_VERSION
from phase5_ops.clock import Moment
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, canonical_json
from phase5_ops.gate.attestation.statement import (
    TEST_RESULT,
    Attested,
    Read,
    Said,
    Sha256,
    Statement,
    digest_entry,
    read_as,
    read_statement,
    statement_bytes,
)
from phase5_ops.gate.records import Pair, Pairs, Release, RowFacts, SignedFacts, Waiver
from phase5_ops.text import Text
from phase5_ops.verdict import Finding, Verdict

#: Names of the statement's resource descriptors.
EVIDENCE, POLICY, ROWS_DESCRIPTOR, WAIVERS = "evidence", "policy", "rows", "waivers"


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

    id: Said
    verdict: Text
    opens: StrictBool
    waived: StrictBool
    blocking: StrictBool
    findings: tuple[tuple[Text, Text, Verdict], ...] = ()
    observed_at: Moment | None = None

    @property
    def counts(self) -> bool:
        """Whether its result counted when the statement was made."""
        return self.verdict in set(Verdict)

    @property
    def plain_pass(self) -> bool:
        """Whether it opens because it passes, not by a waiver or a rule."""
        return self.verdict == Verdict.PASS and self.opens and not self.waived


@dataclass(frozen=True, slots=True)
class StatedWaiver:
    """A waiver as the statement shows it; `releases_in_a_row` is None in statements of an earlier version."""

    id: Said
    row: Said
    pairs: Pairs
    reason: Text
    ticket: Text
    until: Moment
    signed_by: Text | None
    identity: Text
    releases_in_a_row: StrictInt | None = None

    @classmethod
    def of(cls, waiver: Waiver, in_a_row: int | None = None) -> "StatedWaiver":
        """The waiver as the statement shows it."""
        shown = {each.name: getattr(waiver, each.name) for each in fields(cls) if each.name != "releases_in_a_row"}
        return cls(**shown, releases_in_a_row=in_a_row)


@dataclass(frozen=True, slots=True)
class _Run:
    """Annotations of the evidence."""

    run_id: Said
    evaluated_at: Moment
    environment: Said
    not_tried: tuple[Text, ...] = ()
    series: StrictInt | None = None  # of the candidate; earlier versions say neither this nor the context
    context: dict[Text, Text] | None = None
    schema: Literal[1] = 1  # of the statement; the first version does not say it


@dataclass(frozen=True, slots=True)
class _Rules:
    """Annotations of the policy."""

    checklist_version: Text | None = None
    loosened: tuple[Text, ...] = ()


class _Descriptor(Attested):
    name: Said
    digest: Sha256
    annotations: dict[str, Any] = Field(default_factory=dict)


class _TestResult(Attested):
    result: Said
    configuration: tuple[_Descriptor, ...]
    passed_tests: tuple[Text, ...] = ()
    warned_tests: tuple[Text, ...] = ()
    failed_tests: tuple[Text, ...] = ()
    url: Text | None = None


_RUN, _RULES, _PREDICATE = TypeAdapter(_Run), TypeAdapter(_Rules), TypeAdapter(_TestResult)
_ROWS, _WAIVERS = TypeAdapter(tuple[StatementRow, ...]), TypeAdapter(tuple[StatedWaiver, ...])


@dataclass(frozen=True, slots=True)
class ReadinessFacts:
    """What a readiness statement says.

    Attributes:
        name, digest, environment: of the release.
        series: of the candidate; None in statements of an earlier version.
        context: what the candidate was registered with for the target; None in statements of an earlier version.
        result: PASSED, WARNED or FAILED.
        run_id, evaluated_at: of the readiness run, and when the gate decided on it.
        evidence_digest, policy_digest: what it is bound to.
        rows, waivers: as they are signed; each row id occurs once.
        not_tried, loosened, checklist_version, url: for people.
    """

    name: str
    digest: str
    result: str
    run_id: str
    environment: str
    evaluated_at: datetime
    evidence_digest: str
    policy_digest: str
    rows: tuple[StatementRow, ...]
    waivers: tuple[StatedWaiver, ...]
    not_tried: tuple[str, ...]
    loosened: tuple[str, ...]
    checklist_version: str | None
    url: str | None
    series: int | None
    context: Mapping[str, str] | None

    def findings(self) -> dict[str, tuple[Finding, ...]]:
        """Row id -> its findings: code, verdict and subject; only of rows whose result counted."""
        return {
            row.id: tuple(Finding(code, verdict, subject, "", "") for code, subject, verdict in row.findings)
            for row in self.rows
            if row.counts
        }


def readiness_statement(
    *,
    release: Release,
    series: int,
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
    context: Mapping[str, str] | None = None,
) -> bytes:
    """The statement that the gate and the three roles sign.

    Args:
        release: the subject.
        series: of the candidate.
        run_id: the readiness run.
        evaluated_at: when it was decided.
        evidence_digest: `sha256:...` of the run's evidence.
        policy_digest: `sha256:...` of the policy it was judged under.
        rows: every row and extra check but the sign-offs.
        tables: asset -> `sha256:...` of every table of the evidence: the inputs.
        waivers: those in use.
        in_a_row: id of a waiver -> for how many releases in a row the same finding was waived, this one included; 1 by default.
        loosened: thresholds looser than the shipped ones, in words.
        not_tried: what could not be tried, in words.
        url: where the report of the run is.
        context: what the candidate was registered with for the target.

    Raises:
        ValueError: a digest is not a sha256.
    """
    shown = [StatedWaiver.of(each, (in_a_row or {}).get(each.id, 1)) for each in sorted(waivers, key=lambda each: each.id)]
    stated, waived = _ROWS.dump_python(tuple(rows)), _WAIVERS.dump_python(tuple(shown))
    run = _Run(run_id, evaluated_at, release.environment, tuple(sorted(not_tried)), series, dict(context or {}))
    rules = _Rules(CHECKLIST_VERSION, tuple(sorted(loosened)))
    configuration = (
        _part(EVIDENCE, evidence_digest, _RUN.dump_python(run, exclude={"schema"})),
        _part(POLICY, policy_digest, _RULES.dump_python(rules)),
        _part(ROWS_DESCRIPTOR, sha256_of(canonical_json(stated)), {"rows": stated}),
        _part(WAIVERS, sha256_of(canonical_json(waived)), {"waivers": waived}),
        *(_part(f"tables/{asset}", digest) for asset, digest in sorted(tables.items())),
    )
    predicate = _TestResult(
        result=_result(rows),
        configuration=configuration,
        passed_tests=tuple(row.id for row in rows if row.plain_pass),
        warned_tests=tuple(row.id for row in rows if row.opens and not row.plain_pass),
        failed_tests=tuple(row.id for row in rows if not row.opens),
        **({"url": url} if url else {}),
    )
    return statement_bytes(release, TEST_RESULT, predicate.content())


def _part(name: str, digest: str, annotations: Mapping[str, Any] | None = None) -> _Descriptor:
    return _Descriptor(name=name, digest=digest_entry(digest), **({"annotations": annotations} if annotations else {}))


def _result(rows: Sequence[StatementRow]) -> str:
    if not rows or not all(row.opens for row in rows):
        return "FAILED"
    return "PASSED" if all(row.plain_pass for row in rows) else "WARNED"


def readiness_facts(statement: Statement) -> ReadinessFacts:
    """What a readiness statement says.

    Raises:
        MalformedEnvelope: it is none, or its rows or waivers do not match their digest.
    """
    if statement.predicate_type != TEST_RESULT:
        raise MalformedEnvelope(f"not a readiness statement: {statement.predicate_type}")
    said = read_as(_PREDICATE, statement.predicate)
    parts = {part.name: part for part in said.configuration}
    if len(parts) != len(said.configuration):
        raise MalformedEnvelope("a part of the configuration is named twice")
    if missing := {EVIDENCE, POLICY, ROWS_DESCRIPTOR, WAIVERS} - parts.keys():
        raise MalformedEnvelope(f"the statement does not name its {', '.join(sorted(missing))}")
    run, rules = read_as(_RUN, parts[EVIDENCE].annotations), read_as(_RULES, parts[POLICY].annotations)
    rows = _listed(_ROWS, parts[ROWS_DESCRIPTOR], "rows")
    if len({row.id for row in rows}) != len(rows):
        raise MalformedEnvelope("a row is stated twice")
    return ReadinessFacts(
        statement.name,
        statement.digest,
        said.result,
        run.run_id,
        run.environment,
        run.evaluated_at,
        parts[EVIDENCE].digest,
        parts[POLICY].digest,
        rows,
        _listed(_WAIVERS, parts[WAIVERS], "waivers"),
        run.not_tried,
        rules.loosened,
        rules.checklist_version,
        said.url,
        run.series,
        run.context,
    )


def _listed(kind: TypeAdapter[Read], part: _Descriptor, name: str) -> Read:
    entries = part.annotations.get(name)
    if sha256_of(canonical_json(entries)) != part.digest:
        raise MalformedEnvelope(f"the {name} are not those of their digest")
    return read_as(kind, entries)


def facts_of(payload: bytes) -> SignedFacts:
    """What a readiness statement binds, for the gate's decision.

    Raises:
        MalformedEnvelope: it is no readiness statement.
    """
    said = readiness_facts(read_statement(payload))
    return SignedFacts(
        statement_digest=sha256_of(payload),
        release_digest=said.digest,
        policy_digest=said.policy_digest,
        evidence_digest=said.evidence_digest,
        rows={row.id: RowFacts(Verdict(row.verdict), _pairs(row)) for row in said.rows if row.counts},
        waivers=frozenset(waiver.id for waiver in said.waivers),
        series=said.series,
    )


def _pairs(row: StatementRow) -> frozenset[Pair]:
    return frozenset((code, subject) for code, subject, _ in row.findings)


def waived_findings(payload: bytes) -> frozenset[tuple[str, Pair]]:
    """(row id, (code, subject)) of every finding that a readiness statement shows as waived.

    Raises:
        MalformedEnvelope: it is no readiness statement.
    """
    said = readiness_facts(read_statement(payload))
    waived = {row.id: _pairs(row) for row in said.rows if row.waived and row.counts}
    return frozenset((each.row, pair) for each in said.waivers for pair in each.pairs & waived.get(each.row, frozenset()))


def shows_waiver(said: ReadinessFacts, waiver: Waiver, role: str) -> bool:
    """Whether a readiness statement shows this very waiver as signed by this role."""
    wanted = StatedWaiver.of(replace(waiver, signed_by=role))
    return any(replace(shown, releases_in_a_row=None) == wanted for shown in said.waivers)
