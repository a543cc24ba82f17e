"""Changes of what the platform may do alone: the records that show them, and the ledger entries that tell of them. Pure.

Four kinds of record, of which a table shows the last change only ("T", "TA": see `autonomy.py`):

    mode            T or TA / AUTONOMY#<action type or DEFAULT>   updated_at, updated_by
    allowlist       T or TA / ALLOWLIST#AUTO_EXEC                 updated_at
    budget          TA / BUDGET#CONFIG                            updated_at
    kill switches   the tenant's item of the tenants table        updated_at (a change of anything else is `updatedAt`)

The platform's plan wants a ledger record of every change, with `changed_by`, and names no event type; so the types are settings,
and the fields of an entry's `data` that are understood stand below. What lives here: reading records and entries, and which
entry tells of which record. What must not: when an entry is late, or who counts as a person.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from phase5_ops.ccnative.attributes import (
    AttributeProblem,
    MalformedRecord,
    as_item,
    key_text,
    moment,
    required,
    shown,
    text,
)
from phase5_ops.ccnative.autonomy import (
    ALLOWLIST_KEY,
    AUTO_EXEC_KEY,
    CONFIG_KEY,
    DEFAULT,
    MODE_PREFIX,
    STATE_PREFIX,
    owner_of_key,
)
from phase5_ops.ccnative.keys import plain
from phase5_ops.ccnative.ledger import PARTITION_PREFIX, SORT_PREFIX, id_in_key, other_time
from phase5_ops.clock import iso


class ConfigurationKind(StrEnum):
    """What a record configures."""

    MODE = "mode"
    ALLOWLIST = "allowlist"
    BUDGET = "budget"
    KILL_SWITCHES = "kill switches"


#: What a change of each kind sets; an entry may tell the new values under the same names.
VALUES = {
    ConfigurationKind.MODE: ("mode",),
    ConfigurationKind.ALLOWLIST: ("action_types",),
    ConfigurationKind.BUDGET: ("max_autonomous_per_day", "max_per_action_type"),
    ConfigurationKind.KILL_SWITCHES: ("execution_enabled", "disabled_action_types"),
}

#: What a value is that a record does not have.
_ABSENT: Mapping[str, Any] = {"execution_enabled": True, "disabled_action_types": (), "max_per_action_type": {}}

#: Where an entry says who made the change, and why; the first that is there counts. `changed_by` is the plan's own name.
WHO = ("changed_by", "updated_by", "requested_by", "actor")
WHY = ("reason", "change_reason", "justification")
#: Attributes of the ledger's envelope that name who, where `data` does not.
ENVELOPE_WHO = ("userId", "agentId")

#: The attributes of the tables' items that are needed; one table may hold both kinds of item.
ATTRIBUTES = (
    "pk",
    "sk",
    "updated_at",
    "updated_by",
    *(name for kind in (ConfigurationKind.MODE, ConfigurationKind.ALLOWLIST, ConfigurationKind.BUDGET) for name in VALUES[kind]),
)


@dataclass(frozen=True, slots=True)
class ConfigurationRecord:
    """One record: what it configures, for whom, when and by whom it was last changed, and to what.

    Attributes:
        pk, sk: its key; sk "" in the tenants table.
        account: "" for a record of the whole tenant.
        action_type: of a mode; "" for every other kind.
        updated_at: None where the record does not say when it was changed.
        updated_by: None where it does not say by whom.
        values: what it sets, by the names of `VALUES`; empty for kill switches that were never set.
    """

    kind: ConfigurationKind
    table: str
    pk: str
    sk: str
    tenant: str
    account: str = ""
    action_type: str = ""
    updated_at: datetime | None = None
    updated_by: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class ConfigurationRecords:
    """The records that were read, and those that could not be; memory grows with configuration, not with what was consumed."""

    records: list[ConfigurationRecord] = field(default_factory=list)
    malformed: list[tuple[str, MalformedRecord]] = field(
        default_factory=list
    )  # with the tenant of the key, "" where it names none

    def add(self, items: Iterable[object], table: str) -> None:
        """Modes, allowlists and caps; the gate's own states and what was consumed are no configuration."""
        for entry in items:
            self._add(entry, table)

    def add_tenants(self, items: Iterable[object], table: str) -> None:
        """Kill switches of every tenant."""
        for entry in items:
            self._add(entry, table, key="tenantId")

    def _add(self, entry: object, table: str, key: str = "pk") -> None:
        name = shown(entry)
        try:
            item = as_item(entry)
            name = " / ".join(key_text(item, part) for part in (key, "sk") if part in item)
            record = _tenants_record(item, table) if key == "tenantId" else _keyed_record(item, table)
            if record is not None:
                self.records.append(record)
        except AttributeProblem as problem:
            malformed = MalformedRecord(table, name, problem.attribute, problem.problem)
            self.malformed.append((_tenant_of(entry, key), malformed))


