"""Reads CloudTrail's records of the calls in which KMS signed. What they say about a signature is in `audit.py`.

LookupEvents answers for one region and the last 90 days, two requests a second, 50 events a page; an event comes with its whole
record as JSON text. See https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html and, for the record
of a Sign call, https://docs.aws.amazon.com/kms/latest/developerguide/ct-sign.html.
"""

from phase5_ops.aws.pace import Pace
from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.clock import iso
from phase5_ops.gate.signing.audit import Period

IAM_ACTIONS = ("cloudtrail:LookupEvents",)

REQUESTS_A_SECOND = 2.0

_BY_NAME = [{"AttributeKey": "EventName", "AttributeValue": "Sign"}]


def read_sign_events(reader: AwsReader, region: str | None, period: Period, pace: Pace) -> Answer:
    """Every record of a Sign call in a period.

    Args:
        reader: bounds and counts the calls.
        region: of the key; None for the region that is read.
        period: from when to when the call may have been.
        pace: shared by all lookups of a command.
    """
    return reader.paginate(
        "cloudtrail",
        "lookup_events",
        f"Sign {iso(period.start)} to {iso(period.end)}",
        region=region,
        before_page=pace.wait,
        LookupAttributes=_BY_NAME,
        StartTime=period.start,
        EndTime=period.end,
    )
