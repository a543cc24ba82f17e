"""What a Spark job leaves for a run to merge: its report, the list of its results, and what it found in each file."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from phase5_ops.engines.partials import Partial
from phase5_ops.engines.places import FolderPlace
from phase5_ops.files import sha256_of
from phase5_ops.input_files.archives import files
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.isolation.logs.engines import archives
from phase5_ops.sections.isolation.logs.engines.archives import ArchiveMerge, FileOrder, index_of, scan_file
from phase5_ops.sections.isolation.logs.engines.conditions import Conditions, shared_key
from phase5_ops.sections.isolation.logs.evidence import dictionary_of
from phase5_ops.sections.isolation.logs.run import LogRun
from phase5_ops.settings import Settings
from phase5_ops_tests.fuzz.source import Source

READS = "what a Spark job leaves: report, list of results, parts of archives (`logs/engines/archives`, `logs/parts`)"
MALFORMED = "a read that is INVALID or FAILED and names the file, which does not pass; whole parts count beside it"

_LINES = {
    "1.log": b'{"trace_id":"trace-1","tenant_id":"acme"}\n',
    "2.log": b"mail to globex trace_id=trace-1\n",
}
_IDS = ("acme", "globex")
_INDEX, _PART = "jobs/index", "jobs/1.part"


class _Kept:
    """What a job left of two files, by name, and how the run reads it."""

    def __init__(self, folder: Path) -> None:
        for name, line in _LINES.items():
            (folder / name).write_bytes(line)
        self.place = FolderPlace(folder / "kept")
        self.found = files([str(folder / name) for name in _LINES])
        self.context = SimpleNamespace(
            settings=Settings(), step=None, run_id="run", account="1", reader=SimpleNamespace(region="r")
        )
        self.dictionary, self.key = dictionary_of(_IDS, LogScanPolicy()).tenants, shared_key(self.place)
        self.conditions = Conditions(self.dictionary, LogScanPolicy(), self.key)
        order = self.merge_into(None)._order([archive.name for archive in self.found])  # type: ignore[arg-type]
        order = json.loads(json.dumps(order))
        task = FileOrder.of(order, self.place)
        kept = [
            (number, f"jobs/{number}.part", scan_file(task, file, self.place, f"jobs/{number}.part"))
            for number, file in enumerate(order["files"])
        ]
        self.index = index_of(order, kept)
        self.part = Partial.unpacked(
            self.place.read(_PART), scan="log-scan", part=order["files"][1], depends_on=self.conditions.depends_on(order["where"])
        )

    def merge_into(self, run: LogRun | None) -> ArchiveMerge:
        return ArchiveMerge(self.context, run, self.conditions, self.place)  # type: ignore[arg-type]


_FOLDER = TemporaryDirectory()


@cache
def _kept() -> _Kept:
    return _Kept(Path(_FOLDER.name))


def fuzz(data: bytes) -> None:
    """Merges what a job left, altered and yet with digests that fit it; what is not whole is a read that is not OK."""
    source, kept = Source(data), _kept()
    content = _altered_part(source, kept.part.content)
    part = replace(kept.part, content=content).packed()
    kept.place.write(_PART, part)
    listed = json.loads(kept.index.content)
    listed[1][1] = sha256_of(part)
    text = source.spliced(source.json_text(source.changed(listed)) if source.chance(3) else json.dumps(listed))
    kept.place.write(_INDEX, replace(kept.index, content=text.encode("utf-8", "surrogatepass")).packed())
    report: Any = source.changed({"index": _INDEX}) if source.chance(4) else {"index": _INDEX}

    def job(*_: object) -> Mapping[str, Any]:
        return report if isinstance(report, dict) else {}

    with pytest.MonkeyPatch.context() as patch, LogRun(kept.dictionary, threads=1, key=kept.key) as run:
        patch.setattr(archives, "run_job", job)
        reads = kept.merge_into(run).merge(kept.found)
        scan = run.finish()
    whole = [read.status is ReadStatus.OK for read in reads]
    assert len(reads) >= len(kept.found) or not all(whole), "a file without a read"
    assert data or (whole == [True, True] and len(scan.foreign) == 1), f"the sound results are refused: {reads}"
    assert all(read.error for read in reads if read.status is not ReadStatus.OK), "does not say why"


def _altered_part(source: Source, content: bytes) -> bytes:
    """What was found in a file: other bytes, or another head before the same columns."""
    if source.chance(2):
        return source.spliced_bytes(content)
    size = int.from_bytes(content[:8], "big")
    head = json.loads(content[8 : 8 + size])
    text = source.json_text(source.changed(head)) if source.left else json.dumps(head)
    changed = source.spliced(text, ("{", "[" * 2000, "NaN", '"')).encode("utf-8", "surrogatepass")
    return len(changed).to_bytes(8, "big") + changed + content[8 + size :]
