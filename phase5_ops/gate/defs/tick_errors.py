"""What a tick of the gate's sensor says of an error that concerns one candidate, one order or one record.

What somebody wrote, or what was damaged, must not end the tick: every other candidate and order would wait until it is mended.
"""

import logging

from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import StateError

log = logging.getLogger(__name__)


def said_of(error: Exception, about: str) -> str:
    """The error in words; one that nobody thought of goes to the log too, with where it was raised and what it is `about`."""
    if isinstance(error, StateError | KeysError | SigningError):
        return str(error)
    log.error("%s", about, exc_info=error)
    return f"{type(error).__name__}: {error}"
