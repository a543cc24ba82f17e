"""Evidence of changes_are_audited: the table `autonomy_changes`, one row per record of configuration. Pure.

A record shows its last change alone. A row says when that was and, where that lies in the window, which ledger entry tells of it.
Of several entries that do, the one that says most counts: an earlier change of the same minute may have its own.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from phase5_ops.ccnative.attributes import AttributeProblem, MalformedRecord, key_text
from phase5_ops.ccnative.configuration_changes import (
    ChangeEntry,
    ConfigurationKind,
    ConfigurationRecord,
    ConfigurationRecords,
    entry_span,
    parse_change_entry,
)
from phase5_ops.ccnative.ledger import PARTITION_PREFIX
from phase5_ops.ccnative.placeholders import names_nobody, says_nothing, visible
from phase5_ops.clock import iso
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import ChangePolicy

#: Changes of a tenant that lie no further apart are looked for by one query.
_NEAR = timedelta(minutes=15)


class When(StrEnum):
    """When a record was last changed, as it says."""

    IN_WINDOW = "in the window"
    BEFORE = "before the window"
    AHEAD = "ahead of the clock"
    NEVER = "never"  # kill switches that were never set
    UNKNOWN = "unknown"  # the record does not say


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One row of `autonomy_changes`: a record of configuration and the entry that tells of its last change."""

    tenant: Annotated[str, "its id"]
    account: Annotated[str, '"" for a record of the whole tenant']
    kind: Annotated[ConfigurationKind, "what the record configures"]
    action_type: Annotated[str, "of a mode; DEFAULT: of every type that no record names"]
    table: Annotated[str, "where the record stands"]
    pk: Annotated[str, "its key"]
    sk: Annotated[str, 'its sort key; "" in the tenants table']
    when: Annotated[When, "when it was last changed"]
    updated_at: Annotated[str | None, "ISO-8601; as the record says"]
    updated_by: Annotated[str | None, "as the record says; null where it does not"]
    young: Annotated[bool, "changed so shortly before the reading that its entry may still come"]
    entries: Annotated[int, "number of ledger entries of the time of the change that tell of this record", Column(least=0)]
    others: Annotated[int, "number of ledger entries of that time that tell of another change of the tenant", Column(least=0)]
    entry: Annotated[str | None, "sort key of the entry that says most"]
    event: Annotated[str | None, "its type"]
    changed_by: Annotated[str | None, "who made the change, as the entry says"]
    reason: Annotated[str | None, "why, as the entry says"]
    differs: Annotated[list[str], "names of values that the entry tells otherwise than the record has them"]


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """What is known beside the rows.

    Attributes:
        ledger: the name of its table.
        tables: the names of the others.
        since: ISO-8601; changes before it are not looked for in the ledger.
        malformed: records and entries of changes that could not be read.
        left_out: test tenants, whose configuration probes change.
    """

    ledger: str = ""
    tables: list[str] = field(default_factory=list)
    since: str = ""
    malformed: list[dict[str, str]] = field(default_factory=list)
    left_out: int = 0


AUTONOMY_CHANGES = DeclaredTable(RecordedChange, ChangeFacts, unique=("table", "pk", "sk"))
Changes = GatheredTable[RecordedChange, ChangeFacts]


def nobody(text: str | None, policy: ChangePolicy) -> bool:
    """True for a text by which nobody can be asked: it says nothing, or is one of the policy's names."""
    return names_nobody(text, frozenset(name.casefold() for name in policy.nobody))


def events_of(policy: ChangePolicy) -> dict[ConfigurationKind, frozenset[str]]:
    """The types of ledger entries that tell of a change, by kind."""
    return {
        ConfigurationKind.MODE: frozenset(policy.mode_events),
        ConfigurationKind.ALLOWLIST: frozenset(policy.allowlist_events),
        ConfigurationKind.BUDGET: frozenset(policy.budget_events),
        ConfigurationKind.KILL_SWITCHES: frozenset(policy.kill_switch_events),
    }


