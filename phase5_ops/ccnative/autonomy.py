"""Records of autonomy and its budgets, as CCNative writes them, read strictly. Pure: DynamoDB JSON in, plain records out.

Keys, "T" = `TENANT#<tenant>`, "TA" = `TENANT#<tenant>#ACCOUNT#<account>`:

    autonomy config    T or TA / AUTONOMY#<action type or DEFAULT>   mode
                       T or TA / ALLOWLIST#AUTO_EXEC                 action_types
                       AUTO_EXEC_STATE / <action intent id>          status RESERVED or PUBLISHED, updated_at; names no tenant
    budget state       TA / BUDGET#CONFIG                            max_autonomous_per_day, max_per_action_type
                       TA / BUDGET_STATE#<YYYY-MM-DD>                total, counts by action type, date_key
    decision budget    TA / BUDGET                                   daily_decisions_remaining, monthly_cost_remaining
    action intent      TA / ACTION_INTENT#<id>                       action_type, approval_timestamp
    outcome            TA / OUTCOME#<id>                             auto_executed, approval_source, started_at

The gate consumes the budget, then writes RESERVED, then publishes and overwrites it with PUBLISHED; only then does the execution
start. An item that is not what the platform writes becomes a `RecordProblem`; one that contradicts its key is still used under
its key, since the platform looks it up by that. What lives here: reading items. What must not: judging them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from phase5_ops.ccnative.attributes import (
    AttributeProblem,
    as_item,
    attribute,
    flag,
    key_text,
    moment,
    number,
    required,
    shown,
    text,
    texts,
    whole_number,
)

#: (tenant, account); account "" is the tenant itself.
Owner = tuple[str, str]

AUTO_EXECUTE, APPROVAL_REQUIRED = "AUTO_EXECUTE", "APPROVAL_REQUIRED"
MODES = ("PROPOSE_ONLY", APPROVAL_REQUIRED, AUTO_EXECUTE, "DISABLED")
#: Instead of a mode, where the record that decides cannot be read.
UNREADABLE_MODE = "UNREADABLE"
DEFAULT = "DEFAULT"
RESERVED, PUBLISHED = "RESERVED", "PUBLISHED"
AUTO_EXEC_KEY = "AUTO_EXEC_STATE"
CONFIG_KEY = "BUDGET#CONFIG"
STATE_PREFIX = "BUDGET_STATE#"
DECISION_KEY = "BUDGET"
ALLOWLIST_KEY = "ALLOWLIST#AUTO_EXEC"
MODE_PREFIX = "AUTONOMY#"
INTENT_PREFIX = "ACTION_INTENT#"
OUTCOME_PREFIX = "OUTCOME#"
_SOURCES = ("HUMAN", "POLICY")
_TENANT, _ACCOUNT = "TENANT#", "#ACCOUNT#"


class ProblemKind(StrEnum):
    """What is wrong with a record."""

    MALFORMED = "malformed"  # not what the platform writes; not used
    OWNER = "owner"  # key and attributes name different tenants or accounts
    DATE = "date"  # key and attributes name different days


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """An item at fault: its table and key, what is wrong with which attribute; `tenant` "" where the key names none."""

    kind: str
    table: str
    pk: str
    sk: str
    attribute: str
    expected: str
    problem: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class AutoExecState:
    """The gate's record that it approved an intent by policy; `updated_at`: when it last wrote it, after consuming budget."""

    intent: str
    status: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """The caps of an account: actions a UTC day, and by action type where one is set."""

    cap: int
    per_type: Mapping[str, int]
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class BudgetDay:
    """What an account consumed on one UTC day, as the platform recorded it."""

    total: int
    counts: Mapping[str, int]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionBudget:
    """Decision evaluations left today, and cost units left this month; neither should be below zero."""

    daily_remaining: float
    monthly_remaining: float
    last_reset_date: str | None


@dataclass(frozen=True, slots=True)
class Intent:
    """The fields of an action intent that are used."""

    owner: Owner
    action_type: str
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """The used fields of an outcome; `auto`: approved by policy (False from the failure recorder, which does not say)."""

    owner: Owner
    auto: bool
    started_at: datetime | None


