"""The ledger table: items read tolerantly into the entries that a replay is made of. Pure.

`TENANT#<tenant>` / `ENTRY#<timestamp>#<entryId>` with eventType, tenantId, accountId, traceId, timestamp, entryId, data. Items
come in DynamoDB JSON (`{"S": ...}`) or plain. Only the types of `RELEVANT` are read further; other teams add types, so an unknown
one is no problem. An item that is not what the platform writes becomes a `MalformedRecord` and never an exception. Where enough
of it can be read (type, tenant, trace, time, and the intent of a replay) the entry is kept beside its problem, so that one odd
attribute does not look like a missing entry too.

A partition key that names another tenant than `tenantId` is no malformed record: both are kept, and judged. So are index keys
that name another trace, tenant or time than the entry (see `Oddity`), and the time in the entry id.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from phase5_ops.ccnative.attributes import MalformedRecord, shown
from phase5_ops.ccnative.placeholders import visible

PARTITION_PREFIX = "TENANT#"
TRACE_PREFIX = "TRACE#"
SORT_PREFIX = "ENTRY#"

REPLAY_REQUESTED = "REPLAY_REQUESTED"
REPLAY_STARTED = "REPLAY_STARTED"
REPLAY_COMPLETED = "REPLAY_COMPLETED"
REPLAY_FAILED = "REPLAY_FAILED"
EXECUTION_STARTED = "EXECUTION_STARTED"
ACTION_EXECUTED = "ACTION_EXECUTED"
ACTION_FAILED = "ACTION_FAILED"

TERMINAL = frozenset({REPLAY_COMPLETED, REPLAY_FAILED})
REPLAY_TYPES = frozenset({REPLAY_REQUESTED, REPLAY_STARTED, *TERMINAL})
ENDS = frozenset({*TERMINAL, ACTION_EXECUTED, ACTION_FAILED})
RELEVANT = frozenset({*REPLAY_TYPES, EXECUTION_STARTED, ACTION_EXECUTED, ACTION_FAILED})

_BY_LETTERS = {event.replace("_", ""): event for event in RELEVANT}

#: How many malformed records are kept with their key; all are counted.
MALFORMED_KEPT = 1000

#: Statuses by which an entry says that its action succeeded; the platform writes SUCCEEDED.
SUCCESS_STATUSES = frozenset({"SUCCEEDED", "SUCCESS", "COMPLETED"})

_ENTRY_ID = re.compile(r"entry-(?P<ms>\d{12,14})(?:-|$)")  # the platform puts the time of writing into the id
#: A timestamp as the platform writes it, each 0 being any digit; two of them are in order of time if their texts are.
STAMP_FORM = "0000-00-00T00:00:00.000Z"
_STAMP = re.compile(re.escape(STAMP_FORM).replace("0", "[0-9]"))
_OTHERS_KEPT = 1000  # types beside the relevant ones that are recognised without looking closely
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Oddity(StrEnum):
    """How an entry's index keys differ from the entry."""

    INDEX_TENANT = "index tenant"  # gsi2pk is not the entry's own partition
    INDEX_TRACE = "index trace"  # gsi1pk is not the entry's own trace
    INDEX_TIME = "index time"  # gsi1sk or gsi2sk is not the entry's own timestamp


class LedgerEntry(NamedTuple):
    """An entry of one of the relevant types; `at` in epoch milliseconds, reason, requester and status None where they are absent.

    `id_ms`: the epoch milliseconds that the entry id names, None where it names none. `oddities`: (kind, what the index holds).
    """

    event: str
    tenant: str
    account: str
    trace: str
    at: int
    entry_id: str
    pk: str
    sk: str
    intent: str
    reason: str | None
    requester: str | None
    status: str | None = None
    id_ms: int | None = None
    oddities: tuple[tuple[Oddity, str], ...] = ()

    @property
    def status_contradicts(self) -> bool:
        """True if the entry's own status is not what its type says; an entry without status says nothing."""
        if not self.status or self.event not in ENDS:
            return False
        return (self.status.strip().upper() in SUCCESS_STATUSES) is not (self.event in (REPLAY_COMPLETED, ACTION_EXECUTED))

    @property
    def partition_tenant(self) -> str:
        """The tenant whose partition holds the entry."""
        return self.pk.removeprefix(PARTITION_PREFIX)


