"""`phase5 history` and `phase5 diff`: past runs from the evidence that they left, here or in its copy on S3, and what changed.

Nothing of Dagster is needed, nothing is decided, nothing is written. Runs of other environments are never among those shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console

from phase5_ops.clock import iso
from phase5_ops.report.changes import FindingChange, changes_between, judged_otherwise
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.history_tables import (
    Compared,
    is_sign_off,
    marks,
    render_diff,
    render_history,
    render_row,
    when,
)
from phase5_ops.report.lateness import late_run
from phase5_ops.report.past_runs import EvidenceFolder, PastRun, PastRuns, RunFiles
from phase5_ops.report.verdict_history import RowHistory, VerdictChange, entries, row_histories
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import first_few, nearest, printable

_NAMED = 5  # runs that a message names


class NothingKnown(Exception):
    """There is no run to show or to compare, or none that can be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class PastOfEnvironment:
    """What is known of an environment's runs.

    Attributes:
        environment: of the settings.
        runs: newest first, as many as were asked for.
        broken: some of the runs that do not say when they were.
        undated: how many of those there are.
        rows: those that were asked for.
        known: how many runs there are.
        since: when the oldest of them was, ISO-8601; None if that is not known.
        before: what became of runs before that.
        late: what is to be said where the newest whole run of those shown is old; empty if it is recent.
    """

    environment: str
    runs: tuple[PastRun, ...]
    broken: tuple[PastRun, ...]
    rows: tuple[RowHistory, ...]
    known: int
    undated: int
    since: str | None
    before: str
    late: str


def _is_whole(run: PastRun) -> bool:
    return run.document is not None and run.document.covers is None


class _FolderAndCopy:
    """The runs of this machine, and of the copy of the evidence those that this machine does not have."""

    def __init__(self, folder: EvidenceFolder, copy: RunFiles) -> None:
        self._folder, self._copy = folder, copy
        self._here = frozenset(folder.run_ids())
        self.at_once = copy.at_once

    def run_ids(self) -> Sequence[str]:
        return sorted(self._here.union(self._copy.run_ids()))

    def read(self, run_id: str, name: str) -> bytes:
        return (self._folder if run_id in self._here else self._copy).read(run_id, name)


def past_of(settings: Settings, *, rows: Sequence[str] | None, last: int, local: bool) -> PastOfEnvironment:
    """The newest runs of the environment, and how their rows went.

    Args:
        settings: name the environment, the state folder, and the copy of the evidence if there is one.
        rows: ids of rows; None for all.
        last: how many runs.
        local: leave the copy alone.

    Raises:
        NothingKnown: there is no run, or the runs cannot be listed.
    """
    known = _known(settings, local=local)
    undated = known.undated
    runs = tuple(known.run(each) for each in known.run_ids[len(undated) :][:last])  # undated ones come first
    return PastOfEnvironment(
        settings.environment,
        runs,
        tuple(known.run(each) for each in undated[:_NAMED]),
        tuple(row_histories(runs, rows)),
        len(known.run_ids),
        len(undated),
        iso(known.oldest_at) if known.oldest_at else None,
        f"older ones may have been removed: retention keeps runs for {settings.retention.run_days:g} days, those of releases for"
        f" {settings.retention.release_days:g}, and the newest {settings.retention.newest_runs}",
        late_run(next((each.at for each in runs if _is_whole(each)), None), datetime.now(UTC)) or "",
    )


def compared(settings: Settings, wanted: Sequence[str], *, local: bool) -> Compared:
    """What changed: from the run before to the newest, from the run before to one, or from one run to another.

    Args:
        settings: see `past_of`.
        wanted: none, one or two run ids, or beginnings of them.
        local: see `past_of`.

    Raises:
        ConfigurationError: no such run, or the two have no row in common.
        NothingKnown: there are not two runs that can be compared.
    """
    known = _known(settings, local=local)
    remarks: list[str] = []
    if len(wanted) == 2:  # noqa: PLR2004 - from, to
        before, after = (_readable(_find(known, each)) for each in wanted)
    else:
        after = _readable(_find(known, wanted[0])) if wanted else _newest(known, remarks)
        found = next(known.whole_before(after.at, after.run_id), None)
        if found is None:
            raise NothingKnown(
                f"there is no earlier run to compare run {after.run_id} with: no older one of {settings.environment} covers all"
                " rows and can be read (phase5 history shows those that are known)"
            )
        before = found
    return _compared(before, after, remarks)