@dataclass(slots=True)
class AutonomyRecords:
    """Everything that was read, by owner, and what could not be.

    Attributes:
        modes: action type or DEFAULT -> mode, by owner (account or tenant level).
        allowlists: action types that may execute alone, by owner.
        auto_exec: by action intent id.
        configs, days, decisions: by account; days by ISO date.
        intents: by action intent id; each id should have one.
        outcomes: the same.
        owners: every tenant and account that a key names.
        unreadable: (owner, sort key) of malformed items.
        unreadable_modes: action type or DEFAULT of malformed modes, by owner.
        problems: everything that is wrong, in the order read.
    """

    modes: dict[Owner, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    allowlists: dict[Owner, tuple[str, ...]] = field(default_factory=dict)
    auto_exec: dict[str, AutoExecState] = field(default_factory=dict)
    configs: dict[Owner, BudgetConfig] = field(default_factory=dict)
    days: dict[Owner, dict[str, BudgetDay]] = field(default_factory=lambda: defaultdict(dict))
    decisions: dict[Owner, DecisionBudget] = field(default_factory=dict)
    intents: dict[str, list[Intent]] = field(default_factory=lambda: defaultdict(list))
    outcomes: dict[str, list[ActionOutcome]] = field(default_factory=lambda: defaultdict(list))
    owners: set[Owner] = field(default_factory=set)
    unreadable: set[tuple[Owner, str]] = field(default_factory=set)
    unreadable_modes: dict[Owner, set[str]] = field(default_factory=lambda: defaultdict(set))
    problems: list[RecordProblem] = field(default_factory=list)

    def mode(self, owner: Owner, action_type: str) -> tuple[str, str]:
        """Effective mode of an action type (DEFAULT: of any that no record names), and where it comes from.

        First match of account + action type, tenant + action type, account default, tenant default, else APPROVAL_REQUIRED;
        `UNREADABLE_MODE` where that first match is a record that could not be read.
        """
        tenant = (owner[0], "")
        candidates = [(owner, DEFAULT, "account default"), (tenant, DEFAULT, "tenant default")]
        if action_type != DEFAULT:
            candidates[:0] = [
                (owner, action_type, "account and action type"),
                (tenant, action_type, "tenant and action type"),
            ]
        for level, name, source in candidates:
            if name in self.modes.get(level, ()):
                return self.modes[level][name], source
            if name in self.unreadable_modes.get(level, ()):
                return UNREADABLE_MODE, source
        return APPROVAL_REQUIRED, "no configuration"

    def named_types(self, owner: Owner) -> set[str]:
        """The action types that a mode of the account or of its tenant names, readable or not."""
        by_owner: tuple[Mapping[Owner, Collection[str]], ...] = (self.modes, self.unreadable_modes)
        return {name for each in by_owner for level in (owner, (owner[0], "")) for name in each.get(level, ())} - {DEFAULT}

    def allowlist(self, owner: Owner) -> tuple[str, ...]:
        """Action types that may execute alone: the account's list if it names any, else the tenant's."""
        return self.allowlists.get(owner) or self.allowlists.get((owner[0], ""), ())

    def add_autonomy_config(self, items: Iterable[object], table: str) -> None:
        """Modes, allowlists and AUTO_EXEC_STATE items of a scan of the autonomy configuration."""
        for entry in items:
            _read(self, entry, table, _add_autonomy_item)

    def add_budgets(self, items: Iterable[object], table: str, window: Collection[str]) -> None:
        """Caps and daily states of a scan of the budget table; states of days outside `window` (ISO dates) are passed over."""

        def add(records: "AutonomyRecords", item: Mapping[str, Any], key: "_Key") -> None:
            _add_budget_item(records, item, key, window)

        for entry in items:
            _read(self, entry, table, add)

    def add_decision_budgets(self, items: Iterable[object], table: str) -> None:
        """What is left of the decision budgets."""
        for entry in items:
            _read(self, entry, table, _add_decision_item)

    def add_outcomes(self, items: Iterable[object], table: str) -> None:
        """Outcomes of all executions."""
        for entry in items:
            _read(self, entry, table, _add_outcome)

    def add_intents(self, items: Iterable[object], table: str) -> None:
        """Intents; read in full only if an outcome or a state added before says that policy approved them."""
        for entry in items:
            _read(self, entry, table, _add_intent)


@dataclass(frozen=True, slots=True)
class _Key:
    """An item's key and table, while it is read."""

    table: str
    pk: str
    sk: str
    owner: Owner

    def contradiction(self, kind: ProblemKind, name: str, expected: str, seen: str | None) -> RecordProblem:
        return RecordProblem(kind, self.table, self.pk, self.sk, name, expected, shown(seen), self.owner[0])


def _read(records: AutonomyRecords, entry: object, table: str, add: Any) -> None:  # noqa: ANN401 - one of the functions below
    """Reads one item with `add(records, item, key)`; what it refuses becomes a problem."""
    pk, sk, owner = shown(entry), "", ("", "")
    try:
        item = as_item(entry)
        pk, sk = key_text(item, "pk"), key_text(item, "sk")
        pk, sk = required(text(item, "pk"), "pk"), required(text(item, "sk"), "sk")
        if pk != AUTO_EXEC_KEY:
            owner = owner_of_key(pk)
            records.owners.add(owner)
        add(records, item, _Key(table, pk, sk, owner))
    except AttributeProblem as problem:
        records.unreadable.add((owner, sk))
        if sk.startswith(MODE_PREFIX):
            records.unreadable_modes[owner].add(sk.removeprefix(MODE_PREFIX))
        records.problems.append(
            RecordProblem(
                ProblemKind.MALFORMED,
                table,
                pk,
                sk,
                problem.attribute,
                "a record as the platform writes it",
                problem.problem,
                owner[0],
            )
        )


def owner_of_key(pk: str) -> Owner:
    """Tenant and account that a partition key names; the account is "" where it names a tenant only.

    Ids may hold any character. The key is split at the first `#ACCOUNT#`, so a tenant id that contains it shares its keys with
    another tenant's account; the attributes then contradict the key, and that is found.

    Raises:
        AttributeProblem: the key has another form, or one of its ids is empty.
    """
    tenant, separator, account = pk.removeprefix(_TENANT).partition(_ACCOUNT)
    if not pk.startswith(_TENANT) or not tenant or (separator and not account):
        raise AttributeProblem("pk", f"expected TENANT#<tenant> or TENANT#<tenant>#ACCOUNT#<account>, found {shown(pk)}")
    return tenant, account


def _account_key(key: _Key) -> None:
    if not key.owner[1]:
        raise AttributeProblem("pk", f"expected TENANT#<tenant>#ACCOUNT#<account>, found {shown(key.pk)}")


def _check_owner(records: AutonomyRecords, item: Mapping[str, Any], key: _Key, *, both: bool) -> None:
    """Compares tenant_id and account_id with the key; `both`: the record always has them, else account_id may be left out."""
    tenant, account = required(text(item, "tenant_id"), "tenant_id"), text(item, "account_id")
    if both:
        required(account, "account_id")
    if tenant != key.owner[0]:
        records.problems.append(key.contradiction(ProblemKind.OWNER, "tenant_id", f"tenant {key.owner[0]}, as its key", tenant))
    if account is not None and account != key.owner[1]:
        expected = f"account {key.owner[1]}, as its key" if key.owner[1] else "no account, as its key"
        records.problems.append(key.contradiction(ProblemKind.OWNER, "account_id", expected, account))


def _counts(item: Mapping[str, Any], name: str, *, optional: bool) -> dict[str, int]:
    """A map of whole numbers >= 0; where it is optional, an absent or null map or entry counts as none."""
    kinds = ("M", "NULL") if optional else ("M",)
    value = attribute(item, name, *kinds)
    if optional and not isinstance(value, Mapping):
        return {}
    if not isinstance(value, Mapping):
        raise AttributeProblem(name, "missing" if name not in item else f"expected a map, found {shown(value)}")
    found = {}
    for entry, held in value.items():
        if optional and isinstance(held, Mapping) and set(held) == {"NULL"}:
            continue
        try:
            found[str(entry)] = required(whole_number(value, entry), entry)
        except AttributeProblem as problem:
            raise AttributeProblem(f"{name}.{entry}", problem.problem) from problem
    return found


def _day(name: str, value: str) -> str:
    """An ISO date in the one form that sorts (2026-11-23)."""
    try:
        if date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise AttributeProblem(name, f"expected a date YYYY-MM-DD, found {shown(value)}")


def _add_autonomy_item(records: AutonomyRecords, item: Mapping[str, Any], key: _Key) -> None:
    if key.pk == AUTO_EXEC_KEY:
        _add_auto_exec(records, item, key)
    elif key.sk == ALLOWLIST_KEY:
        _check_owner(records, item, key, both=False)
        records.allowlists[key.owner] = required(texts(item, "action_types"), "action_types")
    elif key.sk.startswith(MODE_PREFIX) and (action_type := key.sk.removeprefix(MODE_PREFIX)):
        _check_owner(records, item, key, both=False)
        named = text(item, "action_type")
        if named is not None and named != action_type:
            raise AttributeProblem("action_type", f"contradicts the key: {shown(named)}")
        mode = required(text(item, "mode"), "mode")
        if mode not in MODES:
            raise AttributeProblem("mode", f"expected one of {', '.join(MODES)}, found {shown(mode)}")
        records.modes[key.owner][action_type] = mode
    else:
        raise AttributeProblem("sk", f"expected {MODE_PREFIX}<action type> or {ALLOWLIST_KEY}, found {shown(key.sk)}")


def _add_auto_exec(records: AutonomyRecords, item: Mapping[str, Any], key: _Key) -> None:
    intent, status = required(text(item, "action_intent_id"), "action_intent_id"), required(text(item, "status"), "status")
    if intent != key.sk:
        raise AttributeProblem("action_intent_id", f"contradicts the key: {shown(intent)}")
    if status not in (RESERVED, PUBLISHED):
        raise AttributeProblem("status", f"expected {RESERVED} or {PUBLISHED}, found {shown(status)}")
    records.auto_exec[intent] = AutoExecState(intent, status, required(moment(item, "updated_at"), "updated_at"))


def _add_budget_item(records: AutonomyRecords, item: Mapping[str, Any], key: _Key, window: Collection[str]) -> None:
    _account_key(key)
    if key.sk == CONFIG_KEY:
        cap = required(whole_number(item, "max_autonomous_per_day"), "max_autonomous_per_day")
        per_type = _counts(item, "max_per_action_type", optional=True)
        config = BudgetConfig(cap, per_type, moment(item, "updated_at"))
        _check_owner(records, item, key, both=True)
        records.configs[key.owner] = config
        return
    if not key.sk.startswith(STATE_PREFIX):
        raise AttributeProblem("sk", f"expected {CONFIG_KEY} or {STATE_PREFIX}<YYYY-MM-DD>, found {shown(key.sk)}")
    day = _day("sk", key.sk.removeprefix(STATE_PREFIX))
    if window and day < min(window):
        return
    total, counts = required(whole_number(item, "total"), "total"), _counts(item, "counts", optional=False)
    state = BudgetDay(total, counts, required(moment(item, "updated_at"), "updated_at"))
    named = _day("date_key", required(text(item, "date_key"), "date_key"))
    _check_owner(records, item, key, both=True)
    if named != day:
        records.problems.append(key.contradiction(ProblemKind.DATE, "date_key", f"{day}, as its key", named))
    records.days[key.owner][day] = state


def _add_decision_item(records: AutonomyRecords, item: Mapping[str, Any], key: _Key) -> None:
    _account_key(key)
    if key.sk != DECISION_KEY:
        raise AttributeProblem("sk", f"expected {DECISION_KEY}, found {shown(key.sk)}")
    daily, monthly = number(item, "daily_decisions_remaining"), number(item, "monthly_cost_remaining")
    records.decisions[key.owner] = DecisionBudget(daily, monthly, text(item, "last_reset_date"))


def _intent_id(key: _Key, prefix: str) -> str:
    _account_key(key)
    if not key.sk.startswith(prefix) or key.sk == prefix:
        raise AttributeProblem("sk", f"expected {prefix}<action intent id>, found {shown(key.sk)}")
    return key.sk.removeprefix(prefix)


def _add_outcome(records: AutonomyRecords, item: Mapping[str, Any], key: _Key) -> None:
    intent = _intent_id(key, OUTCOME_PREFIX)
    source = text(item, "approval_source")
    if source is not None and source not in _SOURCES:
        raise AttributeProblem("approval_source", f"expected one of {', '.join(_SOURCES)}, found {shown(source)}")
    auto = flag(item, "auto_executed") is True or source == "POLICY"
    started = moment(item, "started_at") or moment(item, "completed_at")
    if auto:
        required(started, "started_at")
        _check_owner(records, item, key, both=True)
    records.outcomes[intent].append(ActionOutcome(key.owner, auto, started))


def _add_intent(records: AutonomyRecords, item: Mapping[str, Any], key: _Key) -> None:
    intent = _intent_id(key, INTENT_PREFIX)
    if intent not in records.auto_exec and not any(outcome.auto for outcome in records.outcomes.get(intent, ())):
        return
    action_type = required(text(item, "action_type") or None, "action_type")
    approved = required(moment(item, "approval_timestamp"), "approval_timestamp")
    _check_owner(records, item, key, both=True)
    records.intents[intent].append(Intent(key.owner, action_type, approved))
