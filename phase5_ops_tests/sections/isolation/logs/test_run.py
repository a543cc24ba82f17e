"""A scan on several threads: how many, how much is held at a time, and what becomes of a piece that cannot be scanned."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from phase5_ops.input_files import log_parts
from phase5_ops.input_files.archives import BLOCK_BYTES, LONGEST_LINE_BYTES
from phase5_ops.policy import LogScanPolicy
from phase5_ops.sections.isolation.logs.attribution import BATCH_BYTES, Attribution
from phase5_ops.sections.isolation.logs.engines import kept_files
from phase5_ops.sections.isolation.logs.evidence import dictionary_of
from phase5_ops.sections.isolation.logs.files import as_json, scan_files
from phase5_ops.sections.isolation.logs.pieces import FilePieces, Piece, Scanned, Scanning
from phase5_ops.sections.isolation.logs.run import MAX_THREADS, READ_AHEAD, WAITING, LogRun
from phase5_ops.verdict import Verdict

IDS = ("acme", "globex")
LINE = b'[2026-11-23T09:08:03.525Z] [INFO] [Starter] invoked {"trace_id":"trace-%d","tenant_id":"acme"}\n'
LEAK = b'[2026-11-23T09:08:04.525Z] [ERROR] [Invoker] secret of globex {"trace_id":"trace-%d"}\n'
PIECES = 60


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of many pieces."""
    monkeypatch.setattr(log_parts, "CHUNK_BYTES", 1000)
    path = tmp_path / "a.log"
    lines = [LINE % number + (LEAK % number if number % 7 == 0 else b"") for number in range(PIECES * 9)]
    path.write_bytes(b"".join(lines))
    return path


def scan(path: Path, threads: int) -> object:
    with LogRun(dictionary_of(IDS, LogScanPolicy()).tenants, threads=threads) as run, path.open("rb") as stream:
        run.archive(path.name, stream)
        return run.finish()


def test_several_threads_find_what_one_finds(log: Path):
    assert scan(log, 3) == scan(log, 1)


def test_there_are_as_many_threads_as_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch):
    def threads_on(cores: set[int]) -> tuple[int, int]:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _process: cores)
        with LogRun(dictionary_of(IDS, LogScanPolicy()).tenants) as run:
            return run._pool._max_workers, run._ahead

    assert threads_on({5}) == (1, 0)
    assert threads_on({0, 3}) == (2, READ_AHEAD)
    assert threads_on(set(range(64)))[0] == MAX_THREADS


def test_so_many_pieces_are_held_at_a_time_that_memory_is_bounded(log: Path, monkeypatch: pytest.MonkeyPatch):
    cut, attributed, held = [0], [0], [0]
    original, add = FilePieces._cut, Attribution.add

    def counted(self: FilePieces) -> Iterator[Piece]:
        for piece in original(self):
            cut[0] += 1
            held.append(cut[0] - attributed[0])
            yield piece

    def noted(self: Attribution, *given: object, **more: object) -> None:
        add(self, *given, **more)
        attributed[0] += 1

    monkeypatch.setattr(FilePieces, "_cut", counted)
    monkeypatch.setattr(Attribution, "add", noted)
    scan(log, 2)
    assert attributed == cut
    assert cut[0] > PIECES // 2
    assert max(held) <= WAITING * 2 + READ_AHEAD + 3
    most = (WAITING * MAX_THREADS + READ_AHEAD + 3) * BLOCK_BYTES + BATCH_BYTES + LONGEST_LINE_BYTES
    assert most <= 96 << 20  # of at most 512 MiB; each thread has some 40 MiB, what is imported some 170


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The piece with trace-100 cannot be scanned."""
    original = Scanning.scan

    def scan(self: Scanning, piece: Piece) -> Scanned:
        if b"trace-100" in piece.block.raw:
            raise MemoryError("no more of it")
        return original(self, piece)

    monkeypatch.setattr(Scanning, "scan", scan)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("threads", [1, 2])
def test_of_a_piece_that_cannot_be_scanned_the_file_and_the_bytes_are_named(log: Path, threads: int):
    with LogRun(dictionary_of(IDS, LogScanPolicy()).tenants, threads=threads) as run:
        for name in ("a.log", "again.log"):
            with log.open("rb") as stream:
                run.archive(name, stream)
        found = run.finish()
    why = "bytes 9932 to 10970 of its text could not be scanned: MemoryError: no more of it"
    assert run.not_scanned == {"a.log": why, "again.log": why}
    assert found.totals["a.log"].lines == log.read_bytes().count(b"\n") - 11


@pytest.mark.usefixtures("broken")
def test_a_scan_with_such_a_piece_is_an_error_and_nothing_is_kept_of_its_file(
    log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(kept_files, "WORTHWHILE_BYTES", 0)
    kept = list[str]()
    monkeypatch.setattr(kept_files.FileScans, "_keep", lambda _self, archive, *_: kept.append(Path(archive.name).name))
    (log.parent / "b.log").write_bytes(LINE % 1 * (PIECES * 9))
    found = scan_files([str(log), str(log.parent / "b.log")], list(IDS), LogScanPolicy(), keep=tmp_path / "kept")
    assert found.verdict is Verdict.ERROR
    assert re.search(r"(?s)a\.log.*bytes \d+ to \d+ of its text could not be scanned: MemoryError", as_json(found))
    assert kept == ["b.log"]
