"""What the gate decides from, and what it decides: facts of results, evidence, runs, statements and signatures. Pure data.

`inputs/` fills these from Dagster, the evidence store and DynamoDB; here nothing is read and nothing is decided. A fact that
could not be read is left at the value that keeps the gate closed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import PlainSerializer

from phase5_ops.clock import Moment
from phase5_ops.policy import GatePolicy
from phase5_ops.text import Text
from phase5_ops.verdict import Finding, Verdict

#: A finding as a waiver names it: code and subject, both exactly as found.
Pair = tuple[Text, Text]
Pairs = Annotated[frozenset[Pair], PlainSerializer(lambda pairs: [list(pair) for pair in sorted(pairs)])]
#: Row id (or name of an extra check) -> its verdict and findings in a run.
Rows = Mapping[str, tuple[Verdict, tuple[Finding, ...]]]
#: For a run whose end is not known: later than every run that could cure.
NO_MOMENT = datetime.max.replace(tzinfo=UTC)


class RunState(StrEnum):
    """How far a run is. Only FINISHED lets its results count."""

    RUNNING = "RUNNING"  # queued, starting or under way
    FINISHED = "FINISHED"  # over, whatever its end: what it judged stands on its own
    UNKNOWN = "UNKNOWN"  # its record is gone or cannot be read


@dataclass(frozen=True, slots=True)
class Release:
    """What asks to be promoted: name, `sha256:...` of the artifact, environment."""

    name: Text
    digest: Text
    environment: Text


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run behind a result, as Dagster's run record says.

    Attributes:
        run_id: Dagster's.
        job: its job's name.
        state: how far it is.
        environment, release_digest: of its tags; None for a run without a release.
        fixed_now: it ran under PHASE5_NOW.
    """

    run_id: str
    job: str
    state: RunState
    environment: str | None = None
    release_digest: str | None = None
    fixed_now: bool = False


