"""The only place that reads Dagster's stored results: runs and check results, as plain facts.

What Dagster stores is not evidence, so nothing here decides; the records go to `row_state.py`, which tells what counts. Results
are read from the event log of one run, in one query for all checks: the "latest" result of a check may be another run's, or one
posted from outside. An event that was posted from outside has no run, so it is in no run's log. What cannot be read is left out
or left empty, which keeps the gate closed. The tests of this module are the contract with Dagster: they fail first when Dagster
changes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster_shared.error import SerializableErrorInfo

from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.evidence import run_tags
from phase5_ops.evidence.result import CheckResult, RowEntry
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.decision.recorded_rules import LeftEvidence
from phase5_ops.gate.records import (
    NO_MOMENT,
    Bundle,
    OtherRun,
    ReadinessRun,
    Release,
    Rows,
    RunFacts,
    RunState,
    StoredResult,
    StoredVerdict,
)

Kept = TypeVar("Kept")
Value = TypeVar("Value")

_OVER = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
_EVALUATED, _PLANNED = DagsterEventType.ASSET_CHECK_EVALUATION, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
_RESULT_EVENTS = {_EVALUATED, _PLANNED}
#: What `orchestration/wiring.py` stores beside the entry of a result.
_METADATA = {"verdict": "verdict", "tables": "evidence_files", "policy_digest": "policy_digest"}
_MOST_EVENTS = 1000  # of one run; it plans and evaluates some thirty checks
_MOST_OTHER_RUNS = 200  # of an environment since a candidate's own: a hundred candidates wait for signatures at a time
_MOST_IDS = 500  # in one query
#: The storage's time of the last change of a run is not exactly its end; PostgreSQL has it in the time zone of the server,
#: which may be twelve hours behind UTC.
_MARGIN = timedelta(hours=12, minutes=5)


def readiness_run(record: RunRecord) -> ReadinessRun:
    """The facts in a run record."""
    run = record.dagster_run
    over = run.status in _OVER
    facts = RunFacts(
        run_id=run.run_id,
        job=run.job_name,
        state=RunState.FINISHED if over else RunState.RUNNING,
        environment=run.tags.get(run_tags.ENVIRONMENT_TAG),
        release_digest=run.tags.get(run_tags.DIGEST_TAG),
        fixed_now=run_tags.FIXED_NOW_TAG in run.tags,
    )
    return ReadinessRun(
        facts,
        run.tags.get(run_tags.RELEASE_TAG),
        _count(run.tags.get(run_tags.SERIES_TAG)),
        _count(run.tags.get(run_tags.ATTEMPT_TAG)),
        _ended_at(record) if over else None,
        run.tags.get(run_tags.EVIDENCE_TAG),
    )


def _ended_at(record: RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    updated = record.update_timestamp  # UTC, with a zone or without, as the storage likes
    return updated.replace(tzinfo=UTC) if updated.tzinfo is None else updated.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class CandidateRuns:
    """The runs that were asked for by some candidates, newest first, of whatever job and series."""

    records: Sequence[RunRecord]

    def of(self, release: Release, series: int, job: str) -> list[ReadinessRun]:
        """Those of a job and one series of a candidate."""
        wanted = {
            run_tags.RELEASE_TAG: release.name,
            run_tags.DIGEST_TAG: release.digest,
            run_tags.ENVIRONMENT_TAG: release.environment,
            run_tags.SERIES_TAG: str(series),
        }
        runs = ((record, record.dagster_run) for record in self.records)
        return [readiness_run(record) for record, run in runs if run.job_name == job and wanted.items() <= run.tags.items()]


def runs_of_candidates(instance: DagsterInstance, releases: Sequence[Release]) -> CandidateRuns:
    """The runs that were asked for by these candidates; one query.

    Dagster is asked for what few runs have, name and digest: it gathers every run with a tag before it looks at the next one, and
    each past run has an environment and a series.
    """
    names, digests = sorted({each.name for each in releases}), sorted({each.digest for each in releases})
    tags = {run_tags.RELEASE_TAG: names, run_tags.DIGEST_TAG: digests}
    return CandidateRuns(instance.get_run_records(RunsFilter(tags=tags)) if names else ())


def runs_of_candidate(
    instance: DagsterInstance, release: Release, series: int, *, job: str = run_tags.READINESS_JOB
) -> list[ReadinessRun]:
    """The runs of a job that were asked for by one series of a candidate, newest first."""
    return runs_of_candidates(instance, [release]).of(release, series, job)


def finished_runs(instance: DagsterInstance, environment: str) -> list[ReadinessRun]:
    """Every readiness run of an environment that is over, as long as Dagster keeps it."""
    wanted = RunsFilter(job_name=run_tags.READINESS_JOB, statuses=list(_OVER), tags={run_tags.ENVIRONMENT_TAG: environment})
    return _runs(instance, wanted)


def runs_of_override(instance: DagsterInstance, override: str, environment: str, *, job: str) -> list[ReadinessRun]:
    """The runs of a job that were asked for by one override, newest first."""
    tags = {run_tags.OVERRIDE_TAG: override, run_tags.ENVIRONMENT_TAG: environment}
    return _runs(instance, RunsFilter(job_name=job, tags=tags))


def _runs(instance: DagsterInstance, wanted: RunsFilter) -> list[ReadinessRun]:
    return [readiness_run(record) for record in instance.get_run_records(wanted)]


def unknown_runs(instance: DagsterInstance, run_ids: Collection[str]) -> set[str]:
    """Those of the runs that Dagster has no record of: it never had one, or somebody deleted it."""
    wanted = sorted(run_ids)
    parts = (wanted[start : start + _MOST_IDS] for start in range(0, len(wanted), _MOST_IDS))
    return set(wanted).difference(*(instance.get_run_ids(RunsFilter(run_ids=part)) for part in parts))


def stored_results(instance: DagsterInstance, run: RunFacts) -> dict[str, StoredResult]:
    """Check name -> what the run's log holds of it, planned ones included; one query. The last evaluation of a check stands."""
    connection = instance.get_records_for_run(run.run_id, of_type=_RESULT_EVENTS, limit=_MOST_EVENTS)
    found: dict[str, StoredResult] = {}
    for record in connection.records:
        event = record.event_log_entry.dagster_event
        if event is None or record.event_log_entry.run_id != run.run_id:
            continue
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            name = event.asset_check_planned_data.check_name
            found.setdefault(name, StoredResult(name, run))
        elif event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            found[evaluation.check_name] = _result(evaluation, run)
    return found


