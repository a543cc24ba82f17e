"""PHASE5_NOW and the gate: what runs under a fixed clock never promotes, signs or waives, but in a sandbox.

A sandbox is known by two things together, so that neither a name nor an address alone lets a fixed clock in: its environment is
called `sandbox`, and the AWS that is asked is on this very machine.
"""

import os
from urllib.parse import urlsplit

from phase5_ops.settings import ConfigurationError, Settings

SANDBOX_ENVIRONMENT = "sandbox"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def in_sandbox(settings: Settings) -> bool:
    """Whether what is judged is a sandbox on this machine."""
    host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname
    return settings.environment == SANDBOX_ENVIRONMENT and host in _LOOPBACK


def refuse_fixed_clock(settings: Settings, what: str) -> None:
    """Refuses to do `what` under PHASE5_NOW outside a sandbox.

    Raises:
        ConfigurationError: the clock is fixed and this is no sandbox.
    """
    if settings.now is not None and not in_sandbox(settings):
        raise ConfigurationError(f"PHASE5_NOW fixes the clock: {what} is refused under it; unset it")
