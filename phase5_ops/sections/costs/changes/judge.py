"""Judge of changes_are_audited: each change that the tables show has its ledger entry, with who made it and why. Pure.

Contract: all changes of configuration produce a ledger record, with `changed_by`. A table shows the last change of each record
and no earlier one, and none of a record that is gone: those cannot be asked for here. A change before the window was an earlier
run's to judge.
"""

from collections.abc import Iterator
from itertools import chain

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.attributes import MalformedRecord
from phase5_ops.ccnative.ledger import PARTITION_PREFIX
from phase5_ops.ccnative.placeholders import says_nothing
from phase5_ops.policy import ChangePolicy
from phase5_ops.reads import ReadStatus, read_findings
from phase5_ops.sections.costs.changes.evidence import Changes, RecordedChange, When, nobody, same_person
from phase5_ops.text import first_few
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class ChangeCode(FindingCodes):
    """The finding codes of changes_are_audited."""

    CHANGE_NOT_AUDITED = FindingCode(
        Verdict.FAIL,
        "A mode, an allowlist, a budget or a kill switch was changed, and no ledger entry of that time tells of it. INCONCLUSIVE"
        " where the change is so young that the entry may still come.",
        "Write the ledger entry in the same transaction as the change, whatever makes it: the Control Center, a script, a person"
        " in the console. An entry type of your own goes into PHASE5_CHANGES__MODE_EVENTS and its neighbours.",
        also=(Verdict.INCONCLUSIVE,),
    )
    CHANGE_BY_NOBODY = FindingCode(
        Verdict.FAIL,
        "A change names nobody: its ledger entry, or the record itself, says no name, or one by which nobody can be asked"
        " (unknown, system, ...).",
        "Take the name from the verified token of the request, and refuse a change without one; a script names who runs it.",
    )
    CHANGE_WITHOUT_REASON = FindingCode(
        Verdict.FAIL,
        "The ledger entry of a change does not say why it was made.",
        "Ask for a reason with every change (data.reason), and refuse a change without one.",
    )
    CHANGE_AUTHOR_DIFFERS = FindingCode(
        Verdict.FAIL,
        "The record and the ledger entry of its change name different people.",
        "Find out who made the change; take both names from the verified token, not from the request's body.",
    )
    CHANGE_ENTRY_DIFFERS = FindingCode(
        Verdict.FAIL,
        "The ledger entry of a change tells other values than the record has: it was written otherwise, or changed again without"
        " an entry within the same minute.",
        "Write record and entry from the same values in one transaction, and look for what changed the record past the Control"
        " Center.",
    )
    CHANGE_NOT_DATED = FindingCode(
        Verdict.INCONCLUSIVE,
        "A record does not say when it was changed, so that no entry can be looked for.",
        "Set the record through the Control Center, which stamps it, in place of a seed or a hand in the console.",
        not_tried=True,
    )
    CHANGE_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "A record of configuration, or a ledger entry of a change, is not what the platform writes, or its time is ahead of the"
        " clock.",
        "Look at the named attribute of the named item, and at what wrote it.",
    )


#: Facts about what was not judged, where no finding says so; in words.
NOT_TRIED_FACTS = {
    "changed_before_window": "records of configuration were last changed before the window: nobody looked for their entries"
}


def judge_changes(changes: Changes, *, policy: ChangePolicy, links: ConsoleLinks) -> Judgement:
    """changes_are_audited, of the table `autonomy_changes`.

    Args:
        changes: the table, with its reads.
        policy: which names are nobody's.
        links: console links of the platform's region.
    """
    facts, rows = changes.facts, changes.rows
    findings = read_findings(changes.reads)
    for each in facts.malformed:
        findings.append(MalformedRecord(**each).finding(ChangeCode.CHANGE_RECORD_MALFORMED, links.table(each["table"])))
    of_ledger = [read for read in changes.reads if read.resource.split(" ")[0] == facts.ledger]
    ledger_whole = all(read.status is ReadStatus.OK for read in of_ledger)
    judge = _Judge(policy, links, facts.ledger, ledger_whole=ledger_whole)
    findings += chain.from_iterable(map(judge.findings, rows))
    in_window = [row for row in rows if row.when is When.IN_WINDOW]
    counted: dict[str, Fact] = {
        "records": len(rows),
        "changes_in_window": len(in_window),
        "changes_with_entry": sum(row.entry is not None for row in in_window),
        "changed_before_window": sum(row.when is When.BEFORE for row in rows),
        "kill_switches_never_set": sum(row.when is When.NEVER for row in rows),
        "test_tenants_left_out": facts.left_out,
    }
    return conclude(
        judged=len(rows),
        summary=f"{counted['changes_with_entry']} of {len(in_window)} changes since {facts.since[:10]} have their ledger entry;"
        f" {len(rows)} records of configuration read",
        findings=findings,
        facts=counted,
        evidence=[EvidenceLink(f"Table {name}", links.table(name)) for name in (*facts.tables, facts.ledger)],
    )


