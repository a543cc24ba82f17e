"""Past runs as people and programs are shown them, whatever the folder holds."""

import json
import shutil
from pathlib import Path

import pytest

from phase5_ops.commands import run_history
from phase5_ops.commands.run_history import NothingKnown
from phase5_ops.settings import ConfigurationError, Settings, load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import document, finding, keep, row

HOSTILE = "<script>alert(1)</script>\n\x1b[31m[bold]" + "x" * 300
DAYS = {"old-1": "2026-11-01", "mid-2": "2026-11-02", "part-3": "2026-11-03", "new-4": "2026-11-04"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(state_dir=tmp_path, environment="test")


@pytest.fixture
def root(settings: Settings) -> Path:
    """Three whole runs and a partial one; row 2.1 fails in the newest, where it is about a hostile name."""
    folder = settings.state_dir / "evidence"
    at = {run_id: f"{day}T10:00:00.000Z" for run_id, day in DAYS.items()}
    warned = row("1.2", finding("alarm_missing", Verdict.WARN, "crm.write"))
    opened = row("2.1", finding(subject=HOSTILE, seen=HOSTILE), open=3)
    keep(folder, document("old-1", warned, row("2.1", open=1), at=at["old-1"]))
    keep(folder, document("mid-2", row("2.1", open=1, cost="707.50"), at=at["mid-2"]), began_at=at["mid-2"], fixed_now=True)
    keep(folder, document("part-3", row("2.1", open=2), at=at["part-3"], partial=True))
    keep(folder, document("new-4", opened, at=at["new-4"], policy="sha256:" + "1" * 64))
    keep(folder, document("theirs", at="2026-11-09T10:00:00.000Z", environment="production"))
    return folder


def history(settings: Settings, *rows: str, last: int = 20, width: int = 100) -> str:
    past = run_history.past_of(settings, rows=rows or None, last=last, local=False)
    return run_history.history_text(past, width=width, colours=False, chosen=bool(rows))


def diff(settings: Settings, *wanted: str, everything: bool = False, width: int = 100) -> str:
    about = run_history.compared(settings, wanted, local=False)
    return run_history.diff_text(about, width=width, colours=False, everything=everything)


def lines_with(text: str, word: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if word in line]


def test_runs_come_newest_first_marked_and_with_what_changed(settings: Settings, root: Path):
    text = history(settings)
    shown = [next(run for run in DAYS if run in line) for line in text.splitlines() if line.startswith("2026-11-")]
    assert shown == ["new-4", "part-3", "mid-2", "old-1"]
    assert lines_with(text, "new-4")[0] == "2026-11-04 10:00 new-4 FAIL 2.1 2.1 PASS → FAIL"
    assert "partial, 2.1 only" in text
    assert "clock fixed at 2026-11-02" in text
    assert "theirs" not in text
    assert " ".join(text.split()).startswith(
        "Runs of test: 4 of 4 known, from 2026-11-01T10:00:00.000Z on (older ones may have been removed: retention keeps"
    )


def test_rows_have_a_bar_for_each_run_and_the_reason_of_the_last_change(settings: Settings, root: Path):
    text = history(settings)
    assert any("▁▁▁▇" in line for line in lines_with(text, "2.1"))
    assert any("▃▁·▁" in line for line in lines_with(text, "1.2"))
    assert "went alarm_missing crm.write" in text
    assert "the settings changed, too" in text
    assert "S.1" not in text


def test_one_row_is_told_run_by_run(settings: Settings, root: Path):
    text = history(settings, "1.2")
    assert lines_with(text, "mid-2")[0] == "2026-11-02 10:00 mid-2 PASS WARN → PASS"
    assert lines_with(text, "part-3")[0].startswith("2026-11-03 10:00 part-3 none partial")
    assert "went alarm_missing crm.write: open" in text


def test_no_more_runs_are_read_than_asked_for(settings: Settings, root: Path, monkeypatch):
    text = history(settings, last=1)
    assert "Runs of test: 1 of 4 known" in text
    assert "mid-2" not in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_hostile_names_neither_steer_the_terminal_nor_leave_the_width(settings: Settings, root: Path, width: int):
    for text in (history(settings, width=width), history(settings, "2.1", width=width), diff(settings, width=width)):
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= width
    assert "<script>alert(1)</script>\\n\\x1b[31m[bold]" in diff(settings, width=200)


def test_a_broken_document_is_shown_with_its_problem_and_passed_over_by_name(settings: Settings, root: Path):
    root.joinpath("new-4", "readiness.json").write_text("{")
    assert "run new-4: its readiness.json cannot be used" in history(settings, width=200)
    origin = {"environment": "test", "began_at": "2026-11-04T10:00:00Z", "fixed_now": False}
    root.joinpath("new-4", "run.json").write_text(json.dumps(origin))
    text = history(settings, width=200)
    assert "new-4" in text
    assert "its readiness.json cannot be used" in text
    assert "▁▁·?" in lines_with(text, "1.1")[0]
    compared = diff(settings)
    assert "from old-1" in compared
    assert "passed over: run new-4 (2026-11-04 10:00): its readiness.json cannot be used" in " ".join(compared.split())
    with pytest.raises(NothingKnown, match="run new-4 cannot be compared: its readiness"):
        diff(settings, "new-4")


def test_many_broken_folders_are_counted_and_hide_no_run(settings: Settings, root: Path):
    for number in range(8):
        keep(root, document(f"broken-{number}")).joinpath("readiness.json").write_text("{")
    text = history(settings, last=2)
    assert "8 of them cannot be read and do not say when they were:\n  run broken-0: its readiness.json cannot be used" in text
    assert "  and 3 more" in text
    assert "?" not in lines_with(text, "1.1")[0]
    assert (text.count("broken-"), "new-4" in text, "part-3" in text, "mid-2" in text) == (5, True, True, False)
    compared = " ".join(diff(settings).split())
    assert (compared.count("passed over: run broken-"), "passed over: 3 more" in compared) == (5, True)


def test_more_runs_than_fit_leave_out_the_oldest_bars(settings: Settings, root: Path):
    for number in range(40):
        keep(root, document(f"r{number}", at=f"2026-12-01T10:{number:02}:00Z"))
    assert "…" + "▁" * 24 in history(settings, last=50).splitlines()[-4]
    assert "▁▁▁▇" + "▁" * 40 in history(settings, "2.1", last=50)


def test_the_newest_is_compared_with_the_whole_run_before(settings: Settings, root: Path):
    text = diff(settings)
    assert lines_with(text, "from ") == ["from mid-2 2026-11-02 10:00Z (clock fixed at 2026-11-02T10:00:00.000Z)"]
    assert lines_with(text, "to ")[0] == "to new-4 2026-11-04 10:00Z"
    assert "the settings that judge are not those of the earlier run" in text
    assert lines_with(text, "PASS → FAIL") == ["2.1 PASS → FAIL Breaker state observable"]
    assert [line.split()[1:] for line in lines_with(text, "open ")[-1:]] == [["open", "1", "3", "+200%"]]
    assert lines_with(text, "cost") == ["2.1 cost 707.5 - gone"]


def test_named_runs_are_compared_as_named_partial_ones_by_common_rows(settings: Settings, root: Path):
    assert lines_with(diff(settings, "mid"), "from ")[0].startswith("from old-1")
    assert lines_with(diff(settings, "new-4", "old-1"), "WARN")[0] == "1.2 PASS → WARN Alarms defined"
    partial = diff(settings, "old-1", "part-3")
    assert "a partial run: compared by the rows that both cover, 2.1" in partial
    assert "alarm_missing" not in partial
    assert "Nothing changed: no verdict, no finding, no figure." in diff(settings, "old-1", "old-1")


def test_long_lists_are_cut_unless_all_is_asked_for(settings: Settings, root: Path):
    many = [finding(subject=f"tool-{number:03}") for number in range(50)]
    figures = {f"figure_{number:03}": number + 1 for number in range(50)}
    keep(root, document("zz", row("2.1", *many, **figures), at="2026-11-05T10:00:00.000Z"))
    text, whole = diff(settings), diff(settings, everything=True)
    assert (text.count("tool-0"), text.count("figure_0")) == (20, 15)
    assert len(lines_with(text, "--all shows them")) == 2
    assert (whole.count("tool-0"), whole.count("figure_0"), "--all" in whole) == (50, 50, False)


def test_an_unknown_run_is_refused_with_near_misses(settings: Settings, root: Path):
    with pytest.raises(ConfigurationError, match=r"no run 'nwe-4' in this environment; did you mean new-4"):
        diff(settings, "nwe-4")
    with pytest.raises(ConfigurationError, match="no run 'theirs' in this environment; the newest are new-4, part-3"):
        diff(settings, "theirs")
    keep(root, document("new-5", at="2026-11-05T10:00:00.000Z"))
    with pytest.raises(ConfigurationError, match="that is the beginning of new-5, new-4; give more of it"):
        diff(settings, "new")


def test_partial_runs_without_a_common_row_are_refused(settings: Settings, root: Path):
    keep(root, document("only", row("1.1"), at="2026-11-05T10:00:00.000Z", partial=True))
    with pytest.raises(ConfigurationError, match="runs part-3 and only have no row in common"):
        diff(settings, "part-3", "only")


def test_where_nothing_is_known_it_says_what_to_do(settings: Settings, tmp_path: Path):
    with pytest.raises(NothingKnown, match=r"no run of test is in .*evidence: make one with phase5 check"):
        history(settings)
    folder = tmp_path / "evidence"
    keep(folder, document("theirs", environment="production"))
    with pytest.raises(NothingKnown, match=r"1 of other environments are: is PHASE5_ENVIRONMENT right\?"):
        history(settings)
    keep(folder, document("only"))
    with pytest.raises(NothingKnown, match="there is no earlier run to compare run only with"):
        diff(settings)
    shutil.rmtree(folder)
    folder.write_text("a file")
    with pytest.raises(NothingKnown, match=r"cannot be listed: .*Not a directory.*PHASE5_STATE_DIR"):
        history(settings)


def test_programs_get_everything(settings: Settings, root: Path):
    past = run_history.past_of(settings, rows=None, last=20, local=False)
    document_of = json.loads(json.dumps(run_history.history_json(past)))
    assert (document_of["schema"], document_of["known_runs"], document_of["known_since"]) == (
        "phase5.history/v1", 4, "2026-11-01T10:00:00.000Z",
    )  # fmt: skip
    assert [(run["run_id"], run["covers"], run["fixed_clock"]) for run in document_of["runs"]] == [
        ("new-4", None, None), ("part-3", ["2.1"], None), ("mid-2", None, True), ("old-1", None, None),
    ]  # fmt: skip
    rows = {each["row"]: each for each in document_of["rows"]}
    assert rows["2.1"]["verdicts"] == ["FAIL", "PASS", "PASS", "PASS"]
    assert rows["2.1"]["changes"][0]["came"][0]["subject"] == HOSTILE
    assert "S.1" in rows
    changed = json.loads(json.dumps(run_history.diff_json(run_history.compared(settings, [], local=False))))
    assert (changed["schema"], changed["before"]["run_id"], changed["after"]["run_id"]) == ("phase5.diff/v1", "mid-2", "new-4")
    assert changed["rows"] == [{"row": "2.1", "title": "Breaker state observable", "before": "PASS", "after": "FAIL"}]
    assert {"row": "2.1", "fact": "open", "before": 1.0, "after": 3.0} in changed["figures"]


class Copy:
    """Stands for the copy on S3."""

    at_once = 4

    def __init__(self, root: Path) -> None:
        self.root = root

    def run_ids(self) -> list[str]:
        return [each.name for each in self.root.iterdir()]

    def read(self, run_id: str, name: str) -> bytes:
        return (self.root / run_id / name).read_bytes()


def test_runs_that_only_the_copy_has_are_shown_and_those_of_this_machine_read_here(
    settings: Settings, root: Path, tmp_path: Path, monkeypatch
):
    copied = tmp_path / "copy"
    keep(copied, document("far-0", at="2026-10-01T10:00:00.000Z"))
    keep(copied, document("new-4", at="2026-11-04T10:00:00.000Z")).joinpath("readiness.json").write_text("not this one")
    monkeypatch.setattr("phase5_ops.gate.inputs.evidence_copy.EvidenceCopy", lambda *_: Copy(copied))
    settings = settings.model_copy(update={"evidence_s3_uri": "s3://kept/phase5"})
    past = run_history.past_of(settings, rows=None, last=20, local=False)
    assert [run.run_id for run in past.runs] == ["new-4", "part-3", "mid-2", "old-1", "far-0"]
    assert all(run.document for run in past.runs)
    here = run_history.past_of(settings, rows=None, last=20, local=True)
    assert "far-0" not in [run.run_id for run in here.runs]


def test_a_copy_that_cannot_be_listed_is_never_passed_over(settings: Settings, root: Path, monkeypatch, tmp_path: Path):
    monkeypatch.setattr("phase5_ops.gate.inputs.evidence_copy.EvidenceCopy", lambda *_: Copy(tmp_path / "none"))
    settings = settings.model_copy(update={"evidence_s3_uri": "s3://kept/phase5"})
    with pytest.raises(NothingKnown, match=r"s3://kept/phase5 cannot be listed: .*allow s3:ListBucket and s3:GetObject.*--local"):
        history(settings)
