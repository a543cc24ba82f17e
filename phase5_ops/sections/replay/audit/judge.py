"""Judge of row 3.2: does the ledger hold every replay whole, in order, in time, with reason and requester. Pure.

Contract (the platform's plan and its observed order of writing): REPLAY_REQUESTED; then, under one new trace, REPLAY_STARTED,
EXECUTION_STARTED, ACTION_EXECUTED or ACTION_FAILED, and REPLAY_COMPLETED or REPLAY_FAILED. The starter writes the first two of
the trace, the recorder the last two: entries of one function share a clock, between functions `clock_skew_ms` is allowed, and
entries of the same millisecond are in order. A replay under way within its deadlines decides nothing. Absent entries are
findings only if the ledger was read whole, since a missing page would look like a replay that never started.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.executions.records import FAILED, RUNNING, SUCCEEDED
from phase5_ops.ccnative.ledger import EXECUTION_STARTED, REPLAY_COMPLETED, REPLAY_STARTED, epoch_ms, stamp_of
from phase5_ops.clock import iso
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import read_findings
from phase5_ops.sections.replay.audit.evidence import (
    END,
    OTHER_INDEX,
    OTHER_INTENT,
    OTHER_STATUS,
    OTHER_TENANT,
    OTHER_TIME,
    REASON_DIFFERS,
    REASON_MISSING,
    REQUEST,
    REQUESTER_DIFFERS,
    REQUESTER_MISSING,
    START,
    ReplayAudit,
    ReplayRow,
    read_whole,
)
from phase5_ops.sections.replay.audit.pairing import MINUTE_MS, Pairing
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class AuditCode(FindingCodes):
    """The finding codes of row 3.2."""

    REPLAY_NOT_STARTED = FindingCode(
        Verdict.FAIL,
        "A replay was requested, and no REPLAY_STARTED followed within the start deadline.",
        "Check that a rule on the event bus takes REPLAY_REQUESTED to the execution state machine, and that its starter ran.",
    )
    REPLAY_NOT_FINISHED = FindingCode(
        Verdict.FAIL,
        "A replay started, and neither REPLAY_COMPLETED nor REPLAY_FAILED followed in its trace within the finish deadline.",
        "Find the execution by its trace id; look at the failure recorder, which must end every replay that its steps do not.",
    )
    REPLAY_REASON_MISSING = FindingCode(
        Verdict.FAIL,
        "An entry of a replay has no replay_reason, one that says nothing (blanks, unseen characters, `undefined`, `null`,"
        " ...), or another one than the rest of the replay.",
        "The entry's writer must carry the request's replay_reason on.",
    )
    REQUESTED_BY_MISSING = FindingCode(
        Verdict.FAIL,
        "An entry of a replay has no requested_by, one that names nobody (blanks, unseen characters, `undefined`, `null`,"
        " `unknown`, `anonymous`, `[object Object]`, ...), or another one than the rest of the replay.",
        "Take requested_by from the verified token of the request; the entry's writer must carry it on.",
    )
    REPLAY_OUT_OF_ORDER = FindingCode(
        Verdict.FAIL,
        "The entries of a replay are stamped in another order than REQUESTED, STARTED, EXECUTION_STARTED, ACTION_*, COMPLETED or"
        " FAILED, or the EXECUTION_STARTED of that order is not there.",
        "Find out which function wrote the entry that is out of place, and when; the ledger must not be rewritten.",
    )
    REPLAY_STARTED_WITHOUT_REQUEST = FindingCode(
        Verdict.FAIL,
        "A REPLAY_STARTED has no REPLAY_REQUESTED of the same tenant, account, intent, reason and requester before it.",
        "Find out who started the execution past the replay API, or why the request was not recorded.",
    )
    REPLAY_FINISHED_WITHOUT_START = FindingCode(
        Verdict.FAIL,
        "A REPLAY_COMPLETED or REPLAY_FAILED stands in a trace without REPLAY_STARTED.",
        "Look at the trace: the start was not recorded, or the end was recorded under another trace id.",
    )
    REPLAY_FINISHED_TWICE = FindingCode(
        Verdict.FAIL,
        "A trace has more than one end of its replay.",
        "Look for a recorder that was retried, or for both recorders having run.",
    )
    REPLAY_TRACE_REUSED = FindingCode(
        Verdict.FAIL,
        "A trace id stands for more than one request or execution, so they cannot be told apart.",
        "Every request and every execution must get a trace id of its own.",
    )
    REPLAY_TENANT_MISMATCH = FindingCode(
        Verdict.FAIL,
        "The entries of one replay name different tenants or accounts, or an entry lies in another tenant's partition, in the"
        " table or in its tenant index (gsi2pk).",
        "Treat it as an isolation incident: find out which function wrote the entry, and whose token it acted for.",
    )
    REPLAY_CONTRADICTS_OUTCOME = FindingCode(
        Verdict.FAIL,
        "A replay's end is not what its action was: COMPLETED beside ACTION_FAILED or without ACTION_EXECUTED, FAILED beside"
        " ACTION_EXECUTED or without ACTION_FAILED, or the outcome of the same trace or the status of an entry says otherwise.",
        "Compare the trace's ledger entries with the outcome and with what the tool did. A failed original is no contradiction.",
    )
    LEDGER_INDEX_MISMATCH = FindingCode(
        Verdict.FAIL,
        "An entry of a replay stands in an index under another trace or another time than its own (gsi1pk, gsi1sk, gsi2sk),"
        " so who looks a trace up does not see what the ledger holds.",
        "Find out which function wrote the entry; index keys are made from the entry's own traceId and timestamp.",
    )
    LEDGER_ENTRY_MISDATED = FindingCode(
        Verdict.FAIL,
        "An entry of a replay is stamped far from the time in its own entry id, which the same call wrote.",
        "Find out who wrote or rewrote the entry, and when; the order and the deadlines of its replay rest on its timestamp.",
    )
    REPLAY_ATTEMPT_STUCK = FindingCode(
        Verdict.FAIL,
        "The attempt of a replay is RUNNING beyond its time to live: the intent stays locked until DynamoDB expires the item.",
        "Find out why the recorder did not finish the attempt.",
    )
    REPLAY_REPEATED = FindingCode(
        Verdict.WARN,
        "The same intent was replayed more often within the window than the policy allows.",
        "Ask the requesters why; repair the cause instead of replaying.",
    )
    LEDGER_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "An item of the ledger (or of the outcomes or attempts) is not what the platform writes, so its replay cannot be judged.",
        "Look at the named attribute of the named item, and at what wrote it.",
    )
    LEDGER_ENTRY_MISSING = FindingCode(
        Verdict.FAIL,
        "An entry that an earlier run saw, or an earlier export holds, is no longer in the ledger, which is append-only.",
        "Find out who deleted it (CloudTrail data events, point-in-time recovery).",
    )
    LEDGER_ENTRY_CHANGED = FindingCode(
        Verdict.FAIL,
        "An entry is no longer what an earlier run saw, or an earlier export holds, although the ledger is append-only.",
        "Find out who rewrote it (CloudTrail data events); compare with a point-in-time recovery.",
    )
    LEDGER_HISTORY_BROKEN = FindingCode(
        Verdict.FAIL,
        "What earlier runs noted of the ledger has been cut off or altered, so changes of the ledger may go unseen.",
        "Find out who changed ledger_history.sqlite of the state folder; restore it from a backup, or move it away and start"
        " anew.",
    )
    NO_REPLAY_IN_WINDOW = FindingCode(
        Verdict.INCONCLUSIVE,
        "The window holds no replay that was finished or is past its deadlines, so the audit trail could not be shown to hold.",
        "Let the canary replay run (PHASE5_PROBE_MODE=full), or widen PHASE5_REPLAY__WINDOW_DAYS.",
        not_tried=True,
    )


#: Findings of one code that a judgement lists; the facts count them all.
LISTED = 100


def judge_replay_audit(
    table: ReplayAudit, *, policy: ReplayPolicy, now: datetime, links: ConsoleLinks | None, ignoring: Iterable[str] = ()
) -> Judgement:
    """Row 3.2: every replay is whole, in order, in time, with reason and requester.

    Args:
        table: `replay_audit`, with its reads.
        policy: deadlines, skew and repetitions.
        now: evaluation time.
        links: console links of the platform's region; None where there is no console (files).
        ignoring: reads that do not bear on the row, see `reads.read_findings`.
    """
    rows = table.rows
    case = _AuditCase(policy, now, links, table.facts.table, whole=read_whole(table))
    findings = read_findings(table.reads, ignoring=ignoring)
    findings += [*_malformed_findings(table, case), *_history_findings(table, case)]
    states: Counter[str] = Counter()
    for row in rows:
        states[case.state(row)] += 1
        findings += case.findings(row)
    findings += _repeated(rows, case)
    decided = len(rows) - states[UNDER_WAY]
    if not decided and case.whole:
        findings.append(_no_replay(table, states[UNDER_WAY], case))
    summary = f"{len(rows)} replays: " + (", ".join(f"{n} {state}" for state, n in sorted(states.items())) or "none")
    evidence = [EvidenceLink(f"Table {case.table}", links.table(case.table))] if links else []
    return conclude(
        judged=decided, summary=summary, findings=_limited(findings), facts=_facts(table, rows, states), evidence=evidence
    )


UNDER_WAY, COMPLETED, FAILED_REPLAY = "under way", "completed", "failed"
NOT_STARTED, NOT_FINISHED, ORPHANED = "not started", "not finished", "without request or start"


class _AuditCase:
    """What the findings of one row depend on beside the row."""

    def __init__(self, policy: ReplayPolicy, now: datetime, links: ConsoleLinks | None, table: str, *, whole: bool) -> None:
        self.policy, self._links, self.table, self.whole = policy, links, table, whole
        self._now = epoch_ms(iso(now))
        self._start_deadline = int(policy.start_deadline_minutes * MINUTE_MS)
        self._finish_deadline = int(policy.finish_deadline_minutes * MINUTE_MS)
        self._start_expected = f"REPLAY_STARTED within {policy.start_deadline_minutes:g} min"
        self._end_expected = f"REPLAY_COMPLETED or REPLAY_FAILED within {policy.finish_deadline_minutes:g} min of the start"

    def state(self, row: ReplayRow) -> str:
        """How far the replay is, in one of the words above."""
        if row.kind != REQUEST and row.terminal is None and self._running(row):
            return UNDER_WAY
        if row.kind != REQUEST:
            return ORPHANED
        if row.terminal is not None:
            return COMPLETED if row.terminal == REPLAY_COMPLETED else FAILED_REPLAY
        if row.started_ms is None:
            return UNDER_WAY if self._waiting(row) else NOT_STARTED
        return UNDER_WAY if self._running(row) else NOT_FINISHED

    def _waiting(self, row: ReplayRow) -> bool:
        return row.requested_ms is not None and self._now - row.requested_ms <= self._start_deadline

    def _running(self, row: ReplayRow) -> bool:
        return row.started_ms is not None and self._now - row.started_ms <= self._finish_deadline

    def link(self, pk: str, sk: str) -> str | None:
        """The item's page in the console."""
        return self._links.item(self.table, pk, sk) if self._links and pk and sk else None

    def findings(self, row: ReplayRow) -> Iterator[Finding]:
        """Everything that is wrong with one replay."""
        subject, link = _subject(row), self.link(row.pk, row.sk)
        for code, expected, seen in self._problems(row):
            yield code.at(subject, expected=expected, seen=seen, link=link)

    def _problems(self, row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
        if row.notes:
            yield from _note_problems(row)
            yield from self._misdated(row)
        if self.whole:
            yield from self._absent(row)
        yield from self._late(row)
        yield from self._order(row)
        yield from _repeats(row)
        yield from self._contradictions(row)
        if row.attempt_status == RUNNING and row.attempt_ttl is not None and row.attempt_ttl * 1000 < self._now:
            seen = f"RUNNING, ttl {stamp_of(row.attempt_ttl * 1000)}"
            yield AuditCode.REPLAY_ATTEMPT_STUCK, "an attempt that has ended, or is within its ttl", seen

    def _misdated(self, row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
        """Entries whose timestamp is farther from the time in their entry id than the policy allows."""
        allowed = int(self.policy.entry_id_tolerance_seconds * 1000)
        noted = [(event, *json.loads(text)) for kind, event, text in row.noted if kind == OTHER_TIME]
        far = [
            f"{event}: {stamp_of(at)}, its id {stamp_of(written)}" for event, at, written in noted if abs(at - written) > allowed
        ]
        if far:
            yield AuditCode.LEDGER_ENTRY_MISDATED, f"a timestamp within {_span(allowed)} of the entry id's", "; ".join(far[:6])

    def _absent(self, row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
        """Entries that are not there at all."""
        if row.kind == START:
            expected = "REPLAY_REQUESTED of the same tenant, account, intent, reason and requester before it"
            yield AuditCode.REPLAY_STARTED_WITHOUT_REQUEST, expected, f"REPLAY_STARTED alone under trace {row.trace}"
        if row.kind == END:
            yield (
                AuditCode.REPLAY_FINISHED_WITHOUT_START,
                "REPLAY_STARTED in the same trace",
                f"{row.terminal} under trace {row.trace}",
            )
        if row.kind == REQUEST and row.started_ms is None and not self._waiting(row):
            yield AuditCode.REPLAY_NOT_STARTED, self._start_expected, f"none until {stamp_of(self._now)}"
        if row.started_ms is not None and row.terminal_ms is None and not self._running(row):
            seen = f"neither until {stamp_of(self._now)} under trace {row.trace}"
            yield AuditCode.REPLAY_NOT_FINISHED, self._end_expected, seen

    def _late(self, row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
        """Entries that came too late."""
        if row.pairing == Pairing.LATE and row.requested_ms is not None and row.started_ms is not None:
            late = _span(row.started_ms - row.requested_ms)
            yield AuditCode.REPLAY_NOT_STARTED, self._start_expected, f"only after {late}"
        if row.started_ms is not None and row.terminal_ms is not None:
            took = row.terminal_ms - row.started_ms
            if took > self._finish_deadline:
                yield AuditCode.REPLAY_NOT_FINISHED, self._end_expected, f"{row.terminal} only after {_span(took)}"

    def _order(self, row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
        skew = self.policy.clock_skew_ms
        steps = (
            (REPLAY_STARTED, row.started_ms, 0),
            (EXECUTION_STARTED, row.execution_ms, 0),  # the starter writes both
            ("ACTION_*", row.action_ms, skew),
            (row.terminal or "the end", row.terminal_ms, 0),  # the recorder writes both
        )
        wrong = []
        if row.pairing == Pairing.EARLY and row.started_ms is not None and row.requested_ms is not None:
            wrong.append(f"REPLAY_STARTED {_span(row.requested_ms - row.started_ms)} before REPLAY_REQUESTED")
        before: tuple[str, int, int] | None = None
        allowed = 0
        for name, at, skew_before in steps:
            allowed = max(allowed, skew_before)  # if a step is missing between, the writers may be two functions
            if at is None:
                continue
            if before is not None and at < before[1] - allowed:
                wrong.append(f"{name} {_span(before[1] - at)} before {before[0]}")
            before, allowed = (name, at, 0), 0
        went_on = row.action_ms is not None or row.terminal_ms is not None
        if self.whole and row.started_ms is not None and row.execution_ms is None and went_on:
            wrong.append("no EXECUTION_STARTED")
        if wrong:
            expected = "REQUESTED, STARTED, EXECUTION_STARTED, ACTION_*, COMPLETED or FAILED in order of time"
            yield AuditCode.REPLAY_OUT_OF_ORDER, expected, "; ".join(wrong)

    def _contradictions(self, row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
        if row.terminal is None:
            return
        completed = row.terminal == REPLAY_COMPLETED
        fitting, other = (row.executed_entries, row.failed_entries) if completed else (row.failed_entries, row.executed_entries)
        action, opposite = ("ACTION_EXECUTED", "ACTION_FAILED") if completed else ("ACTION_FAILED", "ACTION_EXECUTED")
        if other:
            yield AuditCode.REPLAY_CONTRADICTS_OUTCOME, f"{action} beside {row.terminal}", f"{opposite} in the same trace"
        elif not fitting and self.whole and row.started_ms is not None:
            yield AuditCode.REPLAY_CONTRADICTS_OUTCOME, f"{action} beside {row.terminal}", "no ACTION_* in the trace"
        status = SUCCEEDED if completed else FAILED
        if row.outcome_status is not None and row.outcome_status != status:
            yield (
                AuditCode.REPLAY_CONTRADICTS_OUTCOME,
                f"outcome {status} of this trace beside {row.terminal}",
                f"outcome {row.outcome_status}",
            )


_NOTE_CODES: Mapping[str, tuple[FindingCode, str]] = {
    REASON_MISSING: (AuditCode.REPLAY_REASON_MISSING, "a replay_reason in every entry of the replay"),
    REASON_DIFFERS: (AuditCode.REPLAY_REASON_MISSING, "the same replay_reason in every entry of the replay"),
    REQUESTER_MISSING: (AuditCode.REQUESTED_BY_MISSING, "a requested_by in every entry of the replay"),
    REQUESTER_DIFFERS: (AuditCode.REQUESTED_BY_MISSING, "the same requested_by in every entry of the replay"),
    OTHER_STATUS: (AuditCode.REPLAY_CONTRADICTS_OUTCOME, "a status that says what the entry says"),
    OTHER_INDEX: (AuditCode.LEDGER_INDEX_MISMATCH, "index keys of the entry's own trace and timestamp"),
    OTHER_TENANT: (AuditCode.REPLAY_TENANT_MISMATCH, "one tenant and account, in that tenant's partition"),
    OTHER_INTENT: (AuditCode.REPLAY_TRACE_REUSED, "one intent under a trace"),
}


def _note_problems(row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
    """One problem for each kind of note; it names the entries concerned."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for kind, event, text in row.noted:
        if kind in _NOTE_CODES:
            grouped[kind].append(f"{event}: {text}")
    for kind, texts in grouped.items():
        code, expected = _NOTE_CODES[kind]
        yield code, expected, "; ".join(texts[:6])


def _repeats(row: ReplayRow) -> Iterator[tuple[FindingCode, str, str]]:
    """Traces that hold something twice."""
    twice = [
        f"{count} x {name} under trace {trace}"
        for name, count, trace in (
            ("REPLAY_REQUESTED", row.request_entries, row.request_trace),
            ("REPLAY_STARTED", row.start_entries, row.trace),
            ("EXECUTION_STARTED", row.execution_entries, row.trace),
            ("ACTION_EXECUTED", row.executed_entries, row.trace),
            ("ACTION_FAILED", row.failed_entries, row.trace),
        )
        if count > 1
    ]
    if row.request_trace is not None and row.request_trace == row.trace:
        twice.append(f"request and execution both under {row.trace}")
    if twice:
        yield AuditCode.REPLAY_TRACE_REUSED, "one request under its trace, one execution under its own", "; ".join(twice)
    if row.terminal_entries > 1:
        yield (
            AuditCode.REPLAY_FINISHED_TWICE,
            "one REPLAY_COMPLETED or REPLAY_FAILED",
            f"{row.terminal_entries} under trace {row.trace}",
        )


def _malformed_findings(table: ReplayAudit, case: _AuditCase) -> Iterator[Finding]:
    for record in table.facts.malformed:
        pk, _, sk = record.key.partition(" / ")
        yield record.finding(AuditCode.LEDGER_RECORD_MALFORMED, case.link(pk, sk) if record.table == case.table else None)
    more = table.facts.malformed_count - len(table.facts.malformed)
    if more > 0:
        yield AuditCode.LEDGER_RECORD_MALFORMED.at(
            f"{more} more", expected="items as the platform writes them", seen="not listed one by one"
        )


def _history_findings(table: ReplayAudit, case: _AuditCase) -> Iterator[Finding]:
    """What the kept history says, see `history`; nothing where none is kept."""
    history = table.facts.history or {}
    for name, code, seen in (
        ("missing", AuditCode.LEDGER_ENTRY_MISSING, "not in the ledger any more"),
        ("changed", AuditCode.LEDGER_ENTRY_CHANGED, "another content than it was"),
    ):
        listed = history.get(name, [])
        for entry in listed:
            expected = f"as run {entry['run_id']} saw it at {entry['observed_at']}"
            subject = f"{entry['pk']} / {entry['sk']}"
            yield code.at(subject, expected=expected, seen=seen, link=case.link(entry["pk"], entry["sk"]))
        if (more := history.get(f"{name}_count", 0) - len(listed)) > 0:
            yield code.at(f"{more} more", expected="entries as earlier runs saw them", seen=seen)
    for problem in history.get("broken", []):
        yield AuditCode.LEDGER_HISTORY_BROKEN.at(
            "ledger history", expected="every run's record, unaltered, in an unbroken chain", seen=problem
        )


def _repeated(rows: Sequence[ReplayRow], case: _AuditCase) -> Iterator[Finding]:
    counts = Counter((row.tenant, row.account, row.intent) for row in rows if row.kind == REQUEST)
    newest = {(row.tenant, row.account, row.intent): row for row in rows if row.kind == REQUEST}
    most = case.policy.max_replays_per_intent
    for (tenant, account, intent), count in sorted(counts.items()):
        if count > most:
            row = newest[tenant, account, intent]
            yield AuditCode.REPLAY_REPEATED.at(
                f"{intent} of {tenant}/{account}",
                expected=f"at most {most} replays of one intent in the window",
                seen=f"{count} requests",
                link=case.link(row.pk, row.sk),
            )


def _no_replay(table: ReplayAudit, under_way: int, case: _AuditCase) -> Finding:
    window = table.facts.window
    return AuditCode.NO_REPLAY_IN_WINDOW.at(
        f"{case.table} from {window.get('from')} to {window.get('to')}",
        expected="at least one replay that ended or is past its deadlines",
        seen=f"{under_way} under way" if under_way else "none",
    )


def _facts(table: ReplayAudit, rows: Sequence[ReplayRow], states: Mapping[str, int]) -> dict[str, Fact]:
    """Counts, and how far the audit reached."""
    window, history = table.facts.window, table.facts.history or {}
    facts: dict[str, Fact] = {
        "replays": sum(1 for row in rows if row.kind == REQUEST),
        **{
            state.replace(" ", "_"): states.get(state, 0)
            for state in (COMPLETED, FAILED_REPLAY, UNDER_WAY, NOT_STARTED, NOT_FINISHED)
        },
        "orphans": sum(1 for row in rows if row.kind != REQUEST),
        "ledger_items": table.facts.items,
        "malformed_records": table.facts.malformed_count,
        "window_from": str(window.get("from", "")),
        "window_to": str(window.get("to", "")),
    }
    if table.facts.read_by:
        facts["read_by"] = table.facts.read_by
    if history:
        facts |= {
            "history_runs": int(history.get("runs", 0)),
            "history_entries_compared": int(history.get("compared", 0)),
            "history_head": str(history.get("head", "")),
        }
    return facts


def _limited(findings: Sequence[Finding]) -> list[Finding]:
    """At most `LISTED` findings a code, and how many more there are."""
    grouped: dict[tuple[str, Verdict], list[Finding]] = defaultdict(list)
    for finding in findings:
        grouped[finding.code, finding.verdict].append(finding)
    kept = []
    for (code, verdict), listed in grouped.items():
        kept += listed[:LISTED]
        if len(listed) > LISTED:
            more = len(listed) - LISTED
            kept.append(Finding(code, verdict, f"{more} more", listed[0].expected, f"{len(listed)} findings of this code in all"))
    return kept


def _subject(row: ReplayRow) -> str:
    at = next((at for at in (row.requested_ms, row.started_ms, row.terminal_ms) if at is not None), 0)
    return f"{row.tenant}/{row.account} {row.intent} {row.kind} {stamp_of(at)}"


def _span(ms: int) -> str:
    """`12 ms`, `3.2 s`, `7.5 min`."""
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{ms} ms"
    return f"{ms / 1000:.1f} s" if ms < 2 * MINUTE_MS else f"{ms / MINUTE_MS:.1f} min"
