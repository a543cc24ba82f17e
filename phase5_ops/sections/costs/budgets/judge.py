"""Judge of row 5.1: per tenant and account, the autonomy budget's configuration and consumption are visible and agree. Pure.

Contract: per account and UTC day, remaining = cap - consumed; no configuration means that the gate refuses; the gate consumes
one unit for every approval by policy, before execution. The judge compares the recorded counts by action type with the
independent count. The recorded total must be their sum and is judged by that alone, so that one wrong number gives one finding.

An approval that cannot be counted for certain (expired intent, over midnight, younger than the reading) widens the count to a
range; only a record outside the range is a finding.

Accounts also come from tables that hold nothing of the budgets. If one of those cannot be read, what is judged is not in doubt,
but accounts may be missing: that is a finding of its own, INCONCLUSIVE.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.autonomy import AUTO_EXEC_KEY, CONFIG_KEY, DECISION_KEY, DEFAULT, STATE_PREFIX, ProblemKind
from phase5_ops.evidence.table import filled
from phase5_ops.reads import ReadStatus, read_findings
from phase5_ops.sections.costs.budgets.evidence import ABSENT, THERE, UNREADABLE, AccountDay, Budgets, count_is_sound
from phase5_ops.text import first_few
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class BudgetCode(FindingCodes):
    """The finding codes of row 5.1."""

    AUTO_EXECUTE_WITHOUT_BUDGET = FindingCode(
        Verdict.FAIL,
        "An account's effective mode lets actions execute without a person's approval (AUTO_EXECUTE), and the account has no cap"
        " (BUDGET#CONFIG).",
        "Set the account's budget (PUT /budget), or set the mode to APPROVAL_REQUIRED.",
    )
    BUDGET_STATE_INCONSISTENT = FindingCode(
        Verdict.FAIL,
        "The total of a day differs from the sum of its counts by action type, so a limit is enforced on a wrong number."
        " INCONCLUSIVE where the state was written as the tables were read and is one ahead, since the gate writes the total"
        " first.",
        "Repair the gate's consumption: both numbers must change in one conditional update, and a refusal must change neither.",
        also=(Verdict.INCONCLUSIVE,),
    )
    BUDGET_OVERSPENT = FindingCode(
        Verdict.FAIL,
        "More actions were approved by policy in a day than the cap allows, in total or of one action type. INCONCLUSIVE"
        " where the cap was set after the day's last consumption, since the cap of that time is not kept.",
        "Stop the tenant's autonomy (kill switch or mode), then find out how the gate let them through.",
        also=(Verdict.INCONCLUSIVE,),
    )
    BUDGET_UNDERCOUNTED = FindingCode(
        Verdict.FAIL,
        "Outcomes and gate states show more approvals by policy than the budget recorded: actions ran without being charged."
        " INCONCLUSIVE where the gate's state is all that is left of the approval, so that no account can be named.",
        "Find the path to execution that does not go through the budget, or what reset the state.",
        also=(Verdict.INCONCLUSIVE,),
    )
    BUDGET_OVERCOUNTED = FindingCode(
        Verdict.FAIL,
        "The budget recorded more than outcomes and gate states can account for: charged without an approval, or charged twice.",
        "Find out what consumed the budget: a gate that crashed before it wrote its state, a retry, or a call that bypassed the"
        " gate.",
    )
    BUDGET_TENANT_MISMATCH = FindingCode(
        Verdict.FAIL,
        "A record's key and its attributes name different tenants or accounts.",
        "Find out who wrote it; the administration API takes the key from the request's body.",
    )
    BUDGET_DATE_MISMATCH = FindingCode(
        Verdict.FAIL,
        "A budget state's key, date_key and time of writing contradict each other, or its day has not begun.",
        "The day must be the UTC day of the consumption; find out what wrote another one.",
    )
    BUDGET_RECORD_MALFORMED = FindingCode(
        Verdict.ERROR,
        "A record of autonomy or its budget is not what the platform writes, so it cannot be judged.",
        "Look at the named attribute of the named item, and at what wrote it.",
    )
    DECISION_BUDGET_NEGATIVE = FindingCode(
        Verdict.FAIL,
        "An account has fewer than zero decisions or cost units left.",
        "Consumption of the decision budget must be conditional on what is left.",
    )
    ACCOUNT_WITHOUT_VISIBILITY = FindingCode(
        Verdict.FAIL,
        "An account acted alone, or its budget was consumed, and it has no cap (BUDGET#CONFIG) to compare with; or an account"
        " with autonomy belongs to a tenant that the tenants table does not have, so that nobody sees its kill switch.",
        "Set the account's budget, and register the tenant.",
    )
    ACCOUNTS_NOT_ALL_KNOWN = FindingCode(
        Verdict.INCONCLUSIVE,
        "A table that names accounts could not be read, or an item of it names its account in an unknown way, so accounts may be"
        " missing from the evidence. What is known of the others stands.",
        "Allow dynamodb:Scan on the table, or fix its name in the settings, or look at the item.",
        not_tried=True,
    )


_CODE_OF_PROBLEM = {
    ProblemKind.MALFORMED: BudgetCode.BUDGET_RECORD_MALFORMED,
    ProblemKind.OWNER: BudgetCode.BUDGET_TENANT_MISMATCH,
    ProblemKind.DATE: BudgetCode.BUDGET_DATE_MISMATCH,
}
_COUNTED = {"budget_state", "autonomy_config", "action_intent", "execution_outcomes"}
_SCAN = "dynamodb:Scan"


@dataclass(slots=True)
class _Slack:
    """Approvals that nothing ties to one account; each can explain one recorded action of its days, once."""

    approvals: list[Mapping[str, Any]]
    used: int = 0

    def take(self, row: AccountDay, wanted: int) -> int:
        """How many of `wanted` surplus actions of the row's account and day are explained."""
        fitting = [each for each in self.approvals if _may_be_of(each, row)][:wanted]
        for each in fitting:
            self.approvals.remove(each)
        self.used += len(fitting)
        return len(fitting)


