"""Evidence of row 5.1: the table `autonomy_budget`, one row per tenant, account and UTC day. Pure.

A row holds what is configured (modes, caps, kill switch, as they are now), what the platform recorded as consumed on the day, and
how many approvals by policy an independent count finds for it. The count never looks at the budget: an action was approved by
policy if its outcome says so or the gate left an AUTO_EXEC_STATE for it, whether it is in flight, succeeded or failed.

The gate consumes the budget after the intent was made and before it writes its state; the execution starts later still. So the
consumption lies between two known moments, mostly milliseconds apart, and the count is a range: `min` actions were certainly
consumed on the day, `max` may have been. The two differ only if an approval straddles midnight, its intent has expired, or it
is younger than the reading.

It is one file because rows and independent count are made from the same records.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

from phase5_ops.ccnative.autonomy import (
    AUTO_EXEC_KEY,
    AUTO_EXECUTE,
    CONFIG_KEY,
    DEFAULT,
    STATE_PREFIX,
    AutonomyRecords,
    BudgetDay,
    Owner,
    ProblemKind,
    RecordProblem,
)
from phase5_ops.ccnative.named_accounts import NamedAccounts, all_owners
from phase5_ops.ccnative.tenants import KillSwitch, parse_kill_switches
from phase5_ops.clock import iso
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import BudgetPolicy

THERE, ABSENT, UNREADABLE = "there", "absent", "unreadable"
_STATUS, _SORTED = Column(among=(THERE, ABSENT, UNREADABLE)), Column(json={"sort_keys": True})
_Number = Annotated[int, Column(dtype="Int64")]


@dataclass(frozen=True, slots=True)
class AccountDay:
    """One row of `autonomy_budget`: a tenant's account on one UTC day."""

    tenant: Annotated[str, "its id"]
    account: Annotated[str, '"" for a tenant that no table names an account of']
    day: Annotated[str, "UTC, YYYY-MM-DD"]
    tenant_known: Annotated[bool, "the tenants table has it"]
    mode: Annotated[str, "effective mode of action types that no record names"]
    mode_source: Annotated[str, "where that mode stands"]
    modes: Annotated[dict[str, str], "{action type: effective mode} of those that a record names", _SORTED]
    allowlist: Annotated[list[str], "action types that may pass the gate", _SORTED]
    autonomous_types: Annotated[list[str], "action types whose effective mode is AUTO_EXECUTE; DEFAULT: any other", _SORTED]
    config: Annotated[str, "BUDGET#CONFIG", _STATUS]
    cap: Annotated[int | None, "number of actions a day"]
    cap_per_type: Annotated[dict[str, int], "{action type: actions a day}; others: cap", _SORTED]
    cap_updated_at: Annotated[str | None, "ISO-8601"]
    state: Annotated[str, "BUDGET_STATE#<day>", _STATUS]
    total: Annotated[int | None, "number of actions, as recorded"]
    consumed: Annotated[int | None, "number of actions, the sum of the recorded counts; 0 without a state, null if unreadable"]
    consumed_per_type: Annotated[dict[str, int], "{action type: actions}", _SORTED]
    remaining: Annotated[int | None, "number of actions: cap less the larger of total and consumed; negative if overspent"]
    state_updated_at: Annotated[str | None, "ISO-8601"]
    in_motion: Annotated[bool, "written so shortly before the reading that its approval may not show yet"]
    counted_min: Annotated[_Number, "number of approvals by policy that were certainly consumed on the day"]
    counted_max: Annotated[_Number, "number of those that may have been"]
    counted_per_type: Annotated[
        dict[str, tuple[int, int]], "{action type: [min, max]}, of every type counted or recorded", _SORTED
    ]
    account_counted_min: Annotated[_Number, "number of approvals: counted_min over all days of the account"]
    account_counted_max: Annotated[_Number, "number of approvals: counted_max over all days of the account"]
    execution_enabled: Annotated[bool | None, "kill switch of the tenant; null where it cannot be told"]
    disabled_action_types: Annotated[list[str], "action types that the tenant's kill switch stops", _SORTED]
    daily_decisions_remaining: Annotated[float | None, "number of decisions left of the day, as it is now"]
    monthly_cost_remaining: Annotated[float | None, "USD, as it is now"]


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """What is known beside the rows.

    Attributes:
        tables: {role: table name}.
        problems: items at fault.
        unattributed: {intent, owners, first, last, certain} of approvals that nothing ties to one account; see `_Unplaced`.
        left_out_surplus: actions that test tenants' budgets recorded beyond those certainly counted.
        untyped, straddling: numbers of approvals of unknown type, and of those that may lie on two days.
        tenants: of the tenants table; `left_out`: test tenants left out.
        naming_tables: {role: {table, chosen, odd, example}}; `named_elsewhere`: accounts that only those name.
        days: the UTC days that are judged, YYYY-MM-DD.
    """

    tables: dict[str, str] = field(default_factory=dict)
    problems: list[RecordProblem] = field(default_factory=list)
    unattributed: list[dict[str, Any]] = field(default_factory=list)
    left_out_surplus: int = 0
    untyped: int = 0
    straddling: int = 0
    tenants: int = 0
    left_out: int = 0
    naming_tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    named_elsewhere: int = 0
    days: list[str] = field(default_factory=list)


