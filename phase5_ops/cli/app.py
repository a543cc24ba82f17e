"""The command `phase5`: its commands, and how it starts and ends.

Heavy packages are imported inside the commands, so that `--help` answers at once.
"""

import gc
import logging
import re
import signal
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, NoReturn

import typer

from phase5_ops.cli import doctor, files, gate, history, readiness, remedy, report
from phase5_ops.cli.command_help import PlainGroup, add_command
from phase5_ops.cli.errors import EXIT_INTERRUPTED, complain, debugging, exit_code_of, refuse

app = typer.Typer(
    name="phase5",
    cls=PlainGroup,
    help="Operational readiness of CCNative Phase 5: gathers evidence, judges every row, and says what is missing.",
    epilog="Exit codes: 0 open; 1 closed by a failing row or a missing signature; 2 closed by INCONCLUSIVE or ERROR; 3 usage or"
    " configuration error. Settings: PHASE5_* variables or a YAML file named by PHASE5_CONFIG, see docs/settings.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"phase5 {version('phase5-ops')}")
        except PackageNotFoundError:
            refuse("the version is not known: phase5-ops runs from a folder that is not installed; pip install -e . there")
        raise typer.Exit


@app.callback()
def common_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error was raised, before the line that says it.")] = False,
) -> None:
    """Takes the options that go before every command."""
    del version
    debugging.set(debug)


#: Every command with an example, under its heading, in the order in which the help shows them.
COMMANDS: Mapping[str, Mapping[str, tuple[Callable[..., None], str]]] = {
    "Readiness": {
        "check": (readiness.check, "phase5 check --row 1.2 --row tool_slo_met"),
        "report": (report.report, "phase5 report --open"),
        "diff": (history.diff, "phase5 diff 6d04b7f3 2b57038c"),
        "demo": (readiness.demo, "phase5 demo --scenario breaker-open --no-ui"),
        "explain": (readiness.explain, "phase5 explain 1.2"),
        "remedy": (remedy.remedy, "phase5 remedy 1.2 --format cloudformation --output alarms.json"),
    },
    "Release candidates": {
        "promote": (gate.promote, "phase5 promote 2026.11.3 --digest sha256:<64 hex digits> --wait"),
        "status": (gate.status, "phase5 status 2026.11.3"),
        "releases": (gate.releases, "phase5 releases --format json"),
        "sign-off": (gate.sign_off, "phase5 sign-off 2026.11.3 --role ops-sre --show"),
        "waive": (
            gate.waive,
            "phase5 waive 1.2 --release 2026.11.3 --finding latency_alarm_missing@crm.write --role security-compliance"
            ' --reason "mended by OPS-7" --ticket OPS-7 --until 2026-12-04',
        ),
        "rollback": (gate.rollback, 'phase5 rollback 2026.11.2 --reason "2026.11.3 loses orders" --ticket INC-42 --wait'),
        "break-glass": (
            gate.break_glass,
            'phase5 break-glass 2026.11.4 --role ops-sre --reason "hotfix, probes are down" --ticket INC-43',
        ),
    },
    "Files and audits": {
        "verify": (files.verify, "phase5 verify readiness.dsse.json decision.dsse.json --digest sha256:<64 hex digits>"),
        "audit-export": (gate.audit_export, "phase5 audit-export --from 2026-10-01 --to 2026-12-31"),
        "audit-signatures": (gate.audit_signatures, "phase5 audit-signatures 2026.11.3"),
        "audit-ledger": (files.audit_ledger, "phase5 audit-ledger exports/ledger --format json"),
        "scan-logs": (files.scan_logs, "phase5 scan-logs logs/ --tenants tenants.txt"),
    },
    "Installation": {
        "init": (readiness.init, "phase5 init --check"),
        "doctor": (doctor.doctor, "phase5 doctor --for signer --role ops-sre"),
        "iam-policy": (readiness.iam_policy, "phase5 iam-policy --for signer --role ops-sre"),
        "ui": (readiness.ui, "phase5 ui --port 3000"),
        "sandbox": (readiness.sandbox, "phase5 sandbox --scenario breaker-open"),
    },
}
for _heading, _commands in COMMANDS.items():
    for _name, (_command, _example) in _commands.items():
        add_command(app, _name, _command, _example, heading=_heading)
app.add_typer(history.history_app, name="history", rich_help_panel="Readiness")

#: Their warnings are for Dagster's log of a run; a user reads the same in findings, in notices, or in the one line of the error.
_SAID_OTHERWISE = ("phase5_ops.aws", "phase5_ops.gate.runs.continuity", "phase5_ops.gate.runs.run_end")

#: How seldom the garbage collector looks for cycles: a run makes many objects that live until it ends, and has few cycles.
_RARELY = (50_000, 20, 20)


def main() -> NoReturn:
    """Entry of the console script: runs the app and exits with the contract's codes."""
    gc.set_threshold(*_RARELY)
    debugging.set(False)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    for name in _SAID_OTHERWISE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    for message in readiness.DAGSTER_TO_ITSELF:
        warnings.filterwarnings("ignore", message=re.escape(message))
    try:
        code = app(standalone_mode=False, prog_name="phase5")
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code  # typer makes EXIT_INTERRUPTED of Ctrl-C
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes an exit code here
        code = exit_code_of(error)
    if code == EXIT_INTERRUPTED:
        complain("interrupted, nothing decided")
    gc.freeze()  # or the end of the process looks for garbage among all that is left, which takes a tenth of a check
    sys.exit(code if isinstance(code, int) else 0)