def _may_be_of(approval: Mapping[str, Any], row: AccountDay) -> bool:
    owners = approval["owners"]
    return approval["first"] <= row.day <= approval["last"] and (not owners or [row.tenant, row.account] in owners)


@dataclass(frozen=True, slots=True)
class _Context:
    """What every part of the judge needs."""

    links: ConsoleLinks
    tables: Mapping[str, str]
    readable: frozenset[str]  # roles of the tables that were read whole
    slack: _Slack
    sound: bool  # no unreadable item can be an approval that was not counted
    tenants_known: bool  # every tenant of the tenants table could be read
    in_motion: list[str] = field(default_factory=list)  # accounts whose surplus is left for the next run to judge

    def budget_item(self, row: AccountDay, sort_key: str) -> str:
        """The page of an item of the account's budget."""
        return self.links.item(self.tables["budget_state"], _pk(row), sort_key)


def judge_budget_visible(table: Budgets, *, links: ConsoleLinks) -> Judgement:
    """Row 5.1: configuration and consumption of every tenant and account are visible, and agree.

    Args:
        table: `autonomy_budget`, with its reads.
        links: console links of the platform's region.
    """
    tables = table.facts.tables
    whole = {read.resource for read in table.reads} - {read.resource for read in table.reads if read.status is not ReadStatus.OK}
    context = _Context(
        links=links,
        tables=tables,
        readable=frozenset(role for role, name in tables.items() if name in whole),
        slack=_Slack(sorted(table.facts.unattributed, key=lambda each: (not each["owners"], each["last"], each["intent"]))),
        sound=count_is_sound(table.facts),
        tenants_known=not any(each.table == tables["tenants"] for each in table.facts.problems),
    )
    naming = _naming_tables(table)
    findings = [*read_findings(table.reads, ignoring=[f"{_SCAN} {name}" for name in naming]), *_problem_findings(table, links)]
    findings += _unknown_accounts(table, naming, links)
    accounts = [list(rows) for _, rows in groupby(table.rows, key=lambda row: (row.tenant, row.account))]
    for rows in accounts:
        findings += _account_findings(rows, context)
        for row in rows:
            findings += _day_findings(row, context)
        if context.readable >= _COUNTED:
            findings += _count_findings(rows, context)
    if BudgetCode.BUDGET_UNDERCOUNTED.code not in {finding.code for finding in findings}:
        findings += _uncharged(table, accounts, context)
    facts = _facts(table, accounts, context, absent=[name for name, status in naming.items() if status is None])
    evidence = [EvidenceLink(f"Table {name}", links.table(name)) for name in tables.values()]
    summary = _summary(facts, len(table.facts.days))
    return conclude(judged=len(accounts), summary=summary, findings=findings, facts=facts, evidence=evidence)


def _pk(row: AccountDay) -> str:
    return f"TENANT#{row.tenant}#ACCOUNT#{row.account}" if row.account else f"TENANT#{row.tenant}"


def _subject(row: AccountDay, day: str | None = None) -> str:
    """`acme / eu-1 on 2026-11-23`."""
    name = f"{row.tenant} / {row.account}" if row.account else f"{row.tenant} (no account known)"
    return f"{name} on {day}" if day else name


