"""Everything a decision about one candidate rests on, read afresh: Dagster's records, evidence files, state table, keys, clock.

The sensor, the promotion and the command line all decide from what `read_inputs` gives, so that none of them can know less than
another; `look_again` adds what the platform is like now. Nothing is decided here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial

import dagster as dg

from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.attestation.run_record import RunRecord
from phase5_ops.gate.decision.deployed_rules import DeployedIdentity, present_problems, recorded_problems
from phase5_ops.gate.decision.recorded_rules import LeftEvidence, confirmed_runs, needs_keys, record_problems
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.forgotten_runs import ForgottenRuns
from phase5_ops.gate.inputs.present_platform import PresentPlatform, alarms_now, recorded_identity
from phase5_ops.gate.inputs.promotion_records import record_problems as attestation_problems
from phase5_ops.gate.inputs.promotion_records import with_attested_times
from phase5_ops.gate.records import GateInputs, OtherRun, Pair, ReadinessRun, Reason, SignedFacts
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.stored_signatures import verified_waivers
from phase5_ops.gate.state.items import Candidate, Promotion
from phase5_ops.gate.state.run_records import RunTrail
from phase5_ops.settings import in_sandbox


@dataclass(frozen=True)
class DecidingSession(GateSession):
    """A session for one decision or one tick, in which nothing of Dagster and the evidence is read twice.

    Attributes:
        instance: Dagster's records.
        kept: results that an earlier tick has read; none for a promotion.
    """

    instance: dg.DagsterInstance = field(kw_only=True)
    kept: check_state.KeptResults = field(default_factory=check_state.KeptResults, kw_only=True)

    @cached_property
    def trail(self) -> RunTrail:
        """The records of the environment's readiness runs; read once for all candidates of a tick."""
        return RunTrail(self.records, self.settings.environment)

    @cached_property
    def left(self) -> dict[str, LeftEvidence]:
        """What the evidence folder holds of recorded runs, by run id; filled as runs are looked at."""
        return {}

    @cached_property
    def identity_of(self) -> Callable[[str], DeployedIdentity | None]:
        """Run id -> its record of what was deployed; read once for the rules about then and about now."""
        return cache(partial(recorded_identity, self.run.store))

    @cached_property
    def forgotten(self) -> ForgottenRuns:
        """The runs that left evidence and are gone from Dagster; listed once for all candidates of a tick."""
        return ForgottenRuns(self.run.store, partial(check_state.unknown_runs, self.instance))

    @cached_property
    def seen(self) -> check_state.SeenRuns:
        """The runs that were looked at."""
        return check_state.SeenRuns(self.instance, self.kept)

    @cached_property
    def promotions(self) -> list[tuple[str, frozenset[tuple[str, Pair]]]]:
        """The promotions of the environment, oldest first, with what was waived; read once for all candidates of a tick.

        Raises:
            StateError: the state table cannot be read.
        """
        return self.state.promotions(self.settings.environment)

    @cached_property
    def present(self) -> PresentPlatform:
        """The platform as it is now, looked at once."""
        return PresentPlatform(self.reader, self.settings.deployed)


