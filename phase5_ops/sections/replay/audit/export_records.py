"""The records of an incremental export: entries that were written, rewritten or deleted in its time. Pure.

A record has `Metadata` (when), `Keys`, and the item after (`NewImage`) and before (`OldImage`); with the view NEW_IMAGE there is
no OldImage. Without NewImage the item was deleted. The export holds one record an item: its last state.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

from phase5_ops.ccnative.attributes import shown
from phase5_ops.ccnative.ledger import Ledger, is_unicode
from phase5_ops.sections.replay.audit.history import digest_of
from phase5_ops.sections.replay.audit.ledger_part import CHANGED, DELETED, Change, PartLedger

_MEMBERS = frozenset({"Metadata", "Keys", "NewImage", "OldImage"})


def take_record(ledger: PartLedger, record: object, where: str) -> None:
    """Takes the entry of a record into the ledger, and notes if one was there before.

    Args:
        ledger: takes the entry; what is no such record becomes a malformed one.
        record: a line of the export.
        where: file and line.
    """
    if not isinstance(record, dict) or not record.keys() <= _MEMBERS:
        _refuse(ledger, where, f"no record of an incremental export: {shown(record)}")
        return
    keys, new, old = (record.get(name) for name in ("Keys", "NewImage", "OldImage"))
    micros = _micros(record.get("Metadata"))
    if micros is None:
        _refuse(ledger, where, f"Metadata.WriteTimestampMicros is no time: {shown(record.get('Metadata'))}")
        return
    pk, sk = _key(keys, "pk"), _key(keys, "sk")
    if pk is None or sk is None or not all(each is None or isinstance(each, dict) for each in (new, old)):
        _refuse(ledger, where, f"Keys, NewImage or OldImage are no items of the ledger: {shown(record)}")
        return
    if any(image is not None and (_key(image, "pk"), _key(image, "sk")) != (pk, sk) for image in (new, old)):
        _refuse(ledger, where, f"the image has another key than {shown(pk)} / {shown(sk)}")
        return
    if new is None:
        ledger.items += 1
        ledger.note_change(Change(DELETED, pk, sk, micros))
        return
    ledger.add(new)
    if old is not None and digest_of(old) == digest_of(new):
        ledger.unchanged += 1
    elif old is not None:
        ledger.note_change(Change(CHANGED, pk, sk, micros))


def _refuse(ledger: Ledger, where: str, problem: str) -> None:
    ledger.items += 1
    ledger.refuse(where, "line", problem)


def _micros(metadata: object) -> int | None:
    """Epoch microseconds of the write, from `{"WriteTimestampMicros": {"N": "1680109764000000"}}`."""
    value = metadata.get("WriteTimestampMicros") if isinstance(metadata, dict) else None
    if isinstance(value, dict) and value.keys() == {"N"}:
        value = value["N"]
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() else None


def _key(item: object, name: str) -> str | None:
    value = item.get(name) if isinstance(item, dict) else None
    text = value.get("S") if isinstance(value, dict) and len(value) == 1 else None
    return text if isinstance(text, str) and is_unicode(text) else None