AUTONOMY_BUDGET = DeclaredTable(AccountDay, BudgetFacts, unique=("tenant", "account", "day"))
Budgets = GatheredTable[AccountDay, BudgetFacts]

_INTENT_ID = re.compile(r"ai_(?P<ms>\d{12,14})_\w+")  # the id holds the time at which the platform made the intent


_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Scan:
    """All items of one table (DynamoDB JSON), as far as they could be read."""

    table: str
    items: Sequence[object] = ()


@dataclass(frozen=True, slots=True)
class BudgetScans:
    """The tables behind `autonomy_budget`. The budget must have been read first, see `autonomy_budget`."""

    tenants: Scan
    autonomy_config: Scan
    budget_state: Scan
    decision_budget: Scan
    action_intent: Scan
    execution_outcomes: Scan


@dataclass(frozen=True, slots=True)
class BudgetNaming:
    """The accounts of a table that only names them; `chosen`: its name is set, and is not the platform's default."""

    table: str
    accounts: NamedAccounts
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class _Approval:
    """One approval by policy: consumed on a day from `first` to `last`; its type is known if the intent is still there."""

    owner: Owner
    action_type: str | None
    first: str
    last: str
    optional: bool  # so young that the budget may have been read before it was consumed


@dataclass(frozen=True, slots=True)
class _Unplaced:
    """An approval by policy that nothing ties to one account: consumed on a day from `first` to `last` by one of `owners`.

    `owners` is empty where nothing names an account. `certain`: it was consumed, and not before `first`.
    """

    intent: str
    owners: frozenset[Owner]
    first: str
    last: str
    certain: bool


@dataclass(slots=True)
class _Count:
    """The independent count of one account."""

    day_min: Counter[str] = field(default_factory=Counter)
    day_max: Counter[str] = field(default_factory=Counter)
    type_min: Counter[tuple[str, str]] = field(default_factory=Counter)
    type_max: Counter[tuple[str, str]] = field(default_factory=Counter)
    untyped_max: Counter[str] = field(default_factory=Counter)
    all_min: int = 0
    all_max: int = 0

    def add(self, approval: _Approval, window: Sequence[str]) -> None:
        """Counts an approval on every day of the window on which it may have been consumed."""
        days = [day for day in window if approval.first <= day <= approval.last]
        if not days:
            return
        certain = not approval.optional
        whole = window[0] <= approval.first and approval.last <= window[-1]
        self.all_max += 1
        self.all_min += certain and whole
        for day in days:
            self.day_max[day] += 1
            self.untyped_max[day] += approval.action_type is None
            if approval.action_type is not None:
                self.type_max[day, approval.action_type] += 1
        if certain and approval.first == approval.last:
            self.day_min[days[0]] += 1
            if approval.action_type is not None:
                self.type_min[days[0], approval.action_type] += 1

    def per_type(self, day: str, recorded: Iterable[str]) -> dict[str, tuple[int, int]]:
        """[min, max] of every type counted or recorded on `day`; an approval of unknown type may be of any."""
        types = {*recorded, *(name for at, name in self.type_max if at == day)}
        return {name: (self.type_min[day, name], self.type_max[day, name] + self.untyped_max[day]) for name in sorted(types)}


def window_days(now: datetime, policy: BudgetPolicy) -> list[str]:
    """The UTC days that are judged, as ISO dates: today, still under way, and those before it."""
    return [(now.date() - timedelta(days=back)).isoformat() for back in reversed(range(policy.lookback_days))]


