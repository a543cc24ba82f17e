"""Where a readiness document goes: stdout, one file, or a file for each format in a folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from phase5_ops.cli.output import emit, finish, output_of
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.policy import GatePolicy
from phase5_ops.report.document import ReadinessDocument, Reading, readiness_document
from phase5_ops.report.formats import FORMATS, Format
from phase5_ops.settings import ConfigurationError, Settings

SETTINGS = Settings()
DIGEST = f"sha256:{'0' * 64}"


def document() -> ReadinessDocument:
    return readiness_document(
        environment="test",
        run_id="r",
        evaluated_at="2026-11-23T12:00:00.000Z",
        evidence_digest=DIGEST,
        policy_digest=DIGEST,
        entries={},
        gate=GatePolicy(),
        reading=Reading(),
    )


def test_every_format_has_a_file_of_its_own():
    assert set(FORMATS) == set(Format)
    assert len({each.file_name for each in FORMATS.values()}) == len(FORMATS)


def test_several_formats_are_written_each_under_its_name_into_a_folder_that_is_made(tmp_path: Path, capsys):
    folder = tmp_path / "reports"
    emit(document(), output_of([Format.json, Format.markdown, Format.json], folder), SETTINGS)
    assert sorted(path.name for path in folder.iterdir()) == ["readiness.json", "readiness.md"]
    assert json.loads((folder / "readiness.json").read_bytes()) == document().to_json()
    assert capsys.readouterr().out == ""


def test_one_format_goes_to_stdout_to_a_file_or_under_its_name_into_a_folder(tmp_path: Path, capsys):
    with pytest.raises(typer.Exit) as ended:
        finish(document(), output_of([Format.json], None), SETTINGS)
    assert ended.value.exit_code == document().exit_code
    printed = capsys.readouterr().out
    emit(document(), output_of([Format.json], tmp_path / "named"), SETTINGS)
    emit(document(), output_of([Format.json], tmp_path), SETTINGS)
    assert printed == (tmp_path / "named").read_text("utf-8") == (tmp_path / "readiness.json").read_text("utf-8")
    emit(document(), output_of(None, None), SETTINGS)
    assert "Phase 5 readiness of test" in capsys.readouterr().out


def test_several_formats_without_a_folder_are_refused_with_the_remedy(tmp_path: Path):
    (file := tmp_path / "file").write_text("kept", "utf-8")
    for path in (None, file):
        with pytest.raises(ConfigurationError, match=r"--format json --format table: .* takes one format; give --output DIR"):
            output_of([Format.json, Format.table], path)
    assert file.read_text("utf-8") == "kept"


def test_a_place_that_cannot_be_written_is_found_out_before_anything_is_read(tmp_path: Path):
    (tmp_path / "file").write_text("", "utf-8")
    for path in (tmp_path / "missing" / "out", tmp_path / "file" / "out"):
        for formats in ([Format.json], [Format.json, Format.table]):
            with pytest.raises(ConfigurationError, match=r"--output .*/out: "):
                output_of(formats, path)


def test_a_format_whose_library_is_missing_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(FORMATS, Format.oscal, replace(FORMATS[Format.oscal], package="not_installed_here"))
    with pytest.raises(ConfigurationError, match=r"--format oscal: .* is not installed: pip install 'phase5-ops\[formats\]'"):
        output_of([Format.oscal], None)


def test_findings_are_compared_with_the_previous_run_of_this_machine(tmp_path: Path):
    """The context is what the settings of the command say: codes, runbook, the run before."""
    kept, settings = EvidenceStore(tmp_path / "evidence"), Settings(state_dir=tmp_path, runbook="https://example.com/r.md#x")
    for run_id, hour in (("before", 10), ("now", 12)):
        at = f"2026-11-23T{hour}:00:00.000Z"
        (folder := kept.run_folder(run_id)).mkdir(parents=True)
        shown = document().model_copy(update={"run_id": run_id, "evaluated_at": at})
        (folder / "readiness.json").write_text(json.dumps(shown.to_json()), "utf-8")
    emit(shown, output_of([Format.sarif, Format.csv], tmp_path / "out"), settings)
    (run,) = json.loads((tmp_path / "out" / "readiness.sarif").read_bytes())["runs"]
    assert run["properties"]["baselineRun"] == "before"
    assert {result["baselineState"] for result in run["results"]} == {"unchanged"}
    assert run["tool"]["driver"]["rules"][0]["helpUri"].startswith("https://example.com/r.md#")
    assert "Register a candidate with phase5 promote." in (tmp_path / "out" / "readiness.csv").read_text("utf-8")


def test_html_is_the_report_and_says_which_evidence_is_missing(tmp_path: Path):
    settings = Settings(state_dir=tmp_path, runbook="https://example.com/r.md#x")
    emit(document(), output_of([Format.html], tmp_path / "page.html"), settings)
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "the evidence of run r is not on this machine, so the page shows none of it" in page
    assert "Register a candidate with phase5 promote." in page
