"""The trusted keys: one file that says which public key is the gate's and which are the three roles'. Pure.

    {"schema": "phase5.keys/v1",
     "keys": [{"role": "gate", "public_key": "-----BEGIN PUBLIC KEY-----...", "kms_key": "arn:...", "revoked_at": null}, ...]}

A role may have older keys beside its present one, each with the moment it was revoked. A key is known by an id computed from the
key itself, never by a name the file or an envelope gives it. Only ECDSA on P-256 is taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from phase5_ops.checklist import ROLES
from phase5_ops.clock import Moment, iso
from phase5_ops.gate.attestation.envelopes import PAYLOAD_TYPE, MalformedEnvelope, canonical_json, pae, strict_json
from phase5_ops.text import in_one_line

SCHEMA: Literal["phase5.keys/v1"] = "phase5.keys/v1"
GATE = "gate"
SIGNERS = (GATE, *ROLES)

_LONGEST_PROBLEM = 400


class KeysError(ValueError):
    """The file of keys cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key of the gate or of a role.

    Attributes:
        role: `gate` or one of the three roles.
        key: the key; its `keyid` is computed from it.
        kms_key: where the private half is, for people; not relied on.
        revoked_at: since when it no longer signs.
    """

    role: str
    key: SSlibKey
    kms_key: str | None = None
    revoked_at: datetime | None = None

    @property
    def key_id(self) -> str:
        """The id computed from the key."""
        return str(self.key.keyid)

    def verifies(self, payload: bytes, signature: bytes, payload_type: str = PAYLOAD_TYPE) -> bool:
        """Whether this key made the signature over the payload's pre-authentication encoding."""
        try:
            self.key.verify_signature(Signature(self.key_id, signature.hex()), pae(payload, payload_type))
        except UnverifiedSignatureError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class KeySet:
    """Every trusted key, by key id."""

    keys: Mapping[str, TrustedKey]

    def present(self, role: str) -> TrustedKey | None:
        """The key that a role signs with now."""
        return next((key for key in self.keys.values() if key.role == role and key.revoked_at is None), None)


def revocation_problem(revoked_at: datetime | None, proved_at: datetime | None) -> str | None:
    """Why a signature does not count because its key was revoked; None if it counts. The only place with this rule.

    Args:
        revoked_at: when the key was revoked; None if it was not.
        proved_at: a moment by which the signature was made, as KMS's own record or a statement signed by the gate says; None if
            neither does. What the state table says is no proof: whoever holds the revoked key may have written it.
    """
    if revoked_at is None or (proved_at is not None and proved_at < revoked_at):
        return None
    known = "nothing proves" if proved_at is None else f"it is proved for {iso(proved_at)} only, not"
    return f"was revoked at {iso(revoked_at)}, and {known} that the signature was made before"


def public_key(pem: str) -> SSlibKey:
    """A P-256 public key from PEM, under the id computed from it.

    Raises:
        KeysError: it is no such key.
    """
    try:
        loaded = load_pem_public_key(pem.encode("utf-8"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeysError(f"not a public key in PEM: {error}") from error
    if not isinstance(loaded, EllipticCurvePublicKey) or not isinstance(loaded.curve, SECP256R1):
        raise KeysError("only ECDSA keys on the curve P-256 are taken")
    return SSlibKey.from_crypto(loaded)


def key_set(keys: Iterable[TrustedKey]) -> KeySet:
    """The keys together.

    Raises:
        KeysError: a role has no key or two present ones, or one key is there twice.
    """
    chosen: dict[str, TrustedKey] = {}
    for key in keys:
        if key.role not in SIGNERS:
            raise KeysError(f"there is no role {key.role!r}; the roles are {', '.join(SIGNERS)}")
        if key.key_id in chosen:
            raise KeysError(f"{chosen[key.key_id].role} and {key.role} have one key, {key.key_id}; each needs its own")
        chosen[key.key_id] = key
    for role in SIGNERS:
        mine = [key for key in chosen.values() if key.role == role]
        if not mine:
            raise KeysError(f"there is no key of {role}")
        if sum(key.revoked_at is None for key in mine) > 1:
            raise KeysError(f"two keys of {role} are not revoked; give the older one revoked_at")
    return KeySet(chosen)


class _KeyEntry(BaseModel):
    """A key in the file; `key_id`, where it is given, must be that of the public key."""

    model_config = ConfigDict(extra="forbid")

    role: str
    key_id: str | None = None
    public_key: str
    kms_key: str | None = None
    revoked_at: Moment | None = None

    def trusted(self) -> TrustedKey:
        """The key.

        Raises:
            KeysError: it is none, or has another id.
        """
        key = TrustedKey(self.role, public_key(self.public_key), self.kms_key, self.revoked_at)
        if self.key_id not in (None, key.key_id):
            raise KeysError(f"key_id {self.key_id} is not that of the public key beside it, {key.key_id}")
        return key


class _KeysFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_: Literal["phase5.keys/v1"] = Field(alias="schema")
    keys: tuple[_KeyEntry, ...]


def parse_keys(content: bytes) -> KeySet:
    """The file of keys.

    Raises:
        KeysError: it is not one, or its keys make no valid set (see `key_set`).
    """
    try:
        document = _KeysFile.model_validate(strict_json(content))
    except ValidationError as error:
        raise KeysError(
            f"not a file of keys: it needs schema {SCHEMA!r} and keys; a key needs role and public_key, and may have key_id,"
            f" kms_key and revoked_at: {in_one_line(error)[:_LONGEST_PROBLEM]}"
        ) from error
    except MalformedEnvelope as error:
        raise KeysError(str(error)) from error
    return key_set([entry.trusted() for entry in document.keys])


def keys_document(keys: KeySet) -> bytes:
    """The file of these keys."""
    entries = tuple(
        _KeyEntry(
            role=key.role,
            key_id=key.key_id,
            public_key=key.key.keyval["public"],
            kms_key=key.kms_key,
            revoked_at=key.revoked_at,
        )
        for key in keys.keys.values()
    )
    return canonical_json(_KeysFile(schema=SCHEMA, keys=entries).model_dump(by_alias=True))
