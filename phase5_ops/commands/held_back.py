"""What is logged while a run is under way is held back until it is known how the run ends.

Where the state folder is unusable, or Dagster's storage, one line says so; what each part of the run logged of it is dropped.
"""

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from phase5_ops.commands.state_folder import FolderUnusable
from phase5_ops.settings import ConfigurationError

_DAGSTER = "Exception while writing logger call to event log"  # written past Python's logging


@contextmanager
def logged_afterwards() -> Iterator[None]:
    """In this block nothing is logged on stderr; after it, what was logged is, unless the failure of the block says it all.

    Only where nobody has set up Python's logging: then it prints what nobody else takes.
    """
    root, held = logging.getLogger(), _LoggedLater(logging.WARNING)
    if root.handlers or logging.lastResort is None:
        yield
        return
    root.addHandler(held)
    try:
        with redirect_stderr(_WithoutDagster(sys.stderr)):
            yield
    except (ConfigurationError, FolderUnusable):
        held.records.clear()
        raise
    finally:
        root.removeHandler(held)
        for record in held.records:
            logging.lastResort.handle(record)


class _LoggedLater(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _WithoutDagster(io.TextIOBase):
    """Standard error without what Dagster writes there of events that it could not store; the step fails with the same error."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - whatever stands for it
        self._stream = stream

    def write(self, text: str) -> int:
        if not text.startswith(_DAGSTER):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        return int(self._stream.fileno())
