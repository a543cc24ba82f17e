"""Archives by a job: merged as the run would scan them, and every result that is missing or not the job's own is named."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phase5_ops.engines.emr import SparkJobFailed
from phase5_ops.engines.partials import Partial
from phase5_ops.engines.places import FolderPlace
from phase5_ops.input_files.archives import files
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.logs.engines import archives
from phase5_ops.sections.isolation.logs.engines.archives import ArchiveMerge, FileOrder, index_of, scan_file
from phase5_ops.sections.isolation.logs.engines.conditions import Conditions, shared_key
from phase5_ops.sections.isolation.logs.evidence import dictionary_of
from phase5_ops.sections.isolation.logs.run import LogRun, LogScan
from phase5_ops.settings import Settings

Spoil = Callable[[FolderPlace, str], None]


@pytest.fixture
def merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Scan and reads of two files by a job in this process, after something was done to what it left."""
    for name, line in (
        ("1.log", b'{"trace_id":"trace-1","tenant_id":"acme"}\n'),
        ("2.log", b"mail to globex trace_id=trace-1\n"),
    ):
        (tmp_path / name).write_bytes(line)

    def merge(spoil: Spoil = lambda *_: None) -> tuple[LogScan, list[Read]]:
        place = FolderPlace(tmp_path / "kept")

        def job(step: object, settings: object, reader: object, name: str, order: Mapping[str, Any]) -> Mapping[str, Any]:
            order = json.loads(json.dumps(order))
            task = FileOrder.of(order, place)
            kept = [
                (n, f"jobs/{n}.part", scan_file(task, file, place, f"jobs/{n}.part")) for n, file in enumerate(order["files"])
            ]
            place.write("jobs/index", index_of(order, kept).packed())
            spoil(place, "jobs/1.part")
            return {"index": "jobs/index"}

        monkeypatch.setattr(archives, "run_job", job)
        context = SimpleNamespace(settings=Settings(), step=None, run_id="run", account="1", reader=SimpleNamespace(region="r"))
        dictionary, key = dictionary_of(("acme", "globex"), LogScanPolicy()).tenants, shared_key(place)
        with LogRun(dictionary, threads=1, key=key) as run:
            conditions = Conditions(dictionary, LogScanPolicy(), key)
            found = files([str(tmp_path / "1.log"), str(tmp_path / "2.log")])
            reads = ArchiveMerge(context, run, conditions, place).merge(found)
            return run.finish(), reads

    return merge


def test_a_trace_that_another_file_gives_to_a_tenant_is_that_tenants(merged):
    scan, reads = merged()
    assert [(hit.owner, hit.foreign, Path(hit.group).name) for hit in scan.foreign] == [("acme", "globex", "2.log")]
    assert [read.status for read in reads] == [ReadStatus.OK] * 2


def lose(place: FolderPlace, name: str) -> None:
    (place.root / name).unlink()


def cut(place: FolderPlace, name: str) -> None:
    place.write(name, place.read(name)[:-1])


def swap(place: FolderPlace, name: str) -> None:
    place.write(name, place.read("jobs/0.part"))


@pytest.mark.parametrize(
    ("spoil", "why"), [(lose, "cannot be read"), (cut, "not what the job wrote"), (swap, "not what the job")]
)
def test_a_result_that_is_not_the_jobs_is_named_and_the_others_count(merged, spoil: Spoil, why: str):
    scan, (first, second) = merged(spoil)
    assert (first.status, second.status) == (ReadStatus.OK, ReadStatus.INVALID)
    assert (Path(second.resource).name, why in str(second.error), second.pages) == ("2.log", True, 0)
    assert sum(totals.lines for totals in scan.totals.values()) == 1


def test_a_list_of_results_that_is_not_whole_or_not_there_fails_every_file(merged):
    for spoil in (lose, cut):
        _, reads = merged(lambda place, _, spoil=spoil: spoil(place, "jobs/index"))
        assert [read.status for read in reads] == [ReadStatus.FAILED] * 2


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"5", b"[[1]]", b"[]", b'[["jobs/0.part", "sha256:x"]]'])
def test_a_list_that_is_none_of_these_files_fails_every_file(merged, content: bytes):
    def replaced(place: FolderPlace, _: str) -> None:
        index = json.loads(place.read("jobs/index").split(b"\n")[1])
        found = Partial(index["scan"], index["part"], index["depends_on"], index["made_at"], (), content)
        place.write("jobs/index", found.packed())

    _, reads = merged(replaced)
    assert [(read.status, "jobs/index" in str(read.error)) for read in reads] == [(ReadStatus.FAILED, True)] * 2


def test_a_job_that_failed_fails_every_file_with_what_is_known_of_it(merged):
    def fail(*_: object) -> None:
        raise SparkJobFailed("job j1 is FAILED: out of memory")

    _, reads = merged(fail)
    assert {str(read.error) for read in reads} == {"Spark job: job j1 is FAILED: out of memory"}


def test_a_file_without_a_result_or_with_two_breaks_the_job():
    for kept in ([(0, "a", "d")], [(0, "a", "d"), (0, "b", "d"), (1, "c", "d")]):
        with pytest.raises(ValueError, match="2 files were ordered"):
            index_of({"files": ["1", "2"], "folder": "f"}, kept)