def _problem_findings(table: Budgets, links: ConsoleLinks) -> Iterator[Finding]:
    for each in table.facts.problems:
        key = " / ".join(part for part in (each.pk, each.sk) if part)
        yield _CODE_OF_PROBLEM[ProblemKind(each.kind)].at(
            f"{each.table}: {key}: {each.attribute}",
            expected=each.expected,
            seen=each.problem,
            link=links.item(each.table, each.pk, each.sk) if each.sk else links.table(each.table),
        )


def _naming_tables(table: Budgets) -> dict[str, ReadStatus | None]:
    """How each table that only names accounts was read; None if it is not deployed and has the platform's default name."""
    judged = set(table.facts.tables.values())
    reads = [read for read in table.reads if read.operation == _SCAN]
    statuses: dict[str, ReadStatus | None] = {}
    for each in table.facts.naming_tables.values():
        found = [read.status for read in reads if read.resource == each["table"]]
        if each["table"] not in judged and found:
            failed = [status for status in found if status is not ReadStatus.OK]
            absent = set(found) == {ReadStatus.NOT_FOUND} and not each["chosen"]
            statuses[each["table"]] = None if absent else failed[0] if failed else ReadStatus.OK
    return statuses


def _unknown_accounts(table: Budgets, naming: Mapping[str, ReadStatus | None], links: ConsoleLinks) -> Iterator[Finding]:
    errors = {read.resource: read.error for read in table.reads if read.status is not ReadStatus.OK}
    for name, status in naming.items():
        if status not in (None, ReadStatus.OK):
            yield BudgetCode.ACCOUNTS_NOT_ALL_KNOWN.at(
                f"{_SCAN} {name}",
                expected="every account that the table names",
                seen=f"{status}: {errors[name] or 'no details'}",
                link=links.table(name),
            )
    for each in table.facts.naming_tables.values():
        if each["odd"]:
            yield BudgetCode.ACCOUNTS_NOT_ALL_KNOWN.at(
                each["table"],
                expected="items that name tenant and account as the platform does",
                seen=f"{each['odd']} of another form, such as {each['example']}",
                link=links.table(each["table"]),
            )


# One account


def _autonomous(rows: Sequence[AccountDay]) -> bool:
    """True if an account may act alone, has a cap to do so, or did."""
    first = rows[0]
    return bool(first.autonomous_types) or bool(first.cap) or _active(rows)


def _active(rows: Sequence[AccountDay]) -> bool:
    """True if the account's budget was consumed, or an approval by policy was counted."""
    return rows[0].account_counted_min > 0 or any(row.consumed or row.total for row in rows)


def _account_findings(rows: Sequence[AccountDay], context: _Context) -> Iterator[Finding]:
    row = rows[0]
    budgets_known = "budget_state" in context.readable
    without_config = row.config == ABSENT and budgets_known
    if without_config and row.autonomous_types and "autonomy_config" in context.readable:
        types = ["any other action type" if name == DEFAULT else name for name in row.autonomous_types]
        listed = f"the allowlist allows {first_few(row.allowlist)}" if row.allowlist else "the allowlist is empty"
        yield BudgetCode.AUTO_EXECUTE_WITHOUT_BUDGET.at(
            _subject(row),
            expected=f"{CONFIG_KEY} with max_autonomous_per_day",
            seen=f"AUTO_EXECUTE for {first_few(types)} and no {CONFIG_KEY}; {listed}",
            link=context.budget_item(row, CONFIG_KEY),
        )
    elif without_config and _active(rows):
        consumed = sum(each.consumed or 0 for each in rows)
        yield BudgetCode.ACCOUNT_WITHOUT_VISIBILITY.at(
            _subject(row),
            expected=f"{CONFIG_KEY} of an account that acted alone",
            seen=f"none, with {consumed} recorded and {row.account_counted_min} counted actions",
            link=context.budget_item(row, CONFIG_KEY),
        )
    if not row.tenant_known and context.tenants_known and "tenants" in context.readable and _autonomous(rows):
        yield BudgetCode.ACCOUNT_WITHOUT_VISIBILITY.at(
            _subject(row),
            expected=f"tenant {row.tenant} in {context.tables['tenants']}, with its kill switch",
            seen="no such tenant, and the account has autonomy",
            link=context.links.table(context.tables["tenants"]),
        )
    left = {name: getattr(row, name) for name in ("daily_decisions_remaining", "monthly_cost_remaining")}
    negative = [f"{name} {value:g}" for name, value in left.items() if value is not None and value < 0]
    if negative:
        yield BudgetCode.DECISION_BUDGET_NEGATIVE.at(
            _subject(row),
            expected="zero or more left",
            seen=", ".join(negative),
            link=context.links.item(context.tables["decision_budget"], _pk(row), DECISION_KEY),
        )