def _result(evaluation: dg.AssetCheckEvaluation, run: RunFacts) -> StoredResult:
    """What an evaluation says; one that cannot be read has no verdict, and so closes its row."""
    metadata: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
    target = evaluation.target_materialization_data
    try:
        said = {name: metadata.get(key) for name, key in _METADATA.items()}
        result = CheckResult.model_validate({**metadata["result"], **said})
    except (KeyError, TypeError, ValueError):
        return StoredResult(evaluation.check_name, run, evaluated=True, passed=evaluation.passed)
    return StoredResult(
        check=evaluation.check_name,
        run=run,
        evaluated=True,
        passed=evaluation.passed,
        target_run_id=target.run_id if target is not None else None,
        verdict_file=_text_or_none(metadata.get("verdict_file")),
        **dict(result),
    )


@dataclass(frozen=True, slots=True)
class RunLog:
    """What Dagster's log of a run holds when its last step is over.

    Attributes:
        entries: check -> its result, as reports show it.
        planned: the checks that the run was to evaluate.
        failures: a line for each step that failed: which one, and the first cause.
        interrupted: whether Ctrl-C, SIGTERM or "Terminate" ended it; a check is then not evaluated for no reason of its own.
    """

    entries: Mapping[str, RowEntry]
    planned: frozenset[str]
    failures: tuple[str, ...]
    interrupted: bool


