"""`phase5 remedy`: which run it reads, what it says of old, partial or changed evidence, and how it ends."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from phase5_ops.cli.app import app
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import ConfigurationError, load_settings
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.remedies.left_behind import readiness_run

pytestmark = pytest.mark.slow

ROWS = ["1.2", "1.3", "2.2"]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a run of some rows on a platform where a tool has no latency alarm, under the settings' own clock."""
    with pytest.MonkeyPatch.context() as patch:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("latency-alarm-missing") as sandbox:
            for name, value in sandbox.exports().items():
                patch.setenv(name, value)
            patch.setenv("PHASE5_STATE_DIR", str(tmp_path_factory.mktemp("state")))
            readiness_run(load_settings(), ROWS)
            yield load_settings().state_dir


@pytest.fixture
def state(left: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to which the environment points."""
    shutil.copytree(left, tmp_path / "state")
    monkeypatch.setenv("PHASE5_NOW", NOW)
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def remedy() -> Callable[..., tuple[int, str, str]]:
    """Calls the command: exit code, stdout, stderr."""

    def called(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["remedy", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return called


def run_folder(state: Path) -> Path:
    (folder,) = (state / "evidence").iterdir()
    return folder


def test_the_run_is_named_and_every_row_said(remedy, state):
    code, out, _ = remedy()
    assert code == 0
    assert f"readiness run {run_folder(state).name} of " in out
    assert "# 1.2 Alarms defined: FAIL, 1 resource below\n" in out
    assert "# 1.3 Alarm runbook: PASS, nothing to mend\n" in out
    assert "# 2.2 OPEN -> operator action: PASS, nothing to mend\n" in out
    assert "NOTICE: the run has no result of 1.1, 2.1, " in out
    assert "aws cloudwatch put-metric-alarm --cli-input-json" in out


def test_a_template_goes_to_its_file_and_the_words_to_stderr(remedy, state, tmp_path):
    code, out, err = remedy("1.2", "--format", "cloudformation", "--output", str(tmp_path / "t.json"))
    assert (code, out) == (0, "")
    (resource,) = json.loads((tmp_path / "t.json").read_text())["Resources"].values()
    assert resource["Type"] == "AWS::CloudWatch::Alarm"
    assert "1.2 Alarms defined: FAIL, 1 resource below" in err
    code, out, _ = remedy("1.2", "-f", "terraform-json")
    assert (code, list(json.loads(out)["resource"])) == (0, ["aws_cloudwatch_metric_alarm"])


def test_where_nothing_is_to_be_mended_no_template_is_written(remedy, state, tmp_path):
    code, out, err = remedy("1.3", "--format", "cloudformation", "--output", str(tmp_path / "t.json"))
    assert (code, out, (tmp_path / "t.json").exists()) == (0, "", False)
    assert "1.3 Alarm runbook: PASS, nothing to mend" in err
    assert "nothing to write in this format" in err


def test_a_row_that_was_not_judged_or_is_signed_is_said(remedy, state):
    code, out, err = remedy("3.1")
    assert code == 2
    assert "the run has no result of it; run phase5 check --row 3.1" in out + err
    code, out, _ = remedy("S.1")
    assert code == 0
    assert "no code can mend it" in out
    assert "phase5 promote" in out


def test_without_a_run_the_error_names_the_remedy(remedy, state, monkeypatch):
    from phase5_ops.settings import ConfigurationError

    with pytest.raises(ConfigurationError, match=r"no readiness run another of environment sandbox in .*phase5 check"):
        remedy("--run", "another")
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "production")
    with pytest.raises(ConfigurationError, match=r"no readiness run of environment production in .*phase5 check"):
        remedy()
    monkeypatch.setenv("PHASE5_STATE_DIR", str(state / "nowhere"))
    with pytest.raises(ConfigurationError, match="no readiness run of environment production"):
        remedy()


def test_stale_evidence_and_other_settings_are_said(remedy, state, monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", "2026-12-23T12:00:00Z")
    monkeypatch.setenv("PHASE5_SLO__LATENCY_THRESHOLD_MS", "4000")
    code, out, _ = remedy("1.2")
    assert code == 0
    assert "NOTICE: 1.2: its evidence is stale, read 720.0 h ago, of at most 72 h" in out
    assert "NOTICE: settings have changed since the run" in out


def test_a_changed_table_is_not_used(remedy, state):
    path = run_folder(state) / "tables" / "slo_alarms.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    code, out, err = remedy("1.2", "2.2")
    assert code == 2
    assert "tables/slo_alarms.parquet of run" in err
    assert "is changed since it was sealed; run phase5 check again" in err
    assert "put-metric-alarm" not in out
    assert "# 2.2 OPEN -> operator action: PASS, nothing to mend" in out


def test_a_result_that_says_nothing_is_not_used(remedy, state):
    (run_folder(state) / "manifest.json").unlink()
    (run_folder(state) / "verdicts" / "slo_alarms_defined.json").write_text('{"verdict": "PASS"}')
    code, out, err = remedy("1.2")
    assert code == 2
    assert "its evidence cannot be used" in err
    assert "NOTICE: the evidence was never sealed: the run was interrupted, or goes on" in out


def test_a_run_that_cannot_be_read_is_named(remedy, state):
    broken = state / "evidence" / "zzz"
    (broken / "tables").mkdir(parents=True)
    (broken / "run.json").write_text("{")
    code, out, _ = remedy("1.3")
    assert code == 0
    assert "NOTICE: another run cannot be read and may be newer: run zzz" in out


def test_a_run_is_named_by_the_beginning_of_its_id_where_only_one_begins_so(remedy, state):
    name = run_folder(state).name
    whole = remedy("--run", name)
    assert remedy("--run", name[:6]) == whole
    shutil.copytree(run_folder(state), state / "evidence" / f"{name[:6]}-another")
    with pytest.raises(ConfigurationError, match=f"run {name[:6]}: that is the beginning of"):
        remedy("--run", name[:6])
    assert remedy("--run", name) == whole
