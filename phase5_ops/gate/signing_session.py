"""What a person who signs off or waives works with: settings, AWS, the state table, the keys believed, one moment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from phase5_ops.aws.reader import AwsReader
from phase5_ops.digest import sha256_of
from phase5_ops.gate.believed_keys import believed_keys, signing_key
from phase5_ops.gate.caller import who_signs
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.identity import Identity, Refusal
from phase5_ops.gate.keys import KeySet
from phase5_ops.gate.records import Release, SignOff
from phase5_ops.gate.signing import sign
from phase5_ops.gate.signing_times import counted_sign_offs
from phase5_ops.gate.state import StateTable
from phase5_ops.gate.state_items import StoredSignOff
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

    def sign_offs(self, stored: Sequence[StoredSignOff], payloads: Iterable[bytes]) -> tuple[SignOff, ...]:
        """Signatures as the gate counts them; see `signing_times.counted_sign_offs`."""
        trusted = self.settings.signing.trusted_roles
        return counted_sign_offs(self.reader, stored, payloads, self.keys, trusted_roles=trusted, now=self.now)


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


def person_of(session: SigningSession) -> Identity:
    """The person whose session it is.

    Raises:
        Refused: nobody is known.
    """
    who = who_signs(session.reader, session.settings.signing)
    if isinstance(who, Refusal):
        raise Refused(who.reason)
    return who


def signature_over(
    session: SigningSession, role: str, payload: bytes, *, release: Release, series: int, who: Identity
) -> StoredSignOff:
    """A signature over a statement's bytes with the role's key, as it is recorded.

    Raises:
        SigningError, KeysError: the key does not sign, or is not the one that is believed.
    """
    key = signing_key(session.reader, session.settings.signing, role, session.keys)
    made = sign(session.reader, key, payload)
    return StoredSignOff(
        id=made.request_id or sha256_of(made.signature).removeprefix("sha256:"),
        role=role,
        release_digest=release.digest,
        series=series,
        statement_digest=sha256_of(payload),
        key_id=made.key_id,
        kms_key=made.kms_key,
        signature=made.signature,
        identity=who.person,
        session=who.arn,
        request_id=made.request_id,
        signed_at=session.now,
    )
