"""The sensor `promotion_gate` and the external asset `release_candidate`: reads, asks `next_step.py`, does what it says.

A tick registers what was asked for, then does the next step of each active candidate. Everything that must last is in the state
table: the cursor only saves reading events again, so that resetting it changes nothing, and run keys hold the number of the
attempt, so that a failed run never stands for the next one. A tick that fails has done a part of its steps; the next one begins
anew from what it reads. Nothing is decided here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from phase5_ops.checklist import ALL_CHECKS, SECTIONS
from phase5_ops.evidence import run_tags
from phase5_ops.gate.approval import disclosures as loosened
from phase5_ops.gate.approval.freeze import statement_rows
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.attestation.readiness_statement import readiness_statement
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.candidates.channels import channels
from phase5_ops.gate.candidates.next_step import Action, Step, in_order, in_turn, next_action, run_key
from phase5_ops.gate.candidates.notices import Look
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.decision.waiver_report import matching_nothing, releases_in_a_row, waiver_uses
from phase5_ops.gate.defs.override_watch import watch_overrides
from phase5_ops.gate.defs.promotion_job import promotion_run_config
from phase5_ops.gate.defs.recording import record_changes
from phase5_ops.gate.defs.stating import Describe, last_stated, state_document
from phase5_ops.gate.defs.tick_errors import said_of
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.candidate_events import are_all, candidate_events, database_of, forgotten
from phase5_ops.gate.inputs.read import DecidingSession, as_promoted, look_again, read_inputs
from phase5_ops.gate.promotion.observing import observe
from phase5_ops.gate.promotion.publication import begun
from phase5_ops.gate.records import Decision, GateInputs, Outcome, ReadinessRun, Release, Waiver
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import Candidate, Fate, MalformedItem, Registered, StateError, release_pk, slot
from phase5_ops.gate.state.notice_box import notices_pk, release_key
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import ConfigurationError, Settings

SENSOR = "promotion_gate"

Job = dg.JobDefinition | UnresolvedAssetJobDefinition

#: What a run did not try, in words, made from the inputs, the decision and the settings. Passed in, because only the layer above
#: all sections knows every finding code.
NotTried = Callable[[GateInputs, Decision, Settings], Sequence[str]]

_EVENTS_A_TICK = 100
_WORKED_A_TICK = 10  # candidates that are looked at, some 0.05 s each
_CLOSED_A_TICK = 25  # superseded or unlisted, two writes each
_CHECKS = {row.id: row.check for row in ALL_CHECKS if not row.is_sign_off}
_LONGEST_REASON, _LONGEST_LINE = 8000, 300  # characters
_SHOWN = 40  # blockers of a candidate in the skip reason: more than there are rows
_FORGOTTEN = (
    "the state table does not know of events that were applied: it was put back to an earlier moment, or somebody set the cursor"
    " of this sensor. They are applied again; what else the table lost does not come back by itself: see docs/operating.md"
)
_OBSERVED_EVERY = timedelta(minutes=5)  # how often what is deployed is looked at for its record


def release_candidate(names: DagsterNames, environment: str) -> dg.AssetSpec:
    """The external asset of release candidates; it says whose they are, so that a pipeline registers nowhere else."""
    return dg.AssetSpec(
        names.key(candidates.ASSET),
        description="Releases that ask for production, registered by the release pipeline with phase5 promote. An event here"
        " opens nothing; what became of a candidate stands in the state table.",
        group_name=names.group(SECTIONS["S"].group),
        kinds={"external"},
        partitions_def=dg.DynamicPartitionsDefinition(name=names.releases),
        metadata={candidates.ENVIRONMENT: environment},
    )


@dataclass
class Tick:
    """What a tick did: runs asked for, and a line for each thing worth saying."""

    requests: list[dg.RunRequest] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SensorWords:
    """How the sensor words things; passed in, because only the layer above the gate knows the words.

    Attributes:
        not_tried: tells those who sign what a run did not try.
        describe: makes the document of a candidate.
    """

    not_tried: NotTried
    describe: Describe


def run_tick(session: DecidingSession, cursor: str | None, now: datetime, words: SensorWords) -> Tick:
    """One look at everything.

    Args:
        session: opened for this tick alone.
        cursor: where reading of events ended last time.
        now: wall clock.
        words: how findings are worded.
    """
    tick = Tick(cursor=cursor)
    try:
        refuse_fixed_clock(session.settings, "the gate's sensor")
        session.pinned  # noqa: B018 - where the file of keys is not what it was, nothing is trusted and nothing is done
        _watch_overrides(session, tick, now)  # first: an incident waits for nothing else
        tick.cursor, done = _register(session, cursor, tick, now)
        if done:
            _work(session, tick, now, words)
        _observe(session, tick, now)  # last: it only records, and no candidate waits for it
    except (StateError, ConfigurationError, KeysError) as error:
        tick.lines.append(f"this tick stopped: {error}")
    return tick


def _observe(session: DecidingSession, tick: Tick, now: datetime) -> None:
    """Records what is deployed; what could not be recorded is said, and undoes no step that was made."""
    last = session.kept.observed_at
    if last is not None and now - last < _OBSERVED_EVERY:
        return
    try:
        line = observe(session, session.present)
        session.kept.observed_at = now
    except Exception as error:  # noqa: BLE001 - see `said_of`
        line = f"what is deployed could not be recorded: {said_of(error, 'what is deployed could not be recorded')}"
    tick.lines += [line[:_LONGEST_LINE]] if line else []


def _watch_overrides(session: DecidingSession, tick: Tick, now: datetime) -> None:
    try:
        requests, lines = watch_overrides(session, now)
    except (KeysError, SigningError) as error:
        requests, lines = [], [f"overrides: {error}"]
    tick.requests += requests
    tick.lines += lines


def _register(session: DecidingSession, cursor: str | None, tick: Tick, now: datetime) -> tuple[str, bool]:
    """Applies the events since the cursor, and those that the state table does not know of.

    Returns:
        The cursor for the next tick; and whether all was read: an abort that is still unread is applied before anything opens.
    """
    settings, names = session.settings, DagsterNames.of(session.settings)
    database = database_of(session.instance)
    noted = session.state.applied_events(settings.environment, database)
    if forgotten(cursor, noted):
        tick.lines.append(_FORGOTTEN)
    asset = names.key(candidates.ASSET)
    events, following = candidate_events(session.instance, asset, cursor, _EVENTS_A_TICK, now, noted=noted)
    for event in events:
        if event.at is None:
            tick.lines.append(f"refused an event: Dagster cannot read event {event.storage_id} again ({event.unreadable})")
            continue
        try:
            wanted = candidates.registration(event.partition, event.metadata, settings.environment, event.at)
        except candidates.NotARegistration as error:
            tick.lines.append(f"refused an event: {error}")
        else:
            session.state.list_open(wanted.release, wanted.at)
            try:
                how, candidate = candidates.apply(session.state, wanted, timedelta(hours=settings.flow.deadline_hours))
            except MalformedItem as error:
                tick.lines.append(f"refused an event of {wanted.release.name}: {error}")
                continue
            if how is Registered.CONFLICT and candidate is not None:
                tick.lines.append(f"CONFLICT: {wanted.release.name} is {candidate.release.digest}, not {wanted.release.digest}")
            elif how is Registered.NEW and candidate is not None:
                tick.lines.append(f"registered {wanted.release.name} {wanted.release.digest}, series {candidate.series}")
            session.instance.add_dynamic_partitions(names.releases, [wanted.release.name])
    if following != noted:
        # refused where another daemon did
        session.state.note_applied_events(settings.environment, database, following, instead_of=noted)
    if are_all(events, _EVENTS_A_TICK):
        return following, True
    tick.lines.append(f"{len(events)} events were read, and there may be more: the next tick goes on, and no candidate before it")
    return following, False


def _work(session: DecidingSession, tick: Tick, now: datetime, words: SensorWords) -> None:
    state, settings = session.state, session.settings
    listed = state.open_candidates(
        settings.environment, malformed=lambda error: tick.lines.append(f"a candidate is passed over: {error}")
    )
    queue = in_order([candidate for candidate, _ in listed], settings.flow)
    marks = {candidate.release.name: mark for candidate, mark in listed}
    for older, newer in queue.superseded[:_CLOSED_A_TICK]:
        because = f"superseded by {newer.release.name}"
        state.set_fate(older, Fate.SUPERSEDED, because)
        tick.lines.append(f"{older.release.name}: {because}")
    turn = in_turn(queue.active, _WORKED_A_TICK, now, session.kept.looked_at)
    runs_of = check_state.runs_of_candidates(session.instance, [candidate.release for candidate in turn]).of
    _read_ahead(session, turn)
    for candidate in turn:
        _advance(session, candidate, tick, now, words, runs_of=runs_of)
    session.ahead.clear()
    session.kept.looked_at.update({candidate.release.name: now for candidate in turn})
    if len(turn) < len(queue.active):
        tick.lines.append(f"{len(queue.active) - len(turn)} more candidates have their turn in later ticks")
    if queue.waiting:
        tick.lines.append(f"{len(queue.waiting)} more candidates wait for the end of {queue.active[0].release.name}")
    if not queue.superseded:  # a promoted one stays listed until everything older gave way
        for candidate in in_turn(queue.closed, _CLOSED_A_TICK, now):
            told = _recorded(session, Look(candidate), tick, now)  # first: a document that cannot be written keeps nobody waiting
            if candidate.fate is Fate.PROMOTED and not _said_on_what(session, candidate, tick, words):
                continue  # looked at again by another tick; it keeps no other from its turn
            if not told:
                continue  # or nobody would be told of its end
            state.unlist(candidate.release, marks[candidate.release.name], now + timedelta(days=1))


def _read_ahead(session: DecidingSession, turn: Sequence[Candidate]) -> None:
    """Reads in one call what is read of each candidate beside what it is decided from: of its promotion, and what was said last.

    A promotion that begins meanwhile is met by its lock and its run key, as one is that begins when a tick is over.
    """
    keys = []
    for candidate in turn:
        pk, series = release_pk(candidate.release), candidate.series
        keys += [(pk, slot(what, series)) for what in ("PROMOTION", "LOCK", "STATED")]
        if channels(session.settings.notifications):
            keys.append((notices_pk(candidate.release.environment), release_key(candidate.release.name)))
    session.state.read_ahead(keys)


def _advance(
    session: DecidingSession,
    candidate: Candidate,
    tick: Tick,
    now: datetime,
    words: SensorWords,
    *,
    runs_of: Callable[[Release, int, str], list[ReadinessRun]],
) -> None:
    """Does the next step of one candidate; its problem is reported and does not stop the others."""
    name, release = candidate.release.name, candidate.release
    try:
        runs, promotions = (runs_of(release, candidate.series, job) for job in (run_tags.READINESS_JOB, run_tags.PROMOTION_JOB))
        inputs, decision = _decided(session, candidate, runs)
        recorded = session.state.promotion(release, candidate.series) is not None
        action = next_action(
            candidate,
            runs=runs,
            promotions=promotions,
            inputs=inputs,
            decision=decision,
            policy=session.settings.flow,
            now=now,
            recorded=recorded,
            begun=() if recorded else begun(session.state, candidate),
        )
        tick.lines += said(name, action)
        if inputs and decision:
            tick.lines += [f"{name}: {line}" for line in matching_nothing(waiver_uses(inputs, decision, ()))]
        if action.step is Step.FREEZE and inputs is not None and decision is not None:
            _freeze(session, candidate, inputs, decision, words.not_tried(inputs, decision, session.settings))
            if candidate.fate is Fate.PENDING:
                session.state.set_fate(candidate, Fate.READY_TO_SIGN)
        else:
            _do(session, candidate, action, tick)
        _recorded(session, _look(session, candidate, action, inputs, decision), tick, now)
    except Exception as error:  # noqa: BLE001 - see `said_of`
        tick.lines.append(f"{name}: the gate could not read or write what it needs: {said_of(error, name)}"[:_LONGEST_LINE])
        return

    def document() -> Mapping[str, Any]:
        found = inputs or read_inputs(session, candidate, runs=runs)
        return words.describe(session, candidate, found, decision or decide(found))

    _state(candidate, tick, lambda: state_document(session, candidate, document(), last_stated(session, candidate)))


def _state(candidate: Candidate, tick: Tick, write: Callable[[], tuple[str, ...]]) -> bool:
    """Writes the document of a candidate; False where that failed, which is reported and undoes no step that was made.

    Evidence that cannot be put into a document costs its candidate no run, and no other candidate its turn.
    """
    name = candidate.release.name
    try:
        problems = write()
    except Exception as error:  # noqa: BLE001 - see `said_of`
        problems = (f"the document of what the gate says could not be written: {said_of(error, name)}",)
    tick.lines += [f"{name}: {problem}"[:_LONGEST_LINE] for problem in problems]
    return not problems


def _said_on_what(session: DecidingSession, candidate: Candidate, tick: Tick, words: SensorWords) -> bool:
    """Makes sure that the document of a promoted candidate shows what it was promoted on; False where that could not be done.

    A candidate promoted between two ticks, by a run that somebody launched, may have no such document.
    """
    name = candidate.release.name
    try:
        record = session.state.promotion(candidate.release, candidate.series)
        last = last_stated(session, candidate)
        if record is None or (last is not None and last.document.get("decision") == Outcome.OPEN):
            return True
    except Exception as error:  # noqa: BLE001 - see `said_of`
        line = f"{name}: whether a document says what it was promoted on could not be read: {said_of(error, name)}"
        tick.lines.append(line[:_LONGEST_LINE])
        return False

    def document() -> Mapping[str, Any]:
        found = as_promoted(session, candidate, record)
        return words.describe(session, candidate, found, decide(found))

    return _state(candidate, tick, lambda: state_document(session, candidate, document(), last))


def said(name: str, action: Action) -> list[str]:
    """The lines of a tick about one candidate."""
    lines = [f"{name}: {action.step}: {reason}"[:_LONGEST_LINE] for reason in action.reasons[:_SHOWN]]
    left = len(action.reasons) - len(lines)
    return [*lines, f"{name}: and {left} more"] if left else lines


def _decided(
    session: DecidingSession, candidate: Candidate, runs: list[ReadinessRun]
) -> tuple[GateInputs | None, Decision | None]:
    """Decides on the last finished run; what would be signed or promoted is compared with the platform as it is now.

    If something else is deployed while people sign, the promotion would refuse the evidence again and again: closed here, the
    candidate gets a confirmation run. Alarms count only once all is signed: what fires earlier may be over by then.
    """
    if check_state.newest_finished(runs) is None:
        return None, None
    inputs = read_inputs(session, candidate, runs=runs)
    decision = decide(inputs)
    if decision.outcome is Outcome.BLOCKED:
        return inputs, decision
    seen = look_again(session, inputs, alarms=decision.outcome is Outcome.OPEN)  # adds to what closes, and to nothing else
    return seen, decision if seen.closing == inputs.closing else decide(seen)


def _do(session: DecidingSession, candidate: Candidate, action: Action, tick: Tick) -> None:
    state = session.state
    because = "; ".join(action.reasons)[:1000]
    if action.step is Step.START_RUN:
        tick.requests.append(_request(run_tags.READINESS_JOB, candidate, action.attempt))
    elif action.step is Step.PROMOTE:
        tick.requests.append(_request(run_tags.PROMOTION_JOB, candidate, action.attempt, promotion_run_config(candidate.release)))
    elif action.step is Step.REJECT:
        state.set_fate(candidate, Fate.REJECTED, because)  # if it changed meanwhile, that stands
    elif action.step is Step.RENEW:
        state.renew(candidate)  # one write closes this series and begins the next


def _look(
    session: DecidingSession, candidate: Candidate, action: Action, inputs: GateInputs | None, decision: Decision | None
) -> Look:
    """The candidate as people are told of it."""
    signable = action.step is Step.FREEZE or (inputs is not None and inputs.statement is not None)
    link = session.settings.run_address(inputs.run_id) if inputs is not None and inputs.run_id else None
    return Look(candidate, inputs, decision, signable, link or "")


def _recorded(session: DecidingSession, look: Look, tick: Tick, now: datetime) -> bool:
    """Records what people are to be told; what could not be recorded is said, and undoes no step that was made."""
    problem = record_changes(session, look, now)
    if problem is not None:
        tick.lines.append(f"{look.candidate.release.name}: {problem}"[:_LONGEST_LINE])
    return problem is None


def _freeze(
    session: DecidingSession, candidate: Candidate, inputs: GateInputs, decision: Decision, not_tried: Sequence[str]
) -> None:
    """Freezes the statement that the roles sign; if a tick ends before it sets the fate, the next one does.

    Raises:
        SigningError, KeysError: the gate's key does not sign, or is not the trusted one.
    """
    state, settings = session.state, session.settings
    # looked for again on purpose, right before the gate's key signs one: another machine may have frozen it meanwhile
    if state.statement(candidate.release, candidate.series) is None and inputs.bundle is not None and inputs.run_id is not None:
        used = [waiver for waiver in inputs.waivers if waiver.id in decision.waivers_used]
        payload = readiness_statement(
            release=candidate.release,
            series=candidate.series,
            run_id=inputs.run_id,
            evaluated_at=inputs.now,
            evidence_digest=inputs.bundle.digest,
            policy_digest=inputs.policy_digest,
            rows=statement_rows(decision, inputs, _CHECKS),
            tables=inputs.bundle.tables,
            waivers=used,
            in_a_row=_in_a_row(session, candidate, used),
            loosened=loosened.loosened(settings),
            not_tried=not_tried,
            url=settings.run_address(inputs.run_id),
            context=candidate.context,
        )
        key_id, signature = session.signed_by_gate(payload)
        state.freeze_statement(candidate.release, candidate.series, payload, signature, key_id)


def _in_a_row(session: DecidingSession, candidate: Candidate, waivers: Sequence[Waiver]) -> dict[str, int]:
    return {each.id: releases_in_a_row(each.row, each.pairs, session.promotions, candidate.release.name) for each in waivers}


def candidate_tags(candidate: Candidate, attempt: int) -> dict[str, str]:
    """The tags of a run that is made for a candidate."""
    release = candidate.release
    return {
        run_tags.RELEASE_TAG: release.name,
        run_tags.DIGEST_TAG: release.digest,
        run_tags.ENVIRONMENT_TAG: release.environment,
        run_tags.SERIES_TAG: str(candidate.series),
        run_tags.ATTEMPT_TAG: str(attempt),
    }


def _request(job: str, candidate: Candidate, attempt: int, config: Mapping[str, Any] | None = None) -> dg.RunRequest:
    release = candidate.release
    key = run_key(job, release.environment, release.name, release.digest, str(candidate.series), str(attempt))
    return dg.RunRequest(run_key=key, job_name=job, run_config=config, tags=candidate_tags(candidate, attempt))


def promotion_gate(
    open_tick: Callable[[dg.DagsterInstance], DecidingSession], jobs: Mapping[str, Job], seconds: int, words: SensorWords
) -> dg.SensorDefinition:
    """The sensor.

    Args:
        open_tick: opens the session of one tick.
        jobs: those it may launch, by name; a run of any other is not asked for.
        seconds: how often it looks.
        words: as for `run_tick`.
    """

    @dg.sensor(
        name=SENSOR,
        jobs=list(jobs.values()),
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Makes readiness runs for release candidates, asks for signatures, launches the promotion when all is open.",
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        tick = run_tick(open_tick(context.instance), context.cursor, datetime.now(UTC), words)
        for line in tick.lines:
            context.log.info(line)
        requests = [request for request in tick.requests if request.job_name in jobs]
        said = "\n".join(tick.lines) or "no candidate"
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else dg.SkipReason(said[:_LONGEST_REASON]), cursor=tick.cursor
        )

    return evaluate
