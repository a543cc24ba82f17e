"""The replay audit over files instead of a table: exports, scan answers, lines of items. Needs neither Dagster nor AWS.

Files are read as a stream: only what a replay is made of is kept. What cannot be read whole (a truncated archive, a manifest that
does not fit, a scan answer with pages missing) becomes a `Read` that is not OK, a broken line a malformed record; neither raises.
There is no history to compare with here, and neither outcomes nor attempts are read; the facts say so.
"""

import base64
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import ijson
import pyarrow as pa

from phase5_ops.ccnative.attributes import shown
from phase5_ops.ccnative.execution_records import ExecutionRecords
from phase5_ops.ccnative.ledger import Ledger, epoch_ms, stamp_of
from phase5_ops.clock import iso, parse_iso
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import Read, ReadStatus, attach
from phase5_ops.replay.audit_evidence import Window, replay_audit, within
from phase5_ops.replay.audit_judge import judge_replay_audit
from phase5_ops.replay.pairing import pair_replays
from phase5_ops.verdict import Judgement

log = logging.getLogger(__name__)

INPUT = "ledger"  # what the files are together, in subjects and reads

_LINE_BYTES = 8 * 1024 * 1024  # a longer line is no item; it may be a whole scan answer on one line
_DEEPEST = 100  # DynamoDB nests values 32 levels deep, and its JSON form names the type at each
_PROGRESS_EVERY = 100_000
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".gz", ".zst", ".zstd")
_MANIFEST = "manifest-files.json"
_SUMMARY = "manifest-summary.json"


