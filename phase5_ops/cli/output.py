"""How a command asks the person, and prints or writes its result."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from phase5_ops.cli.errors import refuse
from phase5_ops.report.formats import EXTRA, FORMATS, Detail, Format, RenderContext, render

if TYPE_CHECKING:
    from phase5_ops.report.document import ReadinessDocument
    from phase5_ops.settings import Settings


def confirmation(*, yes: bool) -> Callable[[str], bool]:
    """Asks the person, unless `--yes` did."""
    if yes:
        return lambda _question: True
    if not sys.stdin.isatty():
        refuse("there is no terminal to ask for confirmation on: give --yes")
    return lambda question: typer.confirm(question, err=True)


def check_writable(output: Path | None) -> None:
    """Found out before anything is read, rather than when the result is there."""
    if output is None:
        return
    from phase5_ops.settings import ConfigurationError

    if output.is_dir() or not os.access(output.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--output {output}: its folder does not exist or cannot be written")


@dataclass(frozen=True)
class DocumentOutput:
    """In which formats a readiness document is given, and where: on stdout, in one file, or each in its file of a folder."""

    formats: tuple[Format, ...]
    path: Path | None
    folder: bool
    detail: Detail = Detail.normal


def output_of(
    formats: Sequence[Format] | None, path: Path | None, *, quiet: bool = False, verbose: bool = False
) -> DocumentOutput:
    """What `--format`, `--output`, `--quiet` and `--verbose` ask for, found out before anything is read.

    Several formats take a folder, which is made if its parent is there; one takes a file, or a folder that is there.

    Raises:
        ConfigurationError: several formats without a folder, a place that cannot be written, or a format whose library is not
            installed.
    """
    from phase5_ops.settings import ConfigurationError

    if quiet and verbose:
        raise ConfigurationError("--quiet and --verbose: give one of them")
    detail = Detail.quiet if quiet else Detail.verbose if verbose else Detail.normal
    chosen = tuple(dict.fromkeys(formats or (Format.table,)))
    for each in chosen:
        if not FORMATS[each].installed:
            raise ConfigurationError(f"--format {each}: what it is made with is not installed: {EXTRA}")
    several = len(chosen) > 1
    if several and (path is None or (path.exists() and not path.is_dir())):
        named = " ".join(f"--format {each}" for each in chosen)
        where = "stdout takes one format" if path is None else f"--output {path} is a file, which takes one format"
        raise ConfigurationError(f"{named}: {where}; give --output DIR, a folder that each is written to under its name")
    folder = path is not None and (several or path.is_dir())
    if path is None or not folder:
        check_writable(path)
        return DocumentOutput(chosen, path, folder, detail)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--output {path}: the folder cannot be made: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--output {path}: the folder cannot be written")
    return DocumentOutput(chosen, path, folder, detail)


def emit(document: "ReadinessDocument", output: DocumentOutput, settings: "Settings") -> None:
    """Prints a readiness document, or writes it to its file or files.

    Raises:
        ConfigurationError: a file cannot be written.
    """
    context = _context(document, output, settings)
    rendered = {each: render(document, each, context) for each in output.formats}  # all, before the first is written
    for each, text in rendered.items():
        write(text, output.path / FORMATS[each].file_name if output.path and output.folder else output.path)


def write(text: str, output: Path | None) -> None:
    """Prints the text, or writes it whole to a file.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    if output is None:
        print(text, flush=True)
        return
    from phase5_ops.files import write_whole
    from phase5_ops.settings import ConfigurationError

    try:
        write_whole(output, f"{text}\n".encode())
    except OSError as error:
        raise ConfigurationError(f"--output {output}: cannot be written: {error}") from error


def _context(document: "ReadinessDocument", output: DocumentOutput, settings: "Settings") -> RenderContext:
    """What the formats show beside the document."""
    context = RenderContext()
    if any(FORMATS[each].needs_context for each in output.formats):
        from phase5_ops.commands.render_context import context_of

        context = context_of(document, settings)
    return replace(context, width=width_of(output.path), to_terminal=coloured(output.path), detail=output.detail)


def coloured(path: Path | None) -> bool:
    """Whether what is printed may have colours: on a terminal that knows them, unless NO_COLOR is set (https://no-color.org)."""
    return path is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(path: Path | None) -> int:
    """How many columns a table may have: COLUMNS, else the terminal's, else 120; never fewer than 40 or more than 200."""
    given = os.environ.get("COLUMNS", "")
    wide = int(given) if given.isdecimal() else 0
    if not wide and path is None and sys.stdout.isatty():
        wide = os.get_terminal_size(sys.stdout.fileno()).columns
    return min(max(wide or 120, 40), 200)


def finish(document: "ReadinessDocument", output: DocumentOutput, settings: "Settings") -> NoReturn:
    """Prints or writes a readiness document, and ends with its exit code."""
    emit(document, output, settings)
    raise typer.Exit(document.exit_code)
