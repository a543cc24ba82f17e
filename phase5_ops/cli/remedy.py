"""The command that prints what would mend rows, as code."""

from enum import StrEnum
from typing import Annotated

import typer

from phase5_ops.cli import completion
from phase5_ops.cli.errors import EXIT_UNDECIDED, complain
from phase5_ops.cli.options import OutputOption, chosen_rows
from phase5_ops.cli.output import check_writable, write


class RemedyFormat(StrEnum):
    """What a remedy is printed as."""

    commands = "commands"
    cloudformation = "cloudformation"
    terraform_json = "terraform-json"


def remedy(
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROW", autocompletion=completion.rows, help="Rows (1.1, 1.2, ...) or extra checks; default: all of the run."
        ),
    ] = None,
    output_format: Annotated[
        RemedyFormat,
        typer.Option("--format", "-f", help="A Bash script of AWS CLI lines, a CloudFormation template, or a *.tf.json file."),
    ] = RemedyFormat.commands,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Id of the readiness run, or its beginning; default: the newest of the environment."
        ),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Print what would mend rows, as code to review: alarms, a dashboard, a budget, cost tags, role policies, runbook text.

    It is made from the evidence of a readiness run, asks AWS nothing and applies nothing. What needs a person, and what a format
    cannot write, is said with the remedy. Exit codes: 0 said, also where no code mends a row; 2 the evidence of a row is missing
    or cannot be used; 3 usage, or there is no such run.
    """
    chosen = chosen_rows(rows, no_sign_offs=False)
    check_writable(output)
    from phase5_ops.commands.remedy import remedy_plan
    from phase5_ops.remedies import cloudformation, commands, terraform
    from phase5_ops.remedies.words import said
    from phase5_ops.settings import load_settings

    plan = remedy_plan(load_settings(), chosen, run)
    left_out: list[str] = []
    if output_format is RemedyFormat.commands:
        text = commands.render(plan)
    else:
        written = cloudformation if output_format is RemedyFormat.cloudformation else terraform
        text, left_out = written.render(plan)
        for line in (*said(plan), *left_out, *(() if text else ("nothing to write in this format",))):
            complain(line)
    if text:
        write(text, output)
    elif output is not None and output.exists():
        complain(f"{output} is of an earlier time and was left as it is: do not apply it for this run")
    if any(row.problem for row in plan.rows):
        if output_format is RemedyFormat.commands:
            for row in plan.rows:
                if row.problem:
                    complain(row.outcome)
        raise typer.Exit(EXIT_UNDECIDED)
