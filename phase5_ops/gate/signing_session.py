"""What a person who signs off or waives works with: settings, AWS, the state table, the keys believed, one moment."""

from dataclasses import dataclass
from datetime import datetime

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.believed_keys import believed_keys
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.keys import KeySet
from phase5_ops.gate.state import StateTable
from phase5_ops.settings import Settings


class Refused(Exception):
    """Nothing was signed or recorded; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class SigningSession:
    """One person's session; `now` is the moment of its signatures."""

    settings: Settings
    reader: AwsReader
    state: StateTable
    keys: KeySet
    now: datetime


def open_session(settings: Settings, what: str, *, reader: AwsReader | None = None) -> SigningSession:
    """Opens a session to do `what`.

    Raises:
        ConfigurationError: the clock is fixed outside a sandbox.
        KeysError, SigningError: it cannot be told which keys to believe.
    """
    refuse_fixed_clock(settings, what)
    reader = reader or AwsReader(settings.reading)
    state = StateTable(reader, settings.tables.readiness)
    return SigningSession(settings, reader, state, believed_keys(reader, settings), settings.clock.now())
