"""DSSE envelopes and strict JSON: how signed statements are written, and read back without trusting a byte. Pure.

Writing is deterministic. Reading accepts exactly the fields that the DSSE specification names: whatever is outside the payload is
not signed, so an extra field, a repeated name or base64 that is not in its one form is refused, not ignored.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from securesystemslib.dsse import Envelope

from phase5_ops.input_files.written_twice import WrittenTwice, distinct

#: The media type of an in-toto Statement, https://github.com/in-toto/attestation/blob/main/spec/v1/envelope.md
PAYLOAD_TYPE = "application/vnd.in-toto+json"

#: The payload type of a waiver, so that its signature cannot pass for that of a statement.
WAIVER_TYPE = "application/vnd.phase5.waiver+json"

#: The payload type of a document that the gate states, so that its signature cannot pass for that of a statement.
STATED_TYPE = "application/vnd.phase5.stated-document+json"

LARGEST_ENVELOPE = 16 * 2**20
"""Bytes; a larger file is refused. A readiness statement takes some ten kilobytes."""


class MalformedEnvelope(ValueError):
    """These bytes are not an envelope, or not JSON; the message says why."""


@dataclass(frozen=True, slots=True)
class ReadEnvelope:
    """An envelope as it was read: the payload's bytes, and the signatures by key id. Nothing is verified yet."""

    payload: bytes
    signatures: Mapping[str, bytes]


def canonical_json(content: object) -> bytes:
    """ASCII JSON with sorted names and no spaces: equal content gives equal bytes.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def unsigned(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> Envelope:
    """An envelope around a payload, to be signed."""
    return Envelope(payload, payload_type, {})


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The DSSE pre-authentication encoding of a payload: the bytes that are signed."""
    encoded: bytes = unsigned(payload, payload_type).pae()
    return encoded


def envelope_bytes(payload: bytes, signatures: Mapping[str, bytes], payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The envelope as a file: signatures (key id -> DER) in the order of their key ids."""
    return canonical_json(
        {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": payload_type,
            "signatures": [
                {"keyid": key_id, "sig": base64.b64encode(signature).decode("ascii")}
                for key_id, signature in sorted(signatures.items())
            ],
        }
    )


def read_envelope(content: bytes, payload_type: str = PAYLOAD_TYPE) -> ReadEnvelope:
    """The envelope in a file, whose payload must be of this type.

    Raises:
        MalformedEnvelope: it is not exactly one.
    """
    if len(content) > LARGEST_ENVELOPE:
        raise MalformedEnvelope(f"{len(content)} bytes are more than {LARGEST_ENVELOPE}")
    envelope = _object(strict_json(content), {"payload", "payloadType", "signatures"}, "the envelope")
    if envelope["payloadType"] != payload_type:
        raise MalformedEnvelope(f"payloadType is {envelope['payloadType']!r}, not {payload_type}")
    entries = envelope["signatures"]
    if not isinstance(entries, list):
        raise MalformedEnvelope("signatures is not a list")
    signatures: dict[str, bytes] = {}
    for entry in entries:
        signature = _object(entry, {"keyid", "sig"}, "a signature")
        key_id = signature["keyid"]
        if not isinstance(key_id, str) or not key_id:
            raise MalformedEnvelope("a signature names no key")
        if key_id in signatures:
            raise MalformedEnvelope(f"two signatures of key {key_id}")
        signatures[key_id] = _base64(signature["sig"], "a signature")
    return ReadEnvelope(_base64(envelope["payload"], "the payload"), signatures)


def strict_json(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """JSON in which no name is repeated and no number is NaN or infinite.

    Raises:
        MalformedEnvelope: it is not that.
    """
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=distinct, parse_constant=_no_constant, parse_float=_finite)
    except MalformedEnvelope:
        raise
    except WrittenTwice as error:
        raise MalformedEnvelope(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise MalformedEnvelope(f"not JSON: {error}") from error


def _no_constant(name: str) -> None:
    raise MalformedEnvelope(f"{name} is not JSON")


def _finite(number: str) -> float:
    if math.isinf(found := float(number)):
        raise MalformedEnvelope(f"{number[:40]} is beyond every number")
    return found


def _object(value: Any, names: set[str], what: str) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise MalformedEnvelope(f"{what} is not a JSON object")
    if missing := names - value.keys():
        raise MalformedEnvelope(f"{what} lacks {', '.join(sorted(missing))}")
    if more := value.keys() - names:
        raise MalformedEnvelope(f"{what} has fields that nobody signed: {', '.join(sorted(more))}")
    return value


def _base64(text: Any, what: str) -> bytes:  # noqa: ANN401
    if not isinstance(text, str):
        raise MalformedEnvelope(f"{what} is not base64 text")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedEnvelope(f"{what} is not base64: {error}") from error
    if not content or base64.b64encode(content).decode("ascii") != text:
        raise MalformedEnvelope(f"{what} is empty, or not base64 in its one form")
    return content
