"""The replay audit over files instead of a table: exports, answers, backups, lines of items. Needs neither Dagster nor AWS.

Files are read as a stream; only entries of the types that replays have are kept. Every file of a folder is read, or named as
not read, except hidden files and the marks that an export leaves beside its data. What cannot be read whole (a truncated
archive, an unknown shape, a manifest that does not fit, an answer with pages missing) becomes a `Read` that is not OK, and a
broken line becomes a malformed record; neither raises. There is no history to compare with here, and neither outcomes nor
attempts are read; the facts say so.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from phase5_ops.ccnative.attributes import shown
from phase5_ops.ccnative.execution_records import ExecutionRecords
from phase5_ops.ccnative.ledger import Ledger, epoch_ms, stamp_of
from phase5_ops.clock import iso, parse_iso
from phase5_ops.input_files.files import FileUnreadable, contents, files_below
from phase5_ops.policy import ReplayPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.replay.audit.evidence import Window, replay_audit, within
from phase5_ops.sections.replay.audit.judge import judge_replay_audit
from phase5_ops.sections.replay.audit.ledger_documents import LedgerDocuments, NotALedger, Pages
from phase5_ops.sections.replay.audit.pairing import pair_replays
from phase5_ops.verdict import FindingCode, FindingCodes, Judgement, Verdict, worst

log = logging.getLogger(__name__)

INPUT = "ledger"  # the name of all files together, in subjects and reads


class LedgerFileCode(FindingCodes):
    """What can be wrong with the files of a ledger, beside what is wrong with the ledger."""

    LEDGER_FILE_WITHOUT_ITEMS = FindingCode(
        Verdict.WARN,
        "A file was read whole and holds no item of the ledger: an empty answer, or an empty list.",
        "Check that it is the file that was meant: a filter, a wrong table or an export that failed leaves such a file too.",
    )


_PROGRESS_EVERY = 100_000
_NAMED = 20  # files without items that get a finding of their own
_MANIFEST = "manifest-files.json"
_SUMMARY = "manifest-summary.json"
#: What an export writes beside its data.
_MARKS = frozenset({_MANIFEST, _SUMMARY, "manifest-files.md5", "manifest-summary.md5", "_started", "_SUCCESS"})


def audit_files(paths: Sequence[Path], *, policy: ReplayPolicy, now: datetime | None) -> Judgement:
    """The verdict of row 3.2 over the ledger entries in these files and folders.

    Args:
        paths: files of DynamoDB JSON or plain items in any shape of `ledger_documents`, packed or not; or folders of such files,
            with the manifests of DynamoDB exports or without.
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
    judgement = judge_replay_audit(table.with_reads(reader.reads, now), policy=policy, now=now, links=None)
    facts = {
        **judgement.facts,
        "evaluated_at": iso(now),
        "files": reader.files,
        "repeated_items": repeats,
        "replays_before_window": sum(1 for replay in replays if replay.first.at < window.start),
        "history": "not kept for files: entries deleted or rewritten since do not show",
        "outcomes_and_attempts": "not read",
    }
    empty = [
        LedgerFileCode.LEDGER_FILE_WITHOUT_ITEMS.at(name, expected="items of the ledger", seen="none")
        for name in reader.without_items[:_NAMED]
    ]
    verdict = worst([judgement.verdict, *(finding.verdict for finding in empty)])
    facts["files_without_items"] = len(reader.without_items)
    return replace(judgement, facts=facts, verdict=verdict, findings=(*judgement.findings, *empty))


@dataclass(slots=True)
class _Reader:
    """Takes files into a ledger, and notes how each was read."""

    ledger: Ledger
    reads: list[Read] = field(default_factory=list)
    without_items: list[str] = field(default_factory=list)
    files: int = 0
    _pages: Pages = field(default_factory=Pages)

    def read(self, path: Path) -> None:
        """One argument: a file, or a folder with everything in it."""
        if not path.is_dir():
            self._file(path)
            return
        try:
            files = files_below(path)
        except (FileUnreadable, OSError) as error:
            self._note(path, ReadStatus.DENIED, str(error))
            return
        manifests = [file for file in files if file.name == _MANIFEST]
        exports = {file.parent for file in files if file.name in _MARKS}
        for manifest in manifests:
            self._export(manifest, [file for file in files if manifest.parent in file.parents and file.name not in _MARKS])
        for folder in sorted(exports - {manifest.parent for manifest in manifests}):
            self._note(
                folder, ReadStatus.PARTIAL, f"an export without {_MANIFEST}: it is not finished, or files of it are missing here"
            )
        rest = [file for file in files if file.name not in _MARKS and not exports & set(file.parents)]
        for file in rest:
            self._file(file)
        if not rest and not exports:
            self._note(path, ReadStatus.NOT_FOUND, "a folder without files")

    def end(self) -> None:
        """Notes missing scan answers: each but the last says that another follows."""
        if self._pages.answers and self._pages.unfinished == self._pages.answers:
            self._note(
                Path("scan answers"),
                ReadStatus.PARTIAL,
                "the last answer has LastEvaluatedKey or NextToken, so pages are missing",
            )

    def _note(self, path: Path, status: ReadStatus, problem: str | None = None) -> None:
        at = iso(datetime.now(UTC))
        self.reads.append(Read("file:Read", f"{INPUT} {path}", status, problem, 1, at, at))

    def _file(self, path: Path, *, items: int | None = None) -> None:
        """Reads one file; `items` is how many a manifest says it has."""
        self.files += 1
        before = self.ledger.items
        try:
            self._contents(path)
        except NotALedger as problem:
            self._note(path, problem.status, str(problem))
        except FileUnreadable as problem:
            self._note(path, ReadStatus.INVALID, str(problem))
        except PermissionError as error:
            self._note(path, ReadStatus.DENIED, str(error))
        except (OSError, pa.ArrowException) as error:  # also what a decompressor says of a truncated or damaged archive
            self._note(path, ReadStatus.INVALID, str(error)[:300])
        else:
            came = self.ledger.items - before
            if not came and items is None:
                self.without_items.append(str(path))
            if items is None or came == items:
                self._note(path, ReadStatus.OK)
            else:
                self._note(path, ReadStatus.PARTIAL, f"the manifest says {items} items, the file has {came}")

    def _contents(self, path: Path) -> None:
        documents = LedgerDocuments(self._item, lambda number, problem: self._refuse(f"{path}:{number}", problem), self._pages)
        for content in contents(str(path), lambda: path.open("rb", buffering=0)):
            documents.read(content.stream)

    def _refuse(self, where: str, problem: str) -> None:
        self.ledger.items += 1
        self.ledger.refuse(where, "line", problem)

    def _item(self, item: object) -> None:
        self.ledger.add(item)
        if self.ledger.items % _PROGRESS_EVERY == 0:
            log.info("read %d items", self.ledger.items)

    def _export(self, manifest: Path, found: Sequence[Path]) -> None:
        """Reads a DynamoDB export: the files its manifest names, each checked against its checksum and number of items.

        Args:
            manifest: the list of its data files.
            found: every file that lies in the export; those that the manifest does not name are noted as not read.
        """
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
        files = {manifest.parent / "data" / Path(key).name: (checksum, items) for key, checksum, items in named}
        for stray in sorted(set(found) - files.keys()):
            self._note(stray, ReadStatus.INVALID, "not read: it lies in an export whose manifest does not name it")
        for file, (checksum, items) in files.items():
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
