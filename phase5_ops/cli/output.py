"""How a command asks the person, and prints or writes its result."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from phase5_ops.cli.errors import refuse
from phase5_ops.cli.options import Format

if TYPE_CHECKING:
    from phase5_ops.report.document import ReadinessDocument


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


def emit(document: "ReadinessDocument", output_format: Format, output: Path | None) -> None:
    """Prints a readiness document in a format, or writes it to a file."""
    write(_rendered(document, output_format, to_terminal=output is None and sys.stdout.isatty()), output)


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
    width = Console().width if to_terminal else 150
    terminal.render(document, Console(file=buffer, force_terminal=to_terminal, width=width))
    return buffer.getvalue().rstrip("\n")


def finish(document: "ReadinessDocument", output_format: Format, output: Path | None) -> NoReturn:
    """Prints or writes a readiness document, and ends with its exit code."""
    emit(document, output_format, output)
    raise typer.Exit(document.exit_code)