def _tenant_of(entry: object, key: str) -> str:
    """The tenant of an item's key, as far as it names one."""
    value = entry.get(key) if isinstance(entry, Mapping) else None
    bare = value.get("S") if isinstance(value, Mapping) else None
    if not isinstance(bare, str):
        return ""
    try:
        return bare if key == "tenantId" else owner_of_key(bare)[0]
    except AttributeProblem:
        return ""


def _keyed_record(item: Mapping[str, Any], table: str) -> ConfigurationRecord | None:
    """The record of an item with pk and sk; None for one that configures nothing."""
    pk, sk = required(text(item, "pk"), "pk"), required(text(item, "sk"), "sk")
    if pk == AUTO_EXEC_KEY or sk.startswith(STATE_PREFIX):
        return None
    tenant, account = owner_of_key(pk)
    action_type = ""
    if sk == ALLOWLIST_KEY:
        kind = ConfigurationKind.ALLOWLIST
    elif sk == CONFIG_KEY:
        kind = ConfigurationKind.BUDGET
    elif action_type := sk.removeprefix(MODE_PREFIX) if sk.startswith(MODE_PREFIX) else "":
        kind = ConfigurationKind.MODE
    else:
        raise AttributeProblem("sk", f"expected a mode, an allowlist or a budget, found {shown(sk)}")
    written = moment(item, "updated_at") if item.get("updated_at") != {"NULL": True} else None
    return ConfigurationRecord(
        kind, table, pk, sk, tenant, account, action_type, written, _optional_text(item, "updated_by"), _values(item, kind)
    )


def _tenants_record(item: Mapping[str, Any], table: str) -> ConfigurationRecord:
    tenant = required(text(item, "tenantId") or None, "tenantId")
    kind = ConfigurationKind.KILL_SWITCHES
    return ConfigurationRecord(
        kind,
        table,
        tenant,
        "",
        tenant,
        updated_at=moment(item, "updated_at"),
        updated_by=_optional_text(item, "updated_by"),
        values=_values(item, kind),
    )


def _values(item: Mapping[str, Any], kind: ConfigurationKind) -> dict[str, Any]:
    return {name: plain(item[name]) for name in VALUES[kind] if name in item}


def _optional_text(item: Mapping[str, Any], name: str) -> str | None:
    return None if item.get(name) == {"NULL": True} else text(item, name)