@dataclass(frozen=True, slots=True)
class ChosenRun:
    """A run that can be shown.

    Attributes:
        run: it; its document can be read.
        before: the whole run before it; None if there is none.
        files: where it left its files.
        remarks: on newer runs that were passed over.
        late: what is to be said where the newest whole run was asked for and is old; empty otherwise.
    """

    run: PastRun
    document: ReadinessDocument
    before: ReadinessDocument | None
    files: RunFiles
    remarks: tuple[str, ...]
    late: str = ""


def chosen_run(settings: Settings, wanted: str | None, *, local: bool) -> ChosenRun:
    """The run of this id, or of this beginning of one; by default the newest that covers all rows and can be read.

    Raises:
        ConfigurationError: no such run.
        NothingKnown: it has no document that can be read, or there is no run.
    """
    known = _known(settings, local=local)
    remarks: list[str] = []
    run = _find(known, wanted) if wanted else _newest(known, remarks)
    if run.document is None:
        raise NothingKnown(f"run {run.run_id} cannot be shown: {run.problem}")
    before = next((past.document for past in known.whole_before(run.at, run.run_id)), None)
    late = "" if wanted else late_run(run.at, datetime.now(UTC)) or ""
    return ChosenRun(run, run.document, before, known.files, tuple(remarks), late)


def _known(settings: Settings, *, local: bool) -> PastRuns:
    root = settings.own_folder.expanduser() / "evidence"
    folder = EvidenceFolder(root)
    files: RunFiles = folder
    where = str(root)
    try:
        if settings.evidence_s3_uri and not local:
            from phase5_ops.aws.reader import reader_of
            from phase5_ops.gate.inputs.evidence_copy import IAM_ACTIONS, EvidenceCopy

            where += f" and {settings.evidence_s3_uri}"
            remedy = f"allow {' and '.join(IAM_ACTIONS)} on the copy, or leave it out with --local"
            files = _FolderAndCopy(folder, EvidenceCopy(reader_of(settings), settings.evidence_s3_uri))
        else:
            remedy = "let this process read the folder, or name another with PHASE5_STATE_DIR"
        known = PastRuns(files, settings.environment)
    except OSError as error:
        raise NothingKnown(f"the runs in {where} cannot be listed: {error}; {remedy}") from error
    if not known.run_ids:
        others = len(files.run_ids())
        beside = f" ({others} of other environments are: is PHASE5_ENVIRONMENT right?)" if others else ""
        raise NothingKnown(
            f"no run of {settings.environment} is in {where}{beside}: make one with phase5 check, or name the folder of earlier"
            " ones with PHASE5_STATE_DIR"
        )
    return known


def _newest(known: PastRuns, remarks: list[str]) -> PastRun:
    """The newest run that covers all rows and can be read; newer ones that are passed over are remarked on."""
    passed: list[str] = []
    undated = known.undated
    for run_id in (*undated[:_NAMED], *known.run_ids[len(undated) :]):
        run = known.run(run_id)
        if run.document is not None and run.document.covers is None:
            remarks += [f"passed over: {line}" for line in passed[:_NAMED]]
            if (more := len(passed) + max(len(undated) - _NAMED, 0) - _NAMED) > 0:
                remarks.append(f"passed over: {more} more")
            return run
        passed.append(f"run {run_id} ({when(run.at)}): {run.problem or '; '.join(marks(run))}")
    raise NothingKnown(f"no run covers all rows and can be read: {first_few(passed, _NAMED)}")


def meant(ids: Sequence[str], wanted: str) -> list[str]:
    """The run of this id, or the only one whose id begins so; none where there is none.

    Raises:
        ConfigurationError: the ids of several begin so.
    """
    found = [wanted] if wanted in ids else [each for each in ids if wanted and each.startswith(wanted)]
    if len(found) > 1:
        raise ConfigurationError(f"run {wanted}: that is the beginning of {first_few(found, _NAMED)}; give more of it")
    return found


def _find(known: PastRuns, wanted: str) -> PastRun:
    """The run of this id, or the only one whose id begins so."""
    ids = known.run_ids
    if found := meant(ids, wanted):
        return known.run(found[0])
    beginnings = {each[: len(wanted)]: each for each in reversed(ids)}
    near = nearest(wanted, ids) or beginnings.get(nearest(wanted, beginnings) or "")
    said = f"did you mean {near}?" if near else f"the newest are {first_few(ids, _NAMED)};"
    raise ConfigurationError(f"no run {wanted!r} in this environment; {said} phase5 history lists them")


def _readable(run: PastRun) -> PastRun:
    if run.document is None:
        raise NothingKnown(f"run {run.run_id} cannot be compared: {run.problem}")
    return run


