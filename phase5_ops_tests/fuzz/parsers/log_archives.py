"""Packed files: gzip, zstd, bzip2, xz, zip, tar, one inside another, damaged and oversized."""

import gzip

from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.odd_tar import odd_tar
from phase5_ops_tests.fuzz.parsers.log_lines import LEAKING, judged
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.isolation.logs.log_shapes import PACKINGS, SHAPES, Invocation

READS = "packed files of log lines, one packing in another (`input_files/files`, `archives`)"
MALFORMED = "`log_group_unreadable`: a file that cannot be unpacked whole is named; never PASS"

BINARY = ("gzip", "gzip in gzip", "bzip2", "tar in gzip", "xz", "zip", "zstd")
LINES = SHAPES["text"](Invocation(1, "acme"), Invocation(2, "globex")).encode()


def fuzz(data: bytes) -> None:
    """Scans an altered archive; one that leaks, or was cut off, never passes."""
    source = Source(data)
    packing = PACKINGS[source.one_of(BINARY)]
    leaks, cut = source.chance(2), source.chance(3)
    content = packing(LINES + (LEAKING if leaks else b""))
    if not data:
        assert all(judged(each(LINES)).verdict is Verdict.PASS for each in map(PACKINGS.get, BINARY))
    if not cut and source.chance(3):
        content = PACKINGS[source.one_of(BINARY)](content)
    if not cut and source.chance(8):
        content, leaks = odd_tar(source, {"a.log": LINES}), False
    if not cut and source.chance(16):
        content = gzip.compress(b"x" * (source.number(3) * 5_000_000) + b"\n" + LINES, mtime=0)  # a thousand to one
        leaks = False
    altered = content[: len(content) // 2] if cut else source.spliced_bytes(content) if source.chance(2) else content
    verdict = judged(altered, "file.gz").verdict
    assert not leaks or altered != content or verdict.blocks, "an archive that leaks passes"
    assert not cut or verdict is not Verdict.PASS, "an archive that was cut off passes"
