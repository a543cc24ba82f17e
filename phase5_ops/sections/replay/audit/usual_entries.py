"""Entries on lines of one layout that are as the platform writes them: checked, and packed, many at once. Pure.

What is usual is said once, as data, by `ccnative.ledger`; here it is asked of columns of bytes. Whatever does not fit is left to
the close look at each item, which says what is odd.
"""

from collections.abc import Sequence
from string import Formatter
from typing import NamedTuple, Protocol

import numpy as np
import orjson

from phase5_ops.ccnative.ledger import (
    KEYS,
    NEEDED_KEYS,
    NEVER_BLANK,
    RELEVANT,
    REPLAY_TYPES,
    STAMP_FORM,
    EntryTexts,
    LedgerEntry,
    is_other_type,
    moment,
    usual_entry,
)
from phase5_ops.sections.replay.audit.line_layouts import AlikeLines, Numbers

#: What records hold: entries of the types that only replays have, other entries, or the texts of other entries.
REPLAYS, OTHERS, TEXTS = "replays", "others", "texts"

_SPACE, _ZERO, _NINE = b" 09"
_STAMP = np.frombuffer(STAMP_FORM.encode(), np.uint8)
_DIGITS = np.flatnonzero(_STAMP == _ZERO)
_MARKS = np.flatnonzero(_STAMP != _ZERO)
_FIRST_YEAR = np.datetime64("0001-01-01T00:00:00.000")
#: Each key as pairs of the text before a name, and the name.
_PARTS = {name: [(before.encode(), of or "") for before, of, *_ in Formatter().parse(form)] for name, form in KEYS.items()}
#: The texts of an entry of an execution that are no keys and that its type has.
_RECORDED = ("stamp", "tenant", "account", "trace", "entry_id", "intent", "status")
_NO_TEXTS = EntryTexts._make([None] * len(EntryTexts._fields))


class UsualEntries(NamedTuple):
    """Entries in which nothing is odd.

    Attributes:
        rows: which lines of the block they are.
        newest: epoch ms of the newest.
        kind: what the records hold; None for types that no replay has, of which there are no records.
        records: of each.
        keys: pk and sk of each, with a zero byte between.
        traces: of each.
    """

    rows: Numbers
    newest: int
    kind: str | None = None
    records: Sequence[bytes] = ()
    keys: Sequence[bytes] = ()
    traces: Sequence[bytes] = ()


class QuickLedger(Protocol):
    """What takes entries without parsing their lines."""

    def usual(self, lines: AlikeLines) -> UsualEntries | None:
        """Those of these lines whose entries it can take; nothing is taken yet."""
        ...

    def take_usual(self, entries: UsualEntries) -> None:
        """Takes them."""
        ...


def usual_entries(lines: AlikeLines, latest: int | None) -> UsualEntries | None:
    """Those of these lines in which nothing is odd; None if there are none.

    Args:
        lines: of one layout.
        latest: epoch ms; an entry stamped later cannot have been written yet.
    """
    event = lines.layout.event
    if event not in RELEVANT:
        return _of_others(lines, latest) if is_other_type(event) else None
    if not lines.layout.readable:
        return None
    return _of_replays(lines, latest) if event in REPLAY_TYPES else _of_executions(lines, latest)


def entry_of(record: bytes) -> LedgerEntry:
    """The entry of a record of the kind TEXTS."""
    event, stamp, tenant, account, trace, entry_id, intent, status = orjson.loads(record)
    pk, sk = (KEYS[name].format(tenant=tenant, stamp=stamp, entry_id=entry_id) for name in NEEDED_KEYS)
    entry = usual_entry(
        EntryTexts(
            event, stamp, tenant, account, trace, entry_id, pk, sk, None, None, None, None, intent, None, None, status
        )  # without the other keys, reason and requester
    )
    if entry is None:
        raise ValueError(f"no record of a usual entry: {record[:200]!r}")
    return entry


def _of_others(lines: AlikeLines, latest: int | None) -> UsualEntries | None:
    stamps = lines.bytes[:, slice(*lines.layout.spans["stamp"])]
    fits = _are_stamps(stamps)
    if not fits.any():
        return None
    newest = moment(max(_texts(stamps[fits])).decode())
    if newest is None or (latest is not None and newest > latest):
        return None
    return UsualEntries(lines.rows[fits], newest)


