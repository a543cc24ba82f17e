"""PHASE5_NOW and the gate: under a fixed clock nothing is promoted, signed or waived, except in a sandbox (`in_sandbox`)."""

from phase5_ops.settings import ConfigurationError, Settings, in_sandbox


def refuse_fixed_clock(settings: Settings, what: str) -> None:
    """Refuses to do `what` under PHASE5_NOW outside a sandbox.

    Raises:
        ConfigurationError: the clock is fixed and this is no sandbox.
    """
    if settings.now is not None and not in_sandbox(settings):
        raise ConfigurationError(f"PHASE5_NOW fixes the clock: {what} is refused under it; unset it")
