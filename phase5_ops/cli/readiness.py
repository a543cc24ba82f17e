"""The commands of readiness runs, of the embedded platform, and of what an installation needs."""

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from phase5_ops.cli import completion
from phase5_ops.cli.errors import EXIT_UNDECIDED, complain, gate_failures, refuse
from phase5_ops.cli.options import (
    DocumentOutputOption,
    FormatsOption,
    QuietOption,
    RowOption,
    ScenarioOption,
    VerboseOption,
    chosen_rows,
    purpose_named,
    settings_of_environment,
)
from phase5_ops.cli.output import emit, finish, output_of, width_of
from phase5_ops.cli.progress import progress

if TYPE_CHECKING:
    from phase5_ops.report.document import ReadinessDocument
    from phase5_ops.settings import Settings


#: Beginnings of warnings about calls that Dagster makes itself; nobody who uses phase5 can do anything about them.
DAGSTER_TO_ITSELF = ("Parameter `owners` of initializer `SensorDefinition", "Function `dev_command` is superseded")


def check(  # noqa: PLR0917 - each is an option of the command
    row: RowOption = None,
    formats: FormatsOption = None,
    output: DocumentOutputOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask Cost Explorer again ($0.01 a page) although today's answer is kept.")
    ] = False,
    no_sign_offs: Annotated[
        bool, typer.Option("--no-sign-offs", help="Leave out the sign-off rows; the exit code covers only the others.")
    ] = False,
) -> None:
    """Make one readiness run against the AWS that the environment points to, and print the rows.

    With --row only the evidence of those rows is gathered, and the exit code covers only them.
    """
    chosen = chosen_rows(row, no_sign_offs=no_sign_offs)
    asked = output_of(formats, output, quiet=quiet, verbose=verbose)
    settings = settings_of_environment(refresh_costs=refresh, in_role=True)
    finish(_run(settings, chosen, quiet=quiet), asked, settings)


def demo(  # noqa: PLR0917 - each is an option of the command
    scenario: ScenarioOption = "healthy",
    no_ui: Annotated[
        bool, typer.Option("--no-ui", help="End after the run, with its exit code, instead of serving the UI.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.", min=0, max=65535)] = 3000,
    formats: FormatsOption = None,
    output: DocumentOutputOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Start the embedded platform in a scenario, make a readiness run against it, print its rows, and serve the UI."""
    _require_sandbox()
    asked = output_of(formats, output, quiet=quiet, verbose=verbose)
    if not no_ui:
        from phase5_ops.sandbox.ports import free_port

        port = free_port(port, "the UI")
    from phase5_ops.sandbox.process import sandbox_process
    from phase5_ops.sandbox.scenarios import catalogue

    catalogue.named(scenario)
    with ExitStack() as stack:
        with progress(f"starting the sandbox, scenario {scenario}", quiet=quiet):
            exports = stack.enter_context(sandbox_process(scenario))
        os.environ.update(exports)
        print(f"phase5: state folder {os.environ['PHASE5_STATE_DIR']}", file=sys.stderr)
        settings = settings_of_environment()
        document = _run(settings, None, quiet=quiet)
        if no_ui:
            finish(document, asked, settings)
        emit(document, asked, settings)
        _serve_ui(port)


def sandbox(
    scenario: ScenarioOption = "healthy",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 0,
    list_scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios and what each changes, and end.")] = False,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Serve the embedded platform on 127.0.0.1 and print the `export` lines that a shell needs.

    `--scenario empty` has the tables and nothing in them.
    """
    _require_sandbox()
    from phase5_ops.sandbox import process
    from phase5_ops.sandbox.scenarios import catalogue

    if list_scenarios:
        print(catalogue.as_text(width_of(None)))
        return
    catalogue.named(scenario)
    process.serve(scenario, port, until_stdin_closes=until_stdin_closes)


def ui(port: Annotated[int, typer.Option(help="Port of the Dagster UI.", min=0, max=65535)] = 3000) -> None:
    """Serve the Dagster UI (lineage, checks, schedules) and its daemon on the state folder, until Ctrl-C.

    Where PHASE5_CONFIG lists environments, all of them are served, each as a code location.
    """
    from phase5_ops.sandbox.ports import free_port
    from phase5_ops.settings import listed_environments

    port = free_port(port, "the UI")
    if listed_environments() is None:
        settings_of_environment()
    _serve_ui(port)


def init(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; say what is wrong with the table and the signing keys.")
    ] = False,
    revoke: Annotated[
        list[str] | None,
        typer.Option("--revoke", metavar="KEY_ID", help="This pinned key may be replaced, without asking; may be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace pinned keys without asking.")] = False,
) -> None:
    """Create phase5's own state table (PHASE5_TABLES__READINESS), and pin the public keys of the gate and the three roles.

    The table is on demand, with point-in-time recovery and deletion protection. Needs rights to create tables, which readiness
    runs do not have; run again, it changes nothing that is right, and takes the steps that a newer version needs. Before a
    pinned key is replaced by another of KMS it says which one would be revoked, and asks; without a terminal it needs --revoke
    for each, or --yes. Replaced keys are kept as revoked.
    Exit codes: 0 done, or nothing wrong; 1 --check found something wrong, or a key was not to be replaced; 2 something could not
    be read; 3 usage or configuration.
    """
    from phase5_ops.gate.session import new_session

    settings = settings_of_environment()
    session = new_session(settings, "phase5 init")
    if check:
        from phase5_ops.gate.inputs.install_check import check_installation, exit_code

        found = list(check_installation(session))
        print("\n".join(str(each) for each in found), flush=True)
        raise typer.Exit(exit_code(found))
    from phase5_ops.commands.state_folder import prepare_state_folder, renew_dagster_yaml
    from phase5_ops.commands.workspace import write_workspace
    from phase5_ops.gate.signing.kms import SigningError
    from phase5_ops.gate.signing.trusted_keys import NotReplaced, Replaced, keys_file, pin_keys
    from phase5_ops.gate.state.setup import initialise
    from phase5_ops.gate.state.upgrades import NewerTable
    from phase5_ops.settings import ConfigurationError, listed_environments

    def may_replace(replaced: Replaced) -> bool:
        for line in replaced.lines():
            complain(line)
        if yes or (replaced.keys.keys() <= set(revoke or ()) and not replaced.unknown):
            return True
        if not sys.stdin.isatty():
            named = " ".join(f"--revoke {key_id}" for key_id in sorted(replaced.keys))
            needed = "--yes" if replaced.unknown else named
            refuse(f"there is no terminal to ask for confirmation on, and nothing was pinned: give {needed}")
        return typer.confirm("phase5: replace what is pinned by the keys that KMS has now?", err=True)

    home = prepare_state_folder(settings.state_dir)  # before anything is changed: the keys must have a place to be pinned in
    if renewed := renew_dagster_yaml(home):
        print(renewed)
    if (listed := listed_environments()) is not None:
        print(f"{write_workspace(home, listed)} serves {', '.join(listed)}")
    for line in initialise(session.reader, settings.tables.readiness):
        print(line)
    with gate_failures():
        try:
            for line in session.upgrades.upgrade(settings.environment, session.now):
                print(line)
            for line in pin_keys(session.reader, settings, session.state, session.now, may_replace=may_replace):
                print(line)
            print(f"pinned in {keys_file(settings)}; give this file to everybody who signs or verifies")
        except NewerTable as error:
            raise ConfigurationError(str(error)) from error
        except NotReplaced as error:
            complain(str(error))
            raise typer.Exit(1) from error
        except SigningError as error:
            complain(f"the keys are not pinned: {error}; run phase5 init again once KMS has them")
            raise typer.Exit(EXIT_UNDECIDED) from error


