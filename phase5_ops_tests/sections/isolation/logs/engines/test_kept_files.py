"""Archives that are scanned file by file: the same result, and a killed scan goes on by file."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from phase5_ops.input_files.archives import Archive, files
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.isolation.logs.engines import kept_files
from phase5_ops.sections.isolation.logs.engines.conditions import Conditions
from phase5_ops.sections.isolation.logs.engines.kept_files import FileScans, file_scans
from phase5_ops.sections.isolation.logs.evidence import dictionary_of
from phase5_ops.sections.isolation.logs.run import LogRun, LogScan
from phase5_ops.sections.isolation.logs.tokens import OWN_KEY

pytestmark = pytest.mark.slow

LINE = '[2026-11-23T09:08:03.525Z] [INFO] [Starter] invoked {"trace_id":"trace-%s","tenant_id":"acme"}\n'
LEAK = '[2026-11-23T09:08:04.525Z] [ERROR] [Invoker] secret of globex {"trace_id":"trace-%s"}\n'
NAMES = ("a.log", "b.log", "c.log", "d.log", "e.log", "f.log")


def opened(path: Path, log: Path) -> BinaryIO:
    """Opens a file, and notes that it did."""
    with log.open("a") as file:
        file.write(f"{path.name}\n")
    return path.open("rb", buffering=0)


def failed(error: Exception) -> tuple[ReadStatus, str]:
    return ReadStatus.FAILED, repr(error)


def archives_in(folder: Path) -> list[Archive]:
    """The files of a folder; opening one is noted beside it."""
    found = [archive for name in NAMES for archive in files([str(folder / name)])]
    return [
        Archive(archive.name, partial(opened, Path(archive.name), folder / "opened"), archive.size, archive.version)
        for archive in found
    ]


def scans_of(archives: list[Archive], folder: Path, ids: tuple[str, ...] = ("acme", "globex")) -> FileScans:
    """The scans of these archives, however small they are."""
    kept_files.WORTHWHILE_BYTES = 0
    conditions = Conditions(dictionary_of(ids, LogScanPolicy()).tenants, LogScanPolicy(), OWN_KEY)
    scans = file_scans(archives, conditions, folder / "kept", where="here", failure=failed)
    assert scans is not None
    return scans


def scan(folder: Path, scans: FileScans | None = None, ids: tuple[str, ...] = ("acme", "globex")) -> tuple[LogScan, list[str]]:
    """A scan, and the files that were opened for it."""
    archives = archives_in(folder)
    (folder / "opened").unlink(missing_ok=True)
    scans = scans or scans_of(archives, folder, ids)
    with LogRun(dictionary_of(ids, LogScanPolicy()).tenants, threads=1, key=scans.key) as run:
        reads = scans.scan(run, archives)
        found = (folder / "opened").read_text().split() if (folder / "opened").exists() else []
        result = run.finish()
    assert {read.status for read in reads} == {ReadStatus.OK}
    return result, found


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "kept" / "log-scan" / "files").glob("[!.]*"), key=lambda path: path.stat().st_mtime_ns)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch):
    """What `scans_of` sets is set back."""
    monkeypatch.setattr(kept_files, "WORTHWHILE_BYTES", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_text(LINE % number + (LEAK % number if number % 2 else ""))
    return tmp_path


def plain(folder: Path) -> LogScan:
    """The scan of the same files without keeping anything."""
    with LogRun(dictionary_of(("acme", "globex"), LogScanPolicy()).tenants, threads=1) as run:
        for archive in archives_in(folder):
            with archive.open() as stream:
                run.archive(archive.name, stream)
        return run.finish()


def test_a_scan_killed_in_the_middle_goes_on_with_the_files_that_it_had_not_scanned(folder: Path):
    content = (folder / "e.log").read_bytes()
    (folder / "e.log").unlink()
    os.mkfifo(folder / "e.log")  # the scan waits in it for as long as nobody writes
    code = f"from pathlib import Path; from {__name__} import scan; scan(Path({str(folder)!r}))"
    killed = subprocess.Popen([sys.executable, "-c", f"if __name__ == '__main__':\n  {code}"])
    deadline = time.monotonic() + 120
    while not (folder / "opened").exists() or "e.log" not in (folder / "opened").read_text():
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = {Path(json.loads(path.read_bytes().split(b"\n")[1])["part"]).name for path in kept(folder)}
    assert before
    (folder / "e.log").unlink()
    (folder / "e.log").write_bytes(content)
    archives = archives_in(folder)
    scans = scans_of(archives, folder)
    found, again = scan(folder, scans)
    assert again == [name for name in NAMES if name not in before]
    assert found == plain(folder)
    assert len(found.foreign) == 3
    scans.forget()
    assert kept(folder) == []


def test_what_is_not_whole_or_of_something_else_is_scanned_again(folder: Path):
    first, everything = scan(folder)
    assert everything == list(NAMES)
    one, other, third = kept(folder)[:3]
    one.write_bytes(one.read_bytes()[:-1])
    other.write_bytes(third.read_bytes())
    (folder / "d.log").write_text((folder / "d.log").read_text() + LINE % 9)
    assert scan(folder)[1] == ["a.log", "b.log", "d.log"]
    assert scan(folder)[1] == []
    assert scan(folder, ids=("acme", "globex", "initech"))[1] == list(NAMES)
    assert len(first.foreign) == 3


def test_of_few_or_small_files_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch):
    archives, conditions = (
        archives_in(folder),
        Conditions(dictionary_of(("acme",), LogScanPolicy()).tenants, LogScanPolicy(), OWN_KEY),
    )
    asked = partial(file_scans, conditions=conditions, where="here", failure=failed)
    assert asked(archives[:1], folder=folder / "kept") is None
    assert asked(archives, folder=None) is None
    monkeypatch.setattr(kept_files, "WORTHWHILE_BYTES", 1 << 20)
    assert asked(archives, folder=folder / "kept") is None
    monkeypatch.setattr(kept_files, "WORTHWHILE_BYTES", 0)
    assert asked(archives, folder=folder / "a.log") is None  # nothing can be kept in a file
    assert not (folder / "kept").exists()