class EntryTexts(NamedTuple):
    """The texts of an item in DynamoDB JSON that the entries of the relevant types are made of; None where there is none."""

    event: str
    stamp: str | None
    tenant: str | None
    account: str | None
    trace: str | None
    entry_id: str | None
    pk: str | None
    sk: str | None
    index_trace: str | None
    index_trace_stamp: str | None
    index_tenant: str | None
    index_tenant_stamp: str | None
    intent: str | None
    reason: str | None
    requester: str | None
    status: str | None


#: Where the texts of `EntryTexts` stand: attributes of the item, and members of its map `data`.
TEXT_ATTRIBUTES = (
    "eventType",
    "timestamp",
    "tenantId",
    "accountId",
    "traceId",
    "entryId",
    "pk",
    "sk",
    "gsi1pk",
    "gsi1sk",
    "gsi2pk",
    "gsi2sk",
)
TEXT_DATA = ("action_intent_id", "replay_reason", "requested_by", "status")

#: What the keys of a usual entry are made of, by the names of `EntryTexts`; those that are not needed may be absent.
KEYS = {
    "pk": f"{PARTITION_PREFIX}{{tenant}}",
    "sk": f"{SORT_PREFIX}{{stamp}}#{{entry_id}}",
    "index_trace": f"{TRACE_PREFIX}{{trace}}",
    "index_trace_stamp": "{stamp}",
    "index_tenant": f"{PARTITION_PREFIX}{{tenant}}",
    "index_tenant_stamp": "{stamp}",
}
NEEDED_KEYS = ("pk", "sk")
#: The texts of a usual entry that hold more than blanks, whatever its type.
NEVER_BLANK = ("tenant", "trace", "entry_id")
_KEY_FORMS = [(EntryTexts._fields.index(name), form.format, name in NEEDED_KEYS) for name, form in KEYS.items()]


def epoch_ms(stamp: str) -> int:
    """Epoch milliseconds of an ISO-8601 timestamp with a time zone; finer digits are cut.

    Raises:
        ValueError: not ISO-8601, or without a time zone.
    """
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError(f"timestamp without time zone: {stamp!r}")
    return (moment - _EPOCH) // _MILLISECOND


def stamp_of(at: int) -> str:
    """The ISO-8601 form of epoch milliseconds, as the platform writes it; a moment that no calendar knows stays a number."""
    try:
        return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return f"epoch millisecond {at}"


def written_ms(entry_id: str) -> int | None:
    """The epoch milliseconds that an entry id names as the time of writing; None where it names none."""
    named = _ENTRY_ID.match(entry_id)
    return int(named["ms"]) if named else None


def id_in_key(sk: str) -> str:
    """The entry id that a sort key is made of, behind the timestamp; empty where there is none."""
    return sk.removeprefix(SORT_PREFIX).partition("#")[2]


def other_time(stamp: str, sk: str, tolerance: timedelta) -> str | None:
    """Where an entry's sort key tells of another time than its timestamp, in words; None where they agree.

    Args:
        stamp: the entry's timestamp, ISO-8601 with a time zone.
        sk: its sort key, which is made of the timestamp and the entry id.
        tolerance: how far the time in the entry id may be from the timestamp; one call writes both.
    """
    key_stamp = sk.removeprefix(SORT_PREFIX).partition("#")[0]
    if key_stamp != stamp and moment(key_stamp) != epoch_ms(stamp):
        return f"its sort key has {shown(key_stamp)}"
    written = written_ms(id_in_key(sk))
    if written is not None and abs(epoch_ms(stamp) - written) > tolerance // _MILLISECOND:
        return f"its entry id is of {stamp_of(written)}"
    return None


