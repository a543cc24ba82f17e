"""Whether an SLO alarm that fires now, at the tool's usual traffic, does so at other times and in busy or quiet periods. Pure.

An alarm may ask for a least number of calls: of few calls one alone is more than the share that the SLO allows. So quiet periods
count only where they have as many calls as the SLO allows a bad one for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import AlarmContext, finding_at
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.sections.slo.alarms.model import AlarmError
from phase5_ops.sections.slo.alarms.trial import SAMPLED_SHARE, Trial
from phase5_ops.verdict import Finding, Verdict

_BUSIER = 10  # times the most calls that were observed
_QUIET_PART = 0.1  # of the periods that have enough calls: as many are quieter


@dataclass(frozen=True, slots=True)
class Reactions:
    """How an alarm reacts: whether it breaches, by how the calls are.

    Attributes:
        healthy: all of them are good.
        at_limit: a little more of them are bad, or slow by a little more, than the SLO allows.
        at_worst: all of them are bad.
    """

    healthy: Callable[[Trial], bool]
    at_limit: Callable[[Trial], bool]
    at_worst: Callable[[Trial], bool]


def silent_at_times(row: SloAlarm, trial: Trial, reactions: Reactions) -> list[Finding]:
    """A finding if an alarm that looks at the calendar is silent, or fires on good calls, at any time of the coming year.

    Args:
        row: of an alarm that fires at the times of `trial`.
        trial: of the alarm.
        reactions: of the alarm.
    """
    if not trial.spec.calendar_functions:
        return []
    expected = "fires at every time of day, week and year"
    try:
        always = trial.at_every_time()
    except AlarmError as error:
        return [finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, expected, str(error))]
    for breaches in (reactions.at_limit, reactions.at_worst):
        if not breaches(always):
            seen = f"does not at {_first_silent(always, breaches):%A %Y-%m-%d %H:%M} UTC"
            return [finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, expected, seen)]
    if reactions.healthy(always):
        expected = "stays OK at every time of day, week and year without slow or failed calls"
        return [finding_at(AlarmCode.ALARM_FIRES_WHEN_HEALTHY, row, expected, "breaches then too at some times")]
    return []


def _first_silent(trial: Trial, breaches: Callable[[Trial], bool]) -> datetime:
    """The first moment of a trial at which the alarm is silent; there is one."""
    moments = trial.moments
    while len(moments) > 1:
        half = moments[: len(moments) // 2]
        moments = moments[len(half) :] if breaches(replace(trial, moments=half)) else half
    return moments[0]


def silent_at_other_traffic(
    row: SloAlarm, trial: Trial, context: AlarmContext, reactions: Reactions, *, allowed: float, plenty: float
) -> list[Finding]:
    """A finding if the alarm is silent in busier periods (FAIL), or in quiet ones that have enough calls (FAIL or WARN).

    It warns, too, where it would be silent at `plenty` of calls and hardly any period was so quiet yet.

    Args:
        row: of an alarm that fires at the usual traffic.
        trial: of the alarm, at the usual traffic.
        context: what alarms are judged against.
        reactions: of the alarm.
        allowed: the share of bad calls that the SLO allows, 0-1.
        plenty: calls a period from which on no alarm may ask for more.
    """
    periods = trial.tool.requests_of_periods(trial.spec.period)
    most = max(periods, default=trial.requests)
    for requests, which in ((most, "the most that there were"), (most * _BUSIER, f"{_BUSIER} times the most that there were")):
        busy = replace(trial, requests=requests)
        if not (reactions.at_limit(busy) and reactions.at_worst(busy)):
            seen = f"does not at {requests:,.0f} calls a period, {which}"
            return [finding_at(AlarmCode.ALARM_SILENT_AT_OTHER_TRAFFIC, row, "fires however many calls there are", seen)]
    enough = max(float(context.slo.min_window_samples), 1 / allowed) / (1 - SAMPLED_SHARE)  # in the sets without a tenant
    plenty = max(enough, plenty)
    for least, verdict in ((plenty, Verdict.FAIL), (enough, Verdict.WARN)):
        counted = [requests for requests in periods if requests >= least]
        quiet = counted[int(len(counted) * _QUIET_PART)] if counted else None
        if quiet is not None and not reactions.at_worst(replace(trial, requests=quiet)):
            seen = f"does not at {quiet:,.0f} calls a period, as quiet ones have, even if all of them are bad"
            return [_silent_when_quiet(row, least, seen, verdict)]
    if trial.requests > plenty and not reactions.at_worst(replace(trial, requests=plenty)):
        seen = "would not if there were no more, even if all of them were bad; hardly any period was so quiet yet"
        return [_silent_when_quiet(row, plenty, seen, Verdict.WARN)]
    return []


def _silent_when_quiet(row: SloAlarm, least: float, seen: str, verdict: Verdict) -> Finding:
    expected = f"fires in every period of at least {least:,.0f} calls"
    return finding_at(AlarmCode.ALARM_SILENT_AT_OTHER_TRAFFIC, row, expected, seen, verdict)
