"""What the calls of a run cost at AWS list price (us-east-1, on demand, USD, without free tier).

Sources: the public price pages of CloudWatch, Cost Explorer, DynamoDB, SNS, S3 and STS. Cost Explorer bills each page.
`units` are what the service bills if it does not bill calls: metrics requested for GetMetricData, read request units for
DynamoDB.
"""

from phase5_ops.aws.reader import CallMeter

_PER_UNIT = {
    "cloudwatch:GetMetricData": 0.01 / 1000,
    "dynamodb:Scan": 0.125 / 1_000_000,
    "dynamodb:Query": 0.125 / 1_000_000,
    "dynamodb:BatchGetItem": 0.125 / 1_000_000,
}
_PER_CALL = {"cloudwatch": 0.01 / 1000, "sns": 0.50 / 1_000_000, "s3": 0.0004 / 1000, "ce": 0.01}


def cost_usd(meter: CallMeter) -> float:
    """Price of the metered calls, in USD."""
    return sum(
        meter.units.get(operation, 0.0) * _PER_UNIT[operation]
        if operation in _PER_UNIT
        else calls * _PER_CALL.get(operation.split(":", 1)[0], 0.0)
        for operation, calls in meter.calls.items()
    )