def _of_replays(lines: AlikeLines, latest: int | None) -> UsualEntries | None:
    spans = {name: slice(*span) for name, span in lines.layout.spans.items()}
    found: list[LedgerEntry | None] = []
    for line in lines.bytes:
        text = line.tobytes().decode("ascii")
        entry = usual_entry(_NO_TEXTS._replace(**{name: text[span] for name, span in spans.items()}))
        found.append(None if entry is None or (latest is not None and entry.at > latest) else entry)
    entries = [entry for entry in found if entry is not None]
    if not entries:
        return None
    return UsualEntries(
        lines.rows[[entry is not None for entry in found]],
        max(entry.at for entry in entries),
        REPLAYS,
        [orjson.dumps(tuple(entry)) for entry in entries],
        [f"{entry.pk}\0{entry.sk}".encode() for entry in entries],
        [entry.trace.encode() for entry in entries],
    )


def _of_executions(lines: AlikeLines, latest: int | None) -> UsualEntries | None:
    spans = lines.layout.spans
    if not {*NEEDED_KEYS, *NEVER_BLANK} <= spans.keys():
        return None
    columns = {name: lines.bytes[:, slice(*span)] for name, span in spans.items()}
    fits = _are_stamps(columns["stamp"]) & _have_usual_keys(columns)
    for name in NEVER_BLANK:
        fits &= (columns[name] != _SPACE).any(axis=1)
    if not fits.any():
        return None
    try:
        times = _ascii(columns["stamp"][fits, :-1]).astype("datetime64[ms]")
    except ValueError:  # one of them is no time
        return None
    at = times.astype(np.int64)
    good = times >= _FIRST_YEAR if latest is None else (times >= _FIRST_YEAR) & (at <= latest)
    if not good.any():
        return None
    fits[fits] = good
    some = columns if fits.all() else {name: column[fits] for name, column in columns.items()}
    return UsualEntries(
        lines.rows[fits],
        int(at[good].max()),
        TEXTS,
        _records(lines.layout.event, some),
        _texts(_joined([some["pk"], _constant(b"\0", some["pk"]), some["sk"]])),
        _texts(some["trace"]),
    )


def _are_stamps(column: Numbers) -> Numbers:
    """Which texts have the form of a timestamp."""
    if column.shape[1] != len(_STAMP):
        return np.zeros(len(column), bool)
    digits = column[:, _DIGITS]
    fits: Numbers = (column[:, _MARKS] == _STAMP[_MARKS]).all(axis=1) & ((digits >= _ZERO) & (digits <= _NINE)).all(axis=1)
    return fits


def _have_usual_keys(columns: dict[str, Numbers]) -> Numbers:
    """Which entries have the keys that their other texts make."""
    keys: list[Numbers] = []
    wanted: list[Numbers] = []
    for name in columns.keys() & KEYS.keys():
        made = [part for before, of in _PARTS[name] for part in (_constant(before, columns[name]), columns[of]) if part.shape[1]]
        if sum(part.shape[1] for part in made) != columns[name].shape[1]:
            return np.zeros(len(columns[name]), bool)
        keys.append(columns[name])
        wanted += made
    fits: Numbers = (_joined(keys) == _joined(wanted)).all(axis=1)
    return fits


def _records(event: str, columns: dict[str, Numbers]) -> list[bytes]:
    """A JSON array of the event type and the texts of `_RECORDED` for each row; none of them needs to be escaped."""
    pieces, before = [], b'["' + event.encode() + b'"'
    for name in _RECORDED:
        if name in columns:
            pieces += [_constant(before + b',"', columns["pk"]), columns[name]]
            before = b'"'
        else:
            before += b",null"
    return _texts(_joined([*pieces, _constant(before + b"]", columns["pk"])]))


def _constant(text: bytes, like: Numbers) -> Numbers:
    return np.broadcast_to(np.frombuffer(text, np.uint8), (len(like), len(text)))


def _joined(columns: Sequence[Numbers]) -> Numbers:
    return np.concatenate(columns, axis=1)


def _ascii(column: Numbers) -> Numbers:
    """A column of bytes as texts."""
    return np.ascontiguousarray(column).view(f"S{column.shape[1]}").reshape(-1)


def _texts(column: Numbers) -> list[bytes]:
    """The same as a list."""
    texts: list[bytes] = _ascii(column).tolist()
    return texts