def autonomy_budget(
    scans: BudgetScans,
    *,
    now: datetime,
    policy: BudgetPolicy,
    named: Mapping[str, BudgetNaming] | None = None,
    canary_tenants: Collection[str] = (),
) -> Budgets:
    """The table `autonomy_budget`; the caller says how its inputs were read (`with_reads`).

    Every tenant of the tenants table and every account that a table names is there, on every day of the lookback.
    Modes, caps, kill switch and decision budget are those of now, on every row.

    Args:
        scans: the tables. The budget must be read before the autonomy configuration, outcomes and intents last: then every
            consumption that was read has left its trace in them, and a trace without consumption is younger than `now`.
        now: evaluation time, taken before the first read.
        policy: lookback and tolerances.
        named: further tables that name accounts, by role.
        canary_tenants: dedicated test tenants, left out.

    Returns:
        The table, ordered by tenant, account, day.
    """
    window = window_days(now, policy)
    records = AutonomyRecords()
    records.add_budgets(scans.budget_state.items, scans.budget_state.table, window)
    records.add_autonomy_config(scans.autonomy_config.items, scans.autonomy_config.table)
    records.add_outcomes(scans.execution_outcomes.items, scans.execution_outcomes.table)
    records.add_intents(scans.action_intent.items, scans.action_intent.table)
    records.add_decision_budgets(scans.decision_budget.items, scans.decision_budget.table)
    switches = parse_kill_switches(scans.tenants.items, scans.tenants.table)
    young = (now - timedelta(seconds=policy.settle_seconds), now + timedelta(seconds=policy.clock_skew_seconds))
    approvals, unplaced = _approvals(records, young)

    left_out, naming = set(canary_tenants), named or {}
    known = {*records.owners, *((switch.tenant, "") for switch in switches.tenants)}
    further = all_owners([each.accounts for each in naming.values()], known) - known
    tenants = {switch.tenant: switch for switch in switches.tenants if switch.tenant not in left_out}
    counts: dict[Owner, _Count] = {}
    for approval in approvals:
        counts.setdefault(approval.owner, _Count()).add(approval, window)
    owners = _owners(records.owners | further, tenants, left_out)
    rows = [
        row
        for owner in owners
        for row in _account_rows(
            records, owner, window=window, count=counts.get(owner), switch=tenants.get(owner[0]), young=young
        )
    ]
    judged = [approval for approval in approvals if approval.owner[0] not in left_out and _within(approval, window)]
    problems = [*records.problems, *_date_problems(records, scans.budget_state.table, now, policy)]
    malformed_tenants = [
        RecordProblem(ProblemKind.MALFORMED, each.table, each.key, "", each.attribute, "a readable tenant", each.problem)
        for each in switches.malformed
    ]
    facts = BudgetFacts(
        tables={role: getattr(scans, role).table for role in BudgetScans.__slots__},
        problems=[each for each in (*problems, *malformed_tenants) if each.tenant not in left_out],
        unattributed=[_entry(each) for each in unplaced if _within(each, window) and not _only_of(each, left_out)],
        left_out_surplus=sum(
            _surplus(records, owner, counts.get(owner), window) for owner in records.owners if owner[0] in left_out
        ),
        untyped=sum(approval.action_type is None for approval in judged),
        straddling=sum(approval.first != approval.last for approval in judged),
        tenants=len(tenants),
        left_out=len(left_out & {tenant for tenant, _ in known | further}),
        naming_tables={
            role: {"table": each.table, "chosen": each.chosen, "odd": each.accounts.odd, "example": each.accounts.example}
            for role, each in naming.items()
        },
        named_elsewhere=sum(tenant not in left_out for tenant, _ in further),
        days=window,
    )
    return AUTONOMY_BUDGET.gathered(rows, facts)


def _within_span(moment: datetime, span: _Span) -> bool:
    return span[0] < moment <= span[1]


def _within(approval: _Approval | _Unplaced, window: Sequence[str]) -> bool:
    return approval.first <= window[-1] and approval.last >= window[0]


def _entry(approval: _Unplaced) -> dict[str, Any]:
    return {**asdict(approval), "owners": sorted(list(owner) for owner in approval.owners)}


def _only_of(approval: _Unplaced, tenants: Collection[str]) -> bool:
    """True if only these tenants' budgets can have been consumed for it."""
    return bool(approval.owners) and all(tenant in tenants for tenant, _ in approval.owners)


def _surplus(records: AutonomyRecords, owner: Owner, count: _Count | None, window: Sequence[str]) -> int:
    """How much an account recorded in the window beyond what was certainly counted for it."""
    recorded = sum(sum(state.counts.values()) for day, state in records.days.get(owner, {}).items() if day in window)
    return max(0, recorded - (count.all_min if count else 0))


