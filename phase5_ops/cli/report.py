"""The command over the report of a run: which run, where the page goes, and whether it is opened."""

from pathlib import Path
from typing import Annotated

import typer

from phase5_ops.cli.errors import EXIT_UNDECIDED, complain, complain_of, gate_failures
from phase5_ops.cli.history import LocalOption
from phase5_ops.cli.options import settings_of_environment
from phase5_ops.cli.output import check_writable
from phase5_ops.cli.progress import progress


def report(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id of the run, or its beginning; default: the newest whole run.")
    ] = None,
    release: Annotated[
        str | None, typer.Option("--release", help="Of this candidate as the gate sees it, with the evidence of its run.")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    local: LocalOption = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write; default: report.html in the run's evidence folder.", dir_okay=False
        ),
    ] = None,
) -> None:
    """Write the report of a run as one HTML page: decision, blockers, checklist, findings with remedies, evidence, pictures.

    The page needs no network and can be mailed. It is made from the evidence folder, or from its copy on S3 where
    PHASE5_EVIDENCE_S3_URI names one; Dagster's storage is not needed. It says which run it shows.

    Exit codes: 0 written, whatever the decision; 2 no run is known, or it cannot be read; 3 no such run, usage or configuration.
    """
    from phase5_ops.settings import ConfigurationError, load_settings

    if run is not None and release is not None:
        raise ConfigurationError("give either RUN or --release, not both")
    check_writable(output)
    settings = load_settings() if release is None else settings_of_environment()
    with progress("reading the evidence", piped=False):
        from phase5_ops.commands.report import report_release, report_run
        from phase5_ops.commands.run_history import NothingKnown
        from phase5_ops.text import printable

        try:
            if release is None:
                written = report_run(settings, run, local=local, output=output)
            else:
                with gate_failures():
                    written = report_release(settings, release, local=local, output=output)
        except NothingKnown as error:
            complain_of(error, printable(str(error)))
            raise typer.Exit(EXIT_UNDECIDED) from error
    for remark in written.remarks:
        complain(printable(remark))
    print(printable(f"report of {written.about}"))
    print(written.path, flush=True)
    if open_it:
        import webbrowser

        if not webbrowser.open(written.path.as_uri()):
            complain(f"no browser could be started: open {written.path}")
