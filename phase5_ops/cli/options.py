"""Options and arguments that several commands have, and what the environment says of settings."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phase5_ops.cli import completion
from phase5_ops.cli.errors import refuse
from phase5_ops.report.formats import Format

if TYPE_CHECKING:
    from phase5_ops.checklist import Row
    from phase5_ops.permissions.purposes import Purpose
    from phase5_ops.settings import Settings


class PlainFormat(StrEnum):
    """Output formats of what is no readiness document."""

    table = "table"
    json = "json"


FormatsOption = Annotated[
    list[Format] | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help=f"{', '.join(Format)}; default: table. May be repeated, with a folder as --output.",
        show_default=False,
    ),
]
PlainFormatOption = Annotated[PlainFormat, typer.Option("--format", "-f", help="How the result is printed.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show the rows and the decision alone, and no progress.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show every finding, and the figures and the evidence of every row.")
]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write the result to this file instead of stdout.")]
DocumentOutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the result to this file instead of stdout; a folder takes a file for each format (readiness.json, ...).",
    ),
]
RowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--row",
        "-r",
        metavar="ROW",
        autocompletion=completion.rows,
        help="Only this row: its id (1.2) or its check's name (slo_alarms_defined); may be repeated.",
    ),
]
ScenarioOption = Annotated[
    str,
    typer.Option(
        "--scenario",
        "-s",
        help="A scenario of the sandbox; `phase5 sandbox --list` shows them.",
        autocompletion=completion.scenarios,
    ),
]


class AcceptedRight(StrEnum):
    """Rights of promotion beside an open gate."""

    rollback = "rollback"
    break_glass = "break-glass"


ReleaseArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="Name of the candidate.")]
RoleOption = Annotated[
    str, typer.Option("--role", help="eng-reliability, ops-sre or security-compliance.", autocompletion=completion.roles)
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for use without a terminal.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="The reason; it becomes part of what is signed.")]
TicketOption = Annotated[str | None, typer.Option("--ticket", help="The ticket in which it is followed up.")]
ContextOption = Annotated[
    list[str] | None, typer.Option("--context", help="NAME=VALUE for the target, e.g. pipeline_execution_id=...")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until the order has taken effect.")]
WaitTimeoutOption = Annotated[float, typer.Option("--timeout", help="How long to wait, in seconds.", min=0, max=86400)]


def settings_of_environment(*, refresh_costs: bool = False, dagster_url: str | None = None, in_role: bool = False) -> "Settings":
    """Validated settings, and the region that everything else needs.

    People and pipelines act as themselves, and what makes a readiness run in the role that is set for it (`in_role`).
    """
    from phase5_ops.aws.sessions import require_region
    from phase5_ops.settings import load_settings

    settings = load_settings(refresh_costs=refresh_costs or None, dagster_url=dagster_url)
    require_region(settings.aws)
    return settings if in_role else settings.with_own_credentials


def purpose_named(name: str) -> "Purpose":
    """The purpose of a policy, as `--for` names it; another name is a usage error."""
    from phase5_ops.permissions.purposes import Purpose
    from phase5_ops.text import nearest, printable

    try:
        return Purpose(name)
    except ValueError:
        near = f"did you mean {meant}? The" if (meant := nearest(name, Purpose)) else "the"
        refuse(f"--for {printable(name)}: {near} choices are {', '.join(Purpose)}")


def row_named(name: str) -> "Row":
    """The row of this id, or of this check's name.

    Raises:
        ConfigurationError: there is none; the message names what was probably meant.
    """
    from phase5_ops.checklist import ROW_OF_CHECK, ROW_OF_ID
    from phase5_ops.settings import ConfigurationError
    from phase5_ops.text import did_you_mean, printable

    row = ROW_OF_ID.get(name) or ROW_OF_CHECK.get(name)
    if row is None:
        every = f"the rows are {', '.join(ROW_OF_ID)}; the names of their checks are taken too"
        raise ConfigurationError(f"no row {printable(name)}{did_you_mean(name, (*ROW_OF_CHECK, *ROW_OF_ID), every)}")
    return row


def chosen_rows(rows: list[str] | None, *, no_sign_offs: bool) -> list[str] | None:
    """The ids of the rows that are run and shown, each once; None for all. Rows are given by their id or by their check."""
    from phase5_ops.checklist import ALL_CHECKS, ROW_OF_ID

    named = list(dict.fromkeys(row_named(row).id for row in rows or ()))
    if not no_sign_offs:
        return named or None
    return [row for row in named or (row.id for row in ALL_CHECKS) if not ROW_OF_ID[row].is_sign_off]
