"""What the shell is given when a person presses the tab key, asked the way that the installed script asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phase5_ops.cli import app as cli


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def ask(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setattr(sys, "argv", ["phase5"])
        monkeypatch.setenv("_PHASE5_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
        return capsys.readouterr().out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("phase5 ro", {"rollback"}),
        ("phase5 check --row 1.", {"1.1", "1.2", "1.3"}),
        ("phase5 check --row tool_slo_m", {"tool_slo_met", "tool_slo_metrics_visible"}),
        ("phase5 explain latency_alarm_m", {"latency_alarm_missing", "latency_alarm_misses_calls"}),
        ("phase5 explain S.", {"S.1", "S.2", "S.3"}),
        ("phase5 demo --scenario breaker-open-u", {"breaker-open-under-traffic"}),
        ("phase5 waive slo_alarms_d", {"slo_alarms_defined"}),
        ("phase5 sign-off r --role ops", {"ops-sre"}),
        ("phase5 iam-policy --for s", {"signer"}),
        ("phase5 check --format js", {"json"}),
        ("phase5 check --row zzz", set()),
    ],
)
def test_what_begins_like_the_word_is_offered(line: str, values: set[str], completed):
    assert set(completed(line)) == values


@pytest.mark.slow
def test_it_is_shown_and_installed_for_the_shell_that_asks(tmp_path: Path):
    """In a shell of its own, since it is told from the process that calls."""

    def ask(option: str) -> str:
        call = f"{sys.executable} -m phase5_ops.cli {option}; true"  # the second command keeps the shell from giving way
        environment = {**os.environ, "HOME": str(tmp_path)}
        ended = subprocess.run(["bash", "-c", call], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ended.stderr == ""
        return ended.stdout

    script = ask("--show-completion")
    assert script.startswith("_phase5_completion() {")
    assert not (tmp_path / ".bashrc").exists()
    ask("--install-completion")
    (installed,) = (tmp_path / ".bash_completions").iterdir()
    assert installed.read_text().split() == script.split()
    assert str(installed) in (tmp_path / ".bashrc").read_text()
