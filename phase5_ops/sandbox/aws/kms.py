"""moto's KMS, corrected where it differs from AWS: Sign and Verify by digest, the limit on a message, dry runs, key ids.

moto 5.2.5 hashes a digest once more, so that what it signs does not verify anywhere else, and takes a RAW message of any length.
It carries out a dry run. It answers GetPublicKey with the key's id, where AWS gives its ARN. See
https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html and API_GetPublicKey.html. Tests fail once moto does it right.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import ValidationException
from moto.kms.responses import KmsResponse

LONGEST_MESSAGE = 4096
"""Bytes of Message that Sign and Verify take."""

#: moto's own answers, by operation.
MOTOS_OWN: dict[str, Callable[[Any], str]] = {name: getattr(KmsResponse, name) for name in ("sign", "verify", "get_public_key")}

RAW, DIGEST = "RAW", "DIGEST"
_HASHES: dict[str, type[HashAlgorithm]] = {"ECDSA_SHA_256": SHA256, "ECDSA_SHA_384": SHA384, "ECDSA_SHA_512": SHA512}


@contextmanager
def installed() -> Iterator[None]:
    """Corrects moto's KMS for the block; afterwards it is as it was before."""
    with patch.multiple(KmsResponse, sign=_sign, verify=_verify, get_public_key=_get_public_key):
        yield


def _sign(self: Any) -> str:  # noqa: ANN401 - moto's response object
    message = _message(self)
    if self._get_param("MessageType") != DIGEST:
        return _unless_dry(self, MOTOS_OWN["sign"](self))
    key, algorithm = _key(self, message)
    signature = key.private_key.private_key.sign(message, ECDSA(Prehashed(_HASHES[algorithm]())))
    answer = {"KeyId": key.arn, "Signature": base64.b64encode(signature).decode(), "SigningAlgorithm": algorithm}
    return _unless_dry(self, json.dumps(answer))


def _verify(self: Any) -> str:  # noqa: ANN401 - moto's response object
    message = _message(self)
    if self._get_param("MessageType") != DIGEST:
        return _unless_dry(self, MOTOS_OWN["verify"](self))
    key, algorithm = _key(self, message)
    public = key.private_key.private_key.public_key()
    try:
        public.verify(_bytes(self._get_param("Signature")), message, ECDSA(Prehashed(_HASHES[algorithm]())))
    except InvalidSignature as error:
        raise JsonRESTError("KMSInvalidSignatureException", "") from error
    return _unless_dry(self, json.dumps({"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}))


def _unless_dry(response: Any, answer: str) -> str:  # noqa: ANN401
    """The answer; that of a dry run says only that there would be one. Here everybody may sign, so that it is the truth."""
    if response._get_param("DryRun"):
        raise JsonRESTError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
    return answer


def _get_public_key(self: Any) -> str:  # noqa: ANN401 - moto's response object
    answer = json.loads(MOTOS_OWN["get_public_key"](self))
    return json.dumps({**answer, "KeyId": self.kms_backend.describe_key(self._get_param("KeyId")).arn})


def _message(response: Any) -> bytes:  # noqa: ANN401
    kind = response._get_param("MessageType") or RAW
    message = _bytes(response._get_param("Message"))
    if kind not in (RAW, DIGEST):
        raise ValidationException(f"1 validation error detected: Value '{kind}' at 'messageType' is none of RAW, DIGEST")
    if len(message) > LONGEST_MESSAGE:
        raise ValidationException(
            "1 validation error detected: Value at 'message' failed to satisfy constraint:"
            f" Member must have length less than or equal to {LONGEST_MESSAGE}"
        )
    return message


def _bytes(value: Any) -> bytes:  # noqa: ANN401
    return base64.b64decode(value) if isinstance(value, str) else bytes(value or b"")


def _key(response: Any, message: bytes) -> tuple[Any, str]:  # noqa: ANN401
    """The key and algorithm of a request by digest; moto's own checks apply, and the digest must be as long as the hash."""
    name, algorithm = response._get_param("KeyId"), response._get_param("SigningAlgorithm")
    response._validate_key_id(name)
    key = response.kms_backend.describe_key(name)
    if key.key_usage != "SIGN_VERIFY" or algorithm not in key.signing_algorithms:
        raise ValidationException(f"1 validation error detected: Value '{algorithm}' at 'SigningAlgorithm' is none of the key's")
    if algorithm not in _HASHES:
        raise ValidationException(f"the sandbox signs digests with ECDSA only, not {algorithm}")
    if len(message) != _HASHES[algorithm]().digest_size:
        raise ValidationException(f"Digest is invalid length for algorithm {algorithm}.")
    return key, algorithm
