"""Signing statements with keys of AWS KMS.

securesystemslib's AWSSigner hashes the DSSE pre-authentication encoding itself and sends the digest (MessageType DIGEST), since
KMS takes at most 4,096 bytes of a message. Its own client has no time limits and ignores AWS_REGION, so it is given one that goes
through `AwsReader`: bounded, counted, and with the answer kept for the request id. Every signature is verified here, with the
public key, before anybody relies on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from securesystemslib.signer import AWSSigner, SSlibKey

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.gate.attestation.envelopes import PAYLOAD_TYPE, unsigned
from phase5_ops.gate.attestation.keys import KeysError, KeySet, TrustedKey, key_set, public_key
from phase5_ops.policy import SigningPolicy
from phase5_ops.reads import Read, ReadStatus

#: What signing needs to be allowed to do; on the role's own key only.
IAM_ACTIONS = ("kms:GetPublicKey", "kms:Sign")

KEY_USAGE = "SIGN_VERIFY"  # its curve is seen from the public key itself


class SigningError(Exception):
    """Nothing was signed; the message names the call, the key and the remedy. `read` is the call that failed, if one did."""

    def __init__(self, message: str, read: Read | None = None) -> None:
        super().__init__(message)
        self.read = read


@dataclass(frozen=True, slots=True)
class KmsSignature:
    """A signature that KMS made.

    Attributes:
        role: whose key.
        key_id: of the public key, as envelopes name it.
        kms_key: ARN of the KMS key that signed, as KMS answered.
        signature: DER.
        request_id: KMS's; CloudTrail's record of the Sign call carries the same.
    """

    role: str
    key_id: str
    kms_key: str
    signature: bytes
    request_id: str


def load_key(reader: AwsReader, policy: SigningPolicy, role: str) -> TrustedKey:
    """The public key that `gate` or a role signs with now, from KMS.

    Raises:
        SigningError: it cannot be read, or is no P-256 signing key.
    """
    name = policy.key_of(role)
    content = _content(reader.call("kms", "get_public_key", name, KeyId=name), name)
    if content.get("KeyUsage") != KEY_USAGE:
        raise SigningError(f"{name}: the key of {role} is for {content.get('KeyUsage')}; it must be for {KEY_USAGE}")
    try:
        loaded = load_der_public_key(content["PublicKey"])
        pem = loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        return TrustedKey(role, public_key(pem), str(content["KeyId"]))
    except (KeysError, ValueError, KeyError, TypeError) as error:
        raise SigningError(f"{name}: the public key of {role} cannot be used: {error}") from error


def load_keys(reader: AwsReader, policy: SigningPolicy, roles: tuple[str, ...]) -> KeySet:
    """The present keys of the gate and all roles, from KMS: what `keys.json` is written from.

    Raises:
        SigningError: one cannot be read, or two of them are one key.
    """
    try:
        return key_set([load_key(reader, policy, role) for role in roles])
    except KeysError as error:
        raise SigningError(str(error)) from error


def sign(reader: AwsReader, key: TrustedKey, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> KmsSignature:
    """Signs a statement with a KMS key, and verifies the signature with its public key.

    Args:
        reader: bounds and counts the call.
        key: from `load_key`; signs with exactly the key that was loaded, whatever an alias points to by now.
        payload: the statement's bytes, or a waiver's.
        payload_type: what they are.

    Raises:
        SigningError: the key does not sign, or what it made does not verify.
    """
    if key.kms_key is None or key.revoked_at is not None:
        raise SigningError(f"the key of {key.role} does not sign: {'revoked' if key.revoked_at else 'no KMS key'}")
    client = _SignClient(reader)
    signature = bytes.fromhex(unsigned(payload, payload_type).sign(_KmsSigner(key.kms_key, key.key, client)).signature)
    if not key.verifies(payload, signature, payload_type):
        raise SigningError(f"{key.kms_key}: the signature does not verify with the public key of {key.role}; nothing was signed")
    return KmsSignature(key.role, key.key_id, str(client.answer["KeyId"]), signature, client.request_id)


class _SignClient:
    """What AWSSigner calls in place of boto3's KMS client: the same `sign`, through the reader."""

    def __init__(self, reader: AwsReader) -> None:
        self._reader = reader
        self.answer: Mapping[str, Any] = {}

    def sign(self, **request: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as boto3's
        name = str(request["KeyId"])
        self.answer = _content(self._reader.call("kms", "sign", name, **request), name)
        return self.answer

    @property
    def request_id(self) -> str:
        return str((self.answer.get("ResponseMetadata") or {}).get("RequestId", ""))


class _KmsSigner(AWSSigner):
    """AWSSigner with a client of ours; its own constructor would make one without limits."""

    def __init__(self, kms_key: str, key: SSlibKey, client: _SignClient) -> None:
        self.aws_key_id = kms_key
        self._public_key = key
        self.client = client
        self.aws_algo = self.aws_algos[key.scheme]


def _content(answer: Answer, name: str) -> Mapping[str, Any]:
    if answer.read.status is not ReadStatus.OK or not answer.pages:
        raise SigningError(
            f"{answer.read.operation} {name}: {answer.read.status}: {answer.read.error}; allow the action on the key,"
            " or correct the key's name in PHASE5_SIGNING__*",
            answer.read,
        )
    return answer.pages[0]
