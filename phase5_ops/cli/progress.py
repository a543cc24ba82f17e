"""What a command is doing, on stderr: while it runs, and only for people."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def progress(first: str) -> Iterator[None]:
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