@dataclass(frozen=True, slots=True)
class ChangeEntry:
    """A ledger entry that tells of a change.

    Attributes:
        event: its type.
        tenant: the tenant that it names; None where it contradicts itself about whose change it tells of.
        account, action_type: that it names, "" where it names none.
        at: its timestamp.
        pk, sk: its key in the ledger.
        named_pk, named_sk: the key of the changed record, where the entry names it.
        who, why: as it says; None where it does not.
        values: the new values that it tells.
    """

    event: str
    tenant: str | None
    account: str
    action_type: str
    at: datetime
    pk: str
    sk: str
    named_pk: str | None
    named_sk: str | None
    who: str | None
    why: str | None
    values: Mapping[str, Any]

    def tells_of(self, record: ConfigurationRecord, events: Mapping[ConfigurationKind, frozenset[str]]) -> bool:
        """True if the entry is of a change of this record.

        `events` are the types of each kind. An entry that names a record's key tells of that record and no other; else type,
        account and action type decide, and of the types that modes and allowlists share, whether it tells of action types.
        """
        if self.tenant != record.tenant or self.event not in events[record.kind]:
            return False
        if self.named_sk is not None:
            whose = self.account == record.account if self.named_pk is None else self.named_pk == record.pk
            return self.named_sk == record.sk and whose
        if self.named_pk is not None:
            return record.sk == "" and self.named_pk in (record.pk, PARTITION_PREFIX + record.pk)
        if record.kind is ConfigurationKind.KILL_SWITCHES:
            return True
        if self.account != record.account:
            return False
        if record.kind is ConfigurationKind.BUDGET:
            return True
        of_allowlist = "action_types" in self.values or self.event not in events[ConfigurationKind.MODE]
        if record.kind is ConfigurationKind.ALLOWLIST:
            return of_allowlist
        return not of_allowlist and (self.action_type or DEFAULT) == record.action_type

    def differs_from(self, record: ConfigurationRecord) -> list[str]:
        """The names of the values that the entry tells otherwise than the record has them."""
        told = [name for name in VALUES[record.kind] if name in self.values]
        return [name for name in told if _comparable(name, self.values[name]) != _comparable(name, record.values.get(name))]


def parse_change_entry(item: Mapping[str, Any], events: frozenset[str], tolerance: timedelta) -> ChangeEntry | None:
    """The entry of a ledger item, DynamoDB JSON; None for one of another type than `events`.

    Args:
        item: as it stands in the ledger.
        events: the types that tell of a change.
        tolerance: how far the time in the entry id may be from the timestamp.

    Raises:
        AttributeProblem: the item has one of these types and is not what the ledger holds.
    """
    event = text(item, "eventType")
    if event not in events:
        return None
    pk, sk = required(text(item, "pk"), "pk"), required(text(item, "sk"), "sk")
    tenant = required(text(item, "tenantId"), "tenantId")
    at, stamp = required(moment(item, "timestamp"), "timestamp"), required(text(item, "timestamp"), "timestamp")
    if (otherwise := other_time(stamp, sk, tolerance)) is not None:
        raise AttributeProblem("timestamp", f"{stamp}, but {otherwise}")
    if (entry_id := text(item, "entryId")) not in (None, id_in_key(sk)):
        raise AttributeProblem("entryId", f"expected the one of the sort key, found {shown(entry_id)}")
    data = plain(item["data"]) if "data" in item else None
    if not isinstance(data, Mapping):
        raise AttributeProblem("data", "missing" if data is None else f"expected a map, found {shown(data)}")
    envelope = [_optional_text(item, name) for name in ENVELOPE_WHO]
    accounts = {_optional_text(item, "accountId"), _said(data, ("account_id",))} - {None, ""}
    one_owner = pk == PARTITION_PREFIX + tenant and _said(data, ("tenant_id",)) in (None, tenant) and len(accounts) <= 1
    return ChangeEntry(
        event,
        tenant if one_owner else None,
        next(iter(accounts), None) or "",
        _said(data, ("action_type",)) or "",
        at,
        pk,
        sk,
        _said(data, ("pk",)),
        _said(data, ("sk",)),
        _said(data, WHO) or next(filter(None, envelope), None),
        _said(data, WHY),
        {name: data[name] for names in VALUES.values() for name in names if name in data},
    )


def _said(data: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first text that is not empty among these members."""
    return next((value for name in names if isinstance(value := data.get(name), str) and value), None)


def _comparable(name: str, value: Any) -> Any:  # noqa: ANN401 - plain JSON
    """A value so that equal ones are equal: none is what its absence means, and the order of a list does not count."""
    value = _ABSENT.get(name) if value is None else value
    return frozenset(map(str, value)) if isinstance(value, (list, tuple, set)) else value


def entry_span(earliest: datetime, latest: datetime) -> tuple[str, str]:
    """The least and the greatest sort key of entries from `earliest` to `latest`."""
    return f"{SORT_PREFIX}{iso(earliest)}", f"{SORT_PREFIX}{iso(latest)}~"