@dataclass(frozen=True, slots=True)
class ReadinessRun:
    """A run that was made for a candidate or an environment, as Dagster's record says; or one that promotes.

    Attributes:
        facts: what the gate decides from.
        release: name of the release; None for a run without one.
        series, attempt: of the candidate it was made for; 0 where its tags do not say.
        ended_at: when it was over; None before.
        evidence_digest: the digest that it sealed its evidence with.
    """

    facts: RunFacts
    release: str | None
    series: int
    attempt: int
    ended_at: datetime | None
    evidence_digest: str | None


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What Dagster's records hold of one check.

    Attributes:
        check: the check's name.
        run: the run behind the result; None if there is none (a result posted from outside) or its record is gone.
        evaluated: there is an evaluation; False for a check that was only planned.
        passed: Dagster's own flag.
        verdict, findings: what the judge said.
        observed_at: when the oldest table behind it was read.
        target_run_id: the run that made the materialization which the result is about.
        tables: asset -> `sha256:...` of the tables it was judged from.
        verdict_file: `sha256:...` of the verdict as it was stored with the evidence.
        policy_digest: under which it was judged.
    """

    check: str
    run: RunFacts | None = None
    evaluated: bool = False
    passed: bool | None = None
    verdict: Verdict | None = None
    findings: tuple[Finding, ...] = ()
    observed_at: datetime | None = None
    target_run_id: str | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    verdict_file: str | None = None
    policy_digest: str | None = None


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """A verdict as its file in the evidence holds it; fields as in `StoredResult`.

    Attributes:
        digest: `sha256:...` of the file.
        entry: everything that the file holds, for reports; nothing is decided from it.
    """

    digest: str
    verdict: Verdict | None = None
    findings: tuple[Finding, ...] = ()
    observed_at: datetime | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    policy_digest: str | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The stored evidence of one run, its digests computed afresh from the files.

    Attributes:
        run_id: the run that gathered it.
        digest: SHA-256 over the manifest of the files as they are now.
        sealed_digest: the digest that the run itself recorded when it ended; None if it recorded none.
        tables: asset -> digest of its table file.
        verdicts: check -> what its verdict file holds.
    """

    run_id: str
    digest: str
    sealed_digest: str | None
    tables: Mapping[str, str]
    verdicts: Mapping[str, StoredVerdict]


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Verdict and findings (code, subject) of a row."""

    verdict: Verdict
    findings: frozenset[Pair] = frozenset()


@dataclass(frozen=True, slots=True)
class OtherRun:
    """A completed readiness run of an environment, apart from the candidate's own.

    Attributes:
        run_id: Dagster's.
        environment: what it judged.
        completed_at: when it ended.
        rows: what it found; None if its results could not be read.
        recorded: Dagster has its record; without one only its evidence files tell of it, and those can only close.
        confirmed: the state table's record of it says the same; without that it cures nothing.
        policies: digests of the policies that its results were judged under; a run cures only what the candidate's own judges.
    """

    run_id: str
    environment: str
    completed_at: datetime
    rows: Rows | None
    recorded: bool = True
    confirmed: bool = True
    policies: frozenset[str | None] = frozenset()


@dataclass(frozen=True, slots=True)
class SignedFacts:
    """The readiness statement that people sign: what it says, and the digest of its bytes.

    Attributes:
        statement_digest: `sha256:...` of the statement's bytes (the payload of the envelope).
        release_digest, policy_digest, evidence_digest: what it is bound to.
        rows: row id (or extra check) -> what it says of it.
        waivers: ids of the waivers it shows.
        series: of the candidate that it is about; None where a version wrote it that did not say so.
    """

    statement_digest: str
    release_digest: str
    policy_digest: str
    evidence_digest: str
    rows: Mapping[str, RowFacts]
    waivers: frozenset[str]
    series: int | None = None


@dataclass(frozen=True, slots=True)
class SignOff:
    """One signature over a readiness statement, verified already with the trusted keys.

    Attributes:
        role: under which it was recorded.
        key_role: the role whose key really made it; None where no known key verifies it.
        key_id: of the key that made it.
        identity: the person, as `identity.py` tells; empty if not known.
        statement_digest: of the bytes that were signed.
        release: what the signed bytes are about: name, digest, environment; None where they are not known or cannot be read.
        signed_at: when, as the state table says.
        frozen_at: since when the signed bytes exist, as they say themselves; None if `release` is.
        key_revoked_at: when the key was revoked, if it was.
        proved_at: when KMS's own record says that it was made; asked for only where the key was revoked.
        unproved: why it is not known from KMS when it was made; "" where that was not asked.
        signature: DER.
        session, request_id: ARN of the person's session and KMS's request id, as the state table says; shown, not decided on.
    """

    role: str
    key_role: str | None
    key_id: str
    identity: str
    statement_digest: str
    release: Release | None
    signed_at: datetime
    frozen_at: datetime | None
    key_revoked_at: datetime | None = None
    proved_at: datetime | None = None
    unproved: str = ""
    signature: bytes = b""
    session: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One waiver as it is kept in the state table.

    Attributes:
        id: its name in the state table.
        row: row id, or the name of an extra check.
        release_digest: `sha256:...` of the artifact it is bound to.
        pairs: the findings it excuses.
        reason, ticket: why, and where that is followed up.
        issued_at, until: it is in force from the first until just before the second.
        signed_by: the role whose key made its signature; None where no known key did.
        identity: the person who signed.
        environment: where it is in force; "" in one made before waivers named it, which is in force nowhere.
        unsigned: why no role's key has signed it, in words; "" where one has, or that was not looked at.
    """

    id: Text
    row: Text
    release_digest: Text
    pairs: Pairs
    reason: Text
    ticket: Text
    issued_at: Moment
    until: Moment
    signed_by: Text | None
    identity: Text
    environment: Text = ""
    unsigned: Text = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the gate is closed.

    Attributes:
        row: row id, name of an extra check, or "release" for what concerns the candidate as a whole.
        state: a verdict, or a state of the gate's own.
        code: a finding's code, or a reason of the gate's own.
        subject, seen: as in a finding.
        link: where a person should look.
        verdict: what a report shows for it.
    """

    row: str
    state: str
    code: str
    subject: str
    seen: str
    link: str | None = None
    verdict: Verdict = Verdict.ERROR

    def __str__(self) -> str:
        return f"{self.row} {self.state} {self.code} {self.subject}: {self.seen}"


@dataclass(frozen=True, slots=True)
class GateInputs:
    """Everything that a decision rests on.

    Attributes:
        release: the candidate; None for a run without one.
        run_id: the readiness run of the candidate's present attempt; None if there is none yet.
        results: check name -> its stored result.
        bundle: the stored evidence of that run; None if it is missing or unreadable.
        policy_digest: of the policy that results must have been judged under.
        policy: the gate's rules.
        now: evaluation time, timezone-aware.
        statement: what was frozen for signing; None before.
        sign_offs: every signature recorded for the release.
        waivers: every waiver recorded for the release.
        other_runs: completed readiness runs that ended after `run_completed_at`.
        run_completed_at: when the candidate's run ended.
        closing: what fresh reads found (deployed identity, alarms now firing); they can only close.
        allow_fixed_now: True only for a sandbox's environment.
        series: of the candidate; no statement of another series counts.
    """

    release: Release | None
    run_id: str | None
    results: Mapping[str, StoredResult]
    bundle: Bundle | None
    policy_digest: str
    policy: GatePolicy
    now: datetime
    statement: SignedFacts | None = None
    sign_offs: tuple[SignOff, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    other_runs: tuple[OtherRun, ...] = ()
    run_completed_at: datetime | None = None
    closing: tuple[Reason, ...] = ()
    allow_fixed_now: bool = False
    series: int = 1


class Outcome(StrEnum):
    """What the gate says."""

    OPEN = "OPEN"
    READY_TO_SIGN = "READY_TO_SIGN"  # every row but the sign-offs opens
    BLOCKED = "BLOCKED"


@dataclass(frozen=True, slots=True)
class OpenedOn:
    """What a decision rests on; whoever acts on it must find the same again."""

    release_digest: str
    run_id: str
    evidence_digest: str
    policy_digest: str
    statement_digest: str


@dataclass(frozen=True, slots=True)
class RowDecision:
    """What was decided of one row.

    Attributes:
        row: row id, or the name of an extra check.
        state: its verdict, or the gate's own state.
        opens: whether it opens; a check that does not block by policy opens whatever it says.
        waived: it opens by waivers alone.
        blocking: False for an extra check that the policy only shows.
        reasons: why it is closed, or for a check that does not block, what it found.
    """

    row: str
    state: str
    opens: bool
    waived: bool = False
    blocking: bool = True
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The whole answer.

    Attributes:
        outcome: OPEN, READY_TO_SIGN or BLOCKED.
        opened_on: the digests it rests on; only with OPEN.
        reasons: everything that keeps it closed, the release first, then in checklist order; with READY_TO_SIGN the signatures.
        rows: every row and extra check, in checklist order.
        facts: verdict and findings of every row that has a result that counts, for the statement to be signed.
        waivers_used: ids of the waivers that it needs.
        unmatched_waivers: (waiver id, pair) of what waivers excuse without need.
        fresh_until: when the first of the evidence grows stale; None where a row has none that counts.
        void: why signatures over the frozen statement no longer hold; empty if they do, or there is none.
    """

    outcome: Outcome
    opened_on: OpenedOn | None
    reasons: tuple[Reason, ...]
    rows: tuple[RowDecision, ...]
    facts: Mapping[str, RowFacts] = field(default_factory=dict)
    waivers_used: frozenset[str] = frozenset()
    unmatched_waivers: tuple[tuple[str, Pair], ...] = ()
    fresh_until: datetime | None = None
    void: tuple[str, ...] = ()
