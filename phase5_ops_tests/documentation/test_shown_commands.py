"""Every `phase5` command that README and the documents show is one that the command line takes, and is run by a test."""

import re
import shlex

import pytest
import typer

from phase5_ops.cli import app as cli
from phase5_ops_tests.documentation import test_commands_of_runs, test_commands_of_the_gate
from phase5_ops_tests.documentation.shown import COMMANDS, SHOWN, is_part_of, is_whole
from phase5_ops_tests.places import TESTS

STEPS = (*test_commands_of_runs.STEPS, *test_commands_of_the_gate.STEPS)
RUN = frozenset(step.shown for step in STEPS)

#: Commands that other tests run, in processes of their own or on another project: the test, and what it runs in its words.
ELSEWHERE = {
    "ui": ("gate/serving.py", '"ui", "--port"'),  # for the end-to-end test: served, used, stopped
    "demo": ("cli/test_cli.py", '"demo", "--no-ui"'),
    "demo --scenario breaker-open": ("cli/test_cli.py", '"--scenario", "breaker-open"'),
    "demo --scenario observed": ("test_scenarios.py", '".observed"'),  # its whole run
    "check --row 6.1": ("test_adding_a_row.py", "ledger-not-restorable"),  # a row that only the copy of that page has
    "sandbox --scenario ledger-not-restorable": ("test_adding_a_row.py", "ledger-not-restorable"),
    "--version": ("cli/test_errors.py", 'phase5("--version")'),
    "doctor --part runbook": ("deploy/test_guide.py", 'phase5("doctor --part runbook")'),
    'doctor --part "probe users"': ("deploy/test_guide.py", """phase5('doctor --part "probe users"')"""),
    'doctor --part "state table" --part "evidence bucket"': ("deploy/test_guide.py", "phase5(BUCKET_AND_TABLE)"),
    "iam-policy --for machine": ("cli/test_whose_credentials.py", '"iam-policy", "--for", "machine"'),
    "--install-completion": ("cli/test_completion.py", 'ask("--install-completion")'),
    "--show-completion": ("cli/test_completion.py", 'ask("--show-completion")'),
}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_that_is_shown_is_run_by_a_test(command: str):
    """As it is shown; what a sentence names in short (`phase5 waive`, `check --row`) as a part of one that is run."""
    if command in RUN or command in ELSEWHERE:
        return
    assert not is_whole(command), f"no test runs phase5 {command}: give it a step in one of the walks"
    assert any(is_part_of(command, each) for each in RUN), f"no test runs a command like phase5 {command}"


def test_the_walks_and_the_list_hold_nothing_that_no_document_shows():
    assert sorted(RUN - COMMANDS) == []
    assert sorted(ELSEWHERE.keys() - COMMANDS) == []
    assert sorted(RUN & ELSEWHERE.keys()) == []


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_run_elsewhere_is_run_there(command: str):
    test, words = ELSEWHERE[command]
    assert words in (TESTS / test).read_text(encoding="utf-8")


@pytest.mark.parametrize(("document", "command"), SHOWN, ids=lambda each: each)
def test_a_command_that_is_shown_is_taken(document: str, command: str):
    """Its options exist; where it is shown in part, those that are shown."""
    words, group = shlex.split(command), typer.main.get_command(cli.app)
    context = group.make_context("phase5", ["--help"], resilient_parsing=True)
    while isinstance(group, typer.core.TyperGroup) and words and group.get_command(context, words[0]) is not None:
        name, *words = words
        group = group.get_command(context, name)
    assert group is not None
    assert not isinstance(group, typer.core.TyperGroup) or not words or words[0].startswith("-"), f"no command {command!r}"
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known | {"--help"}, f"{document}: phase5 {command}"


def test_a_command_that_is_new_in_a_document_would_be_missed():
    assert is_whole("history --row 1.3")
    assert not is_whole("waive 1.2")
    assert not is_whole("explain CODE")
    assert is_part_of("check --row", "check --row 1.2 --row tool_slo_met")
    assert not is_part_of("check --verbose", "check --row 1.2")
    assert len(COMMANDS) >= 60
