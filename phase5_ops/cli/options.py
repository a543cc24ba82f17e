"""Options and arguments that several commands have, and what the environment says of settings."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phase5_ops.report.formats import Format

if TYPE_CHECKING:
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
        help="How the result is printed; default: table. May be repeated, with a folder as --output.",
        show_default=False,
    ),
]
PlainFormatOption = Annotated[PlainFormat, typer.Option("--format", "-f", help="How the result is printed.")]
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
    typer.Option("--row", "-r", help="Only this row (1.1, 2.2, ...) or extra check (tool_slo_met, ...); may be repeated."),
]
ScenarioOption = Annotated[
    str, typer.Option("--scenario", "-s", help="A scenario of the sandbox; `phase5 sandbox --list` shows them.")
]


class AcceptedRight(StrEnum):
    """Rights of promotion beside an open gate."""

    rollback = "rollback"
    break_glass = "break-glass"


ReleaseArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="Name of the candidate.")]
RoleOption = Annotated[str, typer.Option("--role", help="eng-reliability, ops-sre or security-compliance.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for use without a terminal.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="The reason; it becomes part of what is signed.")]
TicketOption = Annotated[str | None, typer.Option("--ticket", help="The ticket in which it is followed up.")]
ContextOption = Annotated[
    list[str] | None, typer.Option("--context", help="NAME=VALUE for the target, e.g. pipeline_execution_id=...")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until the order has taken effect.")]
WaitTimeoutOption = Annotated[float, typer.Option("--timeout", help="How long to wait, in seconds.", min=0, max=86400)]


def settings_of_environment(*, refresh_costs: bool = False, dagster_url: str | None = None) -> "Settings":
    """Validated settings, and the region that everything else needs."""
    from phase5_ops.aws.reader import configured_region
    from phase5_ops.settings import ConfigurationError, load_settings

    settings = load_settings(refresh_costs=refresh_costs or None, dagster_url=dagster_url)
    if configured_region() is None:
        raise ConfigurationError("no AWS region: set AWS_REGION (or AWS_PROFILE with a region) to the region of the platform")
    return settings


def chosen_rows(rows: list[str] | None, *, no_sign_offs: bool) -> list[str] | None:
    """The rows that are run and shown; None for all."""
    from phase5_ops.checklist import ALL_CHECKS, ROW_OF_ID
    from phase5_ops.settings import ConfigurationError

    unknown = [row for row in rows or [] if row not in ROW_OF_ID]
    if unknown:
        raise ConfigurationError(f"no such row: {', '.join(unknown)}; the rows are {', '.join(ROW_OF_ID)}")
    if not no_sign_offs:
        return rows or None
    return [row for row in rows or (row.id for row in ALL_CHECKS) if not ROW_OF_ID[row].is_sign_off]