def _owners(known: Collection[Owner], tenants: Collection[str], left_out: Collection[str]) -> list[Owner]:
    """Every account, and every tenant without one."""
    accounts = {owner for owner in known if owner[1] and owner[0] not in left_out}
    with_account = {tenant for tenant, _ in accounts}
    named = {*tenants, *(tenant for tenant, _ in known)} - with_account - {""}
    return sorted(accounts | {(tenant, "") for tenant in named if tenant not in left_out})


# The independent count


def _approvals(records: AutonomyRecords, young: _Span) -> tuple[list[_Approval], list[_Unplaced]]:
    """All approvals by policy: those of an account, and those that nothing ties to one."""
    by_outcome = {intent for intent, outcomes in records.outcomes.items() if any(outcome.auto for outcome in outcomes)}
    approvals, unplaced = [], []
    for intent in sorted(by_outcome | records.auto_exec.keys()):
        owners, candidates = _owners_of(records, intent)
        for owner in sorted(owners):
            earliest, latest = _moments(records, intent, {owner})
            first, last = earliest.date().isoformat(), latest.date().isoformat()
            types = {each.action_type for each in records.intents.get(intent, ()) if each.owner == owner}
            action_type = types.pop() if len(types) == 1 else None
            approvals.append(_Approval(owner, action_type, first, last, optional=_within_span(latest, young)))
        if not owners:
            earliest, latest = _moments(records, intent, candidates)
            first, last = earliest.date().isoformat(), latest.date().isoformat()
            dated = _INTENT_ID.fullmatch(intent) is not None
            unplaced.append(
                _Unplaced(intent, frozenset(candidates), first, last, certain=dated and not _within_span(latest, young))
            )
    return approvals, unplaced


def _owners_of(records: AutonomyRecords, intent: str) -> tuple[set[Owner], set[Owner]]:
    """The accounts that an approval certainly is of; and the candidates, where its account cannot be told.

    An account executed by policy if its outcome says so. The gate's state names no account: the gate consumed the budget of the
    intent's account, as it loads the intent by tenant, account and id. If the intent is gone, the execution's outcome names
    that account.
    """
    outcomes = records.outcomes.get(intent, [])
    by_policy = {outcome.owner for outcome in outcomes if outcome.auto}
    if intent not in records.auto_exec:
        return by_policy, set()
    of_intents = {each.owner for each in records.intents.get(intent, ())}
    candidates = of_intents or by_policy or {outcome.owner for outcome in outcomes}
    if len(candidates) == 1:
        return by_policy | candidates, set()
    return by_policy, candidates


def _moments(records: AutonomyRecords, intent: str, owners: Collection[Owner]) -> tuple[datetime, datetime]:
    """The earliest and the latest moment at which the budget of one of `owners` can have been consumed for this intent.

    Not before the intent was made (an edited one keeps the approval of the one it replaces, but gets a new id); not after the
    gate wrote its state, nor after the execution started. If a clock ran ahead, so that these contradict each other, both
    moments are the latest one. The gate's state and the time in the intent's id count for the intent's account only; for
    another account that used the id, only its own outcome counts.
    """
    intents = records.intents.get(intent, ())
    outcomes = [outcome for outcome in records.outcomes.get(intent, ()) if outcome.owner in owners]
    ends = [outcome.started_at for outcome in outcomes if outcome.started_at is not None]
    state = records.auto_exec.get(intent)
    foreign = bool(ends) and bool(intents) and not any(each.owner in owners for each in intents)
    if state and not foreign:
        ends.append(state.updated_at)
    latest = min(ends)
    if foreign:
        return latest, latest
    starts = [each.approved_at for each in intents if each.owner in owners]
    if match := _INTENT_ID.fullmatch(intent):
        made = datetime.fromtimestamp(int(match["ms"]) / 1000, UTC)
        starts += [made] if made <= latest else []
    return min(max(starts, default=latest), latest), latest


# Rows


