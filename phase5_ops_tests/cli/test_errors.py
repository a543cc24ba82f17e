"""Errors of the command line: one line each, in our words, with what was probably meant; the traceback only where asked for."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from phase5_ops.cli.options import chosen_rows
from phase5_ops.settings import ConfigurationError, load_settings, variables
from phase5_ops_tests.cli.conftest import Phase5

#: What only pydantic, click or typer would say.
FOREIGN = re.compile(
    r"Input should|Value error|Extra inputs|Field required|unable to (parse|interpret)|Traceback|String should|http.*errors"
)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("chek", "no command chek; did you mean check?"),
        ("xyzzy", "no command xyzzy; phase5 --help lists them"),
        ("history acept", "history: no command acept; did you mean accept?"),
        ("check --fromat json", "check: no option --fromat; did you mean --format?"),
        ("check --debug", "check: --debug goes before the command: phase5 --debug check ..."),
        ("ui --port 99999", "ui: --port: must be at most 65535; Port of the Dagster UI; see phase5 ui --help"),
        ("ui --port x", "ui: --port: needs a whole number; Port of the Dagster UI; see phase5 ui --help"),
        ("check --row", "--row needs a value"),
        ("check one", "check: got unexpected extra argument(s) (one); see phase5 check --help"),
        ("promote x", "promote: --digest is missing: sha256:... of the artifact; see phase5 promote --help"),
        ("verify --accept rolback", "verify: --accept rolback: did you mean rollback? The choices are rollback, break-glass"),
        ("check --row slo_alarm_defined", "no row slo_alarm_defined; did you mean slo_alarms_defined?"),
        ("check --row TOOL-SLO-MET", "no row TOOL-SLO-MET; did you mean tool_slo_met?"),
        ("sandbox --scenario breaker_open", "no scenario breaker_open; did you mean breaker-open?"),
        ("demo --no-ui --scenario helthy", "no scenario helthy; did you mean healthy?"),
        ("\x1b[31m", r"no command \x1b[31m; phase5 --help lists them"),
    ],
)
def test_wrong_usage_is_one_line_with_what_was_meant(arguments: str, said: str, phase5: Phase5):
    assert phase5(*arguments.split(" ")) == (3, "", f"phase5: {said}\n")


def test_the_traceback_comes_only_where_it_is_asked_for(phase5: Phase5, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom\nin two lines")

    monkeypatch.setattr("phase5_ops.commands.readiness.run_readiness", broken)
    code, out, err = phase5("check")
    line = "internal error: RuntimeError: boom in two lines; nothing was decided"
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == f"phase5: {line}; `phase5 --debug` before the command shows where"
    assert "Traceback" not in err
    code, out, err = phase5("--debug", "check")
    assert (code, out) == (2, "")
    assert "Traceback" in err
    assert err.splitlines()[-1] == f"phase5: {line}"
    assert "Traceback" not in phase5("check")[2]


def test_a_wrong_setting_shows_its_traceback_too(phase5: Phase5, monkeypatch):
    monkeypatch.setenv("PHASE5_RUNBOK", "x")
    code, _, err = phase5("check")
    assert (code, err) == (3, "phase5: unknown setting PHASE5_RUNBOK; did you mean PHASE5_RUNBOOK?\n")
    code, _, err = phase5("--debug", "check")
    assert code == 3
    assert err.startswith("Traceback")


def test_the_version_is_that_of_the_package(phase5: Phase5):
    code, out, err = phase5("--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"phase5 \d+\.\d+\.\d+\n", out)


def test_rows_are_given_by_id_or_check_and_count_once():
    assert chosen_rows(["slo_alarms_defined", "1.2", "2.1", "tool_slo_met"], no_sign_offs=False) == ["1.2", "2.1", "tool_slo_met"]
    assert chosen_rows(["ops_sre_signed_off", "1.1"], no_sign_offs=True) == ["1.1"]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """What is said of a settings file."""

    def run(content: str) -> str:
        file = tmp_path / "phase5.yaml"
        file.write_text(content, encoding="utf-8")
        monkeypatch.setenv("PHASE5_CONFIG", str(file))
        with pytest.raises(ConfigurationError) as error:
            load_settings()
        return str(error.value).replace(str(file), "FILE")

    return run


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("slo: {latency_targt: 0.9}", "slo.latency_targt of PHASE5_CONFIG=FILE: no such setting; did you mean latency_target?"),
        ("slos: {}", "slos of PHASE5_CONFIG=FILE: no such setting; did you mean slo?"),
        ("PHASE5_SLO: {}", "PHASE5_SLO of PHASE5_CONFIG=FILE: no such setting; did you mean slo?"),
        ("latency_target: 0.9", "latency_target of PHASE5_CONFIG=FILE: no such setting; did you mean slo.latency_target?"),
        (
            "schedule: {qqq: 1}",
            "schedule.qqq of PHASE5_CONFIG=FILE: no such setting; the settings here are hour, minute, timezone",
        ),
        (
            "tools: [{name: a}, {name: b, trafic: rare}]",
            "tools[1].trafic of PHASE5_CONFIG=FILE: no such setting; did you mean traffic?",
        ),
        ("slo: {latency_target: high}", "slo.latency_target of PHASE5_CONFIG=FILE: needs a number"),
        ("slo: 3", "slo of PHASE5_CONFIG=FILE: needs a mapping"),
        ("probe_mode: ful", "probe_mode of PHASE5_CONFIG=FILE: needs 'full', 'refusals' or 'off'"),
    ],
)
def test_a_wrong_key_of_the_file_is_named_as_the_person_wrote_it(content: str, said: str, refused: Callable[[str], str]):
    assert refused(content) == f"invalid settings: {said}"


def test_a_file_that_is_no_yaml_is_said_in_one_line_with_the_place(refused: Callable[[str], str]):
    said = refused("slo: [1\nprobe_mode: off\n")
    assert said.startswith("PHASE5_CONFIG=FILE: the file cannot be read: line 2, column ")
    assert "\n" not in said


@pytest.mark.parametrize("bad", ["\x1b[2J", '[{"zz": [1]}]'])
def test_no_wrong_value_of_any_kind_of_setting_is_answered_in_a_librarys_words(bad: str, monkeypatch):
    of_each_kind = {repr((field.annotation, field.metadata)): name for name, field in variables()}.values()
    answered = 0
    for name in of_each_kind:
        with monkeypatch.context() as patch:
            patch.setenv(name, bad)
            try:
                load_settings()
            except ConfigurationError as error:
                said = str(error)
                answered += 1
                assert name in said or name.rpartition("__")[0] in said
                assert said.isprintable()
                assert not FOREIGN.search(said), said
    assert answered > 30
