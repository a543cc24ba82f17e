"""`phase5 status`: the candidates that may be open, or the readiness document of one as the gate sees it now.

It decides from the same fresh reads as a promotion does, and changes nothing. What it says is no permission by itself: the
promotion decides again. Exit codes of one release are those of its document; the list exits with 0.
"""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from phase5_ops.build import open_platform
from phase5_ops.clock import iso
from phase5_ops.gate.believed_keys import believed_keys
from phase5_ops.gate.decision import Outcome, decide
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.inputs import GateSources, look_again, read_inputs
from phase5_ops.gate.promotion_records import record_problems, with_attested_times
from phase5_ops.gate.records import GateInputs, Release
from phase5_ops.gate.signing import SigningError
from phase5_ops.gate.state import CLOSED, Candidate, Fate, Promotion, StateError
from phase5_ops.gate.waiver_report import matching_nothing, waiver_uses
from phase5_ops.promote_command import line
from phase5_ops.report.document import CandidateEntry, ReadinessDocument
from phase5_ops.report.release import release_document
from phase5_ops.settings import ConfigurationError, Settings


def open_candidates(settings: Settings, instance: dg.DagsterInstance) -> str:
    """Every candidate that may be open, and what each is waiting for.

    Raises:
        StateError: the state table cannot be read.
        KeysError: the file of keys is gone, or cannot be used.
    """
    sources = GateSources(instance, open_platform(settings, "status"))
    sources.pinned  # noqa: B018 - where the file of keys is not what it was, nothing of what follows is to be trusted
    found = [candidate for candidate, _ in sources.state.open_candidates(settings.environment)]
    lines = [each for candidate in found for each in _lines(sources, candidate)]
    return "\n".join(lines) or f"no open candidate in {settings.environment}"


def _lines(sources: GateSources, candidate: Candidate) -> Iterator[str]:
    yield line(candidate)
    if candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        return
    try:
        inputs = look_again(sources, read_inputs(sources, candidate))
    except (StateError, SigningError) as error:
        yield f"  not known: {error}"
        return
    decision = decide(inputs)
    yield f"  the gate is {decision.outcome}"
    for reason in decision.reasons:
        yield f"  {reason}"
    for vain in matching_nothing(waiver_uses(inputs, decision, ())):
        yield f"  {vain}"


def release_status(settings: Settings, instance: dg.DagsterInstance, name: str) -> ReadinessDocument:
    """The document of one candidate. One that was promoted is shown as of its promotion.

    Raises:
        ConfigurationError: no such candidate, or the clock is fixed.
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to believe.
    """
    refuse_fixed_clock(settings, "phase5 status of a release")
    platform = open_platform(settings, "status")
    sources = GateSources(instance, platform)
    candidate = sources.state.candidate(Release(name, "", settings.environment))
    if candidate is None:
        raise ConfigurationError(
            f"no candidate {name} in {settings.environment}; register it with phase5 promote, "
            "and let the sensor promotion_gate see it"
        )
    record = sources.state.promotion(candidate.release, candidate.series)
    inputs = read_inputs(sources, candidate)
    closed: tuple[str, ...] = ()
    if record is not None:
        closed = _attestation_problems(sources, candidate, record)
        inputs = _as_of(inputs, record, attested=not closed)
    elif candidate.fate in CLOSED or candidate.fate is Fate.PROMOTED:
        closed = (f"release {candidate.fate}: {candidate.closed_because or 'no record says why'}",)
    if record is None and not closed and inputs.run_id is not None:
        inputs = look_again(sources, inputs)
    decision = decide(inputs)
    outcome = Outcome.OPEN if record is not None and not closed else decision.outcome
    return release_document(
        candidate=_entry(candidate, outcome, settings.run_address(inputs.run_id) if inputs.run_id else None),
        release=candidate.release,
        inputs=inputs,
        decision=decision,
        waivers=waiver_uses(inputs, decision, sources.state.promotions(settings.environment)),
        closed=closed,
        promoted=record is not None,
    )


def _entry(candidate: Candidate, outcome: str, url: str | None) -> CandidateEntry:
    return CandidateEntry.model_validate(
        {
            "digest": candidate.release.digest,
            "series": candidate.series,
            "fate": str(candidate.fate),
            "gate": str(outcome),
            "registered_at": iso(candidate.registered_at),
            "deadline": iso(candidate.deadline),
            "closed_because": candidate.closed_because,
            "url": url,
        }
    )


def _as_of(inputs: GateInputs, record: Promotion, *, attested: bool) -> GateInputs:
    """What a promotion was decided from: evidence grows old afterwards, newer runs and another policy are about what came later.

    What was changed since is not undone: a file that is no longer as it was sealed is shown as that. Where the attestation
    verifies, it proves by when its signatures were made, so that those of keys revoked since still count.
    """
    policy_digest = inputs.statement.policy_digest if inputs.statement else inputs.policy_digest
    offs = with_attested_times(inputs.sign_offs, record) if attested else inputs.sign_offs
    return replace(inputs, now=record.promoted_at, policy_digest=policy_digest, other_runs=(), sign_offs=offs)


def _attestation_problems(sources: GateSources, candidate: Candidate, record: Promotion) -> tuple[str, ...]:
    """Why the attestation of a promotion does not say that the gate was open for this candidate."""
    keys = believed_keys(sources.platform.reader, sources.platform.settings)
    found = record_problems(record, candidate.release, candidate.series, keys=keys, now=record.promoted_at)
    return tuple(f"release PROMOTED, and its attestation does not verify: {problem}" for problem in found)
