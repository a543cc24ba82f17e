"""Reads one file of a ledger into parts, and compares it with its checksum and number of items. Pure but for opening it.

What cannot be read whole (a truncated archive, an unknown shape, a wrong checksum, fewer or more items than the manifest says)
becomes a `Read` that is not OK, and a broken line a malformed record that names file and line; neither raises.
"""

import base64
import hashlib
import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import pyarrow as pa

from phase5_ops.clock import iso
from phase5_ops.input_files.files import FileUnreadable, contents
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.audit.export_records import take_record
from phase5_ops.sections.replay.audit.ledger_documents import EmptyFile, LedgerDocuments, NotALedger, Pages
from phase5_ops.sections.replay.audit.ledger_part import LedgerPart, PartLedger

log = logging.getLogger(__name__)

INPUT = "ledger"  # the name of all files together, in subjects and reads

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file that holds ledger items.

    Attributes:
        name: a path or an address, for messages.
        open: opens it, from its beginning; raises OSError or FileUnreadable.
        items: how many items the manifest of its export says it has; None without manifest.
        md5: base64 of the MD5 of its bytes, by the manifest; None without manifest.
        records: whether its lines are the records of an incremental export rather than items.
    """

    name: str
    open: Callable[[], BinaryIO]
    items: int | None = None
    md5: str | None = None
    records: bool = False


def read_data_file(file: DataFile, latest: int | None, emit: Callable[[LedgerPart], None]) -> None:
    """Hands on what a file holds, in one part or several; the last one says how the file was read.

    Args:
        file: what to read.
        latest: epoch ms; an entry stamped later cannot have been written yet.
        emit: takes each part, in order.
    """
    ledger, pages = PartLedger(INPUT, latest, emit), Pages()
    status, problem = _read(file, ledger, pages)
    empty = status is ReadStatus.OK and not ledger.items and file.items is None
    ledger.end(file_read(file.name, status, problem), answers=pages.answers, unfinished=pages.unfinished, empty=empty)


def file_read(name: str, status: ReadStatus, problem: str | None = None) -> Read:
    """How reading a file ended."""
    at = iso(datetime.now(UTC))
    return Read("file:Read", f"{INPUT} {name}", status, problem, 1, at, at)


def _read(file: DataFile, ledger: PartLedger, pages: Pages) -> tuple[ReadStatus, str | None]:
    """How the file was read, and what was wrong with it."""

    def refuse(number: int, problem: str) -> None:
        ledger.items += 1
        ledger.refuse(f"{file.name}:{number}", "line", problem)

    documents = LedgerDocuments(ledger.add, refuse, pages, quick=ledger)
    if file.records:
        documents.record = lambda number, record: take_record(ledger, record, f"{file.name}:{number}")
    hashed: _Hashed | None = None
    status, problem = ReadStatus.OK, None
    try:
        hashed = _Hashed(file.open())
        with hashed:
            for content in contents(file.name, hashed.unclosed):
                documents.read(content.stream)
    except EmptyFile as empty:
        if file.items != 0:  # an export writes an empty file for each empty partition
            status, problem = empty.status, str(empty)
    except NotALedger as refused:
        status, problem = refused.status, str(refused)
    except FileUnreadable as error:
        status, problem = ReadStatus.INVALID, str(error)
    except PermissionError as error:
        status, problem = ReadStatus.DENIED, str(error)
    except FileNotFoundError as error:
        status, problem = ReadStatus.NOT_FOUND, str(error) if file.items is None else "named by the manifest: no such file"
    except (OSError, pa.ArrowException) as error:  # also what a decompressor says of a truncated or damaged archive
        status, problem = ReadStatus.INVALID, str(error)[:300]
    said = [problem] if problem else []
    if hashed is not None:
        if file.md5 is not None and hashed.md5 is not None and hashed.md5 != file.md5:
            status = ReadStatus.INVALID
            said.append(f"the file's MD5 is {hashed.md5}, the manifest says {file.md5}: copy the file again, or export again")
        if file.items is not None and ledger.items != file.items:
            status = ReadStatus.INVALID if status is ReadStatus.OK else status
            said.append(f"the manifest says {file.items} items, the file has {ledger.items}")
    return status, "; ".join(said) or None


class _Hashed:
    """A stream whose bytes are hashed as they are read; at its end those that nobody asked for are read too.

    Attributes:
        md5: base64 of the MD5 of the whole file, once it is closed; None where it cannot be read to its end.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.md5: str | None = None
        self._raw, self._hash = raw, hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        chunk = self._raw.read(size)
        self._hash.update(chunk)
        return chunk

    def unclosed(self) -> BinaryIO:
        """The same stream for a reader that closes what it reads."""
        return cast("BinaryIO", _Unclosed(self))

    def __enter__(self) -> "_Hashed":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._raw:
            if kind is None or issubclass(kind, (NotALedger, FileUnreadable)):
                try:
                    while self.read(_CHUNK):
                        pass
                except (OSError, FileUnreadable) as error:
                    log.info("the rest cannot be read: %s", error)
                    return
                self.md5 = base64.b64encode(self._hash.digest()).decode()


class _Unclosed(io.RawIOBase):
    """A view of a hashed stream."""

    def __init__(self, hashed: _Hashed) -> None:
        self._hashed = hashed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        chunk = self._hashed.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
