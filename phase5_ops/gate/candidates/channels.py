"""Giving a notice to a channel: an SNS topic, or a webhook whose requests are signed. Each try is bounded in time.

Neither channel can be asked whether it took a notice, so that a try whose answer was lost is repeated with the same idempotency
key. Nothing that is said of a failure holds the webhook's address, which may be a secret itself.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

from phase5_ops.aws.reader import AwsReader, within
from phase5_ops.clock import iso
from phase5_ops.gate.candidates.notifications import publish
from phase5_ops.gate.candidates.posting import post_once
from phase5_ops.gate.state.notice_box import Notice
from phase5_ops.policy import NotificationPolicy

SNS, WEBHOOK = "sns", "webhook"
SCHEMA = "phase5.notification/v1"

#: Headers of a webhook's request; the signature is `v1=` and the hex HMAC-SHA256 over `<timestamp>.<body>`.
TIMESTAMP, SIGNATURE, IDEMPOTENCY_KEY = "X-Phase5-Timestamp", "X-Phase5-Signature", "Idempotency-Key"


def channels(policy: NotificationPolicy) -> tuple[str, ...]:
    """The channels that are set."""
    return (*([SNS] if policy.sns_topic_arn else []), *([WEBHOOK] if policy.webhook_url else []))


def give(
    channel: str, reader: AwsReader, policy: NotificationPolicy, notice: Notice, *, now: datetime, variables: Mapping[str, str]
) -> str | None:
    """Gives a notice to a channel once.

    Args:
        channel: one that is set.
        reader: reaches SNS, with its own bounds.
        policy: names topic and webhook.
        notice: what is told.
        now: wall clock, for the signature.
        variables: the environment's, which hold the webhook's secret.

    Returns:
        None if the channel took it, else why not.
    """
    if channel == SNS:
        given = {"kind": notice.kind, "idempotency_key": notice.id}
        return publish(reader, policy, subject=notice.do, text=whole_text(notice), attributes=given)
    return _post(policy, notice, now, variables)


def whole_text(notice: Notice) -> str:
    """A notice as people read it."""
    about = f"{notice.release} {notice.digest}, series {notice.series}, " if notice.release else ""
    last = f"{notice.kind}: {about}environment {notice.environment}, seen at {iso(notice.at)}"
    return "\n".join(line for line in (notice.do, notice.text, notice.link, last) if line)


def body_of(policy: NotificationPolicy, notice: Notice) -> bytes:
    """The body of a webhook's request."""
    if policy.webhook_format == "slack":
        return json.dumps({"text": for_slack(whole_text(notice)), "mrkdwn": False}).encode()
    content = {
        "schema": SCHEMA,
        "id": notice.id,
        "kind": notice.kind,
        "do": notice.do,
        "text": whole_text(notice),
        "at": iso(notice.at),
        "environment": notice.environment,
        "release": notice.release or None,
        "digest": notice.digest or None,
        "series": notice.series or None,
        "link": notice.link or None,
    }
    return json.dumps(content, sort_keys=True).encode()


def for_slack(text: str) -> str:
    """The text with everything escaped that steers Slack, see https://api.slack.com/reference/surfaces/formatting#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the signature's header."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _post(policy: NotificationPolicy, notice: Notice, now: datetime, variables: Mapping[str, str]) -> str | None:
    if policy.webhook_url is None:
        return "webhook: no address is set"
    body, timestamp = body_of(policy, notice), str(int(now.timestamp()))
    headers = {IDEMPOTENCY_KEY: notice.id, TIMESTAMP: timestamp}
    if (variable := policy.webhook_secret_variable) is not None:
        if not (secret := variables.get(variable)):
            return f"webhook: the variable {variable}, which holds its secret, is not set where Dagster's daemon runs"
        headers[SIGNATURE] = signature(secret, timestamp, body)
    address, seconds = policy.webhook_url.get_secret_value(), policy.webhook_timeout_seconds
    try:  # bounded also where an answer comes byte by byte
        status, _ = within(seconds, lambda: post_once(address, body, headers, seconds=seconds), late="the webhook")
    except Exception as error:  # noqa: BLE001 - the border: whatever the network does, the notice is tried again
        return f"webhook: {type(error).__name__}"  # its message may hold the address
    return None if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else f"webhook: HTTP {status}"
