"""`phase5 history` and `phase5 diff` as they are typed: exit codes, stdout and stderr, and no need of AWS or Dagster."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from phase5_ops.clock import iso
from phase5_ops_tests.report.documents import document, finding, keep, row


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder without runs."""
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "test")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "evidence"
    keep(folder, document("run-1", at="2026-11-01T10:00:00.000Z"))
    keep(folder, document("run-2", row("2.1", finding()), at="2026-11-02T10:00:00.000Z"))
    return folder


def test_without_a_run_both_are_exit_2_with_what_to_do(phase5):
    for command in ("history", "diff"):
        code, out, err = phase5(command)
        assert (code, out) == (2, "")
        assert "make one with phase5 check" in err
        assert len(err.splitlines()) == 1


def test_both_are_exit_0_whatever_they_show(phase5, runs: Path, tmp_path: Path):
    code, out, err = phase5("history")
    assert (code, len(err.splitlines())) == (0, 1)
    assert err.startswith("phase5: the newest readiness run of the whole checklist is ")
    assert "(2026-11-02T10:00:00.000Z): start one with phase5 check" in err
    assert "PASS → FAIL" in out
    code, out, err = phase5("diff")
    assert (code, err) == (0, "")
    assert "came" in out
    assert not (tmp_path / "dagster.yaml").exists()  # reading makes nothing
    code, out, _ = phase5("history", "--row", "2.1", "--last", "1", "--format", "json")
    assert (code, len(json.loads(out)["runs"]), [each["row"] for each in json.loads(out)["rows"]]) == (0, 1, ["2.1"])
    code, out, _ = phase5("diff", "run-2", "run-1", "--format", "json", "--output", str(tmp_path / "diff.json"))
    assert (code, out) == (0, "")
    assert json.loads((tmp_path / "diff.json").read_text())["after"]["run_id"] == "run-1"


def test_nothing_is_said_of_a_run_that_is_recent_and_a_part_of_the_checklist_is_none(phase5, tmp_path: Path):
    now = iso(datetime.now(UTC))
    keep(tmp_path / "evidence", document("part", row("2.1"), at=now, partial=True))
    code, _, err = phase5("history")
    assert code == 0
    assert err.startswith("phase5: no readiness run of the whole checklist is known: start one with phase5 check")
    keep(tmp_path / "evidence", document("whole", at=now))
    assert phase5("history")[::2] == (0, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["diff", "run-3"], "did you mean run-"),
        (["diff", "run-1", "run-2", "run-1"], "run-1"),
        (["diff", "run"], "that is the beginning of run-2, run-1"),
        (["history", "--row", "9.9"], "no row 9.9"),
        (["history", "--last", "0"], "--last"),
        (["history", "--format", "xml"], "--format"),
    ],
)
def test_wrong_usage_is_exit_3(phase5, runs: Path, arguments: list[str], named: str):
    code, out, err = phase5(*arguments)
    assert (code, out) == (3, "")
    assert named in err


def test_accepting_lost_histories_is_still_a_subcommand(phase5, runs: Path):
    code, out, _ = phase5("history", "accept", "--help")
    assert code == 0
    assert "--ticket" in out
    assert "Runs of test" not in out
    code, out, err = phase5("history", "accept", "--role", "ops-sre")
    assert (code, out) == (3, "")
    assert "--reason" in err
    code, out, _ = phase5("history", "--help")
    assert code == 0
    assert "accept" in out
    assert "--last" in out
