"""Whether an SLO alarm that fires at the tool's usual traffic also fires in its busy and quiet periods. Pure.

An alarm may ask for a least number of calls: of few calls one alone is more than the share that the SLO allows. So quiet periods
count only where they have as many calls as the SLO allows a bad one for.
"""

from collections.abc import Callable
from dataclasses import replace

from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import AlarmContext, finding_at
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.sections.slo.alarms.trial import SAMPLED_SHARE, Trial
from phase5_ops.verdict import Finding, Verdict

_BUSIER = 10  # times the most calls that were observed
_QUIET_PART = 0.1  # of the periods that have enough calls: as many are quieter


def silent_at_other_traffic(
    row: SloAlarm,
    trial: Trial,
    context: AlarmContext,
    *,
    at_limit: Callable[[Trial], bool],
    at_worst: Callable[[Trial], bool],
    allowed: float,
    plenty: float,
) -> list[Finding]:
    """A finding if the alarm is silent in busier periods (FAIL), or in quiet ones that have enough calls (FAIL or WARN).

    Args:
        row: of an alarm that fires at the usual traffic.
        trial: of the alarm, at the usual traffic.
        context: what alarms are judged against.
        at_limit: whether it breaches a little beyond the SLO.
        at_worst: whether it breaches when all calls are bad.
        allowed: the share of bad calls that the SLO allows, 0-1.
        plenty: calls a period from which on no alarm may ask for more.
    """
    periods = trial.tool.requests_of_periods(trial.spec.period)
    most = max(periods, default=trial.requests)
    for requests, which in ((most, "the most that there were"), (most * _BUSIER, f"{_BUSIER} times the most that there were")):
        busy = replace(trial, requests=requests)
        if not (at_limit(busy) and at_worst(busy)):
            seen = f"does not at {requests:,.0f} calls a period, {which}"
            return [finding_at(AlarmCode.ALARM_SILENT_AT_OTHER_TRAFFIC, row, "fires however many calls there are", seen)]
    enough = max(float(context.slo.min_window_samples), 1 / allowed) / (1 - SAMPLED_SHARE)  # in the sets without a tenant
    for least, verdict in ((max(enough, plenty), Verdict.FAIL), (enough, Verdict.WARN)):
        counted = [requests for requests in periods if requests >= least]
        quiet = counted[int(len(counted) * _QUIET_PART)] if counted else None
        if quiet is not None and not at_worst(replace(trial, requests=quiet)):
            expected = f"fires in every period of at least {least:,.0f} calls"
            seen = f"does not at {quiet:,.0f} calls a period, as quiet ones have, even if all of them are bad"
            return [finding_at(AlarmCode.ALARM_SILENT_AT_OTHER_TRAFFIC, row, expected, seen, verdict)]
    return []