def read_inputs(
    session: DecidingSession,
    candidate: Candidate,
    *,
    runs: list[ReadinessRun] | None = None,
    closing: tuple[Reason, ...] = (),
) -> GateInputs:
    """The facts of a candidate's present series, from its last readiness run that is over.

    Args:
        session: does the reading.
        candidate: as it stands in the state table.
        runs: the readiness runs of its series, where they were just read.
        closing: what other reads found; it can only close.

    Raises:
        StateError: the state table cannot be read; nothing is known then.
        KeysError: the file of keys cannot be used.
        SigningError: there is no file of keys, and KMS does not give them.
    """
    context, release = session.run, candidate.release
    settings, allow_fixed_now = context.settings, in_sandbox(context.settings)
    found = runs if runs is not None else check_state.runs_of_candidate(session.instance, release, candidate.series)
    run = check_state.newest_finished(found)
    state = session.state
    stored, waivers = state.sign_offs(release), state.waivers(release)
    frozen, statements = state.statement_among_all(release, candidate.series)
    session.pinned  # noqa: B018 - where the file of keys is not what it was, nothing is trusted, signed or not
    trail = session.trail.back_to(run.facts.run_id) if run else []
    before = session.trail.candidate_before(run.facts.run_id) if run else None
    keys = session.keys if stored or waivers or needs_keys(trail, before) else None
    bundle = check_state.stored_bundle(context.store, run) if run else None
    others: tuple[OtherRun, ...] = ()
    if run is not None and run.ended_at is not None:
        others = (
            *check_state.other_runs(
                session.instance, release.environment, run.ended_at, allow_fixed_now=allow_fixed_now, seen=session.seen
            ),
            *session.forgotten.since(run.ended_at, release.environment, allow_fixed_now=allow_fixed_now),
        )
        left = {record.found.run_id: _left(session, record) for record in trail if record.found.run_id != run.facts.run_id}
        others = confirmed_runs(others, trail, left, run.facts.run_id, keys, allow_fixed_now=allow_fixed_now)
    if run is not None:  # what its record in the state table, and its own record of what was deployed, say against its evidence
        about = run.facts.run_id
        closing = (
            *closing,
            *record_problems(trail, about, bundle.digest if bundle else None, keys, before=before),
            *recorded_problems(session.identity_of(about), release, settings.deployed),
        )
    return GateInputs(
        release=release,
        run_id=run.facts.run_id if run else None,
        results=session.seen.results(run.facts) if run else {},
        bundle=bundle,
        policy_digest=context.policy_digest,
        policy=settings.gate,
        now=session.now,
        statement=_signed_facts(frozen.payload) if frozen else None,
        sign_offs=session.sign_offs(stored, [each.payload for each in statements]) if stored else (),
        waivers=verified_waivers(waivers, session.keys, statements, environment=release.environment) if waivers else (),
        other_runs=others,
        run_completed_at=run.ended_at if run else None,
        closing=closing,
        allow_fixed_now=allow_fixed_now,
        series=candidate.series,
    )


def look_again(session: DecidingSession, inputs: GateInputs, *, alarms: bool = True) -> GateInputs:
    """The inputs, with what the platform as it is now says against them; it can only close.

    Args:
        session: does the reading.
        inputs: of `read_inputs`.
        alarms: whether the alarms are looked at too: what fires while people sign may be over before anything is promoted.
    """
    run, run_id = session.run, inputs.run_id
    if run_id is None:
        return inputs  # closes by itself
    found = present_problems(session.identity_of(run_id), *session.present.deployed)
    firing = alarms_now(session.present, run.store, run_id, run.settings.gate) if alarms else ()
    return replace(inputs, closing=(*inputs.closing, *found, *firing))


def as_promoted(session: DecidingSession, candidate: Candidate, record: Promotion) -> GateInputs:
    """The inputs as of a promotion: at its moment, under the policy that was signed, without newer runs.

    Later changes are not undone: a file that is no longer as it was sealed is shown as changed. The attestation proves by when
    its signatures were made, so that those of keys revoked since still count. Where it does not verify, nothing shows that there
    was a promotion, or when, and the inputs are those of now: whoever can write a record must not choose the moment.

    Raises:
        StateError, KeysError, SigningError: as `read_inputs`.
    """
    inputs = read_inputs(session, candidate)
    problems = attestation_problems(record, candidate.release, candidate.series, keys=session.keys, now=record.promoted_at)
    if problems:
        return inputs
    offs = with_attested_times(inputs.sign_offs, record)
    policy_digest = inputs.statement.policy_digest if inputs.statement else inputs.policy_digest
    return replace(inputs, now=record.promoted_at, policy_digest=policy_digest, other_runs=(), sign_offs=offs)


def _left(session: DecidingSession, record: RunRecord) -> LeftEvidence:
    """What the evidence folder holds of a recorded run; read again only where its files changed since."""
    run_id, store = record.found.run_id, session.run.store
    if run_id not in session.left:
        try:
            marks = store.marks(run_id)  # before the files are read: what changes meanwhile is read again
            session.left[run_id] = session.kept.left(run_id, marks, lambda: _evidence_left(store, run_id))
        except OSError:
            session.left[run_id] = LeftEvidence(None, None)
    return session.left[run_id]


def _evidence_left(store: EvidenceStore, run_id: str) -> LeftEvidence:
    try:
        return LeftEvidence(store.sealed_digest(run_id), check_state.rows_of(store.sealed_verdicts(run_id)))
    except (OSError, ValueError):
        return LeftEvidence(None, None)


def _signed_facts(payload: bytes) -> SignedFacts | None:
    """What the frozen statement binds; None where it is no statement, so that nobody has signed one."""
    try:
        return facts_of(payload)
    except MalformedEnvelope:
        return None