@dataclass
class ChangeAudit:
    """One run's comparison of records with the ledger: which stretches of it are needed, and what stands there.

    Attributes:
        records: what was read of the tables.
        now: evaluation time, taken before the first read.
        latest: no change can have been made later.
        policy: window, tolerance, types of entries.
        canary_tenants: dedicated test tenants, left out.
    """

    records: ConfigurationRecords
    now: datetime
    latest: datetime
    policy: ChangePolicy
    canary_tenants: Collection[str] = ()
    _entries: dict[str, list[ChangeEntry]] = field(default_factory=lambda: defaultdict(list))  # by partition key
    _malformed: dict[str, MalformedRecord] = field(default_factory=dict)  # by key: two stretches may share an entry

    def __post_init__(self) -> None:
        self._tolerance = timedelta(seconds=self.policy.entry_seconds)
        self._since = self.now - timedelta(days=self.policy.lookback_days)
        self._events = events_of(self.policy)
        self._every = frozenset().union(*self._events.values())
        different = {(each.table, each.pk, each.sk): each for each in self.records.records}  # one table may have two roles
        self._judged = [each for each in different.values() if each.tenant not in self.canary_tenants]

    def _when(self, record: ConfigurationRecord) -> When:
        if record.updated_at is None:
            never = record.kind is ConfigurationKind.KILL_SWITCHES and not record.values
            return When.NEVER if never else When.UNKNOWN
        if record.updated_at > self.latest + self._tolerance:
            return When.AHEAD
        return When.IN_WINDOW if record.updated_at >= self._since else When.BEFORE

    def spans(self) -> list[tuple[str, str, str]]:
        """The stretches of the ledger that are needed: partition key, least and greatest sort key."""
        moments: dict[str, list[datetime]] = defaultdict(list)
        for record in self._judged:
            if record.updated_at is not None and self._when(record) is When.IN_WINDOW:
                moments[record.tenant].append(record.updated_at)
        return [
            (PARTITION_PREFIX + tenant, *entry_span(first - self._tolerance, last + self._tolerance))
            for tenant, changed in sorted(moments.items())
            for first, last in _stretches(sorted(changed))
        ]

    def take(self, ledger: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Takes items of the ledger, DynamoDB JSON."""
        for item in items:
            try:
                entry = parse_change_entry(item, self._every, self._tolerance)
            except AttributeProblem as problem:
                name = f"{key_text(item, 'pk')} / {key_text(item, 'sk')}"
                self._malformed[name] = MalformedRecord(ledger, name, problem.attribute, problem.problem)
                continue
            if entry is not None:
                self._entries[entry.pk].append(entry)

    def table(self, ledger: str, tables: Sequence[str]) -> Changes:
        """The table `autonomy_changes`, ordered by tenant, account and key; the caller says how its inputs were read."""
        malformed = [each for tenant, each in self.records.malformed if tenant not in self.canary_tenants]
        facts = ChangeFacts(
            ledger=ledger,
            tables=list(tables),
            since=iso(self._since),
            malformed=[asdict(each) for each in (*malformed, *self._malformed.values())],
            left_out=len({each.tenant for each in self.records.records} & set(self.canary_tenants)),
        )
        ordered = sorted(self._judged, key=lambda each: (each.tenant, each.account, each.kind, each.sk, each.pk))
        return AUTONOMY_CHANGES.gathered([self._row(each) for each in ordered], facts)

    def _row(self, record: ConfigurationRecord) -> RecordedChange:
        when, changed = self._when(record), record.updated_at
        around: list[ChangeEntry] = []
        if changed is not None and when is When.IN_WINDOW:
            there = self._entries.get(PARTITION_PREFIX + record.tenant, ())
            around = list({each.sk: each for each in there if abs(each.at - changed) <= self._tolerance}.values())
        telling = [each for each in around if each.tells_of(record, self._events)]
        best = max(telling, key=lambda each: self._says(each, record), default=None)
        return RecordedChange(
            tenant=record.tenant,
            account=record.account,
            kind=record.kind,
            action_type=record.action_type,
            table=record.table,
            pk=record.pk,
            sk=record.sk,
            when=when,
            updated_at=iso(changed) if changed is not None else None,
            updated_by=record.updated_by,
            young=changed is not None and changed > self.now - self._tolerance,
            entries=len(telling),
            others=len(around) - len(telling),
            entry=best.sk if best else None,
            event=best.event if best else None,
            changed_by=best.who if best else None,
            reason=best.why if best else None,
            differs=best.differs_from(record) if best else [],
        )

    def _says(self, entry: ChangeEntry, record: ConfigurationRecord) -> tuple[bool, bool, bool, bool, datetime]:
        """How much an entry says of a record's change; of two that say as much, the later one counts."""
        return (
            not entry.differs_from(record),
            not nobody(entry.who, self.policy),
            same_person(entry.who, record.updated_by),
            not says_nothing(entry.why),
            entry.at,
        )


def same_person(who: str | None, updated_by: str | None) -> bool:
    """True if the entry and the record name the same, or the record names nobody at all."""
    return updated_by is None or visible(who or "").casefold() == visible(updated_by).casefold()


def _stretches(moments: Sequence[datetime]) -> Iterable[tuple[datetime, datetime]]:
    """Moments in order as stretches of time, from the first to the last of those that lie near to each other."""
    first = last = moments[0]
    for each in moments[1:]:
        if each - last > _NEAR:
            yield first, last
            first = each
        last = each
    yield first, last
