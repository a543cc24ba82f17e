"""The commands of a release candidate: its registration, what the gate says of it, signatures, waivers, overrides."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phase5_ops.cli import completion
from phase5_ops.cli.errors import complain, gate_failures, refuse
from phase5_ops.cli.options import (
    ContextOption,
    DocumentOutputOption,
    FormatsOption,
    OutputOption,
    PlainFormat,
    PlainFormatOption,
    QuietOption,
    ReasonOption,
    ReleaseArgument,
    RoleOption,
    TicketOption,
    VerboseOption,
    WaitOption,
    WaitTimeoutOption,
    YesOption,
    settings_of_environment,
)
from phase5_ops.cli.output import check_writable, confirmation, finish, output_of, width_of, write
from phase5_ops.cli.progress import progress
from phase5_ops.report.formats import Format

if TYPE_CHECKING:
    from phase5_ops.commands.promote import Post
    from phase5_ops.settings import Settings


def promote(
    release: Annotated[str, typer.Argument(help="Name of the release: 1 to 64 of A-Z a-z 0-9 . _ -")],
    digest: Annotated[str, typer.Option("--digest", "-d", help="sha256:... of the artifact.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the candidate is promoted or has ended otherwise.")] = False,
    timeout: Annotated[float, typer.Option(help="How long to wait, in seconds.", min=0, max=604800)] = 3600,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Take the place of an older candidate even while people sign that one.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Give up the candidate.")] = False,
    new_series: Annotated[
        bool,
        typer.Option("--new-series", help="Try again a release that has ended: rejected, aborted, superseded, break-glass."),
    ] = False,
    context: ContextOption = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Dagster's webserver, http(s)://host:port; default: PHASE5_DAGSTER_URL.")
    ] = None,
    accept_break_glass: Annotated[
        bool, typer.Option("--accept-break-glass", help="With --wait: a promotion by break-glass counts as promoted too.")
    ] = False,
    attestation: Annotated[
        Path | None,
        typer.Option(
            "--attestation", help="With --wait: write the attestation of the promotion to this folder, for phase5 verify."
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Register with the state folder's own Dagster, also where an address is set.")
    ] = False,
) -> None:
    """Register a release candidate with the gate; the sensor promotion_gate does the rest.

    The same release and digest again is the same candidate, and one that has ended reports the same end again; --new-series tries
    it once more. The name with another digest is refused (exit 3). With --wait: exit 0 promoted, the gate's signed decision
    verifies, and the release is live still; 1 rejected, aborted, superseded, rolled back from or replaced, or no end in time.
    With --abort: 1 it has ended already. Exit 2: the webserver, the state table or KMS failed or did not answer, or what the
    table says is not signed. While it waits, each change is told on stderr: what keeps the gate closed, and
    who has still to sign. The sensor runs in `phase5 ui`, or in any Dagster daemon.
    """
    if local and url is not None:
        refuse("--local and --url: give one of them")
    settings = settings_of_environment(dagster_url=url)
    with gate_failures():
        from phase5_ops.commands.promote import RegistrationRequest, ask
        from phase5_ops.commands.promote import wait as wait_for
        from phase5_ops.gate.records import Release
        from phase5_ops.gate.session import GateSession, new_session

        # time limits of reading count for all calls of one reader, so each look has its own
        def look() -> GateSession:
            return new_session(settings, "phase5 promote")

        asked = RegistrationRequest(
            release, digest, abort=abort, supersede=supersede, new_series=new_series, context=tuple(context or ())
        )
        with _dagster(settings, local=local) as post:
            answer, series = ask(settings, post, look().state, asked)
        print(answer.text, flush=True)
        if wait:
            about = Release(release, digest, settings.environment)
            answer = wait_for(look, about, series, timeout=timeout, accept_break_glass=accept_break_glass, tell=complain)
            answer.keep(attestation)
            print(answer.text)
    raise typer.Exit(answer.exit_code)


@contextmanager
def _dagster(settings: "Settings", *, local: bool) -> Iterator["Post"]:
    """Where a candidate is registered: the webserver of the settings, else the state folder's own Dagster."""
    if settings.dagster_url is not None and not local:
        from phase5_ops.gate.candidates.dagster_http import DagsterWebserver

        yield DagsterWebserver(str(settings.dagster_url), settings.environment).post
        return
    from phase5_ops.commands.promote import to_instance
    from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder
    from phase5_ops.orchestration.names_in_dagster import DagsterNames

    with open_dagster(prepare_state_folder(settings.state_dir)) as instance:
        yield to_instance(instance, DagsterNames.of(settings))