def run_log(instance: DagsterInstance, run_id: str) -> RunLog:
    """What the log of a run holds; one query.

    Raises:
        ValueError: a result is not one that can be shown.
    """
    wanted = {*_RESULT_EVENTS, DagsterEventType.STEP_FAILURE}
    found = [each.event_log_entry.dagster_event for each in instance.get_records_for_run(run_id, of_type=wanted).records]
    events = [event for event in found if event is not None]
    evaluated = [event.asset_check_evaluation_data for event in events if event.event_type is _EVALUATED]
    planned = {event.asset_check_planned_data.check_name for event in events if event.event_type is _PLANNED}
    failed = [(event.step_key, event.step_failure_data.error) for event in events if event.is_step_failure]
    entries = {each.check_name: RowEntry.model_validate(each.metadata["result"].value) for each in evaluated}
    interrupted = any(is_interruption(error) for _, error in failed)
    return RunLog(
        entries,
        frozenset(planned),
        tuple(f"step {step} failed: {_cause(error)}" for step, error in failed),
        interrupted or (not failed and not planned <= entries.keys()),
    )


def is_interruption(error: SerializableErrorInfo | None) -> bool:
    """Whether a step failed because Ctrl-C, SIGTERM or "Terminate" ended it."""
    return error is not None and error.cls_name == DagsterExecutionInterruptedError.__name__


def _cause(error: SerializableErrorInfo | None) -> str:
    """The message of the original error, without Dagster's wrapping."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error is not None else "no details"


def stored_bundle(store: EvidenceStore, run: ReadinessRun) -> Bundle | None:
    """The evidence of a run as it is stored now; None if it is not there or cannot be read."""
    run_id = run.facts.run_id
    try:
        store.refuse_unknown_version(run_id)
        manifest = store.manifest(run_id)
        verdicts = {name: _verdict(store, run_id, name, digest) for name, digest in _part(manifest, "verdicts", ".json").items()}
        found = (store.digest_of(manifest), store.sealed_digest(run_id))
    except (OSError, ValueError):
        return None
    if not manifest:
        return None
    # readers of the evidence start from its manifest, so an edited manifest is changed evidence, too
    digest = next((each for each in found if each != run.evidence_digest), found[0])
    return Bundle(run_id, digest, run.evidence_digest, _part(manifest, "tables", ".parquet"), verdicts)


def _verdict(store: EvidenceStore, run_id: str, check: str, digest: str) -> StoredVerdict:
    content = store.read_verdict(run_id, check)
    try:
        return StoredVerdict(digest, entry=content, **dict(CheckResult.model_validate(content)))
    except ValueError:
        return StoredVerdict(digest)


class KeptResults:
    """The results of runs that are over, which no longer change; the last few hundred of them, for the ticks of one process.

    And what the evidence folders of such runs hold, which is read again where a file changed. `looked_at` is when a tick of this
    process last looked at a candidate, by name; `observed_at` when one last looked at what is deployed after promotions.

    A tick that reads from here only asks for runs and promotions; a promotion decides from results that it reads again.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self.looked_at: dict[str, datetime] = {}
        self.observed_at: datetime | None = None
        self._results: dict[RunFacts, dict[str, StoredResult]] = {}
        self._left: dict[str, tuple[object, LeftEvidence]] = {}

    def of(self, instance: DagsterInstance, run: RunFacts) -> dict[str, StoredResult]:
        """`stored_results` of a run; those of one that is not over are not kept."""
        found = self._results.pop(run, None) or stored_results(instance, run)
        if run.state is RunState.FINISHED:
            self._keep(self._results, run, found)
        return found

    def left(self, run_id: str, marks: object, read: Callable[[], LeftEvidence]) -> LeftEvidence:
        """What the evidence folder of a run holds: as it was read before, while `marks` tell that its files are the same."""
        was, found = self._left.pop(run_id, (None, None))
        if found is None or was != marks:
            found = read()
        self._keep(self._left, run_id, (marks, found))
        return found

    def _keep(self, kept: dict[Kept, Value], name: Kept, value: Value) -> None:
        kept[name] = value  # at the end: the first is the one unused for longest
        while len(kept) > self._most:
            del kept[next(iter(kept))]


