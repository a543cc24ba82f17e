"""What the shell is given when a person presses the tab key, asked the way that the installed script asks."""

import sys

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
