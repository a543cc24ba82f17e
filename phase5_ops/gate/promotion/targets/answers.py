"""What a failed call to a target means: surely no effect, or perhaps one. Pure."""

from phase5_ops.gate.attestation.orders import Publication, Published
from phase5_ops.reads import Read, ReadStatus

#: How a write ended that the service surely did not carry out. Everything else (no answer, an answer that cannot be understood,
#: a fault of the service) may have had its effect.
_SURELY_NOT_DONE = frozenset({ReadStatus.DENIED, ReadStatus.THROTTLED, ReadStatus.NOT_FOUND})
_REFUSING_CODES = (
    "ValidationException",
    "ValidationError",
    "InvalidArn",
    "InvalidName",
    "InvalidExecutionInput",
)


def not_published(read: Read) -> Published:
    """What a write that did not succeed means for the effect."""
    sure = read.status in _SURELY_NOT_DONE or (read.error or "").startswith(_REFUSING_CODES)
    return Published(Publication.REFUSED if sure else Publication.UNKNOWN, str(read))


def not_read(read: Read) -> Published:
    """The target could not be read before anything was written: nothing was done."""
    return Published(Publication.REFUSED, str(read))


def failed_with(read: Read, *codes: str) -> bool:
    """Whether the service answered with one of these error codes."""
    return (read.error or "").split(":", 1)[0] in codes
