"""What every part of the gate works with: the run's context, the state table, the trusted keys; and how a person signs with it.

Every command, every tick of a sensor and every promotion works in one session, which is opened here. Dagster's records and the
evidence, from which the gate also decides, are read in the session of `inputs/read.py`. What must not live here: Dagster,
deciding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from phase5_ops.aws.reader import AwsReader
from phase5_ops.context import RunContext, open_run
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import PAYLOAD_TYPE
from phase5_ops.gate.attestation.keys import GATE, KeySet
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.records import Release, SignOff
from phase5_ops.gate.signing.caller import who_signs
from phase5_ops.gate.signing.identity import Refusal, SessionIdentity
from phase5_ops.gate.signing.kms import KmsSignature, sign
from phase5_ops.gate.signing.signing_times import counted_sign_offs
from phase5_ops.gate.signing.trusted_keys import keys_in_kms, pinned_keys, signing_key
from phase5_ops.gate.state.item_table import Ahead
from phase5_ops.gate.state.items import StoredSignOff
from phase5_ops.gate.state.notice_box import NoticeBox
from phase5_ops.gate.state.observations import Observations
from phase5_ops.gate.state.run_records import RunRecords
from phase5_ops.gate.state.stated_documents import StatedDocuments
from phase5_ops.gate.state.table import StateTable
from phase5_ops.gate.state.upgrades import Upgrades
from phase5_ops.settings import Settings


class Refused(Exception):
    """Nothing was signed or recorded; the message says why, and what to do."""


@dataclass(frozen=True)
class GateSession:
    """One look at the gate, in which the trusted keys and the person are found out once.

    Attributes:
        run: settings, reader, clock and evidence; a new one for each session, since a reader has one deadline for all its calls.
        at: the one moment of everything a person does in it; None where each thing has the moment it is done.
    """

    run: RunContext
    at: datetime | None = None

    @property
    def settings(self) -> Settings:
        """Of the environment that the gate guards."""
        return self.run.settings

    @property
    def reader(self) -> AwsReader:
        """Reads AWS."""
        return self.run.reader

    @property
    def now(self) -> datetime:
        """Evaluation time, and the moment of signatures."""
        return self.at or self.run.now()

    @cached_property
    def ahead(self) -> Ahead:
        """Items of the state table that were read ahead, whatever part of it they belong to."""
        return {}

    @cached_property
    def state(self) -> StateTable:
        """The state table: candidates, signatures, waivers, promotions, overrides, pinned keys."""
        return StateTable(self.reader, self.settings.tables.readiness, self.ahead)

    @cached_property
    def records(self) -> RunRecords:
        """The part of the state table that holds the records of readiness runs."""
        return RunRecords(self.reader, self.settings.tables.readiness)

    @cached_property
    def documents(self) -> StatedDocuments:
        """The part of the state table that holds what the gate said of candidates."""
        return StatedDocuments(self.reader, self.settings.tables.readiness, self.ahead)

    @cached_property
    def notices(self) -> NoticeBox:
        """The part of the state table that holds what people were told."""
        return NoticeBox(self.reader, self.settings.tables.readiness, self.ahead)

    @cached_property
    def observations(self) -> Observations:
        """The part of the state table that holds what was seen deployed after promotions."""
        return Observations(self.reader, self.settings.tables.readiness)

    @cached_property
    def upgrades(self) -> Upgrades:
        """The part of the state table that says which steps of upgrades were taken."""
        return Upgrades(self.reader, self.settings.tables.readiness)

    @cached_property
    def pinned(self) -> KeySet | None:
        """The keys of the file; None where there is none and never was.

        Raises:
            KeysError: the file is not what it was, or cannot be used.
            StateError: the table does not say which keys were pinned.
        """
        return pinned_keys(self.settings, self.state)

    @cached_property
    def keys(self) -> KeySet:
        """The trusted keys: the file's; those in KMS now only where no keys were ever pinned here, or just these were.

        Raises:
            KeysError: the file cannot be used, is gone, or the keys differ from those that were pinned; none is skipped.
            SigningError: there is no file, and KMS does not give the keys.
            StateError: the state table does not say which keys were pinned.
        """
        return self.pinned or keys_in_kms(self.reader, self.settings, self.state)

    @cached_property
    def person(self) -> SessionIdentity:
        """The person whose session it is.

        Raises:
            Refused: the person is not known.
        """
        who = who_signs(self.reader, self.settings.signing)
        if isinstance(who, Refusal):
            raise Refused(who.reason)
        return who

    def sign_offs(self, stored: Sequence[StoredSignOff], payloads: Iterable[bytes]) -> tuple[SignOff, ...]:
        """Signatures as the gate counts them; see `signing_times.counted_sign_offs`.

        Raises:
            KeysError, SigningError, StateError: it cannot be told which keys to trust.
        """
        trusted = self.settings.signing.trusted_roles
        return counted_sign_offs(self.reader, stored, payloads, self.keys, trusted_roles=trusted, now=self.now)

    def signed(self, role: str, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> KmsSignature:
        """The signature of `gate` or a role over a payload, made with the key that is trusted for it now.

        Raises:
            SigningError: KMS does not give the key, or it does not sign.
            KeysError: it is not the trusted one.
        """
        key = signing_key(self.reader, self.settings.signing, role, self.keys)
        return sign(self.reader, key, payload, payload_type)

    def signed_by_gate(self, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> tuple[str, bytes]:
        """Key id and signature (DER) of the gate's key over a payload; raises as `signed`."""
        made = self.signed(GATE, payload, payload_type)
        return made.key_id, made.signature


def new_session(settings: Settings, what: str) -> GateSession:
    """A session to do `what`, in which nothing is read yet."""
    return GateSession(open_run(settings, what))


def open_session(settings: Settings, what: str, *, reader: AwsReader | None = None) -> GateSession:
    """A person's session to do `what`, at this moment, with trusted keys.

    Raises:
        ConfigurationError: the clock is fixed outside a sandbox.
        KeysError, SigningError, StateError: it cannot be told which keys to trust.
    """
    refuse_fixed_clock(settings, what)
    session = GateSession(open_run(settings, what, reader=reader), at=settings.clock.now())
    session.keys  # noqa: B018 - where it cannot be told which keys to trust, nothing is shown or signed
    return session


def signature_over(
    session: GateSession, role: str, payload: bytes, *, release: Release, series: int, who: SessionIdentity
) -> StoredSignOff:
    """A signature over a statement's bytes with the role's key, as it is recorded.

    Raises:
        SigningError, KeysError: the key does not sign, or is not the trusted one.
    """
    made = session.signed(role, payload)
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
