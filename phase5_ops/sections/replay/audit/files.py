"""The replay audit over files instead of a table: exports, answers, backups, lines of items. Needs neither Dagster nor AWS.

Every file of a folder is read, or named as not read, except hidden files and the marks that an export leaves beside its data.
What cannot be read whole (a truncated archive, an unknown shape, a manifest that does not fit, an answer with pages missing)
becomes a `Read` that is not OK, and a broken line becomes a malformed record; neither raises. There is no history to compare
with here, but several exports of one table are compared with each other; neither outcomes nor attempts are read; the facts say
so.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from phase5_ops.ccnative.executions.records import ExecutionRecords
from phase5_ops.ccnative.ledger import epoch_ms, stamp_of
from phase5_ops.ccnative.ledger_window import Window, read_from
from phase5_ops.clock import iso, parse_iso
from phase5_ops.input_files.locations import Location
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import ReadStatus, whole
from phase5_ops.sections.replay.audit.data_file import INPUT, file_read
from phase5_ops.sections.replay.audit.evidence import replay_audit, within
from phase5_ops.sections.replay.audit.export_manifest import NEW_IMAGE
from phase5_ops.sections.replay.audit.exports import ReadingPlan, described, gaps, plan_reading
from phase5_ops.sections.replay.audit.file_codes import LedgerFileCode
from phase5_ops.sections.replay.audit.judge import LISTED, AuditCode, judge_replay_audit
from phase5_ops.sections.replay.audit.ledger_merge import FileParts, MergedLedger, merged
from phase5_ops.sections.replay.audit.ledger_part import CHANGED, LedgerPart
from phase5_ops.sections.replay.audit.pairing import pair_replays
from phase5_ops.sections.replay.audit.processes import processes_for, read_files
from phase5_ops.verdict import Finding, Judgement, in_order, worst

log = logging.getLogger(__name__)

SCHEMA = "phase5.ledger_audit/v1"
_NAMED = 20  # files without items that get a finding of their own


def audit_files(
    locations: Sequence[Location],
    *,
    policy: ReplayPolicy,
    now: datetime | None,
    table: str | None = None,
    processes: int | None = None,
) -> Judgement:
    """The verdict of row 3.2 over the ledger entries at these locations.

    Args:
        locations: files of DynamoDB JSON or plain items in any shape of `ledger_documents`, packed or not; or folders of such
            files, with the manifests of DynamoDB exports or without.
        policy: as for a run; the window ends at `now`.
        now: evaluation time; default: the newest entry, so that an old export is judged as of its own end.
        table: name of the table of which exports must be; None for any one.
        processes: that read files at once; default: as many as pay.
    """
    latest = latest_stamp(policy, now)
    plan = plan_reading(locations, table)
    sizes = [planned.size for planned in plan.files]
    parts: dict[int, list[LedgerPart]] = defaultdict(list)
    items = 0

    def take(number: int, part: LedgerPart) -> None:
        nonlocal items
        parts[number].append(part)
        items += part.items
        log.info("read %d items", items)

    read_files(
        [planned.file for planned in plan.files],
        latest,
        take,
        processes=processes_for(sizes) if processes is None else processes,
        sizes=sizes,
    )
    return judge_parts(plan, [parts[number] for number in range(len(plan.files))], policy=policy, now=now)


def latest_stamp(policy: ReplayPolicy, now: datetime | None) -> int:
    """Epoch ms after which no entry can be stamped that is read at this moment and judged as of `now`."""
    wall = datetime.now(UTC) + timedelta(seconds=policy.future_tolerance_seconds)
    return epoch_ms(iso(wall if now is None else max(wall, now + timedelta(days=1))))


def judge_parts(
    plan: ReadingPlan, parts: Sequence[Sequence[LedgerPart]], *, policy: ReplayPolicy, now: datetime | None
) -> Judgement:
    """The verdict of row 3.2 over what was read; see `audit_files`.

    Args:
        plan: what was to be read.
        parts: of each file of the plan, in its order.
        policy: as for a run.
        now: evaluation time; default: the newest entry.
    """
    reads = [*plan.reads, *(part.read for file in parts for part in file if part.read is not None)]
    for planned, file in zip(plan.files, parts, strict=True):
        if not file or file[-1].read is None:
            reads.append(file_read(planned.file.name, ReadStatus.FAILED, "its last part, which says how it was read, is missing"))
    files = [
        FileParts(file, None, False)
        if planned.export is None
        else FileParts(file, planned.export.until_ms, not planned.export.incremental)
        for planned, file in zip(plan.files, parts, strict=True)
    ]
    found = merged(files, INPUT, whole=whole(reads))
    if found.answers and found.unfinished == found.answers:
        problem = "the last answer has LastEvaluatedKey or NextToken, so pages are missing"
        reads.append(file_read("scan answers", ReadStatus.PARTIAL, problem))
    ledger = found.ledger
    if now is None:
        now = parse_iso(stamp_of(ledger.newest)) if ledger.newest is not None else datetime.now(UTC)
    window = Window.before(now, policy)
    log.info("pairing %d entries", len(ledger.entries))
    replays = pair_replays(ledger.entries, policy)
    table = replay_audit(
        within(replays, window), ledger=ledger, window=window, outcomes=ExecutionRecords(), attempts=ExecutionRecords()
    )
    judgement = judge_replay_audit(table.with_reads(reads, now), policy=policy, now=now, links=None)
    empty = [planned.file.name for planned, file in zip(plan.files, parts, strict=True) if any(part.empty for part in file)]
    more = [
        *_without_items(empty),
        *_gaps(plan, read_from(window, policy), epoch_ms(iso(now))),
        *_changes(found),
    ]
    facts = {
        **judgement.facts,
        "evaluated_at": iso(now),
        "files": len(plan.files),
        "repeated_items": found.repeats,
        "replays_before_window": sum(1 for replay in replays if replay.first.at < window.start),
        "history": _history(plan),
        "outcomes_and_attempts": "not read",
        "files_without_items": len(empty),
        **_export_facts(plan, found),
    }
    verdict = worst([judgement.verdict, *(finding.verdict for finding in more)])
    return replace(judgement, facts=facts, verdict=verdict, findings=in_order([*judgement.findings, *more]))


def _history(plan: ReadingPlan) -> str:
    if len(plan.exports) > 1:
        return "the exports are compared with each other; what was deleted or rewritten beside them does not show"
    return "not kept for files: entries deleted or rewritten since do not show"


def _export_facts(plan: ReadingPlan, found: MergedLedger) -> dict[str, str | int]:
    if not plan.exports:
        return {}
    facts: dict[str, str | int] = {
        "exports": "; ".join(described(name, export) for name, export in plan.exports[:_NAMED]),
        "manifests_without_checksum_file": len(plan.unverified),
        "changed_or_deleted_entries": found.changes_count,
        "entries_written_again_unchanged": found.unchanged,
    }
    if any(export.view == NEW_IMAGE for _, export in plan.exports):
        facts["rewritten_entries"] = "not all seen: exports with the view NEW_IMAGE do not hold what was there before"
    return facts


def _without_items(names: Sequence[str]) -> Iterator[Finding]:
    for name in names[:_NAMED]:
        yield LedgerFileCode.LEDGER_FILE_WITHOUT_ITEMS.at(name, expected="items of the ledger", seen="none")


def _gaps(plan: ReadingPlan, since: int, until: int) -> Iterator[Finding]:
    for begin, end in gaps([export for _, export in plan.exports], since, until):
        yield LedgerFileCode.LEDGER_EXPORTS_LEAVE_A_GAP.at(
            f"{INPUT} from {stamp_of(begin)} to {stamp_of(end)}",
            expected=f"exports that reach from {stamp_of(since)} to {stamp_of(until)} without a gap",
            seen="no export of that time",
        )


def _changes(found: MergedLedger) -> Iterator[Finding]:
    """Entries that the exports show as rewritten or deleted, although the ledger is append-only."""
    listed = {AuditCode.LEDGER_ENTRY_CHANGED: 0, AuditCode.LEDGER_ENTRY_MISSING: 0}
    for change in found.changes:
        code = AuditCode.LEDGER_ENTRY_CHANGED if change.kind == CHANGED else AuditCode.LEDGER_ENTRY_MISSING
        listed[code] += 1
        if listed[code] > LISTED:
            continue
        when = f" at {stamp_of(change.micros // 1000)}" if change.micros is not None else " between two exports"
        done = "rewritten" if change.kind == CHANGED else "deleted"
        yield code.at(f"{change.pk} / {change.sk}", expected="the entry as it was written first", seen=f"{done}{when}")
    for code, count in listed.items():
        if count > LISTED:
            yield code.at(f"{count - LISTED} more", expected="entries as they were written first", seen=f"{count} in all")
    if (unlisted := found.changes_count - len(found.changes)) > 0:
        yield AuditCode.LEDGER_ENTRY_CHANGED.at(
            f"{unlisted} more", expected="entries as they were written first", seen="rewritten or deleted, not listed one by one"
        )
