r"""The platform's log lines: the logger's format, Lambda's own lines, and the names of the fields that say whose a line is. Pure.

Logger line: `[<ISO ms Z>] [<LEVEL>] [<Service>] <message> <JSON object>`, on one line. Lambda puts
`<ISO>\t<request id>\t<LEVEL>\t` before it (text format) or wraps it into JSON with a `requestId`, and writes START, END and
REPORT lines around each invocation (in JSON format `platform.start` and `platform.report`). Field names are not uniform:
snake_case in execution handlers, camelCase in services.
"""

import re
from dataclasses import dataclass

TENANT_FIELDS = ("tenant_id", "tenantId", "TenantId", "tenantID")
#: Fields whose value is a trace or an intent, whose tenant the ledger tells.
WORK_FIELDS = (
    "trace_id",
    "traceId",
    "executionTraceId",
    "execution_trace_id",
    "decisionTraceId",
    "decision_trace_id",
    "action_intent_id",
    "actionIntentId",
    "intent_id",
    "intentId",
)
#: Fields whose value names an intent: `exec-<intent>-<account>-ACTION_EXECUTED`.
SIGNAL_FIELDS = ("signalId", "signal_id")
SIGNAL_PREFIX = "exec-"
#: Fields whose value is a Lambda request id, which all lines of one invocation share.
REQUEST_FIELDS = ("requestId", "request_id", "RequestId", "awsRequestId", "aws_request_id", "AWSRequestId")
#: Values of those fields that say "none": lines of different tenants share them.
NO_VALUE = ("unknown", "undefined", "null", "none", "None", "NULL", "Unknown", "UNKNOWN", "nil", "NaN", "na", "NA", "-")

#: A tenant id right after one of these stands in a structured place: key, export key in S3, evidence reference.
KEY_PREFIX = "TENANT#"
STRUCTURED_PREFIXES = (KEY_PREFIX, "audit-exports/", "execution://")

_LOGGER_LINE = re.compile(
    r"\[(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)\] \[(?P<level>[A-Z]+)\] \[(?P<service>[^\]]{1,80})\] ?(?P<rest>.*)", re.DOTALL
)
_LAMBDA_PREFIX = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)\t(?P<request>[0-9a-f-]{36})\t")
_ANY_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ANY_REQUEST = re.compile(r"(?:RequestId: |[rR]equest_?[iI]d\\*\"\s*:\s*\\*\")([0-9A-Za-z-]{8,64})")


@dataclass(frozen=True, slots=True)
class LineHead:
    """What stands before the payload of a line; "" where the line does not say."""

    time: str
    request: str
    level: str
    service: str
    message: str


def line_head(text: str) -> LineHead:
    """Time, request id, level, service and message (the text before the JSON object) of one line."""
    prefix = _LAMBDA_PREFIX.match(text)
    logged = _LOGGER_LINE.search(text)
    moment = _ANY_TIME.search(text)
    request = prefix or _ANY_REQUEST.search(text)
    return LineHead(
        time=logged["time"] if logged else (moment[0] if moment else ""),
        request="" if request is None else (prefix["request"] if prefix else request[1]),
        level=logged["level"] if logged else "",
        service=logged["service"] if logged else "",
        message=(logged["rest"] if logged else text).split("{", 1)[0].strip(),
    )
