"""Promotion as an EventBridge event. The bus cannot be read back: a repeat carries the same idempotency key in its detail.

PutEvents answers 200 although an entry failed; FailedEntryCount says so. An entry that the bus refused was not delivered; one
with an internal failure may be repeated, with the same key.
See https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html.
"""

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, Publication, Published, message
from phase5_ops.gate.promotion.targets.answers import not_published
from phase5_ops.policy import PromotionPolicy
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("events:PutEvents",)

SOURCE = "phase5.readiness"
DETAIL_TYPE = "Release Promoted"


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Puts the event."""
    entry = {
        "EventBusName": policy.event_bus,
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Detail": message(order).decode("ascii"),
        "Resources": [],
    }
    answer = reader.call("events", "put_events", policy.event_bus, Entries=[entry])
    if answer.read.status is not ReadStatus.OK:
        return not_published(answer.read)
    page = answer.pages[0]
    entries = page.get("Entries") or []
    event_id = str(entries[0].get("EventId") or "") if len(entries) == 1 else ""
    if page.get("FailedEntryCount") != 0 or not event_id:
        error = entries[0] if entries else {}
        seen = f"the bus did not take the event: {error.get('ErrorCode')}: {error.get('ErrorMessage')}"
        return Published(Publication.UNKNOWN, seen)
    return Published(Publication.PUBLISHED, f"event {event_id}")
