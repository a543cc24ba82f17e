"""Judge of `executions_end`: every execution has one start, one end and one outcome, and they agree. Pure.

What must be there and is not is a finding only if it was read whole: a page that is missing would look like an execution that
never ended. An execution within its time limit decides nothing, nor does what was recorded while the run itself was reading.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.executions.records import ATTEMPT_PREFIX, OUTCOME_PREFIX, RUNNING, partition_key
from phase5_ops.ccnative.ledger import epoch_ms, stamp_of
from phase5_ops.policy import ExecutionPolicy
from phase5_ops.reads import read_findings, whole
from phase5_ops.sections.executions.codes import ExecutionCode
from phase5_ops.sections.executions.evidence import EARLIER, LATER, NONE, OWN, UNREADABLE, ExecutionRow, Executions, differences
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, Judgement, conclude

#: Findings of one code that a judgement lists; the facts count them all.
LISTED = 100

_Problem = tuple[FindingCode, str, str]  # code, expected, seen


def judge_executions_end(table: Executions, *, policy: ExecutionPolicy, links: ConsoleLinks) -> Judgement:
    """Every execution that began in the window has ended, once, and all that is recorded of it says the same."""
    case, facts = _Case(table, policy, links), table.facts
    found: dict[FindingCode, list[Finding]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for row in table.rows:
        problems = list(case.problems(row))
        counts["under_way"] += not problems and case.under_way(row)
        for code, expected, seen in problems:
            counts[code.code] += 1
            if len(found[code]) < LISTED:
                found[code].append(code.at(_subject(row), expected=expected, seen=seen, link=case.link(row)))
    findings = [*read_findings(table.reads), *malformed_findings(table, links), *_listed(found, counts), *_further(table)]
    decided = facts.executions - counts["under_way"]
    if decided <= 0 and case.all_whole:
        seen = f"{counts['under_way']} under way, {facts.test_executions} of test tenants"
        findings.append(
            ExecutionCode.NO_EXECUTION_IN_WINDOW.at(
                f"{facts.window.get('from')} to {facts.window.get('until')}",
                expected="at least one execution that ended or is past its time limit",
                seen=seen,
            )
        )
    told = f"{facts.whole} of {facts.executions} executions ended and agree with their records, {counts['under_way']} under way."
    return conclude(
        judged=decided,
        summary=told,
        findings=findings,
        facts=_facts(table, counts),
        evidence=[EvidenceLink(f"Table {name}", links.table(name)) for name in facts.tables.values()],
    )


class _Case:
    """What the problems of one execution depend on beside its row."""

    def __init__(self, table: Executions, policy: ExecutionPolicy, links: ConsoleLinks) -> None:
        tables = table.facts.tables
        self._ledger, self._outcomes, self._attempts = (
            whole(read for read in table.reads if read.resource == name or read.resource.startswith(f"{name} "))
            for name in (tables.get(role, "") for role in ("ledger", "outcomes", "attempts"))
        )
        self._limit, self._minutes = policy.time_limit_ms, policy.time_limit_minutes
        self._until = epoch_ms(table.facts.window["until"])
        self._read_from = table.facts.read_from
        self._links, self._tables = links, tables

    @property
    def all_whole(self) -> bool:
        """True if ledger, outcomes and attempts were read to their end, so that what is not there is absent."""
        return self._ledger and self._outcomes and self._attempts

    def under_way(self, row: ExecutionRow) -> bool:
        """True if nothing says that it ended, and it is still within its time limit.

        An attempt is told how its execution ended after the outcome was written, and a moment before the ledger's end is.
        """
        told = row.attempt == OWN and row.attempt_status != RUNNING and (row.attempt_updated_ms or 0) <= self._until
        return not row.ends and row.outcome != OWN and not told and self._until - row.began_ms <= self._limit

    def link(self, row: ExecutionRow) -> str:
        """The item to look at: its own outcome, else the intent's attempt, and where that is gone the intent's outcome."""
        look = row.outcome == OWN or (row.attempt == NONE and row.outcome in (EARLIER, LATER))
        role, prefix = ("outcomes", OUTCOME_PREFIX) if look else ("attempts", ATTEMPT_PREFIX)
        return self._links.item(self._tables.get(role, ""), partition_key(row.tenant, row.account), f"{prefix}{row.intent}")

    def problems(self, row: ExecutionRow) -> Iterator[_Problem]:
        """Everything that is wrong with one execution."""
        for note in row.notes:
            yield ExecutionCode.EXECUTION_RECORDS_DISAGREE, "one tenant, account, intent and status of one execution", note
        for expected, seen in differences(row):
            yield ExecutionCode.EXECUTION_RECORDS_DISAGREE, expected, seen
        if row.starts > 1:
            yield ExecutionCode.EXECUTION_STARTED_TWICE, "one EXECUTION_STARTED", f"{row.starts} under trace {row.trace}"
        if row.ends > 1:
            seen = f"{row.executed} ACTION_EXECUTED, {row.failed} ACTION_FAILED under trace {row.trace}"
            yield ExecutionCode.EXECUTION_ENDED_TWICE, "one end", seen
        if not row.ledger_unreadable:
            yield from self._absent_entries(row)
            if self._ledger and row.again and not row.replayed:
                seen = f"attempt {row.start_count or row.end_count or 1} under trace {row.trace}, without it"
                yield ExecutionCode.EXECUTION_REPEATED, "REPLAY_STARTED, since its intent was executed before", seen
        if row.ends:
            yield from self._absent_items(row)

    def _absent_entries(self, row: ExecutionRow) -> Iterator[_Problem]:
        """What the ledger should have."""
        if not self._ledger:
            return
        if row.ends and not row.starts and row.began_ms - self._limit >= self._read_from:
            yield ExecutionCode.EXECUTION_NOT_STARTED, f"EXECUTION_STARTED before {row.end}", f"none under trace {row.trace}"
        if row.ends or self.under_way(row):
            return
        if row.outcome == OWN:
            seen = f"outcome {row.outcome_status} of {stamp_of(row.outcome_ms or 0)}, " + (
                "and only the start in the ledger" if row.starts else "and nothing in the ledger"
            )
            yield ExecutionCode.END_NOT_RECORDED, "ACTION_EXECUTED or ACTION_FAILED in the outcome's trace", seen
            return
        if not self._outcomes or not self._attempts or UNREADABLE in (row.outcome, row.attempt):
            return
        expected = f"an end in the ledger and an outcome within {self._minutes:g} min"
        since = f"since {stamp_of(row.began_ms)}"
        if row.attempt == OWN and row.attempt_status == RUNNING:
            yield ExecutionCode.EXECUTION_STUCK, expected, f"attempt RUNNING {since}, neither"
        else:
            left = f"its attempt says {row.attempt_status}" if row.attempt == OWN else "its attempt is gone"
            yield ExecutionCode.EXECUTION_LEFT_NOTHING, expected, f"neither {since}; {left}"

    def _absent_items(self, row: ExecutionRow) -> Iterator[_Problem]:
        """The outcome and the attempt that an execution which ended should have."""
        if self._outcomes and row.outcome_due and row.outcome in (NONE, LATER):
            later = f"only that of a later execution, {stamp_of(row.outcome_ms or 0)}"
            seen = f"none of {stamp_of(self._read_from)} or since" if row.outcome == NONE else later
            yield ExecutionCode.OUTCOME_MISSING, f"outcome {row.end_status} beside {row.end}", seen
        if self._attempts and row.attempt == EARLIER:
            seen = "that of an earlier execution: this one never took the lock"
            yield ExecutionCode.ATTEMPT_MISSING, "an attempt of its own, or of an execution after it", seen
        elif self._attempts and row.attempt_due and row.attempt == NONE:
            yield ExecutionCode.ATTEMPT_MISSING, f"an attempt, which is kept for more than {self._minutes:g} min", "none"


def _listed(found: dict[FindingCode, list[Finding]], counts: Counter[str]) -> Iterator[Finding]:
    """The findings, and of each code how many more there are than are listed."""
    for code, listed in found.items():
        yield from listed
        if (more := counts[code.code] - len(listed)) > 0:
            yield code.at(f"{more} more", expected=listed[0].expected, seen=f"{counts[code.code]} executions in all")


def malformed_findings(table: Executions, links: ConsoleLinks, *, of_calls: bool = False) -> Iterator[Finding]:
    """The records that could not be read; `of_calls`: but for attempts, which say nothing of what was called."""
    left_out = table.facts.tables.get("attempts") if of_calls else None
    listed = [record for record in table.facts.malformed if record.table != left_out]
    for record in listed:
        pk, _, sk = record.key.partition(" / ")
        yield record.finding(ExecutionCode.EXECUTION_RECORD_MALFORMED, links.item(record.table, pk, sk))
    counted = sum(count for name, count in table.facts.malformed_counts.items() if name != left_out)
    if (more := counted - len(listed)) > 0:
        yield ExecutionCode.EXECUTION_RECORD_MALFORMED.at(
            f"{more} more", expected="items as the platform writes them", seen="not listed one by one"
        )


def _further(table: Executions) -> Sequence[Finding]:
    """More executions are not plainly whole than the table keeps: the youngest of them were not looked at."""
    more = table.facts.further_rows
    if not more:
        return ()
    return (
        ExecutionCode.EXECUTION_LEFT_NOTHING.at(
            f"{more} more executions",
            expected="executions that end and agree with their records",
            seen=f"not whole, and not listed: the table keeps the oldest {len(table.rows)}",
        ),
    )


def _facts(table: Executions, counts: Counter[str]) -> dict[str, Fact]:
    facts = table.facts
    return {
        "executions": facts.executions,
        "whole": facts.whole,
        "under_way": counts["under_way"],
        **{code.code: counts[code.code] for code in ExecutionCode.all() if counts[code.code]},
        "test_executions_left_out": facts.test_executions,
        "young_executions_left_out": facts.young,
        "outcomes": facts.outcomes,
        "attempts": facts.attempts,
        "malformed_records": sum(facts.malformed_counts.values()),
        "window_from": facts.window.get("from", ""),
        "window_until": facts.window.get("until", ""),
        "read_by": facts.read_by,
    }


def _subject(row: ExecutionRow) -> str:
    return f"{row.tenant}/{row.account} {row.intent} {stamp_of(row.began_ms)}"
