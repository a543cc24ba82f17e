"""The commands over past runs: how verdicts went, and what changed from one run to another."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from phase5_ops.cli import gate
from phase5_ops.cli.command_help import PlainGroup, add_command, unwrapped
from phase5_ops.cli.errors import EXIT_UNDECIDED, complain, complain_of
from phase5_ops.cli.options import OutputOption, PlainFormat, PlainFormatOption, RowOption, chosen_rows
from phase5_ops.cli.output import check_writable, coloured, width_of, write

LocalOption = Annotated[
    bool, typer.Option("--local", help="Only this machine's evidence folder, also where PHASE5_EVIDENCE_S3_URI names a copy.")
]


def history(  # noqa: PLR0917 - each is an option of the command
    context: typer.Context,
    row: RowOption = None,
    last: Annotated[int, typer.Option("--last", "-n", help="How many runs, from the newest on.", min=1, max=1000)] = 20,
    local: LocalOption = False,
    output_format: PlainFormatOption = PlainFormat.table,
    output: OutputOption = None,
) -> None:
    """Show the verdicts of past runs, when each row changed last, and which findings came or went.

    With --row each run of that row is shown. Runs are those of PHASE5_ENVIRONMENT in the evidence folder, and in its copy on S3
    where PHASE5_EVIDENCE_S3_URI names one; Dagster's storage is not needed. A run of some rows only, under a fixed clock, or
    without a readable document is marked as such.

    Exit codes: 0; 2 no run is known, or the runs cannot be listed; 3 usage or configuration. For histories that rows rest on and
    that were lost: phase5 history accept.
    """
    if context.invoked_subcommand is not None:
        return
    rows = chosen_rows(row, no_sign_offs=False)
    check_writable(output)
    from phase5_ops.settings import load_settings

    settings = load_settings().with_own_credentials
    with _nothing_known():
        from phase5_ops.commands import run_history

        past = run_history.past_of(settings, rows=rows, last=last, local=local)
    if output_format is PlainFormat.json:
        text = _json(run_history.history_json(past))
    else:
        width, colours = width_of(output), coloured(output)
        text = run_history.history_text(past, width=width, colours=colours, chosen=rows is not None)
    if past.late:
        complain(past.late)
    write(text, output)


def diff(  # noqa: PLR0917 - each is an option of the command
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Id of a run, or its beginning.")] = None,
    other: Annotated[str | None, typer.Argument(metavar="RUN", help="Of a second one: from the first to this.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every finding and figure, however many.")] = False,
    local: LocalOption = False,
    output_format: PlainFormatOption = PlainFormat.table,
    output: OutputOption = None,
) -> None:
    """Show what changed between two runs: verdicts, findings that came and went, figures that moved.

    Without RUN: from the run before to the newest one; with one RUN: from the run before to that one; both are whole runs. Of
    partial runs that are named, the rows that both cover are compared.

    Exit codes: 0 compared, whatever changed; 2 there are no two runs to compare, or one cannot be read; 3 no such run, usage or
    configuration.
    """
    check_writable(output)
    from phase5_ops.settings import load_settings

    settings = load_settings().with_own_credentials
    with _nothing_known():
        from phase5_ops.commands import run_history

        about = run_history.compared(settings, [each for each in (run, other) if each is not None], local=local)
    if output_format is PlainFormat.json:
        text = _json(run_history.diff_json(about))
    else:
        text = run_history.diff_text(about, width=width_of(output), colours=coloured(output), everything=everything)
    write(text, output)


@contextmanager
def _nothing_known() -> Iterator[None]:
    from phase5_ops.commands.run_history import NothingKnown
    from phase5_ops.text import printable

    try:
        yield
    except NothingKnown as error:
        complain_of(error, printable(str(error)))
        raise typer.Exit(EXIT_UNDECIDED) from error


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)


history_app = typer.Typer(
    cls=PlainGroup,
    help=unwrapped(history.__doc__ or ""),
    epilog="Example: phase5 history --row 1.2 --last 50",
    invoke_without_command=True,
    callback=history,
)
add_command(
    history_app,
    "accept",
    gate.history_accept,
    'phase5 history accept --role ops-sre --reason "the volume was lost on Sunday" --ticket OPS-7',
)