def status(
    release: Annotated[str | None, typer.Argument(help="Name of a release; default: a list of all that may be open.")] = None,
    formats: FormatsOption = None,
    output: DocumentOutputOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show what the gate says of a release candidate: rows, findings, sign-offs, waivers, and everything that keeps it closed.

    It is the document that the gate signs and keeps in the state table, with its age, the same on every machine; a promotion
    decides again. Exit codes with RELEASE: 0 open, or promoted with an attestation that verifies; 1 closed by a failing row or a
    missing signature, given up (rejected, aborted, superseded), or rolled back from; 2 closed by INCONCLUSIVE or ERROR, or
    nothing is known: the gate has said nothing of it, or nothing lately; 3 no such candidate, usage or configuration error.
    Without RELEASE: the candidates that may be open, and 0. `phase5 releases` shows what is live.
    """
    settings = settings_of_environment()
    if release is None and set(formats or ()) - {Format.table}:
        refuse(f"--format {', '.join(formats or ())}: name a RELEASE")
    asked = output_of(formats, output, quiet=quiet, verbose=verbose)
    with gate_failures():
        from phase5_ops.commands import status as status_command

        if release is None:
            write(status_command.open_candidates(settings, width_of(output)), output)
            return
        document = status_command.release_status(settings, release)
    finish(document, asked, settings)


def releases(
    last: Annotated[int, typer.Option("--last", "-n", help="How many a table shows, from the newest on.", min=1)] = 50,
    output_format: PlainFormatOption = PlainFormat.table,
    output: OutputOption = None,
) -> None:
    """Show what is live, since when and by what (gate, rollback, break-glass), and the history of promotions.

    From records that the gate signed, each with what it saw deployed afterwards (AGREES, DIFFERENT, UNKNOWN). What somebody
    brought to production past this gate is not known here. Exit codes: 0; 2 it is not known what is live, or nothing could be
    read; 3 usage or configuration.
    """
    settings = settings_of_environment()
    check_writable(output)
    with gate_failures():
        from phase5_ops.commands import status as status_command

        history = status_command.releases(settings, complain)
    if output_format is PlainFormat.json:
        import json

        write(json.dumps(status_command.releases_json(settings.environment, history), indent=2), output)
    else:
        write(status_command.releases_text(settings.environment, history, width_of(output), last), output)
    raise typer.Exit(status_command.releases_exit_code(history))


def sign_off(
    release: ReleaseArgument,
    role: RoleOption,
    yes: YesOption = False,
    show: Annotated[bool, typer.Option("--show", help="Show what would be signed, and sign nothing.")] = False,
) -> None:
    """Show what is signed for a release, ask, and sign it with the role's key.

    The person is the one that the AWS credentials name: a source identity, or a session of a role in
    PHASE5_SIGNING__TRUSTED_ROLES.
    Exit codes: 0 signed; 1 refused; 2 AWS did not do it, or did not say; 3 usage or configuration.
    """
    from phase5_ops.commands.approvals import run_sign_off

    raise typer.Exit(run_sign_off(settings_of_environment(), release, role, confirmation(yes=yes or show), show_only=show))


def history_accept(
    role: RoleOption,
    reason: Annotated[str, typer.Option("--reason", help="Why what was lost need not be judged any more.")],
    ticket: Annotated[str, typer.Option("--ticket", help="The ticket in which it is followed up.")],
    run: Annotated[str | None, typer.Option("--run", help="The run that found it; default: the newest recorded run.")] = None,
    yes: YesOption = False,
) -> None:
    """Accept that a history starts anew, or that a table was made anew, as a recorded run found it; signed with the role's key.

    The acceptance covers exactly the breaks that are shown, and no earlier or later one. The state table keeps it, and the rows
    that rest on the history show it.
    Exit codes: 0 accepted; 1 refused; 2 AWS did not do it, or did not say; 3 usage or configuration.
    """
    from phase5_ops.commands.history import run_accept
    from phase5_ops.gate.approval.history_acceptance import AcceptanceRequest

    raise typer.Exit(run_accept(settings_of_environment(), run, AcceptanceRequest(role, reason, ticket), confirmation(yes=yes)))


def waive(  # noqa: PLR0917 - each is an option of the command
    row: Annotated[
        str,
        typer.Argument(
            metavar="ROW",
            help="Its id (1.2) or the name of its check (slo_alarms_defined).",
            autocompletion=completion.rows,
        ),
    ],
    release: Annotated[str, typer.Option("--release", help="Name of the candidate.")],
    finding: Annotated[list[str], typer.Option("--finding", help="CODE or CODE@SUBJECT; may be repeated.")],
    role: RoleOption,
    reason: Annotated[str, typer.Option("--reason", help="Why the finding may stand.")],
    ticket: Annotated[str, typer.Option("--ticket", help="The ticket in which it is followed up.")],
    until: Annotated[str, typer.Option("--until", help="Last day (2026-12-31, UTC) or moment of the waiver; at most 14 days.")],
    yes: YesOption = False,
) -> None:
    """Waive findings of one row for one release, signed by another role than the row's owner.

    Rows 3.1, 3.3, 4.1, 4.2, 4.3 and the sign-offs cannot be waived, nor what could not be found out. Every finding that keeps the
    row closed must be covered. Exit codes: 0 waived; 1 refused; 2 AWS did not do it, or did not say; 3 usage or configuration.
    """
    from phase5_ops.checklist import ROW_OF_CHECK
    from phase5_ops.commands.approvals import end_of, run_waive
    from phase5_ops.gate.approval.waive import WaiverRequest

    row_id = ROW_OF_CHECK[row].id if row in ROW_OF_CHECK else row
    request = WaiverRequest(row_id, tuple(finding), role, reason, ticket, end_of(until))
    raise typer.Exit(run_waive(settings_of_environment(), release, request, confirmation(yes=yes)))


def rollback(  # noqa: PLR0917 - each is an option of the command
    release: ReleaseArgument,
    reason: ReasonOption = None,
    ticket: TicketOption = None,
    context: ContextOption = None,
    wait: WaitOption = False,
    timeout: WaitTimeoutOption = 600,
    yes: YesOption = False,
) -> None:
    """Go back to a release that this gate promoted before, with one fresh signature of ops-sre and its own attestation.

    No row has to pass: an incident must not block its own cure. The order stands for PHASE5_OVERRIDES__ROLLBACK_MINUTES and is
    good for one effect. Exit codes: 0 signed (with --wait: it took effect, which the gate has signed); 1 refused, or no effect in
    time; 2 AWS did not do it, or did not say, or the record of the effect is not signed; 3 usage or configuration.
    """
    from phase5_ops.commands.override import OverrideRequest, run_override
    from phase5_ops.gate.attestation.orders import OrderKind
    from phase5_ops.gate.attestation.override_statement import ROLLBACK_ROLE

    request = OverrideRequest(
        OrderKind.ROLLBACK, release, ROLLBACK_ROLE, reason, ticket, tuple(context or ()), timeout if wait else None
    )
    raise typer.Exit(run_override(settings_of_environment(), request, confirmation(yes=yes)))


def break_glass(  # noqa: PLR0917 - each is an option of the command
    release: ReleaseArgument,
    role: RoleOption,
    reason: ReasonOption = None,
    ticket: TicketOption = None,
    context: ContextOption = None,
    wait: WaitOption = False,
    timeout: WaitTimeoutOption = 600,
    yes: YesOption = False,
) -> None:
    """Promote a registered release past the closed gate: two people, two roles, a reason, an end; people are told.

    The first person asks for it with --reason and --ticket; the second signs the same order without them. It is attested as
    BREAK_GLASS, never as OPEN, and stands for PHASE5_OVERRIDES__BREAK_GLASS_HOURS. Needs PHASE5_NOTIFICATIONS__SNS_TOPIC_ARN.
    Exit codes: 0 signed (with --wait: it took effect, which the gate has signed); 1 refused, or no effect in time; 2 AWS did not
    do it, or did not say, or the record of the effect is not signed; 3 usage or configuration.
    """
    from phase5_ops.commands.override import OverrideRequest, run_override
    from phase5_ops.gate.attestation.orders import OrderKind

    request = OverrideRequest(
        OrderKind.BREAK_GLASS, release, role, reason, ticket, tuple(context or ()), timeout if wait else None
    )
    raise typer.Exit(run_override(settings_of_environment(), request, confirmation(yes=yes)))


def audit_signatures(
    release: ReleaseArgument,
    output_format: PlainFormatOption = PlainFormat.table,
) -> None:
    """Compare each signature of a release with CloudTrail's record of the call in which KMS made it.

    The record of the same request must name the same key, algorithm, session and person. CloudTrail's event history goes back 90
    days, and a record comes within about 15 minutes. Run it with the settings that people sign with (PHASE5_SIGNING__*).
    Exit codes: 0 all match; 1 one differs, or has no record although it must have one; 2 not known (not readable, too new, too
    old, nothing signed); 3 usage or configuration.
    """
    from phase5_ops.commands.audit_signatures import as_json, as_text, audit_release

    with gate_failures():
        found = audit_release(settings_of_environment(), release)
    print(as_json(found) if output_format is PlainFormat.json else as_text(found, width_of(None)), flush=True)
    raise typer.Exit(found.exit_code)


def audit_export(
    begins: Annotated[str, typer.Option("--from", metavar="DATE", help="First day (UTC) or moment of the period.")],
    ends: Annotated[str, typer.Option("--to", metavar="DATE", help="Last day (UTC, whole) or moment of the period.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The archive; default: phase5-audit-ENVIRONMENT-FROM-TO.tar.gz.", show_default=False),
    ] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign its manifest with the gate's key; the caller must be allowed.")
    ] = False,
) -> None:
    """Write what the gate recorded in a period into one archive, which `phase5 verify ARCHIVE` verifies offline.

    Statements, signatures, keys with their validity, promotions, rollbacks, broken glass, waivers, accepted histories, candidates
    that ended otherwise, what was seen deployed, records of runs, and the evidence that they rest on. What is named and no longer
    there is listed as missing. Written whole or not at all; nothing is changed. Exit codes: 0 written; 2 AWS did not answer; 3
    usage or configuration.
    """
    settings = settings_of_environment()
    with gate_failures():
        from phase5_ops.commands.audit_export import default_path, export, period_of
        from phase5_ops.gate.session import new_session

        period = period_of(begins, ends)
        path = output or default_path(settings, period)
        check_writable(path)
        with progress("reading", piped=False) as say:
            exported = export(new_session(settings, "phase5 audit-export"), period, path, sign=sign, say=say)
    print("\n".join(exported.lines()), flush=True)
