"""What a run says while it is made, as records of Python's logging: which step begins, and how many there will be.

Whoever shows a run's progress listens for them (`cli/progress.py`). Imports nothing.
"""

import logging

_LOG = logging.getLogger("phase5_ops.steps")

#: Attributes of the log records: how many steps a run has, and that a step begins.
TOTAL, BEGINS = "phase5_steps", "phase5_step_begins"


def announce_steps(total: int) -> None:
    """Says how many steps will begin."""
    _LOG.info("%d steps", total, extra={TOTAL: total})


def begin_step(what: str) -> None:
    """Says that a step begins, and what it does."""
    _LOG.info("%s", what, extra={BEGINS: True})
