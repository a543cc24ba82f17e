"""Promotion as an HTTPS request that carries the signed decision.

The receiver cannot be read back: a repeat carries the same Idempotency-Key. The receiver may rely on the decision envelope in the
body, signed by the gate's key, but not on the request itself. Redirects are not followed, proxies not used, and no secret is
sent.
"""

import base64
import json
from http import HTTPStatus

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, Publication, Published, message
from phase5_ops.gate.candidates.posting import post_once
from phase5_ops.policy import PromotionPolicy

IAM_ACTIONS: tuple[str, ...] = ()

_SHOWN = 200
_MAX_ANSWER = 64 * 1024
#: Answers of 4xx that say nothing about whether an earlier request took effect.
_UNCLEAR = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Posts the order once; the caller repeats it."""
    body = {**json.loads(message(order)), "decision_envelope": base64.b64encode(order.decision_envelope).decode("ascii")}
    content = json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")
    try:
        status, text = reader.bounded(lambda: _post(str(policy.webhook_url), content, order.key, policy.webhook_timeout_seconds))
    except Exception as error:  # noqa: BLE001 - the border: whatever the network does, the effect is not known
        return Published(Publication.UNKNOWN, f"POST: {type(error).__name__}: {str(error)[:_SHOWN]}")
    said = f"HTTP {status}: {text}"
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Published(Publication.PUBLISHED, said)
    refused = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _UNCLEAR
    return Published(Publication.REFUSED if refused else Publication.UNKNOWN, said)


def _post(url: str, content: bytes, key: str, timeout: float) -> tuple[int, str]:
    status, answer = post_once(url, content, {"Idempotency-Key": key}, seconds=timeout, read=_MAX_ANSWER)
    return status, answer.decode("utf-8", "replace")[:_SHOWN]