def explain(
    about: Annotated[
        str,
        typer.Argument(
            metavar="ROW|CODE",
            help="A row (1.2), the name of its check (slo_alarms_defined), or a finding code (breaker_open).",
            autocompletion=completion.rows_and_codes,
        ),
    ],
) -> None:
    """Say what a row asks for, or what a finding code means and what to do about it.

    For a row: when it passes, who owns it, its evidence and how old that may be, the runbook's section, and the codes that it may
    find. For a code: meaning, remedy, the rows that may find it, and the runbook's section. Needs neither AWS nor a run.
    """
    from phase5_ops.commands.explain import explained

    print(explained(about, width_of(None)), flush=True)


def iam_policy(
    purpose: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="PURPOSE",
            help="readiness (runs), gate (sensor and promotion), signer, pipeline (promote), init, auditor, doctor,"
            " or machine (that assumes a role).",
            autocompletion=completion.purposes,
        ),
    ] = "readiness",
    role: Annotated[
        str | None, typer.Option("--role", help="Whose key a signer signs with.", autocompletion=completion.roles)
    ] = None,
) -> None:
    """Print the least-privilege IAM policy of one purpose, as JSON.

    A daemon that makes readiness runs and promotes needs both policies, readiness and gate. Keys that the settings name by alias
    are recognized by the aliases they have: name them by ARN where others may change aliases.
    """
    import json

    from phase5_ops.permissions.purposes import policy_for

    chosen = purpose_named(purpose)
    print(json.dumps(policy_for(chosen, settings_of_environment(in_role=True), role), indent=2))


def _require_sandbox() -> None:
    from phase5_ops.settings import ConfigurationError

    try:
        import moto.server  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(f"the sandbox needs the extra: pip install 'phase5-ops[sandbox]' ({error})") from error


def _run(settings: "Settings", rows: list[str] | None, *, quiet: bool) -> "ReadinessDocument":
    with progress("loading Dagster and the checks", quiet=quiet) as say:
        from phase5_ops.commands.readiness import NotAsked, run_readiness

        say("asking AWS who calls, and looking for the platform's tables")
        try:
            return run_readiness(settings, rows)
        except NotAsked as error:
            complain(str(error))
            raise typer.Exit(EXIT_UNDECIDED) from error


def _serve_ui(port: int) -> None:
    """Runs `dagster dev` on the state folder until it ends or is told to end, with every process that it started."""
    from phase5_ops.cli.process_group import serve
    from phase5_ops.commands.state_folder import open_dagster, packaged, prepare_state_folder
    from phase5_ops.commands.workspace import state_folder_of, write_workspace
    from phase5_ops.settings import listed_environments, load_settings

    if (listed := listed_environments()) is None:
        home, workspace = prepare_state_folder(load_settings().state_dir), packaged("workspace.yaml")
    else:
        home = prepare_state_folder(state_folder_of(listed, complain))
        workspace = write_workspace(home, listed)
    open_dagster(home).dispose()  # its processes start at once and would stumble over each other's new storage
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    command += ["--log-level", "warning", "--code-server-log-level", "warning"]  # its start says nothing that we do not say
    quiet = [f"ignore:{message}" for message in DAGSTER_TO_ITSELF]
    given = [os.environ["PYTHONWARNINGS"]] if os.environ.get("PYTHONWARNINGS") else []  # the later ones are the stronger
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PHASE5_STATE_DIR": str(home),
        "PYTHONWARNINGS": ",".join([*quiet, *given]),
    }
    print(f"Dagster UI on http://127.0.0.1:{port} (state folder {home}); Ctrl-C ends it", file=sys.stderr)
    if not serve(command, environment):
        complain("Dagster's processes did not end in time and were killed; the next run puts back what a run under way left")
