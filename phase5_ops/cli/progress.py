"""What a command is doing, on stderr: one line that changes where that is a terminal, else a line a step."""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from phase5_ops.orchestration.steps import BEGINS, TOTAL

Say = Callable[[str], None]


@contextmanager
def progress(first: str, *, quiet: bool = False, piped: bool = True) -> Iterator[Say]:
    """Shows what is done, beginning with `first`; yields what takes the next line. Steps that a run announces are numbered.

    On a terminal one line changes: the step, what it reads or waits for, and the seconds. Elsewhere, and under TERM=dumb, each
    step is a line without control characters; with `piped` False there is none. `quiet` shows nothing.
    """
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if quiet or not (live or piped):
        yield lambda _: None
        return
    with ExitStack() as stack:
        stderr = stack.enter_context(_own_stderr())
        say = stack.enter_context(_changing_line(stderr)) if live else _lines(stderr)
        say(first)
        stack.enter_context(_listening(_Steps(say, details=live)))
        yield say


@contextmanager
def _own_stderr() -> Iterator[TextIO]:
    """A descriptor of its own: while a step runs, Dagster keeps what goes to stderr in the step's file."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except io.UnsupportedOperation:  # no file at all, where a program runs the command in its own process
        yield sys.stderr
        return
    with os.fdopen(descriptor, "w", errors="backslashreplace") as stderr:
        yield stderr


def _lines(stderr: TextIO) -> Say:
    return lambda text: print(f"phase5: {text}", file=stderr, flush=True)


@contextmanager
def _changing_line(stderr: TextIO) -> Iterator[Say]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    colours = None if os.environ.get("NO_COLOR") else "auto"
    text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    console = Console(file=stderr, color_system=colours)  # type: ignore[arg-type]
    with Progress(SpinnerColumn(), text, TimeElapsedColumn(), console=console, transient=True, expand=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda text: shown.update(task, description=text)


class _Steps(logging.Handler):
    """Numbers the steps that a run announces; with `details`, also says what is done in each."""

    def __init__(self, say: Say, *, details: bool) -> None:
        super().__init__(logging.INFO)
        self._say, self._details = say, details
        self._total, self._begun, self._step = 0, 0, ""

    def emit(self, record: logging.LogRecord) -> None:
        from phase5_ops.text import printable

        if (total := getattr(record, TOTAL, None)) is not None:
            self._total, self._begun = total, 0
            return
        text = printable(record.getMessage())
        if not getattr(record, BEGINS, False):
            if self._details:
                self._say(f"{self._step}: {text}" if self._step else text)
            return
        self._begun += 1
        of = f" of {self._total}" if self._begun <= self._total else ""
        self._step = f"step {self._begun}{of}: {text}"
        self._say(self._step)


@contextmanager
def _listening(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger("phase5_ops")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