class _Unreadable(Exception):
    """An input is not what it should be: the status of its read, and why."""

    def __init__(self, status: ReadStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


def audit_files(paths: Sequence[Path], *, policy: ReplayPolicy, now: datetime | None) -> Judgement:
    """The verdict of row 3.2 over the ledger entries in these files and folders.

    Args:
        paths: DynamoDB JSON or plain items: a Scan answer, lines (bare or `{"Item": ...}`), each plain, gzip or zstd; or a
            folder of such files, with the manifest of a DynamoDB export or without.
        policy: as for a run; the window ends at `now`.
        now: evaluation time; default: the newest entry, so that an old export is judged as of its own end.
    """
    wall = datetime.now(UTC) + timedelta(seconds=policy.future_tolerance_seconds)
    latest = wall if now is None else max(wall, now + timedelta(days=1))
    reader = _Reader(Ledger(INPUT, latest=epoch_ms(iso(latest))))
    for path in paths:
        reader.read(path)
    reader.end()
    ledger = reader.ledger
    repeats = ledger.drop_repeats()
    if now is None:
        now = parse_iso(stamp_of(ledger.newest)) if ledger.newest is not None else datetime.now(UTC)
    window = Window.before(now, policy)
    log.info("pairing %d entries", len(ledger.entries))
    replays = pair_replays(ledger.entries, policy)
    table = replay_audit(
        within(replays, window), ledger=ledger, window=window, outcomes=ExecutionRecords(), attempts=ExecutionRecords()
    )
    judgement = judge_replay_audit(attach(table, reader.reads, now), policy=policy, now=now, links=None)
    facts = {
        **judgement.facts,
        "evaluated_at": iso(now),
        "files": reader.files,
        "repeated_items": repeats,
        "replays_before_window": sum(1 for replay in replays if replay.first.at < window.start),
        "history": "not kept for files: entries deleted or rewritten since do not show",
        "outcomes_and_attempts": "not read",
    }
    return replace(judgement, facts=facts)


@dataclass(slots=True)
class _Pages:
    """Scan answers met so far, and how many of them say that more follows."""

    answers: int = 0
    unfinished: int = 0


@dataclass(slots=True)
class _Reader:
    """Takes files into a ledger, and notes how each was read."""

    ledger: Ledger
    reads: list[Read] = field(default_factory=list)
    files: int = 0
    _pages: _Pages = field(default_factory=_Pages)

    def read(self, path: Path) -> None:
        """One argument: a file, an export or a folder of files."""
        if not path.is_dir():
            self._file(path)
            return
        try:
            manifests = sorted(path.rglob(_MANIFEST))
            if manifests:
                for manifest in manifests:
                    self._export(manifest)
                return
            found = sorted(f for f in path.rglob("*") if f.is_file() and f.name.endswith(_SUFFIXES) and f.name[0] not in "._")
        except OSError as error:
            self._note(path, ReadStatus.DENIED, str(error))
            return
        if not found:
            self._note(path, ReadStatus.NOT_FOUND, f"no file of the folder ends in {', '.join(_SUFFIXES)}")
        for file in found:
            if not file.name.startswith("manifest-"):
                self._file(file)

    def end(self) -> None:
        """Whether the scan answers were all there: each but the last says that another follows."""
        if self._pages.answers and self._pages.unfinished == self._pages.answers:
            self._note(Path("scan answers"), ReadStatus.PARTIAL, "the last has LastEvaluatedKey or NextToken: pages are missing")

    def _note(self, path: Path, status: ReadStatus, problem: str | None = None) -> None:
        at = iso(datetime.now(UTC))
        self.reads.append(Read("file:Read", f"{INPUT} {path}", status, problem, 1, at, at))

    def _file(self, path: Path, *, items: int | None = None) -> None:
        """Reads one file; `items` is how many a manifest says it has."""
        self.files += 1
        before = self.ledger.items
        try:
            self._contents(path)
        except _Unreadable as problem:
            self._note(path, problem.status, str(problem))
        except PermissionError as error:
            self._note(path, ReadStatus.DENIED, str(error))
        except (OSError, pa.ArrowException) as error:  # also what a decompressor says of a truncated or damaged archive
            self._note(path, ReadStatus.INVALID, str(error)[:300])
        else:
            came = self.ledger.items - before
            if items is None or came == items:
                self._note(path, ReadStatus.OK)
            else:
                self._note(path, ReadStatus.PARTIAL, f"the manifest says {items} items, the file has {came}")

    def _contents(self, path: Path) -> None:
        if path.stat().st_size == 0:
            raise _Unreadable(ReadStatus.INVALID, "the file is empty")
        with _opened(path) as stream:
            first = _first_line(stream)
            if first is None:
                raise _Unreadable(ReadStatus.INVALID, "nothing but blank lines")
            number, line = first
            if not _begins_document(line):
                self._lines(path, stream, number, line)
                return
        self._document(path, line)

    def _lines(self, path: Path, stream: BinaryIO, number: int, line: bytes) -> None:
        """Items as lines, beginning with the one already read."""
        if b"\0" in line:
            raise _Unreadable(ReadStatus.INVALID, "not text: neither JSON nor gzip nor zstd")
        while line:
            if len(line) >= _LINE_BYTES and not line.endswith(b"\n"):
                raise _Unreadable(ReadStatus.INVALID, f"line {number} is longer than {_LINE_BYTES} bytes")
            if line.strip():
                self._line(path, number, line)
            line, number = stream.readline(_LINE_BYTES), number + 1

    def _line(self, path: Path, number: int, line: bytes) -> None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            self.ledger.items += 1
            self.ledger.refuse(f"{path}:{number}", "line", f"not JSON: {shown(str(error))}")
            return
        if isinstance(value, dict) and isinstance(value.get("Items"), list):
            for item in value["Items"]:
                self._item(item)
            self._answer(value, len(value["Items"]))
        elif isinstance(value, list):
            for item in value:
                self._item(item)
        elif isinstance(value, dict) and "Keys" in value and "eventType" not in value:
            raise _Unreadable(ReadStatus.INVALID, "an incremental export; only full exports hold the ledger's window")
        else:
            self._item(value.get("Item", value) if isinstance(value, dict) else value)

    def _item(self, item: object) -> None:
        self.ledger.add(item)
        if self.ledger.items % _PROGRESS_EVERY == 0:
            log.info("read %d items", self.ledger.items)

    def _answer(self, answer: Mapping[str, Any], items: int) -> None:
        """Notes a scan answer; one that holds another number of items than it says is not what was answered."""
        self._pages.answers += 1
        if answer.get("LastEvaluatedKey") or answer.get("NextToken"):
            self._pages.unfinished += 1
        count = answer.get("Count")
        if isinstance(count, int) and count != items:
            raise _Unreadable(ReadStatus.PARTIAL, f"the answer says Count {count} and holds {items} items")

    def _document(self, path: Path, line: bytes) -> None:
        """One JSON document over many lines, or too long for one: a scan answer or a list of items."""
        listed = line.lstrip().startswith(b"[")
        before = self.ledger.items
        try:
            with _opened(path) as stream:
                for item in _values(stream, "item" if listed else "Items.item"):
                    self._item(item.get("Item", item) if isinstance(item, dict) else item)
            if not listed:
                self._answer(_members(path), self.ledger.items - before)
        except ijson.JSONError as error:
            raise _Unreadable(ReadStatus.INVALID, f"not whole JSON: {shown(str(error))}") from error

    def _export(self, manifest: Path) -> None:
        """A DynamoDB export: the files its manifest names, each held against its checksum and number of items."""
        try:
            entries = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip()]
            named = [(str(e["dataFileS3Key"]), e.get("md5Checksum"), e.get("itemCount")) for e in entries]
            summary = _summary(manifest.with_name(_SUMMARY))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._note(manifest, ReadStatus.INVALID, f"the manifest cannot be read: {error!r}")
            return
        if problem := _unsupported(summary):
            self._note(manifest, ReadStatus.INVALID, problem)
            return
        before = self.ledger.items
        for key, checksum, items in named:
            file = manifest.parent / "data" / Path(key).name
            try:
                fits = checksum is None or _md5(file) == checksum
            except OSError as error:
                self._note(file, ReadStatus.NOT_FOUND, f"named by the manifest: {error.strerror}")
                continue
            if fits:
                self._file(file, items=items)
            else:
                self._note(file, ReadStatus.INVALID, "the file's MD5 is not the manifest's")
        came, said = self.ledger.items - before, summary.get("itemCount")
        if said is not None and said != came:
            self._note(manifest, ReadStatus.PARTIAL, f"the export has {said} items, {came} were read")