def _account_rows(
    records: AutonomyRecords,
    owner: Owner,
    *,
    window: Sequence[str],
    count: _Count | None,
    switch: KillSwitch | None,
    young: _Span,
) -> list[AccountDay]:
    """The rows of one account, one a day; what was written within `young` may show in one table and not in another."""
    counted = count or _Count()
    fixed = {
        "tenant": owner[0],
        "account": owner[1],
        **_configured(records, owner),
        **_switches(switch),
        **_decisions_left(records, owner),
        "account_counted_min": counted.all_min,
        "account_counted_max": counted.all_max,
    }
    states = records.days.get(owner, {})
    return [
        AccountDay(
            **fixed,
            day=day,
            **_consumed(states.get(day), fixed["cap"], unreadable=(owner, STATE_PREFIX + day) in records.unreadable),
            in_motion=day in states and _within_span(states[day].updated_at, young),
            counted_min=counted.day_min[day],
            counted_max=counted.day_max[day],
            counted_per_type=counted.per_type(day, states[day].counts if day in states else ()),
        )
        for day in window
    ]


def _configured(records: AutonomyRecords, owner: Owner) -> dict[str, Any]:
    """Modes and caps of an account."""
    modes = {action_type: records.mode(owner, action_type)[0] for action_type in sorted(records.named_types(owner))}
    mode, source = records.mode(owner, DEFAULT)
    autonomous = [action_type for action_type, each in modes.items() if each == AUTO_EXECUTE]
    config = records.configs.get(owner)
    unreadable = (owner, CONFIG_KEY) in records.unreadable
    return {
        "mode": mode,
        "mode_source": source,
        "modes": modes,
        "allowlist": sorted(set(records.allowlist(owner))),
        "autonomous_types": autonomous + ([DEFAULT] if mode == AUTO_EXECUTE else []),
        "config": THERE if config else UNREADABLE if unreadable else ABSENT,
        "cap": config.cap if config else None,
        "cap_per_type": dict(config.per_type) if config else {},
        "cap_updated_at": iso(config.updated_at) if config and config.updated_at else None,
    }


def _switches(switch: KillSwitch | None) -> dict[str, Any]:
    return {
        "tenant_known": switch is not None,
        "execution_enabled": switch.execution_enabled if switch else None,
        "disabled_action_types": sorted(switch.disabled_action_types) if switch else [],
    }


def _decisions_left(records: AutonomyRecords, owner: Owner) -> dict[str, Any]:
    left = records.decisions.get(owner)
    return {
        "daily_decisions_remaining": left.daily_remaining if left else None,
        "monthly_cost_remaining": left.monthly_remaining if left else None,
    }


def _consumed(state: BudgetDay | None, cap: int | None, *, unreadable: bool) -> dict[str, Any]:
    """What is recorded for one day; no item means that nothing was consumed."""
    consumed = sum(state.counts.values()) if state else None if unreadable else 0
    used = max(state.total, sum(state.counts.values())) if state else consumed
    return {
        "state": THERE if state else UNREADABLE if unreadable else ABSENT,
        "total": state.total if state else None,
        "consumed": consumed,
        "consumed_per_type": dict(state.counts) if state else {},
        "remaining": None if cap is None or used is None else cap - used,
        "state_updated_at": iso(state.updated_at) if state else None,
    }


def _date_problems(records: AutonomyRecords, table: str, now: datetime, policy: BudgetPolicy) -> list[RecordProblem]:
    """States of days that have not begun, or that were last written before their day began, or at a time that has not come."""
    skew = timedelta(seconds=policy.clock_skew_seconds)
    problems = []
    for owner, days in records.days.items():
        for day, state in days.items():
            begins = datetime.combine(datetime.fromisoformat(day), time(), UTC)
            if begins > now + skew:
                expected, seen = "a day that has begun", f"{day}, read at {iso(now)}"
            elif state.updated_at < begins - skew:
                expected, seen = f"written on {day} or later", f"updated_at {iso(state.updated_at)}"
            elif state.updated_at > now + skew:
                expected, seen = f"written before it was read at {iso(now)}", f"updated_at {iso(state.updated_at)}"
            else:
                continue
            pk = f"TENANT#{owner[0]}#ACCOUNT#{owner[1]}"
            problems.append(
                RecordProblem(ProblemKind.DATE, table, pk, STATE_PREFIX + day, "updated_at", expected, seen, owner[0])
            )
    return problems


def count_is_sound(facts: BudgetFacts) -> bool:
    """False if an item that may be an approval by policy could not be read, so that the count may be too small."""
    roles = facts.tables
    sources = {roles["execution_outcomes"], roles["action_intent"]}
    return not any(
        each.kind == ProblemKind.MALFORMED
        and (each.table in sources or (each.table == roles["autonomy_config"] and each.pk == AUTO_EXEC_KEY))
        for each in facts.problems
    )
