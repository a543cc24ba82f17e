"""When an SLO alarm can fire: its periods, the window they make, and whether enough of them have data. Pure."""

import math

from phase5_ops.ccnative.metrics import RESOLUTION_SECONDS
from phase5_ops.evidence.table import filled
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import AlarmContext, finding_at
from phase5_ops.sections.slo.alarms.evidence import SloAlarm, spec_of
from phase5_ops.sections.slo.alarms.model import AlarmError
from phase5_ops.verdict import Finding


def window(row: SloAlarm, context: AlarmContext) -> list[Finding]:
    """Whether the periods are long enough, and together within the policy's range."""
    low, high = context.policy.window_min_seconds, context.policy.window_max_seconds
    if row.period is None:
        return []
    shortest = min([int(query["period"]) for query in filled(row.queries) if query["period"]], default=RESOLUTION_SECONDS)
    if shortest < RESOLUTION_SECONDS:
        expected = f"at least {RESOLUTION_SECONDS} s, as the metrics are stored"
        return [finding_at(AlarmCode.ALARM_PERIOD_TOO_SHORT, row, expected, f"a period of {shortest} s")]
    span = row.period * filled(row.evaluation_periods)
    if low <= span <= high:
        return []
    seen = f"{row.period} s x {row.evaluation_periods} = {span / 60:g} min"
    return [finding_at(AlarmCode.ALARM_WINDOW_OUT_OF_RANGE, row, f"{low / 60:g}-{high / 60:g} min", seen)]


def reachable(row: SloAlarm, context: AlarmContext) -> list[Finding]:
    """Whether enough periods can have data, and enough samples, for the alarm to fire."""
    period = row.period
    if period is None:
        return []
    needed, among = filled(row.datapoints_to_alarm), filled(row.evaluation_periods)
    if needed > among:
        return [finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, f"at most {among} data points to alarm", f"{needed} out of {among}")]
    traffic = context.traffic[filled(row.tool)]
    findings = []
    most = traffic.most_periods_with_data(period, among)
    if most is not None and most < needed and row.treat_missing != "breaching":
        seen = f"at most {most} of {among} periods of {period} s had calls in the lookback"
        findings.append(finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, f"{needed} of {among} periods with data", seen))
    least = _least_samples(row)
    samples = traffic.requests(period) or 0
    if least is not None and samples < least:
        seen = f"{samples:.3g} samples a period, and EvaluateLowSampleCountPercentile is ignore"
        findings.append(finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, f"at least {least:g} samples a period", seen))
    return findings


def _least_samples(row: SloAlarm) -> float | None:
    """Samples a period under which CloudWatch does not evaluate the alarm; None where it always does."""
    if row.low_sample != "ignore" or row.signal != "latency":
        return None
    try:
        counts = [leaf.statistic.low_sample_count for leaf in spec_of(row).leaves.values()]
    except AlarmError:
        return None
    return max((count for count in counts if count is not None and math.isfinite(count)), default=None)
