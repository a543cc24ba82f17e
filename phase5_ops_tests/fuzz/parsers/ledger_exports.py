"""Exports of the ledger with their manifests, and files of its items in every shape and packing: row 3.2 over files."""

import gzip
import json
import tempfile
from functools import cache
from pathlib import Path

from phase5_ops.policy import ReplayPolicy
from phase5_ops.sections.replay.audit.files import audit_files
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.fuzz.memory_files import MemoryFolder
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.replay.audit.exports import lines, md5, write_export
from phase5_ops_tests.sections.replay.audit.ledgers import NOW, dynamodb, replay

READS = "DynamoDB exports, their manifests and checksums, scan answers and lines of items (`sections/replay/audit/files`)"
MALFORMED = (
    "`ledger_record_malformed`, `ledger_file_without_items`, or a read that is not OK; never PASS for bytes that are no items"
)

ITEMS = [dynamodb(item) for item in replay(name="one")]
PIECES = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    "\n",
    "null",
    "NaN",
    '{"Item":',
    '"S":',
    '{"Items":[',
    "\\ud800",
    "\ufeff",
    "9" * 5000,
    "1e999",
)


@cache
def _export() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_export(Path(folder), [ITEMS[:2], ITEMS[2:]])
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def _judged(content: dict[str, bytes]) -> Judgement:
    return audit_files([MemoryFolder(content)], policy=ReplayPolicy(), now=NOW, processes=0)


def fuzz(data: bytes) -> None:
    """Audits an altered export, or altered files of items; what is surely damaged never passes."""
    source = Source(data)
    if not data:
        assert _judged(dict(_export())).verdict is Verdict.PASS
        assert _judged({"items.json": lines(ITEMS)}).verdict is Verdict.PASS
    if source.chance(2):
        content = dict(_export())
        name = source.one_of(sorted(content))
        before = content[name]
        if name.endswith(".json") and source.chance(2):
            parts = [json.loads(line) for line in before.splitlines() if line]
            content[name] = "\n".join(source.json_text(source.changed(part)) for part in parts).encode("utf-8", "surrogatepass")
        else:
            content[name] = source.spliced_bytes(before)
        checked = not source.chance(2)
        if not checked and f"{name.removesuffix('.json')}.md5" in content:  # the change with its checksum
            content[f"{name.removesuffix('.json')}.md5"] = md5(content[name]).encode()
        found = _judged(content)
        data_file = name.endswith(".json.gz") and content[name] != before
        assert not data_file or found.verdict is not Verdict.PASS, f"{name} is not what was exported, and passes"
        return
    text = lines(ITEMS).decode()
    if source.chance(3):
        text = json.dumps({"Items": ITEMS, "Count": len(ITEMS), "ScannedCount": len(ITEMS)})
    altered = source.spliced(text, PIECES)
    content = altered.encode("utf-8", "surrogatepass")
    packed = gzip.compress(content, mtime=0) if source.chance(4) else content
    packed = source.spliced_bytes(packed) if source.chance(4) else packed
    broken = source.chance(3)
    files = {"items.json": packed} | ({"broken.json": source.one_of((b"{", b"\x00\x01", b"[1", b'{"Item":'))} if broken else {})
    assert not broken or _judged(files).verdict is not Verdict.PASS, "a broken file passes"
    if not broken:
        _judged(files)