class Ledger:
    """What was read of a ledger: the relevant entries, the malformed items, and counts of the rest.

    Args:
        name: the table or file, for the malformed records.
        latest: epoch ms; an entry stamped later cannot have been written yet and is malformed. None where that is not known.
    """

    def __init__(self, name: str, latest: int | None = None) -> None:
        self.name = name
        self.entries: list[LedgerEntry] = []
        self.malformed: list[MalformedRecord] = []
        self.malformed_count = 0
        self.items = 0
        self.newest: int | None = None
        self._latest = latest
        self._others: set[str] = set()  # types met that are not relevant
        self._newest_stamp = ""  # of `_STAMP`; no later than `newest`

    def add(self, item: object) -> None:
        """Takes one item, DynamoDB JSON or plain."""
        self.items += 1
        if type(item) is dict and self._took_usual(item):
            return
        reading = _Reading(item)
        entry = reading.entry()
        if reading.at is not None and self._latest is not None and reading.at > self._latest:
            reading.problem("timestamp", f"ahead of the clock: {stamp_of(reading.at)}")
        elif reading.at is not None and (self.newest is None or reading.at > self.newest):
            self.newest = reading.at
        for attribute, problem in reading.problems:
            self.refuse(reading.key, attribute, problem)
        if entry is not None:
            self.keep(entry)

    def keep(self, entry: LedgerEntry) -> None:
        """Takes an entry of a relevant type that was read; a subclass may keep it elsewhere than in `entries`."""
        self.entries.append(entry)

    def _took_usual(self, item: dict[str, Any]) -> bool:
        """Takes an item that is as the platform writes it; False, and nothing taken, where it has to be looked at closely.

        `_Reading` gives the same for such an item, at several times the cost.
        """
        event = _s(item.get("eventType"))
        if event is None:
            return False
        if event in RELEVANT:
            texts = _usual_texts(item)
            return texts is not None and self._took_entry(texts)
        stamp = _s(item.get("timestamp"))
        return stamp is not None and self._is_other(event, stamp)

    def _took_entry(self, texts: EntryTexts) -> bool:
        entry = usual_entry(texts)
        if entry is None or (self._latest is not None and entry.at > self._latest):
            return False
        if self.newest is None or entry.at > self.newest:
            self.newest = entry.at
        self.keep(entry)
        return True

    def _is_other(self, event: str, stamp: str) -> bool:
        """True for an item of a type that no replay has, if nothing is odd with it; its time is noted."""
        if not self._is_other_type(event) or not _STAMP.fullmatch(stamp):
            return False
        return stamp <= self._newest_stamp or self._noted(stamp)

    def _is_other_type(self, event: str) -> bool:
        if event not in self._others:
            if not is_other_type(event) or len(self._others) >= _OTHERS_KEPT:
                return False
            self._others.add(event)
        return True

    def _noted(self, stamp: str) -> bool:
        """Notes a timestamp of the usual form as one that was met; False if it is no time, or ahead of the clock."""
        at = moment(stamp)
        if at is None or (self._latest is not None and at > self._latest):
            return False
        self._newest_stamp = stamp
        if self.newest is None or at > self.newest:
            self.newest = at
        return True

    def refuse(self, key: str, attribute: str, problem: str) -> None:
        """Notes something that is not what the platform writes."""
        self.malformed_count += 1
        if len(self.malformed) < MALFORMED_KEPT:
            self.malformed.append(MalformedRecord(self.name, key, attribute, problem))


def _s(value: object) -> str | None:
    """The text of an attribute in DynamoDB JSON; None for everything else."""
    if type(value) is dict and len(value) == 1:
        text = value.get("S")
        if type(text) is str and is_unicode(text):
            return text
    return None


