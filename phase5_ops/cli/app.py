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
from typing import NoReturn

import typer

from phase5_ops.cli import files, gate, readiness
from phase5_ops.cli.errors import EXIT_INTERRUPTED, complain, exit_code_of

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

#: Every command, in the order in which the help shows them.
COMMANDS: Mapping[str, Callable[..., None]] = {
    "check": readiness.check,
    "demo": readiness.demo,
    "sandbox": readiness.sandbox,
    "ui": readiness.ui,
    "init": readiness.init,
    "scan-logs": files.scan_logs,
    "iam-policy": readiness.iam_policy,
    "audit-ledger": files.audit_ledger,
    "explain": readiness.explain,
    "promote": gate.promote,
    "status": gate.status,
    "releases": gate.releases,
    "verify": files.verify,
    "sign-off": gate.sign_off,
    "waive": gate.waive,
    "rollback": gate.rollback,
    "break-glass": gate.break_glass,
    "audit-signatures": gate.audit_signatures,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(gate.history_app, name="history")

#: Their warnings are for Dagster's log of a run; a user reads the same in findings, in notices, or in the one line of the error.
_SAID_OTHERWISE = ("phase5_ops.aws", "phase5_ops.gate.runs.continuity", "phase5_ops.gate.runs.run_end")

#: How seldom the garbage collector looks for cycles: a run makes many objects that live until it ends, and has few cycles.
_RARELY = (50_000, 20, 20)


def main() -> NoReturn:
    """Entry of the console script: runs the app and exits with the contract's codes."""
    gc.set_threshold(*_RARELY)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    for name in _SAID_OTHERWISE:
        logging.getLogger(name).addHandler(logging.NullHandler())
    for message in readiness.DAGSTER_TO_ITSELF:
        warnings.filterwarnings("ignore", message=re.escape(message))
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code  # typer makes EXIT_INTERRUPTED of Ctrl-C
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes an exit code here
        code = exit_code_of(error)
    if code == EXIT_INTERRUPTED:
        complain("interrupted, nothing decided")
    sys.exit(code if isinstance(code, int) else 0)
