"""Past runs come newest first, of one environment, and none that is broken is passed over."""

import json
from pathlib import Path
from typing import Any

import pytest

from phase5_ops.report.past_runs import EvidenceFolder, PastRuns, previous_of
from phase5_ops_tests.report.documents import ENVIRONMENT, document, finding, keep, row


def names(root: Path, environment: str = ENVIRONMENT) -> list[str]:
    return [past.run_id for past in PastRuns(EvidenceFolder(root), environment)]


def test_without_a_folder_there_are_no_runs(tmp_path: Path):
    assert names(tmp_path / "none") == []


def test_runs_come_newest_first_by_what_they_recorded(tmp_path: Path):
    keep(tmp_path, document("b", at="2026-11-03T00:00:00Z"))
    keep(tmp_path, document("c", at="2026-11-01T00:00:00Z"))
    keep(tmp_path, document("a", at="2020-01-01T00:00:00Z"), began_at="2026-11-02T00:00:00Z", fixed_now=True)
    found = list(PastRuns(EvidenceFolder(tmp_path), ENVIRONMENT))
    assert [(past.run_id, past.fixed_clock) for past in found] == [("b", None), ("a", True), ("c", None)]
    assert all(past.document is not None and past.document.run_id == past.run_id and not past.problem for past in found)


def test_runs_of_other_environments_are_never_among_them(tmp_path: Path):
    keep(tmp_path, document("mine"))
    keep(tmp_path, document("theirs", environment="production"))
    keep(tmp_path, document("theirs-too", environment="production"), began_at="2026-11-02T00:00:00Z")
    assert names(tmp_path) == ["mine"]
    assert names(tmp_path, "production") == ["theirs", "theirs-too"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": "phase5.readiness/v1"}, "schema is 'phase5.readiness/v1', not 'phase5.readiness/v2'"),
        ({"schema": None}, "it does not name 'phase5.readiness/v2'"),
        ({"rows": "many"}, "not of the shape of phase5.readiness/v2: rows: "),
        ({"surprise": 1}, "surprise: is not known here"),
        ({"run_id": "another"}, "it is of run 'another'"),
        ({"evaluated_at": "yesterday"}, "evaluated at 'yesterday', which is no moment"),
        ({"extra_checks": [document("r").to_json()["rows"][0]]}, "it has a row twice"),
        ({"rows": document("r").to_json()["rows"][1:]}, "it leaves out row 1.1, and does not say that it is of some rows only"),
        ({"decision": "OPEN"}, "it says that the gate is open, which no readiness run by itself can say"),
        ({"exit_code": 0}, "it says that the gate is open"),
        ({"rows": [row("2.1", open=float("inf")).model_dump(mode="json")]}, "the fact open of row 2.1 is no finite number"),
    ],
)
def test_a_document_that_cannot_be_used_is_a_run_with_its_problem(tmp_path: Path, change: dict[str, Any], problem: str):
    folder = keep(tmp_path, document("r"), began_at="2026-11-02T00:00:00Z")
    folder.joinpath("readiness.json").write_text(json.dumps({**document("r").to_json(), **change}))
    (found,) = PastRuns(EvidenceFolder(tmp_path), ENVIRONMENT)
    assert (found.run_id, found.document) == ("r", None)
    assert problem in found.problem


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b'"x"'])
def test_a_file_that_is_no_document_is_a_run_with_its_problem_in_every_environment(tmp_path: Path, content: bytes):
    keep(tmp_path, document("newest"))
    keep(tmp_path, document("broken")).joinpath("readiness.json").write_bytes(content)
    for environment in (ENVIRONMENT, "production"):
        found = next(iter(PastRuns(EvidenceFolder(tmp_path), environment)))
        assert (found.run_id, found.document, found.at) == ("broken", None, None)
        assert found.problem.startswith("its readiness.json cannot be used: ")


def test_a_run_without_a_document_is_told(tmp_path: Path):
    keep(tmp_path, document("r"), began_at="2026-11-02T00:00:00Z").joinpath("readiness.json").unlink()
    (found,) = PastRuns(EvidenceFolder(tmp_path), ENVIRONMENT)
    assert found.document is None
    assert "it left no readiness.json" in found.problem


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    file = keep(tmp_path, document("r"), began_at="2026-11-02T00:00:00Z") / "readiness.json"
    file.unlink()
    file.mkdir()
    (found,) = PastRuns(EvidenceFolder(tmp_path), ENVIRONMENT)
    assert found.problem == "its readiness.json cannot be read: Is a directory"


def test_a_document_of_another_environment_than_its_run_is_a_problem(tmp_path: Path):
    keep(tmp_path, document("r", environment="production"), began_at="2026-11-02T00:00:00Z", environment=ENVIRONMENT)
    (found,) = PastRuns(EvidenceFolder(tmp_path), ENVIRONMENT)
    assert found.problem == "its readiness.json is of environment 'production', its run.json of 'test'"


def test_the_previous_run_is_the_newest_whole_earlier_one_that_can_be_read(tmp_path: Path):
    runs = [
        document("r1", at="2026-11-01T00:00:00Z"),
        document("r2", at="2026-11-02T00:00:00Z"),
        document("part", row("2.1", finding()), at="2026-11-03T00:00:00Z", partial=True),
        document("broken", at="2026-11-04T00:00:00Z"),
        document("r3", at="2026-11-05T00:00:00Z"),
        document("theirs", at="2026-11-04T00:00:00Z", environment="production"),
        document("later", at="2026-11-06T00:00:00Z"),
    ]
    for each in runs:
        keep(tmp_path, each)
    tmp_path.joinpath("broken", "readiness.json").write_text('{"evaluated_at": "2026-11-04T00:00:00Z"}')
    assert previous_of(tmp_path, runs[4]) == runs[1]
    assert previous_of(tmp_path, runs[1]) == runs[0]
    assert previous_of(tmp_path, runs[0]) is None


def test_a_run_that_has_not_written_its_document_yet_knows_the_previous_one(tmp_path: Path):
    keep(tmp_path, document("a", at="2026-11-01T00:00:00Z"))
    keep(tmp_path, document("late", at="2026-11-01T00:00:00Z"), began_at="2026-11-09T00:00:00Z")
    now = document("b", at="2026-11-02T00:00:00Z")
    assert previous_of(tmp_path, now) == document("a", at="2026-11-01T00:00:00Z")
    keep(tmp_path, now, began_at="2026-11-10T00:00:00Z").joinpath("readiness.json").unlink()
    assert previous_of(tmp_path, now) == document("late", at="2026-11-01T00:00:00Z")