class _Judge:
    """What is wrong with single records; entries are missed only where the ledger was read whole."""

    def __init__(self, policy: ChangePolicy, links: ConsoleLinks, ledger: str, *, ledger_whole: bool) -> None:
        self._policy, self._links, self._ledger, self._ledger_whole = policy, links, ledger, ledger_whole

    def findings(self, row: RecordedChange) -> Iterator[Finding]:
        if row.when is When.UNKNOWN:
            yield ChangeCode.CHANGE_NOT_DATED.at(
                _subject(row), expected="updated_at, the time of its last change", seen="none", link=self._record(row)
            )
        elif row.when is When.AHEAD:
            yield ChangeCode.CHANGE_RECORD_MALFORMED.at(
                _subject(row), expected="changed by now", seen=f"updated_at {row.updated_at}", link=self._record(row)
            )
        elif row.when is When.IN_WINDOW:
            yield from self._of_change(row)

    def _of_change(self, row: RecordedChange) -> Iterator[Finding]:
        if row.updated_by is not None and nobody(row.updated_by, self._policy):
            yield ChangeCode.CHANGE_BY_NOBODY.at(
                _subject(row),
                expected="updated_by names who changed the record",
                seen=f"{row.updated_by!r}, at {row.updated_at}",
                link=self._record(row),
            )
        if row.entry is not None:
            yield from self._of_entry(row)
        elif self._ledger_whole:
            yield ChangeCode.CHANGE_NOT_AUDITED.at(
                _subject(row),
                expected=f"a ledger entry of the change within {self._policy.entry_seconds:g} s of {row.updated_at}",
                seen="none" + (f"; {row.others} entries of other changes of the tenant" if row.others else ""),
                verdict=Verdict.INCONCLUSIVE if row.young else Verdict.FAIL,
                link=self._record(row),
            )

    def _of_entry(self, row: RecordedChange) -> Iterator[Finding]:
        link = self._links.item(self._ledger, PARTITION_PREFIX + row.tenant, str(row.entry))
        if row.differs:
            yield ChangeCode.CHANGE_ENTRY_DIFFERS.at(
                _subject(row),
                expected="an entry that tells what the record holds",
                seen=f"{row.event} tells another {first_few(row.differs)}",
                link=link,
            )
        if nobody(row.changed_by, self._policy):
            yield ChangeCode.CHANGE_BY_NOBODY.at(
                f"{_subject(row)}: {row.event}",
                expected="data.changed_by names who changed the record",
                seen="no name" if row.changed_by is None else repr(row.changed_by),
                link=link,
            )
        elif not same_person(row.changed_by, row.updated_by) and not nobody(row.updated_by, self._policy):
            yield ChangeCode.CHANGE_AUTHOR_DIFFERS.at(
                _subject(row),
                expected=f"one name: the record says {row.updated_by!r}",
                seen=f"the entry says {row.changed_by!r}",
                link=link,
            )
        if says_nothing(row.reason):
            yield ChangeCode.CHANGE_WITHOUT_REASON.at(
                f"{_subject(row)}: {row.event}",
                expected="data.reason says why",
                seen="none" if row.reason is None else repr(row.reason),
                link=link,
            )

    def _record(self, row: RecordedChange) -> str:
        return self._links.item(row.table, row.pk, row.sk) if row.sk else self._links.table(row.table)


def _subject(row: RecordedChange) -> str:
    """`acme / eu-1: mode of CREATE_CRM_TASK`."""
    owner = f"{row.tenant} / {row.account}" if row.account else row.tenant
    return f"{owner}: {row.kind} of {row.action_type}" if row.action_type else f"{owner}: {row.kind}"
