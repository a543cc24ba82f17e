"""PHASE5_NOW and the gate: what runs under a fixed clock never promotes, signs or waives, but in a sandbox (`production.py`)."""

from phase5_ops.settings import ConfigurationError, Settings, in_sandbox


def refuse_fixed_clock(settings: Settings, what: str) -> None:
    """Refuses to do `what` under PHASE5_NOW outside a sandbox.

    Raises:
        ConfigurationError: the clock is fixed and this is no sandbox.
    """
    if settings.now is not None and not in_sandbox(settings):
        raise ConfigurationError(f"PHASE5_NOW fixes the clock: {what} is refused under it; unset it")
