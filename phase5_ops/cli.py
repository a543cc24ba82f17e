"""The command `phase5`; the only place that turns errors into exit codes.

Exit codes: 0 open, 1 closed by a failing row or a missing signature, 2 closed by INCONCLUSIVE or ERROR (also: the program
itself failed), 3 usage or configuration error, 130 interrupted. Heavy packages are imported inside the commands, so that
`--help` answers at once.
"""

import gc
import logging
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from phase5_ops.promote_command import Post
    from phase5_ops.report.document import ReadinessDocument
    from phase5_ops.settings import Settings

EXIT_UNDECIDED, EXIT_USAGE, EXIT_INTERRUPTED = 2, 3, 130
#: Beginnings of warnings about calls that Dagster makes itself; nobody who uses phase5 can do anything about them.
_DAGSTER_TO_ITSELF = ("Parameter `owners` of initializer `SensorDefinition", "Function `dev_command` is superseded")
#: Their warnings are for Dagster's log of a run; a user reads the same in findings, in notices, or in the one line of the error.
_SAID_OTHERWISE = ("phase5_ops.aws", "phase5_ops.continuity", "phase5_ops.run_end")

app = typer.Typer(
    name="phase5",
    help="Operational readiness of CCNative Phase 5: gathers evidence, judges every row, and says what is missing.",
    epilog="Exit codes: 0 open; 1 closed by a failing row or a missing signature; 2 closed by INCONCLUSIVE or ERROR; 3 usage or"
    " configuration error. Settings: PHASE5_* variables or a YAML file named by PHASE5_CONFIG, see docs/settings.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """Output formats."""

    table = "table"
    json = "json"
    markdown = "markdown"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How the result is printed.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write the result to this file instead of stdout.")]
RowOption = Annotated[
    list[str] | None,
    typer.Option("--row", "-r", help="Only this row (1.1, 2.2, ...) or extra check (tool_slo_met, ...); may be repeated."),
]
ScenarioOption = Annotated[
    str, typer.Option("--scenario", "-s", help="A scenario of the sandbox; `phase5 sandbox --list` shows them.")
]

#: How seldom the garbage collector looks for cycles: a run makes many objects that live until it ends, and has few cycles.
_RARELY = (50_000, 20, 20)


def main() -> NoReturn:
    """Entry of the console script: runs the app and exits with the contract's codes."""
    gc.set_threshold(*_RARELY)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    for name in _SAID_OTHERWISE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    for message in _DAGSTER_TO_ITSELF:
        warnings.filterwarnings("ignore", message=re.escape(message))
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code  # typer makes EXIT_INTERRUPTED of Ctrl-C
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes an exit code here
        code = _exit_code_of(error)
    if code == EXIT_INTERRUPTED:
        _complain("interrupted, nothing decided")
    sys.exit(code if isinstance(code, int) else 0)


def _exit_code_of(error: Exception) -> int:
    from phase5_ops.settings import ConfigurationError
    from phase5_ops.state_folder import FolderUnusable

    if isinstance(error, ConfigurationError):
        _complain(str(error))
        return EXIT_USAGE
    if isinstance(error, FolderUnusable):
        _complain(f"{error}; nothing was decided")
        return EXIT_UNDECIDED
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # a usage error of the command line
        error.show(file=sys.stderr)
        return EXIT_USAGE
    traceback.print_exc()
    _complain(f"internal error: {type(error).__name__}: {error}; nothing was decided")
    return EXIT_UNDECIDED


def _complain(text: str) -> None:
    print(f"phase5: {text}", file=sys.stderr)


def _settings(*, refresh_costs: bool = False, dagster_url: str | None = None) -> "Settings":
    """Validated settings, and the region that everything else needs."""
    from phase5_ops.aws.reader import configured_region
    from phase5_ops.settings import ConfigurationError, load_settings

    settings = load_settings(refresh_costs=refresh_costs or None, dagster_url=dagster_url)
    if configured_region() is None:
        raise ConfigurationError("no AWS region: set AWS_REGION (or AWS_PROFILE with a region) to the region of the platform")
    return settings


@app.command()
def check(
    row: RowOption = None,
    output_format: FormatOption = Format.table,
    output: OutputOption = None,
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
    chosen = _chosen_rows(row, no_sign_offs=no_sign_offs)
    _check_writable(output)
    _finish(_run(_settings(refresh_costs=refresh), chosen), output_format, output)


@app.command()
def demo(
    scenario: ScenarioOption = "healthy",
    no_ui: Annotated[
        bool, typer.Option("--no-ui", help="End after the run, with its exit code, instead of serving the UI.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.", min=0, max=65535)] = 3000,
    output_format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Start the embedded platform in a scenario, make a readiness run against it, print its rows, and serve the UI."""
    _require_sandbox()
    _check_writable(output)
    if not no_ui:
        from phase5_ops.ports import free_port

        port = free_port(port, "the UI")
    from phase5_ops.sandbox.process import sandbox_process

    with sandbox_process(scenario) as exports:
        os.environ.update(exports)
        print(f"phase5: state folder {os.environ['PHASE5_STATE_DIR']}", file=sys.stderr)
        document = _run(_settings(), None)
        if no_ui:
            _finish(document, output_format, output)
        _emit(document, output_format, output)
        _serve_ui(port)


@app.command()
def sandbox(
    scenario: ScenarioOption = "healthy",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 0,
    list_scenarios: Annotated[bool, typer.Option("--list", help="Show the scenarios and what each turns, and end.")] = False,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Serve the embedded platform on 127.0.0.1 and print the `export` lines that a shell needs.

    `--scenario empty` has the tables and nothing in them.
    """
    _require_sandbox()
    from phase5_ops.sandbox import process
    from phase5_ops.sandbox.scenarios import catalogue

    if list_scenarios:
        print(catalogue.as_table())
        return
    catalogue.named(scenario)
    process.serve(scenario, port, until_stdin_closes=until_stdin_closes)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port of the Dagster UI.", min=0, max=65535)] = 3000) -> None:
    """Serve the Dagster UI (lineage, checks, schedules) and its daemon on the state folder, until Ctrl-C."""
    from phase5_ops.ports import free_port

    port = free_port(port, "the UI")
    _settings()
    _serve_ui(port)


@app.command()
def init(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; say what is not as it must be, of the table and the signing keys.")
    ] = False,
    revoke: Annotated[
        list[str] | None,
        typer.Option("--revoke", metavar="KEY_ID", help="This pinned key may be replaced, without asking; may be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace pinned keys without asking.")] = False,
) -> None:
    """Create phase5's own state table (PHASE5_TABLES__READINESS), and pin the public keys of the gate and the three roles.

    The table is on demand, with point-in-time recovery and deletion protection. Needs rights to create tables, which readiness
    runs do not have; run again, it changes nothing that is right. Before a pinned key is replaced by another of KMS it says which
    one would be revoked, and asks; without a terminal it needs --revoke for each, or --yes. Replaced keys are kept as revoked.
    Exit codes: 0 done, or nothing wrong; 1 --check found something wrong, or a key was not to be replaced; 2 something could not
    be read; 3 usage or configuration.
    """
    from phase5_ops.aws.reader import AwsReader

    settings = _settings()
    reader = AwsReader(settings.reading)
    if check:
        from phase5_ops.gate.install_check import check_installation, exit_code

        found = list(check_installation(reader, settings))
        print("\n".join(str(each) for each in found), flush=True)
        raise typer.Exit(exit_code(found))
    from phase5_ops.gate.believed_keys import NotReplaced, Replaced, keys_file, pin_keys
    from phase5_ops.gate.signing import SigningError
    from phase5_ops.state_folder import prepare_state_folder
    from phase5_ops.state_table import initialise

    def may_replace(replaced: Replaced) -> bool:
        for line in replaced.lines():
            _complain(line)
        if yes or (replaced.keys.keys() <= set(revoke or ()) and not replaced.unknown):
            return True
        if not sys.stdin.isatty():
            named = " ".join(f"--revoke {key_id}" for key_id in sorted(replaced.keys))
            _refuse(f"not a terminal to ask on, and nothing was pinned: give {named if not replaced.unknown else '--yes'}")
        return typer.confirm("phase5: replace what is pinned by the keys that KMS has now?", err=True)

    prepare_state_folder(settings.state_dir)  # before anything is changed: the keys must have a place to be pinned in
    for line in initialise(reader, settings.tables.readiness):
        print(line)
    with _gate_failures():
        try:
            for line in pin_keys(reader, settings, settings.clock.now(), may_replace=may_replace):
                print(line)
            print(f"pinned in {keys_file(settings)}; give this file to everybody who signs or verifies")
        except NotReplaced as error:
            _complain(str(error))
            raise typer.Exit(1) from error
        except SigningError as error:
            _complain(f"the keys are not pinned, run phase5 init again once they are there: {error}")
            raise typer.Exit(EXIT_UNDECIDED) from error


class ScanFormat(StrEnum):
    """Output formats of a scan."""

    table = "table"
    json = "json"


@app.command("scan-logs")
def scan_logs(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files or folders, packed or not; - is stdin.")],
    tenants: Annotated[Path, typer.Option("--tenants", "-t", help="File of tenant ids, one a line.")],
    output_format: Annotated[ScanFormat, typer.Option("--format", "-f", help="How the result is printed.")] = ScanFormat.table,
    output: OutputOption = None,
) -> None:
    """Scan log files for lines of one tenant's trace that name another tenant, without Dagster and AWS.

    Text in Lambda's text or JSON format, subscription envelopes as Firehose writes them, answers of filter-log-events,
    get-log-events and get-query-results, and lists of events; packed (gzip, zstd, bzip2, xz, zip, tar, also in each other) or
    not. What is not understood is named and an ERROR. Ids are also found behind encodings; PHASE5_LOGS__BASE64 and
    PHASE5_LOGS__ANY_LETTER_CASE add two.

    Exit codes: 0 PASS or WARN; 1 FAIL; 2 INCONCLUSIVE or ERROR; 3 usage. Thresholds are those of PHASE5_LOGS__*.
    """
    _check_writable(output)
    from phase5_ops import log_command
    from phase5_ops.settings import ConfigurationError, load_settings

    settings = load_settings()
    try:
        ids = log_command.read_tenant_ids(tenants)
    except log_command.TenantsUnreadable as error:
        raise ConfigurationError(str(error)) from error
    with _progress("scanning"):
        logger = logging.getLogger("phase5_ops.scan")

        def progress(name: str, done: int) -> None:
            logger.info("%s: %d MB", name, done // 1_000_000)

        judgement = log_command.scan_files(paths, ids, settings.logs, progress)
    _write(log_command.as_json(judgement) if output_format is ScanFormat.json else log_command.as_text(judgement), output)
    raise typer.Exit(log_command.EXIT_CODES[judgement.verdict])


@app.command("iam-policy")
def iam_policy(
    purpose: Annotated[
        str,
        typer.Option("--for", help="readiness (runs), gate (sensor and promotion), signer, pipeline (promote), init or auditor."),
    ] = "readiness",
    role: Annotated[str | None, typer.Option("--role", help="Whose key a signer signs with.")] = None,
) -> None:
    """Print the least-privilege IAM policy of one purpose, as JSON.

    A daemon that makes readiness runs and promotes needs both policies, readiness and gate. Keys that the settings name by alias
    are recognized by the aliases they have: name them by ARN where others may change aliases.
    """
    import json

    from phase5_ops.iam_command import Purpose, policy_for

    try:
        chosen = Purpose(purpose)
    except ValueError:
        _refuse(f"--for {purpose}: give one of {', '.join(Purpose)}")
    print(json.dumps(policy_for(chosen, _settings(), role), indent=2))


class AuditFormat(StrEnum):
    """Output formats of the audits over files."""

    table = "table"
    json = "json"


@app.command("audit-ledger")
def audit_ledger(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files or folders with ledger items.", show_default=False)
    ],
    output_format: Annotated[AuditFormat, typer.Option("--format", "-f", help="How the result is printed.")] = AuditFormat.table,
) -> None:
    """Audit the replays in ledger exports, without Dagster or AWS: the same judgement as row 3.2.

    Takes DynamoDB JSON or plain items: scan, query, get and batch-get answers, put requests, lists, lines, and full exports,
    packed (gzip, zstd, bzip2, xz, zip, tar) or not. Every file of a folder is read, or named as not read (ERROR). Evaluated at
    PHASE5_NOW, else at the newest entry. Exit codes: 0 PASS or WARN, 1 FAIL, 2 INCONCLUSIVE or ERROR, 3 usage.
    """
    from phase5_ops.settings import ConfigurationError, load_settings

    settings = load_settings()
    if missing := [str(path) for path in paths if not path.exists()]:
        raise ConfigurationError(f"no such file or folder: {', '.join(missing)}")
    with _progress("reading"):
        from phase5_ops.replay.audit_files import audit_files
        from phase5_ops.report import file_audit

        judgement = audit_files(paths, policy=settings.replay, now=settings.now)
    if output_format is AuditFormat.json:
        print(file_audit.as_json("phase5.ledger_audit/v1", judgement))
    else:
        print(file_audit.as_table("Replay audit trail", judgement))
    raise typer.Exit(file_audit.exit_code(judgement))


@app.command()
def explain(code: Annotated[str, typer.Argument(help="A finding code, e.g. breaker_open.")]) -> None:
    """Say what a finding code means and what to do about it."""
    from phase5_ops.findings import catalogue
    from phase5_ops.settings import ConfigurationError

    found = catalogue().get(code)
    if found is None:
        raise ConfigurationError(f"no finding code {code!r}; docs/findings.md lists them all")
    for meaning in found:
        verdicts = " or ".join([meaning.verdict, *meaning.also])
        print(f"{meaning.code} ({verdicts})\n{meaning.meaning}\nRemedy: {meaning.remedy}\n")


@app.command()
def promote(
    release: Annotated[str, typer.Argument(help="Name of the release: 1 to 64 of A-Z a-z 0-9 . _ -")],
    digest: Annotated[str, typer.Option("--digest", "-d", help="sha256:... of the artifact.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is promoted, rejected, aborted or superseded.")] = False,
    timeout: Annotated[float, typer.Option(help="How long to wait, in seconds.", min=0, max=604800)] = 3600,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Take the place of an older candidate even where that is being signed.")
    ] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Give the candidate up.")] = False,
    new_series: Annotated[
        bool,
        typer.Option("--new-series", help="Try a release again that ended: rejected, aborted, superseded, broken glass."),
    ] = False,
    context: Annotated[
        list[str] | None, typer.Option("--context", help="NAME=VALUE for the target, e.g. pipeline_execution_id=...")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Dagster's webserver, http(s)://host:port; default: PHASE5_DAGSTER_URL.")
    ] = None,
    accept_break_glass: Annotated[
        bool, typer.Option("--accept-break-glass", help="With --wait: also what two people took past the gate is promoted.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="Register with the state folder's own Dagster, also where an address is set.")
    ] = False,
) -> None:
    """Register a release candidate with the gate; the sensor promotion_gate does the rest.

    The same release and digest again is the same candidate, and one that has ended reports the same end again; --new-series tries
    it once more. The name with another digest is refused (exit 3). With --wait: exit 0
    promoted, and the gate's signed decision verifies; 1 rejected, aborted, superseded, or no end in time. Exit 2: webserver,
    state table or KMS did not do it or did not say, or what the table says is not signed. The sensor runs in `phase5 ui`, or in
    any Dagster daemon.
    """
    if local and url is not None:
        _refuse("--local and --url: give one of them")
    settings = _settings(dagster_url=url)
    with _gate_failures():
        from phase5_ops.aws.reader import AwsReader
        from phase5_ops.gate.believed_keys import believed_keys
        from phase5_ops.gate.keys import KeySet
        from phase5_ops.gate.records import Release
        from phase5_ops.gate.state import StateTable
        from phase5_ops.promote_command import Wish, ask
        from phase5_ops.promote_command import wait as wait_for

        # time limits of reading count for all calls of one reader, so each look has its own
        def table() -> StateTable:
            return StateTable(AwsReader(settings.reading), settings.tables.readiness)

        def keys() -> KeySet:
            return believed_keys(AwsReader(settings.reading), settings)

        wish = Wish(release, digest, abort=abort, supersede=supersede, new_series=new_series, context=tuple(context or ()))
        with _dagster(settings, local=local) as post:
            answer, series = ask(settings, post, table(), wish)
        print(answer.text, flush=True)
        if wait:
            about = Release(release, digest, settings.environment)
            answer = wait_for(table, keys, about, series, timeout=timeout, accept_break_glass=accept_break_glass, tell=_complain)
            print(answer.text)
    raise typer.Exit(answer.exit_code)


@contextmanager
def _dagster(settings: "Settings", *, local: bool) -> Iterator["Post"]:
    """Where a candidate is registered: the webserver of the settings, else the state folder's own Dagster."""
    if settings.dagster_url is not None and not local:
        from phase5_ops.gate.dagster_http import DagsterWebserver

        yield DagsterWebserver(str(settings.dagster_url)).post
        return
    from phase5_ops.promote_command import to_instance
    from phase5_ops.state_folder import open_dagster, prepare_state_folder

    with open_dagster(prepare_state_folder(settings.state_dir)) as instance:
        yield to_instance(instance)


@app.command()
def status(
    release: Annotated[str | None, typer.Argument(help="Name of a release; default: a list of all that may be open.")] = None,
    output_format: FormatOption = Format.table,
    output: OutputOption = None,
) -> None:
    """Show what the gate says of a release candidate: rows, findings, sign-offs, waivers, and everything that keeps it closed.

    It is the document that the gate signs and keeps in the state table, with its age, the same on every machine; a promotion
    decides again. Exit codes with RELEASE: 0 open, or promoted with an attestation that verifies; 1 closed by a failing row or a
    missing signature, given up (rejected, aborted, superseded), or rolled back from; 2 closed by INCONCLUSIVE or ERROR, or
    nothing is known: the gate has said nothing of it, or not for long; 3 no such candidate, usage or configuration error.
    Without RELEASE: the candidates that may be open, and 0. `phase5 releases` shows what is live.
    """
    settings = _settings()
    if release is None and output_format is not Format.table:
        _refuse(f"--format {output_format}: name a RELEASE")
    _check_writable(output)
    with _gate_failures():
        from phase5_ops import status_command

        if release is None:
            _write(status_command.open_candidates(settings), output)
            return
        document = status_command.release_status(settings, release)
    _finish(document, output_format, output)


@app.command()
def releases(
    output_format: Annotated[AuditFormat, typer.Option("--format", "-f", help="How the result is printed.")] = AuditFormat.table,
    output: OutputOption = None,
) -> None:
    """Show what is live, since when and by what (gate, rollback, broken glass), and the history of promotions.

    From records that the gate signed. What somebody brought to production past this gate is not known here. Exit codes: 0; 2 it
    is not known what is live, or nothing could be read; 3 usage or configuration.
    """
    settings = _settings()
    _check_writable(output)
    with _gate_failures():
        from phase5_ops import status_command

        history, live = status_command.releases(settings)
    if output_format is AuditFormat.json:
        import json

        _write(json.dumps(status_command.releases_json(settings.environment, history, live), indent=2), output)
    else:
        _write(status_command.releases_text(settings.environment, history, live), output)
    raise typer.Exit(status_command.releases_exit_code(history, live))


@contextmanager
def _gate_failures() -> Iterator[None]:
    """A state table, webserver or KMS that does not answer: nothing is known, exit 2, with the call and the remedy."""
    from phase5_ops.gate.dagster_http import WebserverError
    from phase5_ops.gate.keys import KeysError
    from phase5_ops.gate.signing import SigningError
    from phase5_ops.gate.state import StateError
    from phase5_ops.gate.stated_documents import NotStated
    from phase5_ops.settings import ConfigurationError

    try:
        yield
    except NotStated as error:
        _complain(str(error))
        raise typer.Exit(EXIT_UNDECIDED) from error
    except WebserverError as error:
        _complain(str(error))
        raise typer.Exit(EXIT_UNDECIDED) from error
    except (StateError, SigningError) as error:
        _complain(f"{error}; nothing is known")
        raise typer.Exit(EXIT_UNDECIDED) from error
    except KeysError as error:
        raise ConfigurationError(str(error)) from error


class Accepted(StrEnum):
    """Rights of promotion beside an open gate."""

    rollback = "rollback"
    break_glass = "break-glass"


@app.command()
def verify(  # noqa: PLR0917 - each is an option of the command
    file: Annotated[list[Path] | None, typer.Argument(help="Envelopes: the readiness statement, and the decision.")] = None,
    digest: Annotated[str, typer.Option("--digest", "-d", help="sha256:... of the artifact they must be about.")] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", help="The keys that are believed; default: keys.json of the state folder.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="Judge age as of this moment (ISO-8601).")] = None,
    max_age_hours: Annotated[float, typer.Option(help="How old the statement may be.", min=0)] = 168,
    environment: Annotated[
        str | None,
        typer.Option("--environment", help="The environment they must be for; default: PHASE5_ENVIRONMENT, as everywhere."),
    ] = None,
    accept: Annotated[
        list[Accepted] | None,
        typer.Option("--accept", help="Take a promotion by this right too, although the gate was not open; may be repeated."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", help="Folder of the run, evidence/<run id>: its files must be those of the statement."),
    ] = None,
) -> None:
    """Verify attestations offline: exit 0 if everything holds, 1 if not, 3 for a usage error.

    Needs neither AWS nor Dagster nor the network, only the files and the keys. The files are those of a promotion: the readiness
    statement and the decision; or, with --accept, the signed override and the decision. They must be for one environment: that of
    --environment, else of the settings; where neither names one and the statement is not for the default, it is to be named
    (exit 3). A key that was revoked counts only for what a decision, by its own time, shows to have been signed before.
    What is older than --max-age-hours is not verified for a deployment; an auditor looks at it as of its own day with --at, and
    at the evidence files with --evidence.
    """
    from datetime import UTC, datetime, timedelta

    from phase5_ops.clock import parse_iso
    from phase5_ops.gate.keys import KeysError, parse_keys
    from phase5_ops.gate.orders import Kind
    from phase5_ops.gate.verification import DIGEST_PATTERN
    from phase5_ops.gate.verification import verify as verify_files
    from phase5_ops.production import DEFAULT_ENVIRONMENT

    if not file:
        _refuse("nothing to verify: name the files of the envelopes")
    if not DIGEST_PATTERN.fullmatch(digest):
        _refuse(f"--digest {digest}: give the artifact's digest as sha256: and 64 hex digits")
    keys_file = policy or Path(os.environ.get("PHASE5_STATE_DIR") or ".phase5") / "keys.json"
    try:
        keys = parse_keys(keys_file.read_bytes())
        contents = {str(path): path.read_bytes() for path in file}
        now = parse_iso(at) if at else datetime.now(UTC)
        max_age = timedelta(hours=max_age_hours)
    except KeysError as error:
        _refuse(f"{keys_file}: {error}")
    except OSError as error:
        remedy = "; name the keys that are believed with --policy" if error.filename == str(keys_file) and policy is None else ""
        _refuse(f"{error.filename}: cannot be read: {error.strerror}{remedy}")
    except (ValueError, OverflowError) as error:
        _refuse(f"--at or --max-age-hours: {error}; a moment is given as 2026-11-24T10:00:00Z, an age as a number of hours")
    kinds = [Kind[each.value.upper().replace("-", "_")] for each in accept or ()]
    named = environment if environment is not None else _environment_of_settings()
    verification = verify_files(
        contents,
        digest=digest,
        keys=keys,
        now=now,
        max_age=max_age,
        environment=DEFAULT_ENVIRONMENT if named is None else named,
        accept=kinds,
    )
    if evidence is not None:
        verification = verification.with_problems(_evidence_problems(evidence, verification.facts))
    print("\n".join(verification.lines()), flush=True)
    if named is None and verification.only_environment_differs:
        said = verification.facts.get("environment")
        _refuse(f"the statement is for {said!r}, and no environment is named: give --environment {said} if it is to be for that")
    raise typer.Exit(0 if verification.ok else 1)


def _evidence_problems(folder: Path, facts: Mapping[str, str]) -> list[str]:
    """Why a folder is not the evidence of a statement."""
    from phase5_ops.evidence_store import EvidenceStore

    digest, run_id = facts.get("evidence"), facts.get("of run")
    if digest is None:
        return ["--evidence: no file says which evidence it rests on"]
    resolved = folder.resolve()
    try:
        found = EvidenceStore(resolved.parent).differences(resolved.name, digest)
    except ValueError as error:
        found = [str(error)]
    if found and resolved.name != run_id:
        found.append(f"the statement rests on run {run_id}, and so on the folder of that name")
    return [f"evidence {folder}: {line}" for line in found]


def _environment_of_settings() -> str | None:
    """The environment that the settings name; None where nothing sets any, so that they need not be loaded."""
    if not {"PHASE5_ENVIRONMENT", "PHASE5_CONFIG"} & {name.upper() for name in os.environ}:
        return None
    from phase5_ops.settings import load_settings

    settings = load_settings()
    return settings.environment if "environment" in settings.model_fields_set else None


ReleaseArgument = Annotated[str, typer.Argument(metavar="RELEASE", help="Name of the candidate.")]
RoleOption = Annotated[str, typer.Option("--role", help="eng-reliability, ops-sre or security-compliance.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for use without a terminal.")]


@app.command("sign-off")
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
    from phase5_ops.people_command import run_sign_off

    raise typer.Exit(run_sign_off(_settings(), release, role, _confirmation(yes=yes or show), show_only=show))


history_app = typer.Typer(
    help="Histories that runs build on: breaker snapshots, what earlier runs saw of the ledger, and the tables they are about.",
    no_args_is_help=True,
)
app.add_typer(history_app, name="history")


@history_app.command("accept")
def history_accept(
    role: RoleOption,
    reason: Annotated[str, typer.Option("--reason", help="Why what was lost need not be judged any more.")],
    ticket: Annotated[str, typer.Option("--ticket", help="Where it is followed up.")],
    run: Annotated[str | None, typer.Option("--run", help="The run that found it; default: the newest recorded run.")] = None,
    yes: YesOption = False,
) -> None:
    """Accept that a history starts anew, or that a table was made anew, as a recorded run found it; signed with the role's key.

    It covers exactly the heads that are shown, and nothing that breaks before or after. The state table keeps it, and the rows
    that it is about show it. Exit codes: 0 accepted; 1 refused; 2 AWS did not do it, or did not say; 3 usage or configuration.
    """
    from phase5_ops.gate.history_acceptance import Request
    from phase5_ops.history_command import run_accept

    raise typer.Exit(run_accept(_settings(), run, Request(role, reason, ticket), _confirmation(yes=yes)))


@app.command()
def waive(  # noqa: PLR0917 - each is an option of the command
    row: Annotated[str, typer.Argument(metavar="ROW", help="Row (1.2, 2.1, ...) or extra check (tool_slo_met, ...).")],
    release: Annotated[str, typer.Option("--release", help="Name of the candidate.")],
    finding: Annotated[list[str], typer.Option("--finding", help="CODE or CODE@SUBJECT; may be repeated.")],
    role: RoleOption,
    reason: Annotated[str, typer.Option("--reason", help="Why the finding may stand.")],
    ticket: Annotated[str, typer.Option("--ticket", help="Where it is followed up.")],
    until: Annotated[str, typer.Option("--until", help="Last day (2026-12-31, UTC) or moment of the waiver; at most 14 days.")],
    yes: YesOption = False,
) -> None:
    """Waive findings of one row for one release, signed by another role than the row's owner.

    Rows 3.1, 3.3, 4.1, 4.2, 4.3 and the sign-offs cannot be waived, nor what could not be found out. Every finding that keeps the
    row closed must be covered. Exit codes: 0 waived; 1 refused; 2 AWS did not do it, or did not say; 3 usage or configuration.
    """
    from phase5_ops.gate.waiving import WaiverRequest
    from phase5_ops.people_command import end_of, run_waive

    request = WaiverRequest(row, tuple(finding), role, reason, ticket, end_of(until))
    raise typer.Exit(run_waive(_settings(), release, request, _confirmation(yes=yes)))


ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; it stands in what is signed.")]
TicketOption = Annotated[str | None, typer.Option("--ticket", help="Where it is followed up.")]
ContextOption = Annotated[
    list[str] | None, typer.Option("--context", help="NAME=VALUE for the target, e.g. pipeline_execution_id=...")
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until it has taken effect.")]
WaitTimeoutOption = Annotated[float, typer.Option("--timeout", help="How long to wait, in seconds.", min=0, max=86400)]


@app.command()
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
    good for one effect. Exit codes: 0 signed (with --wait: it took effect); 1 refused, or no effect in time; 2 AWS did not do it,
    or did not say; 3 usage or configuration.
    """
    from phase5_ops.gate.orders import Kind
    from phase5_ops.gate.overrides import ROLLBACK_ROLE
    from phase5_ops.override_command import OverrideRequest, run_override

    request = OverrideRequest(
        Kind.ROLLBACK, release, ROLLBACK_ROLE, reason, ticket, tuple(context or ()), timeout if wait else None
    )
    raise typer.Exit(run_override(_settings(), request, _confirmation(yes=yes)))


@app.command("break-glass")
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
    Exit codes: 0 signed (with --wait: it took effect); 1 refused, or no effect in time; 2 AWS did not do it, or did not say;
    3 usage or configuration.
    """
    from phase5_ops.gate.orders import Kind
    from phase5_ops.override_command import OverrideRequest, run_override

    request = OverrideRequest(Kind.BREAK_GLASS, release, role, reason, ticket, tuple(context or ()), timeout if wait else None)
    raise typer.Exit(run_override(_settings(), request, _confirmation(yes=yes)))


@app.command("audit-signatures")
def audit_signatures(
    release: ReleaseArgument,
    output_format: Annotated[AuditFormat, typer.Option("--format", "-f", help="How the result is printed.")] = AuditFormat.table,
) -> None:
    """Compare each signature of a release with CloudTrail's record of the call in which KMS made it.

    The record of the same request must name the same key, algorithm, session and person. CloudTrail's event history goes back 90
    days, and a record comes within about 15 minutes. Run it with the settings that people sign with (PHASE5_SIGNING__*).
    Exit codes: 0 all match; 1 one differs, or has no record although it must have one; 2 not known (not readable, too new, too
    old, nothing signed); 3 usage or configuration.
    """
    from phase5_ops.audit_command import as_json, as_text, audit_release

    with _gate_failures():
        found = audit_release(_settings(), release)
    print(as_json(found) if output_format is AuditFormat.json else as_text(found), flush=True)
    raise typer.Exit(found.exit_code)


def _confirmation(*, yes: bool) -> Callable[[str], bool]:
    """Asks the person, unless `--yes` did."""
    if yes:
        return lambda _question: True
    if not sys.stdin.isatty():
        _refuse("not a terminal to ask on: give --yes")
    return lambda question: typer.confirm(question, err=True)


def _refuse(text: str) -> NoReturn:
    """A usage error, without loading the settings."""
    _complain(text)
    raise typer.Exit(EXIT_USAGE)


def _chosen_rows(rows: list[str] | None, *, no_sign_offs: bool) -> list[str] | None:
    """The rows that are run and shown; None for all."""
    from phase5_ops.checklist import ALL_CHECKS, ROW_OF_ID
    from phase5_ops.settings import ConfigurationError

    unknown = [row for row in rows or [] if row not in ROW_OF_ID]
    if unknown:
        raise ConfigurationError(f"no such row: {', '.join(unknown)}; the rows are {', '.join(ROW_OF_ID)}")
    if not no_sign_offs:
        return rows or None
    return [row for row in rows or (row.id for row in ALL_CHECKS) if not ROW_OF_ID[row].is_sign_off]


def _require_sandbox() -> None:
    from phase5_ops.settings import ConfigurationError

    try:
        import moto.server  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(f"the sandbox needs the extra: pip install 'phase5-ops[sandbox]' ({error})") from error


def _run(settings: "Settings", rows: list[str] | None) -> "ReadinessDocument":
    with _progress("starting"):
        from phase5_ops.readiness_run import NotAsked, run_readiness

        try:
            return run_readiness(settings, rows)
        except NotAsked as error:
            _complain(str(error))
            raise typer.Exit(EXIT_UNDECIDED) from error


@contextmanager
def _progress(first: str) -> Iterator[None]:
    """Shows on stderr what is being done, where that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    # a descriptor of its own: while a step runs, Dagster keeps what goes to stderr in the step's file
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal, Console(file=terminal).status(first) as status:

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                status.update(record.getMessage())

        logger, handler = logging.getLogger("phase5_ops"), Handler(logging.INFO)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)


def _check_writable(output: Path | None) -> None:
    """Found out before anything is read, rather than when the result is there."""
    if output is None:
        return
    from phase5_ops.settings import ConfigurationError

    if output.is_dir() or not os.access(output.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--output {output}: its folder does not exist or cannot be written")


def _emit(document: "ReadinessDocument", output_format: Format, output: Path | None) -> None:
    _write(_rendered(document, output_format, to_terminal=output is None and sys.stdout.isatty()), output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        print(text, flush=True)
        return
    from phase5_ops.settings import ConfigurationError
    from phase5_ops.whole_file import write_whole

    try:
        write_whole(output, f"{text}\n".encode())
    except OSError as error:
        raise ConfigurationError(f"--output {output}: cannot be written: {error}") from error


def _rendered(document: "ReadinessDocument", output_format: Format, *, to_terminal: bool) -> str:
    if output_format is Format.json:
        import json

        return json.dumps(document.to_json(), indent=2, ensure_ascii=False)
    if output_format is Format.markdown:
        from phase5_ops.report import markdown

        return markdown.render(document)
    from io import StringIO

    from rich.console import Console

    from phase5_ops.report import terminal

    buffer = StringIO()
    width = None if to_terminal else 150
    console = Console(file=buffer, force_terminal=to_terminal, width=width or Console().width)
    terminal.render(document, console)
    return buffer.getvalue().rstrip("\n")


def _finish(document: "ReadinessDocument", output_format: Format, output: Path | None) -> NoReturn:
    _emit(document, output_format, output)
    raise typer.Exit(document.exit_code)


def _serve_ui(port: int) -> None:
    """Runs `dagster dev` on the state folder until it ends or Ctrl-C, and ends with it."""
    import subprocess

    from phase5_ops.settings import load_settings
    from phase5_ops.state_folder import open_dagster, prepare_state_folder

    home = prepare_state_folder(load_settings().state_dir)
    open_dagster(home).dispose()  # its processes start at once and would stumble over each other's new storage
    command = [sys.executable, "-m", "dagster", "dev", "-m", "phase5_ops.definitions", "-h", "127.0.0.1", "-p", str(port)]
    command += ["--log-level", "warning", "--code-server-log-level", "warning"]  # its start says nothing that we do not say
    quiet = [f"ignore:{message}" for message in _DAGSTER_TO_ITSELF]
    given = [os.environ["PYTHONWARNINGS"]] if os.environ.get("PYTHONWARNINGS") else []  # the later ones are the stronger
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "PHASE5_STATE_DIR": str(home),
        "PYTHONWARNINGS": ",".join([*quiet, *given]),
    }
    print(f"Dagster UI on http://127.0.0.1:{port} (state folder {home}); Ctrl-C ends it", file=sys.stderr)
    process = subprocess.Popen(command, env=environment)
    try:
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