# One day of an account, by its own record


def _day_findings(row: AccountDay, context: _Context) -> Iterator[Finding]:
    if row.state != THERE:
        return
    link = context.budget_item(row, STATE_PREFIX + row.day)
    total, consumed = filled(row.total), filled(row.consumed)
    if total != consumed:
        under_way = row.in_motion and total == consumed + 1
        yield BudgetCode.BUDGET_STATE_INCONSISTENT.at(
            _subject(row, row.day),
            expected="total = sum of counts",
            seen=f"total {total}, counts {consumed}: {_shown_counts(row.consumed_per_type)}"
            + (f"; written at {row.state_updated_at}, as the tables were read" if under_way else ""),
            verdict=Verdict.INCONCLUSIVE if under_way else Verdict.FAIL,
            link=link,
        )
    if row.cap is None:
        return
    over = []
    if (used := max(total, consumed)) > row.cap:
        over.append(f"{used} of {row.cap} actions")
    for name, number in sorted(row.consumed_per_type.items()):
        if name in row.cap_per_type and number > row.cap_per_type[name]:
            over.append(f"{name}: {number} of {row.cap_per_type[name]}")
    if over:
        changed = row.cap_updated_at is not None and row.cap_updated_at > filled(row.state_updated_at)
        note = f"; the cap was set at {row.cap_updated_at}, after the last consumption" if changed else ""
        yield BudgetCode.BUDGET_OVERSPENT.at(
            _subject(row, row.day),
            expected="consumed at most the cap",
            seen=first_few(over) + note,
            verdict=Verdict.INCONCLUSIVE if changed else Verdict.FAIL,
            link=link,
        )


def _shown_counts(counts: Mapping[str, int]) -> str:
    return first_few([f"{name} {number}" for name, number in sorted(counts.items())]) or "none"


# The record against the independent count


def _count_findings(rows: Sequence[AccountDay], context: _Context) -> list[Finding]:
    """Where the record of an account is below or above the count: by action type, else by day, else over all days."""
    if any(row.state == UNREADABLE for row in rows):
        return []  # reported already, as malformed
    findings, explained = [], 0
    for row in rows:
        short, surplus = _off(row)
        if not context.sound:
            surplus = {}
        if surplus:
            wanted = sum(surplus.values())
            taken = context.slack.take(row, wanted)
            if row.in_motion and wanted == taken + 1:
                context.in_motion.append(_subject(row, row.day))
                taken += 1
            explained += taken
            surplus = surplus if taken < wanted else {}
        for code, off in ((BudgetCode.BUDGET_UNDERCOUNTED, short), (BudgetCode.BUDGET_OVERCOUNTED, surplus)):
            if off:
                findings.append(_count_finding(code, row, off, context))
    return findings or _over_all_days(rows, explained, context)


def _off(row: AccountDay) -> tuple[dict[str, int], dict[str, int]]:
    """By action type, how much the record is below the certain count, and above the possible one; "" is the day as a whole."""
    recorded: Mapping[str, int] = row.consumed_per_type
    if not recorded and not row.counted_max:
        return {}, {}
    short, surplus = {}, {}
    for name, (least, most) in row.counted_per_type.items():
        number = recorded.get(name, 0)
        if number < least:
            short[name] = least - number
        elif number > most:
            surplus[name] = number - most
    consumed = filled(row.consumed)
    if not short and consumed < row.counted_min:
        short[""] = row.counted_min - consumed
    if not surplus and consumed > row.counted_max:
        surplus[""] = consumed - row.counted_max
    return short, surplus


def _count_finding(code: FindingCode, row: AccountDay, off: Mapping[str, int], context: _Context) -> Finding:
    parts = []
    for name in sorted(off):
        recorded = row.consumed_per_type.get(name, 0) if name else row.consumed
        least, most = row.counted_per_type[name] if name else (row.counted_min, row.counted_max)
        parts.append(f"{name or 'all types'}: {recorded} recorded, {_range(least, most)} counted")
    absent = "; there is no state of the day" if row.state == ABSENT else ""
    return code.at(
        _subject(row, row.day),
        expected="as many recorded as approvals by policy counted from outcomes and gate states",
        seen=first_few(parts) + absent,
        link=context.budget_item(row, STATE_PREFIX + row.day),
    )