def _compared(before: PastRun, after: PastRun, remarks: list[str]) -> Compared:
    older, newer = before.document, after.document
    if older is None or newer is None:
        raise NothingKnown(f"run {(before if older is None else after).run_id} has no document")
    if older.covers is not None or newer.covers is not None:
        common = [entry.id for entry in entries(newer) if entry.id in {each.id for each in entries(older)}]
        if not common:
            raise ConfigurationError(f"runs {before.run_id} and {after.run_id} have no row in common")
        remarks.append(f"a partial run: compared by the rows that both cover, {first_few(common)}")
    remarks += judged_otherwise(older, newer)
    return Compared(before, after, changes_between(older, newer), tuple(remarks))


# --- as text -----------------------------------------------------------------------------------------------------------------


def history_text(past: PastOfEnvironment, *, width: int, colours: bool, chosen: bool) -> str:
    """For people; with `chosen`, the rows that were asked for, each run by run."""

    def render(console: Console) -> None:
        since = f"from {past.since} on" if past.since else "no run says when it was"
        _line(console, printable(f"Runs of {past.environment}: {len(past.runs)} of {past.known} known, {since} ({past.before})."))
        if past.undated:
            _line(console, f"{past.undated} of them cannot be read and do not say when they were:")
            for run in past.broken:
                _line(console, printable(f"  run {run.run_id}: {run.problem}"))
            if past.undated > len(past.broken):
                _line(console, f"  and {past.undated - len(past.broken)} more")
        console.print()
        if not chosen:
            render_history(past.runs, [row for row in past.rows if not is_sign_off(row.row)], console)
        for row in past.rows if chosen else ():
            render_row(past.runs, row, console)
        if not past.rows:
            _line(console, "None of these runs judged the row.")

    return _rendered(render, width=width, colours=colours)


def diff_text(about: Compared, *, width: int, colours: bool, everything: bool) -> str:
    """For people; with `everything`, however many lines that is."""
    return _rendered(lambda console: render_diff(about, console, everything=everything), width=width, colours=colours)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _rendered(render: Callable[[Console], None], *, width: int, colours: bool) -> str:
    buffer = StringIO()
    render(Console(file=buffer, width=width, force_terminal=colours))
    return "\n".join(line.rstrip() for line in buffer.getvalue().rstrip("\n").splitlines())


# --- as JSON -----------------------------------------------------------------------------------------------------------------


def history_json(past: PastOfEnvironment) -> dict[str, Any]:
    """For programs. Runs are newest first; the verdicts of a row are in the order of the runs."""
    return {
        "schema": "phase5.history/v1",
        "environment": past.environment,
        "known_runs": past.known,
        "known_since": past.since,
        "undated_runs": past.undated,
        "undated": [_run(run) for run in past.broken],
        "runs": [_run(run) for run in past.runs],
        "rows": [
            {
                "row": row.row,
                "title": row.title,
                "verdicts": list(reversed(row.verdicts)),
                "changes": [_change(change) for change in row.changes],
            }
            for row in past.rows
        ],
    }


def diff_json(about: Compared) -> dict[str, Any]:
    """For programs; everything that changed."""
    changes = about.changes
    return {
        "schema": "phase5.diff/v1",
        "before": _run(about.before),
        "after": _run(about.after),
        "remarks": list(about.remarks),
        "rows": [{"row": e.row, "title": e.title, "before": e.before, "after": e.after} for e in changes.rows],
        "came": _findings(changes.came),
        "went": _findings(changes.went),
        "figures": [{"row": e.row, "fact": e.fact, "before": e.before, "after": e.after} for e in changes.figures],
    }


def _run(run: PastRun) -> dict[str, Any]:
    document = run.document
    said: Mapping[str, Any] = {} if document is None else document.to_json()
    taken = ("environment", "evaluated_at", "decision", "covers", "exit_code", "policy_digest", "evidence_digest")
    return {
        "run_id": run.run_id,
        "at": iso(run.at) if run.at is not None else None,
        "fixed_clock": run.fixed_clock,
        "problem": run.problem or None,
        **{name: said.get(name) for name in taken},
    }


def _change(change: VerdictChange) -> dict[str, Any]:
    return {
        "run_id": change.run.run_id,
        "at": iso(change.run.at) if change.run.at is not None else None,
        "since_run": change.since_run,
        "before": change.before,
        "after": change.after,
        "came": _findings(change.came),
        "went": _findings(change.went),
        "policy_changed": change.policy_changed,
    }


def _findings(found: Iterable[FindingChange]) -> list[dict[str, Any]]:
    return [{"row": e.row, "code": e.code, "subject": e.subject, "verdict": e.verdict, "seen": e.seen} for e in found]
