"""The document of a readiness run, made when its last step is over, and written beside its evidence. It decides nothing.

It comes after the evidence was sealed for good (`gate/runs/run_end.py`), so that nothing here is part of what the gate looks at.
What must not live here: what Dagster shows (`assets.py`), how the report looks (`report/html`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phase5_ops.aws.pricing import cost_usd
from phase5_ops.checklist import ALL_CHECKS, ROWS
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.table import DeclaredTable, Tables
from phase5_ops.gate.inputs.dagster_records import RunLog
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.records import Release
from phase5_ops.gate.runs.run_end import notices
from phase5_ops.report.changes import Changes, changes_between, remarks_on
from phase5_ops.report.document import (
    WHOLE_RUN,
    Judged,
    ReadinessDocument,
    Reading,
    ReportCode,
    missing_entry,
    readiness_document,
)
from phase5_ops.report.past_runs import EvidenceFolder, previous_of
from phase5_ops.run_result.tables import tables_of
from phase5_ops.settings import in_sandbox

log = logging.getLogger(__name__)

LINKS_LEAD_NOWHERE = "this is the sandbox: links to the AWS console lead nowhere"

#: Makes the report of a document from the tables of its run, why others could not be read, and what changed since the run before.
Render = Callable[[ReadinessDocument, Tables, Mapping[str, str], Changes | None], str]

#: The log of a run that had nothing to run.
NOTHING_RAN = RunLog({}, frozenset(), (), interrupted=False)

_LONGEST_REASON, _LONGEST_PROBLEM = 2000, 300  # characters


@dataclass(frozen=True)
class Project:
    """What the layer above knows of the whole project.

    Attributes:
        implemented: the checks that a readiness run judges.
        tables: asset -> its table, as declared.
        render: makes the report; None where there is none.
    """

    implemented: frozenset[str]
    tables: Mapping[str, DeclaredTable[Any, Any]] = field(default_factory=dict)
    render: Render | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes:
        document: as it is kept beside the evidence.
        changes: since the whole run before; None where that could not be told, and `why_not` says why.
        has_report: whether its report is kept, too.
    """

    document: ReadinessDocument
    changes: Changes | None
    why_not: str = ""
    has_report: bool = False


def document_of(
    run: RunContext,
    digest: str,
    found: RunLog,
    *,
    implemented: frozenset[str],
    rows: Sequence[str] | None,
    release: Release | None = None,
) -> ReadinessDocument:
    """The document of a run.

    Args:
        run: of which it is.
        digest: of the sealed evidence.
        found: what Dagster's log of the run holds.
        implemented: the checks that a whole run judges.
        rows: ids of the rows (or names of the extra checks) to show; None for all.
        release: of the candidate that it was made for; None if it was made for none.
    """
    evaluated_at = iso(run.began)
    run.timings[WHOLE_RUN] = run.seconds
    return readiness_document(
        environment=run.settings.environment,
        run_id=run.run_id,
        evaluated_at=evaluated_at,
        evidence_digest=digest,
        policy_digest=run.policy_digest,
        entries={**_entries(found, implemented, evaluated_at), **(_nothing_to_sign(release, evaluated_at) if release else {})},
        gate=run.settings.gate,
        reading=_reading(run),
        chosen=rows,
        notices=[*notices(run), *([LINKS_LEAD_NOWHERE] if in_sandbox(run.settings) else [])],
        judged=Judged(account=run.account, region=run.reader.region, identity=run.identity),
    )


def _entries(found: RunLog, implemented: frozenset[str], evaluated_at: str) -> dict[str, RowEntry]:
    """The result of every implemented check, or why there is none."""
    reason = "; ".join(found.failures)[:_LONGEST_REASON] or "the run ended without evaluating this check"
    missing = (row for row in ALL_CHECKS if row.check in implemented - found.entries.keys())
    return {
        **found.entries,
        **{row.check: missing_entry(row, ReportCode.CHECK_NOT_EVALUATED, reason, evaluated_at) for row in missing},
    }


def _nothing_to_sign(release: Release, evaluated_at: str) -> dict[str, RowEntry]:
    """The sign-off rows in a run for a candidate: what its roles will sign is frozen only after the run."""
    seen = f"no readiness statement of {release.name} yet"
    rows = (row for row in ROWS if row.is_sign_off)
    return {row.check: missing_entry(row, SignOffReason.NOTHING_TO_SIGN, seen, evaluated_at) for row in rows}


def _reading(run: RunContext) -> Reading:
    meter = run.reader.meter
    return Reading(
        calls=dict(sorted(meter.calls.items())),
        cost_usd=round(cost_usd(meter), 6),
        seconds={name: round(seconds, 3) for name, seconds in run.timings.items()},
    )


def covered(found: RunLog, implemented: frozenset[str]) -> list[str] | None:
    """The rows that a run was to judge, where these are not all that can be judged; None where they are."""
    if found.planned >= implemented:
        return None
    return [row.id for row in ALL_CHECKS if row.check in found.planned]


def leave_result(run: RunContext, found: RunLog, project: Project, digest: str, release: Release | None = None) -> RunResult:
    """Writes the document of a run that is over, and its report, beside the evidence.

    A report that cannot be made or kept fails nothing: the document says so.

    Args:
        run: that is over.
        found: what Dagster's log of the run holds.
        project: what is judged, and how the report is made.
        digest: of the sealed evidence.
        release: as for `document_of`.

    Raises:
        OSError: the document cannot be kept.
    """
    rows = run.rows if run.rows is not None else covered(found, project.implemented)
    document = document_of(run, digest, found, implemented=project.implemented, rows=rows, release=release)
    changes, why_not, remarks = _changes(run, document)
    shown = document.model_copy(update={"notices": [*document.notices, *remarks]})
    problem = _leave_report(run, shown, changes, project) if project.render is not None else None
    if problem:
        document = document.model_copy(update={"notices": [*document.notices, problem]})
    run.store.write_result(run.run_id, document.to_json())
    return RunResult(document, changes, why_not, has_report=project.render is not None and problem is None)


def _changes(run: RunContext, document: ReadinessDocument) -> tuple[Changes | None, str, list[str]]:
    """What changed since the run before, or why that cannot be told; and what both were not judged by alike."""
    try:
        before = previous_of(run.store.root, document)
        return changes_between(before, document), "", remarks_on(before, document)
    except (OSError, ValueError) as error:
        log.warning("what changed since the run before cannot be told: %s", error)
        return None, str(error), []


def _leave_report(run: RunContext, document: ReadinessDocument, changes: Changes | None, project: Project) -> str | None:
    """Why there is no report; None where it was written."""
    assert project.render is not None  # noqa: S101 - asked by the caller
    try:
        tables, unread = tables_of(EvidenceFolder(run.store.root), run.run_id, project.tables, run.store.table_of)
        why = {asset: f"{type(error).__name__}: {str(error)[:_LONGEST_PROBLEM]}" for asset, error in unread.items()}
        run.store.write_page(run.run_id, project.render(document, tables, why, changes))
    except Exception as error:
        log.exception("the report of run %s could not be made", run.run_id)
        return f"the report could not be made: {type(error).__name__}: {str(error)[:_LONGEST_PROBLEM]}"
    return None