def is_unicode(text: str) -> bool:
    """False where a text holds half of a surrogate pair, as JSON can write it: it can be stored and shown nowhere."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _usual_texts(item: dict[str, Any]) -> EntryTexts | None:
    """The texts of an item; None where one of them is something else than text, or `data` is no map."""
    data = item.get("data")
    if type(data) is not dict or len(data) != 1 or type(data := data.get("M")) is not dict:
        return None
    found: list[str | None] = []
    for holder, names in ((item, TEXT_ATTRIBUTES), (data, TEXT_DATA)):
        for name in names:
            value = holder.get(name)
            if value is None:
                found.append(None)
            elif (text := _s(value)) is not None:
                found.append(text)
            else:
                return None
    return EntryTexts._make(found)


def is_other_type(event: str) -> bool:
    """True for a type that no replay has, and that is not meant to be one either."""
    return bool(event.strip()) and meant_type(event) == ""


@lru_cache(maxsize=4096)
def meant_type(event: str) -> str:
    """The relevant type that a type is, or is written for (`replay-requested`, `ReplayRequested`); "" for other types.

    `REPLAY` for one that begins so and is none that is known: what it says of a replay is not understood.
    """
    letters = "".join(filter(str.isalnum, visible(event))).upper()
    return _BY_LETTERS.get(letters) or ("REPLAY" if letters.startswith("REPLAY") else "")


def usual_entry(texts: EntryTexts) -> LedgerEntry | None:
    """The entry of an item in which nothing is odd; None where `_Reading` has to say what it is."""
    event, stamp, tenant, account, trace, entry_id, pk, sk, *_, intent, reason, requester, status = texts
    if tenant is None or trace is None or stamp is None or entry_id is None or pk is None or sk is None:
        return None
    if not (_STAMP.fullmatch(stamp) and tenant.strip() and trace.strip() and entry_id.strip()):
        return None
    for place, form, needed in _KEY_FORMS:
        found = texts[place]
        if (found is None and needed) or (
            found is not None and found != form(tenant=tenant, trace=trace, stamp=stamp, entry_id=entry_id)
        ):
            return None
    if event not in REPLAY_TYPES:
        reason = requester = None
    elif not (account and account.strip() and intent and intent.strip() and reason is not None and requester is not None):
        return None
    at = moment(stamp)
    if at is None:
        return None
    return LedgerEntry(
        event,
        tenant,
        account or "",
        trace,
        at,
        entry_id,
        pk,
        sk,
        intent or "",
        reason,
        requester,
        status if event in ENDS else None,
        written_ms(entry_id),
    )


class _Reading:
    """One item being read; `problems` are (attribute, what is wrong)."""

    __slots__ = ("_item", "at", "problems")

    def __init__(self, item: object) -> None:
        self.problems: list[tuple[str, str]] = []
        self.at: int | None = None
        self._item: Mapping[str, Any] = item if isinstance(item, dict) else {}
        if not self._item:
            self.problem("item", f"not an item with attributes: {shown(item)}")

    @property
    def key(self) -> str:
        """The item's key the way findings show it."""
        return f"{_key_text(self._item.get('pk'))} / {_key_text(self._item.get('sk'))}" if self._item else "no key"

    def problem(self, attribute: str, what: str) -> None:
        self.problems.append((attribute, what))

    def entry(self) -> LedgerEntry | None:
        if not self._item:
            return None
        event = self._event()
        if event is None:
            return None
        if event not in RELEVANT:
            self.at = moment(self._item.get("timestamp"))  # only to know how far the ledger reaches
            return None
        tenant, trace = self._required("tenantId"), self._required("traceId")
        stamp, entry_id = self._required("timestamp"), self._required("entryId")
        account = self._required("accountId") if event in REPLAY_TYPES else self._text(self._item, "accountId", "accountId")
        pk, sk = self._keys(stamp, entry_id)
        intent, reason, requester, status = self._data(event)
        odd = self._oddities(pk, tenant, trace)
        if tenant is None or trace is None or self.at is None or (intent is None and event in REPLAY_TYPES):
            return None
        return LedgerEntry(
            event,
            tenant,
            account or "",
            trace,
            self.at,
            entry_id or "",
            pk,
            sk,
            intent or "",
            reason,
            requester,
            status,
            written_ms(entry_id or ""),
            odd,
        )

    def _event(self) -> str | None:
        event = self._required("eventType")
        if event is None or event in RELEVANT:
            return event
        meant = meant_type(event)
        if meant:
            known = meant if meant in RELEVANT else f"one of {', '.join(sorted(REPLAY_TYPES))}"
            self.problem("eventType", f"expected {known}, found {shown(event)}")
        return meant if meant in RELEVANT else event

    def _text(self, holder: Mapping[str, Any], name: str, shown_as: str) -> str | None:
        """The text of an attribute; None if it is absent, NULL, or no text, which is also recorded as a problem."""
        value = holder.get(name)
        if isinstance(value, dict) and len(value) == 1:
            kind, bare = next(iter(value.items()))
            if kind == "S" and isinstance(bare, str) and is_unicode(bare):
                return bare
            if kind == "NULL":
                return None
        if value is None or (isinstance(value, str) and is_unicode(value)):
            return value
        self.problem(shown_as, f"expected text, found {shown(value)}")
        return None

    def _required(self, name: str) -> str | None:
        before = len(self.problems)
        value = self._text(self._item, name, name)
        if value is not None and value.strip():
            return value
        if len(self.problems) == before:
            self.problem(name, "missing" if value is None else "empty")
        return None

    def _keys(self, stamp: str | None, entry_id: str | None) -> tuple[str, str]:
        """Partition and sort key; the sort key must name the entry's own timestamp and id."""
        pk, sk = self._required("pk"), self._required("sk")
        if stamp is not None:
            self.at = moment(stamp)
            if self.at is None:
                self.problem("timestamp", f"expected ISO-8601 with a time zone, found {shown(stamp)}")
        if pk is not None and not (pk.startswith(PARTITION_PREFIX) and len(pk) > len(PARTITION_PREFIX)):
            self.problem("pk", f"expected {PARTITION_PREFIX}<tenant>, found {shown(pk)}")
        if sk is not None and self.at is not None and entry_id is not None and sk != f"{SORT_PREFIX}{stamp}#{entry_id}":
            written, _, ending = sk.removeprefix(SORT_PREFIX).partition("#")
            if not sk.startswith(SORT_PREFIX) or ending != entry_id or moment(written) is None or moment(written) != self.at:
                self.problem("sk", f"expected {shown(f'{SORT_PREFIX}{stamp}#{entry_id}', 120)}")
        return pk or "", sk or ""

    def _oddities(self, pk: str, tenant: str | None, trace: str | None) -> tuple[tuple[Oddity, str], ...]:
        """Index keys that are not the entry's own; an absent index key is no oddity."""
        found: list[tuple[Oddity, str]] = []
        trace_key, tenant_key = self._text(self._item, "gsi1pk", "gsi1pk"), self._text(self._item, "gsi2pk", "gsi2pk")
        if trace_key is not None and trace is not None and trace_key != f"{TRACE_PREFIX}{trace}":
            found.append((Oddity.INDEX_TRACE, f"gsi1pk {shown(trace_key)}"))
        if tenant_key is not None and tenant is not None and not tenant_key == f"{PARTITION_PREFIX}{tenant}" == pk:
            found.append((Oddity.INDEX_TENANT, f"gsi2pk {shown(tenant_key)}"))
        for name in ("gsi1sk", "gsi2sk"):
            stamp = self._text(self._item, name, name)
            if stamp is not None and self.at is not None and moment(stamp) != self.at:
                found.append((Oddity.INDEX_TIME, f"{name} {shown(stamp)}"))
        return tuple(found)

    def _data(self, event: str) -> tuple[str | None, str | None, str | None, str | None]:
        """Intent, reason, requester and status."""
        data = self._item.get("data")
        if isinstance(data, dict) and len(data) == 1 and isinstance(data.get("M"), dict):
            data = data["M"]
        if not isinstance(data, dict):
            self.problem("data", "missing" if data is None else f"expected a map, found {shown(data)}")
            return None, None, None, None
        intent = self._text(data, "action_intent_id", "data.action_intent_id")
        status = self._field(data, "status") if event in ENDS else None
        if event not in REPLAY_TYPES:
            return intent, None, None, status
        if not (intent and intent.strip()):
            if ("data.action_intent_id") not in {attribute for attribute, _ in self.problems}:
                self.problem("data.action_intent_id", "missing")
            intent = None
        return intent, self._field(data, "replay_reason"), self._field(data, "requested_by"), status

    def _field(self, data: Mapping[str, Any], name: str) -> str | None:
        """A text of `data`; a value of another type is a problem, and is returned as shown, so that it is not missing too."""
        before = len(self.problems)
        value = self._text(data, name, f"data.{name}")
        return shown(data.get(name)) if len(self.problems) > before else value


def moment(value: object) -> int | None:
    """Epoch milliseconds of a timestamp attribute; None if there is none that can be read."""
    if isinstance(value, dict):
        value = value.get("S")
    if not isinstance(value, str):
        return None
    try:
        return epoch_ms(value)
    except (ValueError, OverflowError):
        return None


def _key_text(value: object) -> str:
    """A key attribute for display, whatever it holds."""
    bare = value.get("S") if isinstance(value, dict) else value
    return bare if isinstance(bare, str) and is_unicode(bare) else shown(value)
