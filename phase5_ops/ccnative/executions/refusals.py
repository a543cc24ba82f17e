"""Executions whose call was refused by the connector's breaker, or by its limit of calls in flight: how they say so. Pure."""

import re

_REFUSED = re.compile(r"circuit ?(?:breaker ?)?open|breaker is open|back-?pressure|no slot free|probe in flight", re.IGNORECASE)
_LONGEST_MESSAGE = 20_000


def is_refusal(message: str) -> bool:
    """True if the error message of an execution, which failed before its tool or in the call itself, says that it was refused."""
    return _REFUSED.search(message[:_LONGEST_MESSAGE]) is not None
