"""`phase5 report` as it is typed: which run it shows, where the page goes, and what it says where something is missing."""

import json
import webbrowser
from pathlib import Path

import pytest

from phase5_ops.evidence.store import EvidenceStore
from phase5_ops_tests.report.documents import document, finding, keep, row
from phase5_ops_tests.sections.breakers.support import Platform

RUN = "run-2"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder without runs."""
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "test")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs; the newer one has a table, and its document names the digest of its seal."""
    folder = tmp_path / "evidence"
    keep(folder, document("run-1", at="2026-11-01T10:00:00.000Z"))
    found = document(RUN, row("2.1", finding()), at="2026-11-02T10:00:00.000Z")
    keep(folder, found)
    store = EvidenceStore(folder)
    store.write_table(RUN, "breaker_snapshot", Platform().table())
    sealed = found.model_copy(update={"evidence_digest": store.seal(RUN)})
    (folder / RUN / "readiness.json").write_text(json.dumps(sealed.to_json()))
    return folder


def test_without_a_run_it_is_exit_2_with_what_to_do(phase5):
    code, out, err = phase5("report")
    assert (code, out) == (2, "")
    assert "make one with phase5 check" in err


def test_the_newest_run_is_reported_beside_its_evidence(phase5, runs: Path):
    code, out, err = phase5("report")
    path = runs / RUN / "report.html"
    assert (code, len(err.splitlines())) == (0, 1)
    assert err.startswith("phase5: the newest readiness run of the whole checklist is ")
    assert out.splitlines() == [f"report of test, run {RUN}, evaluated at 2026-11-02T10:00:00.000Z: BLOCKED", str(path)]
    page = path.read_text()
    assert 'href="tables/breaker_snapshot.parquet"' in page
    assert "Compared with run <code>run-1</code>" in page
    assert "crm_salesforce" in page
    assert err.removeprefix("phase5: ").split(" old (")[0] in page  # an old page must not pass for a new one
    assert "evidence was changed" not in page
    assert str(runs) not in page


def test_elsewhere_it_links_to_no_file(phase5, runs: Path, tmp_path: Path):
    code, _, _ = phase5("report", "run-1", "--output", str(tmp_path / "mailed.html"))
    page = (tmp_path / "mailed.html").read_text()
    assert code == 0
    assert ".parquet" not in page
    assert "There is no earlier run" in page
    assert not (runs / "run-1" / "report.html").exists()


def test_evidence_that_was_changed_cannot_be_read_or_is_gone_is_said_to_be(phase5, runs: Path):
    table = runs / RUN / "tables" / "breaker_snapshot.parquet"
    whole = table.read_bytes()
    EvidenceStore(runs).write_table(RUN, "breaker_snapshot", Platform(items=[]).table())
    assert phase5("report")[0] == 0
    assert "the evidence was changed after the run: breaker_snapshot" in (runs / RUN / "report.html").read_text()
    table.write_bytes(whole[:100])
    assert phase5("report")[0] == 0
    assert "The evidence table breaker_snapshot could not be read" in (runs / RUN / "report.html").read_text()
    table.unlink()
    (runs / RUN / "manifest.json").unlink()
    assert phase5("report")[0] == 0
    page = (runs / RUN / "report.html").read_text()
    assert "The evidence table breaker_snapshot is not in this report" in page
    assert "cannot be compared with its seal" in page


@pytest.mark.parametrize("more", [(), ("another finding",)])
def test_a_row_that_says_anything_else_than_was_sealed_is_not_to_be_relied_on(phase5, runs: Path, more: tuple[str, ...]):
    store, found = EvidenceStore(runs), document(RUN, row("2.1", finding()), at="2026-11-02T10:00:00.000Z")
    (entry,) = (each for each in found.rows if each.id == "2.1")
    sealed = entry.model_copy(update={"findings": [*entry.findings, *(finding(subject=each) for each in more)]})
    store.write_verdict(RUN, entry.check, {**sealed.model_dump(mode="json"), "tables": {}, "policy_digest": None})
    said = found.model_copy(update={"evidence_digest": store.seal(RUN)})
    (runs / RUN / "readiness.json").write_text(json.dumps(said.to_json()))
    assert phase5("report")[0] == 0
    relied_on = "DO NOT RELY ON THIS PAGE" not in (runs / RUN / "report.html").read_text()
    assert relied_on is not bool(more)


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["report", "run-9"], 3, "no run 'run-9'"),
        (["report", "run"], 3, "that is the beginning of"),
        (["report", "run-1", "--release", "r"], 3, "not both"),
        (["report", "--output", "/no/such/folder/x.html"], 3, "--output"),
    ],
)
def test_what_is_not_there_is_named_in_one_line(phase5, runs: Path, arguments: list[str], code: int, named: str):
    found, out, err = phase5(*arguments)
    assert (found, out) == (code, "")
    assert named in err
    assert len(err.splitlines()) == 1


def test_a_newest_run_that_cannot_be_read_is_passed_over_aloud(phase5, runs: Path):
    (runs / RUN / "readiness.json").write_text("{")
    code, out, err = phase5("report")
    assert code == 0
    assert "run run-1" in out
    assert f"passed over: run {RUN}" in err


def test_it_is_opened_when_asked(phase5, runs: Path, monkeypatch: pytest.MonkeyPatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri) or False)
    code, _, err = phase5("report", "--open")
    assert code == 0
    assert opened == [(runs / RUN / "report.html").as_uri()]
    assert "no browser could be started" in err