def _opened(path: Path) -> BinaryIO:
    """The decompressed content, recognised by its first bytes and not by its name."""
    with path.open("rb") as file:
        head = file.read(4)
    compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression=compression), 1 << 20))


def _first_line(stream: BinaryIO) -> tuple[int, bytes] | None:
    """Number and text of the first line that is not blank."""
    number = 0
    while line := stream.readline(_LINE_BYTES):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            return number, line
    return None


def _begins_document(line: bytes) -> bool:
    """True if the first line is the beginning of a document rather than an item: it is cut where a document breaks its lines."""
    text = line.strip()
    return text.startswith((b"{", b"[")) and (text.endswith((b"{", b"[", b",")) or len(line) >= _LINE_BYTES)


def _members(path: Path) -> dict[str, Any]:
    """Count, LastEvaluatedKey and NextToken of a scan answer."""
    found = {}
    for name in ("Count", "LastEvaluatedKey", "NextToken"):
        with _opened(path) as stream:
            found[name] = next(_values(stream, name), None)
    return found


def _values(stream: BinaryIO, prefix: str) -> Iterator[Any]:
    """The values under a prefix of a JSON document, one after the other.

    Raises:
        _Unreadable: the document is nested deeper than any item can be; a parser's memory would grow with every level.
    """

    def events() -> Iterator[tuple[str, Any]]:
        depth = 0
        for event, value in ijson.basic_parse(stream, use_float=True):
            depth += event.startswith("start_") - event.startswith("end_")
            if depth > _DEEPEST:
                raise _Unreadable(ReadStatus.INVALID, f"nested deeper than {_DEEPEST} levels: no ledger item")
            yield event, value

    yield from ijson.items(ijson.parse(events()), prefix)


def _summary(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _unsupported(summary: Mapping[str, Any]) -> str | None:
    if summary.get("outputFormat", "DYNAMODB_JSON") != "DYNAMODB_JSON":
        return f"export format {shown(summary['outputFormat'])}; only DYNAMODB_JSON is read"
    if summary.get("exportType", "FULL_EXPORT") != "FULL_EXPORT":
        return f"{shown(summary['exportType'])}; only full exports hold the ledger's window"
    return None


def _md5(path: Path) -> str:
    """The file's MD5 as manifests write it: base64."""
    with path.open("rb") as file:
        return base64.b64encode(hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()).decode()