@dataclass
class SeenRuns:
    """The runs that one tick or decision has looked at; candidates of one tick share them."""

    instance: DagsterInstance
    kept: KeptResults
    _runs: dict[str, ReadinessRun] = field(default_factory=dict)

    def named(self, run_ids: Sequence[str]) -> list[ReadinessRun]:
        """The runs with these ids, in this order; one whose record is gone meanwhile is left out."""
        if missing := [run_id for run_id in run_ids if run_id not in self._runs]:
            self._runs |= {run.facts.run_id: run for run in _runs(self.instance, RunsFilter(run_ids=missing))}
        return [self._runs[run_id] for run_id in run_ids if run_id in self._runs]

    def results(self, run: RunFacts) -> dict[str, StoredResult]:
        """`stored_results` of a run."""
        return self.kept.of(self.instance, run)


def other_runs(
    instance: DagsterInstance, environment: str, since: datetime, *, allow_fixed_now: bool, seen: SeenRuns | None = None
) -> tuple[OtherRun, ...]:
    """The readiness runs of an environment that ended since a moment; what ran under a fixed clock says nothing of now.

    Where there are too many to look at, one unreadable run stands for the rest, so that none is passed over. `seen` holds what
    need not be read again.
    """
    seen = seen or SeenRuns(instance, KeptResults())
    runs = list(islice(_ended_since(instance, environment, since, seen), _MOST_OTHER_RUNS + 1))
    found = []
    for run in runs[:_MOST_OTHER_RUNS]:
        if run.ended_at is None or (run.facts.fixed_now and not allow_fixed_now):
            continue
        results = seen.results(run.facts)
        policies = frozenset(result.policy_digest for result in results.values() if result.evaluated)
        found.append(OtherRun(run.facts.run_id, environment, run.ended_at, _rows(results), policies=policies))
    if len(runs) > _MOST_OTHER_RUNS:  # even if those looked at are good: somebody may have made them to hide another
        found.append(OtherRun(runs[-1].facts.run_id, environment, NO_MOMENT, None))
    return tuple(found)


def _ended_since(instance: DagsterInstance, environment: str, since: datetime, seen: SeenRuns) -> Iterator[ReadinessRun]:
    """The readiness runs of an environment that ended since a moment, newest first.

    Dagster is not asked for job and environment: it finds the runs that changed last by an index of theirs, and would read every
    past run for either.
    """
    wanted = RunsFilter(statuses=list(_OVER), updated_after=since - _MARGIN)
    last = None
    while run_ids := instance.get_run_ids(wanted, cursor=last, limit=_MOST_OTHER_RUNS + 1):
        for run in seen.named(run_ids):
            ours = run.facts.job == run_tags.READINESS_JOB and run.facts.environment == environment
            if ours and run.ended_at is not None and run.ended_at >= since:
                yield run
        if len(run_ids) <= _MOST_OTHER_RUNS:
            return
        last = run_ids[-1]


def _rows(results: Mapping[str, StoredResult]) -> Rows | None:
    if any(result.evaluated and result.verdict is None for result in results.values()):
        return None
    return {
        ROW_OF_CHECK[name].id: (result.verdict, result.findings)
        for name, result in results.items()
        if result.verdict is not None and name in ROW_OF_CHECK
    }


def rows_of(verdicts: Mapping[str, Mapping[str, Any]]) -> Rows | None:
    """Row id -> verdict and findings of verdict files; None where one of them cannot be read."""
    try:
        results = {name: CheckResult.model_validate(entry) for name, entry in verdicts.items()}
    except ValueError:
        return None
    return {ROW_OF_CHECK[name].id: (each.verdict, each.findings) for name, each in results.items() if name in ROW_OF_CHECK}


def _part(manifest: Mapping[str, str], folder: str, suffix: str) -> dict[str, str]:
    return {
        path.removeprefix(f"{folder}/").removesuffix(suffix): digest
        for path, digest in manifest.items()
        if path.startswith(f"{folder}/") and path.endswith(suffix)
    }


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 6 else 0  # noqa: PLR2004 - digits


def newest_finished(runs: Iterable[ReadinessRun]) -> ReadinessRun | None:
    """The run that ended last; None if none has ended."""
    return max((run for run in runs if run.ended_at is not None), key=lambda run: (run.ended_at, run.facts.run_id), default=None)
