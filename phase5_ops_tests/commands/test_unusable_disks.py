"""Real disks that are full, and folders that cannot be written: `phase5 check`, in a process of its own, says one line.

`test_ends` has the same with errors that are planted, and so at moments that no size of a disk meets.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.sandbox.server import Sandbox
from phase5_ops_tests.gate.serving import Ended, ended
from phase5_ops_tests.gate.warm_processes import Command

pytestmark = pytest.mark.slow(20)

CHECK = """from phase5_ops_tests.commands.test_unusable_disks import bound_by_permissions
import sys
from phase5_ops.cli.app import main
bound_by_permissions()
sys.argv = ["phase5", "check", "--quiet", "--row", "2.1"]
main()"""


def bound_by_permissions() -> None:
    """Root writes where permissions forbid it; a process without these two capabilities does not. See capset(2)."""
    libc, header, held = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, held) == 0
    held[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, of what is in effect
    assert libc.capset(header, held) == 0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("empty") as running:
        yield running


@pytest.fixture(autouse=True)
def environment(sandbox, monkeypatch):
    for name, value in sandbox.exports().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A folder that is a disk of its own, with a megabyte until it is enlarged."""
    made = tmp_path / "disk"
    made.mkdir()
    if mount("-t", "tmpfs", "-o", "size=700k", "tmpfs", made).returncode:
        pytest.skip("a disk of its own cannot be mounted here; full disks are planted in test_ends")
    yield made
    subprocess.run(["umount", made], check=True)


def mount(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)


def check(state: Path) -> Ended:
    folder = state.parents[1] / "said"
    folder.mkdir(exist_ok=True)
    return ended(Command([sys.executable, "-c", CHECK], {**os.environ, "PHASE5_STATE_DIR": str(state)}, folder))


def nothing_is_half_written(state: Path) -> None:
    """No file that was being written is left, and what is sealed is as it was sealed."""
    store = EvidenceStore(state / "evidence")
    for run_id in store.run_ids():
        assert not list(store.run_folder(run_id).rglob(".*"))
        if (store.run_folder(run_id) / "manifest.json").exists():
            store.sealed_verdicts(run_id)


def test_a_full_disk_is_one_line_and_a_run_is_whole_once_there_is_room(disk):
    """First Dagster's databases do not find room, then the evidence does not."""
    for size in ("700k", "1900k"):
        assert mount("-o", f"remount,size={size}", disk).returncode == 0
        found = check(disk / "state")
        assert (found.code, found.out) == (2, "")
        (line,) = found.err.splitlines()
        assert line.startswith(f"phase5: the state folder {disk / 'state'} cannot be written any more: ")
        assert "full" in line or "No space left on device" in line
        assert line.endswith("; nothing was decided")
        nothing_is_half_written(disk / "state")
    assert mount("-o", "remount,size=64m", disk).returncode == 0
    found = check(disk / "state")
    assert (found.code, found.err) == (2, "")
    assert "INCONCLUSIVE" in found.out  # the platform is empty


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_3(tmp_path):
    (tmp_path / "state").mkdir(mode=0o555)
    found = check(tmp_path / "state")
    assert (found.code, found.out) == (3, "")
    (line,) = found.err.splitlines()
    assert "the state folder cannot be used: Permission denied; free its disk or allow writing to it" in line
    assert not list((tmp_path / "state").iterdir())


@pytest.mark.parametrize("part", ["evidence", "history/runs"])
def test_a_part_of_the_folder_that_cannot_be_written_is_named_in_one_line(tmp_path, part):
    (tmp_path / "state" / part).mkdir(parents=True)
    (tmp_path / "state" / part).chmod(0o555)
    found = check(tmp_path / "state")
    (tmp_path / "state" / part).chmod(0o755)
    assert (found.code, found.out) == (2, "")
    (line,) = found.err.splitlines()
    assert line.startswith(f"phase5: the state folder {tmp_path / 'state'} cannot be written any more: ")
    nothing_is_half_written(tmp_path / "state")
    shutil.rmtree(tmp_path / "state")
