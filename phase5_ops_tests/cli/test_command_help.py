"""The help of every command: it fits the terminal, names the choices, and ends with an example that the command takes."""

import re
import shlex

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from phase5_ops.cli.app import COMMANDS, app
from phase5_ops.report.formats import Format

EXAMPLES = {name: example for commands in COMMANDS.values() for name, (_, example) in commands.items()}
EXAMPLES |= {"history": "phase5 history --row 1.2 --last 50"}


def helped(*command: str, width: int = 80) -> str:
    done = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": str(width), "NO_COLOR": "1"}, prog_name="phase5")
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_list_of_commands_fits_and_groups_them(width: int):
    shown = helped(width=width)
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert re.findall(r"^╭─ (.+?) ─+╮$", shown, re.MULTILINE)[1:] == list(COMMANDS)
    assert all(re.search(rf"^│ {name} ", shown, re.MULTILINE) for name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_of_a_command_fits_and_ends_with_its_example(name: str):
    shown = helped(name)
    assert all(cell_len(line) <= 80 for line in shown.splitlines())
    assert " ".join(shown.split()).endswith(f"Example: {EXAMPLES[name]}")
    assert "Usage: phase5" in shown


@pytest.mark.parametrize(("name", "example"), EXAMPLES.items())
def test_the_command_takes_its_example(name: str, example: str):
    words = shlex.split(example.replace("<64 hex digits>", "0" * 64))
    assert words[:2] == ["phase5", name]
    command = typer.main.get_command(app).get_command(None, name)
    context = command.make_context(name, words[2:], resilient_parsing=False)
    assert not context.args


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("status", "[OPTIONS] [RELEASE]"),
        ("report", "[OPTIONS] [RUN]"),
        ("diff", "[OPTIONS] [RUN] [RUN]"),
        ("waive", "[OPTIONS] ROW"),
        ("scan-logs", "[OPTIONS] PATH..."),
        ("verify", "[OPTIONS] [FILE...]"),
        ("check", "[OPTIONS]"),
        ("history", "[OPTIONS] COMMAND [ARGS]..."),
    ],
)
def test_the_usage_names_arguments_as_manuals_do(command: str, usage: str):
    shown = helped(command).splitlines()
    assert next(line.split(maxsplit=2)[2].rstrip() for line in shown if "Usage:" in line) == f"{command} {usage}"


@pytest.mark.parametrize("name", ["", *EXAMPLES])
def test_a_flag_has_no_type(name: str):
    assert "bool" not in helped(*name.split())


def test_the_choices_of_formats_are_named_whole():
    shown = " ".join(helped("check", width=80).replace("│", " ").split())
    assert f"{', '.join(Format)}; default: table" in shown