def _over_all_days(rows: Sequence[AccountDay], explained: int, context: _Context) -> list[Finding]:
    """Approvals that may belong to either of two days must still be on one of them, and only on one."""
    row = rows[0]
    recorded = sum(filled(each.consumed) for each in rows)
    least, most = row.account_counted_min, row.account_counted_max
    surplus = recorded - most - explained if context.sound else 0
    for each in rows if surplus > 0 else ():
        surplus -= context.slack.take(each, surplus)
    if recorded >= least and surplus <= 0:
        return []
    code = BudgetCode.BUDGET_UNDERCOUNTED if recorded < least else BudgetCode.BUDGET_OVERCOUNTED
    days = f"{rows[0].day} to {rows[-1].day}"
    return [
        code.at(
            f"{_subject(row)}, {days}",
            expected="as many recorded as approvals by policy counted from outcomes and gate states",
            seen=f"{recorded} recorded, {_range(least, most)} counted over all days",
            link=context.links.table(context.tables["budget_state"]),
        )
    ]


def _uncharged(table: Budgets, accounts: Sequence[Sequence[AccountDay]], context: _Context) -> Iterator[Finding]:
    """A finding if approvals that nothing ties to one account outnumber what all accounts recorded beyond the count.

    Some were then charged to no known account. INCONCLUSIVE, since a tenant that left has no records any more.
    """
    days = table.facts.days
    unplaced = [
        each for each in table.facts.unattributed if each["certain"] and days[0] <= each["first"] and each["last"] <= days[-1]
    ]
    if not unplaced or not context.readable >= _COUNTED or any(row.state == UNREADABLE for rows in accounts for row in rows):
        return
    room = table.facts.left_out_surplus
    for rows in accounts:
        room += max(0, sum(filled(row.consumed) for row in rows) - rows[0].account_counted_min)
    if len(unplaced) <= room:
        return
    yield BudgetCode.BUDGET_UNDERCOUNTED.at(
        first_few([f"{AUTO_EXEC_KEY} {each['intent']}" for each in unplaced]),
        expected="a recorded action of some account for every approval by policy",
        seen=f"{len(unplaced)} approvals that nothing ties to one account, {room} recorded actions that may be theirs",
        verdict=Verdict.INCONCLUSIVE,
        link=context.links.item(context.tables["autonomy_config"], AUTO_EXEC_KEY, unplaced[0]["intent"]),
    )


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


# Facts and summary

#: Facts about what was not judged, where no finding says so; in words.
NOT_TRIED_FACTS = {
    "approvals_of_unknown_account": "approvals could not be counted for an account: their intent and outcome are gone",
    "tables_not_deployed": "tables that name accounts and are not deployed, so not read",
}


def _facts(
    table: Budgets, accounts: Sequence[Sequence[AccountDay]], context: _Context, *, absent: Sequence[str]
) -> dict[str, Fact]:
    named = [rows for rows in accounts if rows[0].account]
    return {
        "tenants": table.facts.tenants,
        "accounts": len(named),
        "accounts_named_elsewhere": table.facts.named_elsewhere,
        "tables_not_deployed": ", ".join(sorted(absent)),
        "accounts_with_autonomy": sum(_autonomous(rows) for rows in accounts),
        "accounts_in_auto_execute": sum(bool(rows[0].autonomous_types) for rows in accounts),
        "actions_recorded": sum(row.consumed or 0 for rows in accounts for row in rows),
        "actions_counted": sum(rows[0].account_counted_max for rows in accounts),
        "approvals_of_unknown_type": table.facts.untyped,
        "approvals_over_midnight": table.facts.straddling,
        "approvals_of_unknown_account": len(table.facts.unattributed),
        "surplus_left_to_unknown_account": context.slack.used,
        "surplus_left_to_next_run": len(context.in_motion),
        "test_tenants_left_out": table.facts.left_out,
    }


def _summary(facts: Mapping[str, Fact], days: int) -> str:
    scope = f"{facts['accounts']} account(s) of {facts['tenants']} tenant(s)"
    absent = f"; not deployed: {facts['tables_not_deployed']}" if facts["tables_not_deployed"] else ""
    if not facts["accounts_with_autonomy"]:
        return (
            f"No account has autonomy: no AUTO_EXECUTE, no cap above zero, nothing consumed in {days} days; {scope} read{absent}"
        )
    unknown = facts["approvals_of_unknown_account"]
    return (
        f"{facts['accounts_with_autonomy']} of {scope} with autonomy: {facts['actions_recorded']} actions recorded,"
        f" {facts['actions_counted']} counted in {days} days"
        + (f"; {unknown} more could not be counted, their intent and outcome are gone" if unknown else "")
        + absent
    )
