"""What code can mend of row 1.2: the alarms that a tool lacks, or that would work beside those that do not. Pure.

An alarm is printed only if the judge of row 1.2 finds nothing wrong with it, on the traffic that the evidence has.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.recommended_alarms import error_alarm, latency_alarm
from phase5_ops.evidence.table import filled
from phase5_ops.remedies.model import ALERT_TOPIC, CannotMend, MendingCase, NewAlarm, Remedy, RemedyParameter, answering
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import AlarmContext
from phase5_ops.sections.slo.alarms.description import alarm_columns, is_topic, queries_of
from phase5_ops.sections.slo.alarms.evidence import SIGNALS, SloAlarm, SloAlarms, spec_of
from phase5_ops.sections.slo.alarms.judge import best_candidate, context_of, judge_alarm, required_rows
from phase5_ops.sections.slo.alarms.model import AlarmError, signal_of, tools_of
from phase5_ops.sections.slo.alarms.notification_path import DeliveryCode, told
from phase5_ops.text import first_few
from phase5_ops.verdict import Finding

#: Findings that another alarm mends. Not those about a mute rule or a topic, which would keep that one silent, too.
_MENDED = frozenset(
    code.code
    for code in (
        AlarmCode.LATENCY_ALARM_MISSING,
        AlarmCode.ERROR_ALARM_MISSING,
        AlarmCode.ALARM_STATISTIC_WRONG,
        AlarmCode.ALARM_COMPARISON_WRONG,
        AlarmCode.ALARM_FIRES_WHEN_HEALTHY,
        AlarmCode.ALARM_THRESHOLD_TOO_LAX,
        AlarmCode.ALARM_SILENT_WHEN_WORSE,
        AlarmCode.ALARM_SILENT_AT_OTHER_TRAFFIC,
        AlarmCode.ALARM_WINDOW_OUT_OF_RANGE,
        AlarmCode.ALARM_PERIOD_TOO_SHORT,
        AlarmCode.ALARM_CANNOT_FIRE,
        AlarmCode.LATENCY_ALARM_MISSES_CALLS,
        AlarmCode.ERROR_ALARM_MISSES_TENANTS,
        AlarmCode.ALARM_READS_OTHER_ACCOUNTS,
        AlarmCode.ERROR_ALARM_COUNTS_ERRORS,
        AlarmCode.MISSING_DATA_LOOKS_FINE,
        AlarmCode.MISSING_DATA_BREACHES,
        DeliveryCode.ALARM_ACTIONS_MISSING,
    )
)
_RECOMMENDED = {"latency": latency_alarm, "error": error_alarm}
_WORKING_TOPIC = {"exists": True, "confirmed": 1, "pending": 0, "error": None}

_VALUE = re.compile(r"(?=.*[!-~])[ -~]{1,1024}")  # that CloudWatch takes for a dimension: ASCII, and not blank alone
_MOST = {"AlarmName": 255, "AlarmDescription": 1024}  # characters that CloudWatch takes
_MOST_EXPRESSION = 2048
_KEPT_OF_NAME = 200


def mend_alarms(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """A new alarm for every tool and signal of which no alarm is faultless, if that one would be."""
    table: SloAlarms = case.tables["slo_alarms"]
    new = NewAlarms(case)
    stored = set(answering(case.findings))
    for tool in required_rows(table):
        for signal in SIGNALS:
            rows = [row for row in table.rows if row.tool == tool and row.signal == signal]
            best, found = best_candidate(rows, new.context)
            blind = [each for each in case.of("latency_alarm_blind_to_errors") if each.subject.startswith(f"{tool}: ")]
            answers = tuple(pair for pair in answering([*found, *(blind if signal == "error" else ())]) if pair in stored)
            if not any(code in _MENDED for code, _ in answers):
                continue
            stays = (f"the alarm {best.alarm} stays: delete it once this one works",) if best.alarm else ()
            yield new.beside(best, answers, stays)


class NewAlarms:
    """Makes alarms as row 1.2 asks for, each under a name that none of the platform's has."""

    def __init__(self, case: MendingCase) -> None:
        table: SloAlarms = case.tables["slo_alarms"]
        self.context = context_of(table, slo=case.settings.slo, alarms=case.settings.alarms, now=case.now)
        self._case = case
        self._topic, self._columns = _topic(table, self.context)
        self._taken: set[str] = {row.alarm for row in table.rows if row.alarm}

    def beside(self, row: SloAlarm, answers: tuple[tuple[str, str], ...], cautions: tuple[str, ...] = ()) -> Remedy | CannotMend:
        """One for the tool and signal of a row, if the judge finds nothing wrong with it."""
        request = _request(row, self._case, self._topic, self._taken)
        if why := _fault(request, row, self._columns, self.context, self._case):
            return CannotMend(answers, why)
        self._taken.add(request["AlarmName"])
        replaced = "an alarm that has this name already would be replaced; the evidence knows those on the platform's metrics"
        return Remedy(answers, NewAlarm(request), (replaced, *cautions))


def _topic(table: SloAlarms, context: AlarmContext) -> tuple[str | RemedyParameter, Mapping[str, Any]]:
    """The topic that most alarms which reach someone publish to, with its columns; a parameter where there is none."""
    used: Counter[str] = Counter()
    known: dict[str, Mapping[str, Any]] = {}
    for row in table.rows:
        if row.alarm is None or not row.actions_enabled or row.unreadable:
            continue
        if any(
            each.verdict.blocks for each in told(row, longest_wait_seconds=context.policy.window_max_seconds, now=context.now)
        ):
            continue
        for arn in filter(is_topic, filled(row.alarm_actions)):
            used[arn] += 1
            known[arn] = filled(row.topics)[arn]
    if not used:
        return ALERT_TOPIC, _WORKING_TOPIC
    chosen = min(used, key=lambda arn: (-used[arn], arn))
    return chosen, known[chosen]


def _request(row: SloAlarm, case: MendingCase, topic: str | RemedyParameter, taken: set[str]) -> dict[str, Any]:
    """The parameters of PutMetricAlarm for the tool and signal of a row, under a name that no known alarm has."""
    settings, tool = case.settings, filled(row.tool)
    address = f"{settings.runbook_address or settings.runbook}".split("#", 1)[0]
    request = _RECOMMENDED[filled(row.signal)](
        tool,
        filled(row.connector),
        namespace=case.tables["slo_alarms"].facts.metrics_namespace,
        topic_arn="",
        runbook_url=f"{address}#{settings.runbook_policy.alarm_anchor.lstrip('#')}",
        slo=settings.slo,
    )
    name = str(request["AlarmName"])
    if len(tool) > _KEPT_OF_NAME:
        short = f"{tool[:_KEPT_OF_NAME]}... {hashlib.sha256(tool.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        name = name.replace(tool, short)
    number = next(number for number in range(1, len(taken) + 2) if _numbered(name, number) not in taken)
    return {**request, "AlarmName": _numbered(name, number), "AlarmActions": [topic]}


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} {number}"


def _fault(request: Mapping[str, Any], row: SloAlarm, topic: Mapping[str, Any], context: AlarmContext, case: MendingCase) -> str:
    """Why the alarm would not do; "" if CloudWatch takes it and the judge finds nothing wrong with it."""
    for value in (filled(row.tool), filled(row.connector)):
        if not _VALUE.fullmatch(value):
            return "its tool or connector has a name that no CloudWatch dimension can have"
    for name, most in _MOST.items():
        if len(request[name]) > most:
            return f"its {name} would have more than the {most} characters that CloudWatch takes"
    if any(len(query.get("Expression", "")) > _MOST_EXPRESSION for query in request.get("Metrics", ())):
        return f"its query would have more than the {_MOST_EXPRESSION} characters that CloudWatch takes"
    account, region = case.account or "000000000000", case.region
    arn = next((each for each in request["AlarmActions"] if isinstance(each, str)), f"arn:aws:sns:{region}:{account}:chosen")
    raw = {
        **request,
        "AlarmActions": [arn],
        "AlarmArn": f"arn:{case.partition}:cloudwatch:{region}:{account}:alarm:{request['AlarmName']}",
        "StateValue": "OK",  # as soon as CloudWatch has evaluated it
    }
    columns = alarm_columns(raw, queries_of(raw), (), {}, (), ConsoleLinks(region)) | {"topics": {arn: topic}}
    period = columns.get("period") or 300
    requests = context.traffic[filled(row.tool)].requests(period)
    made = replace(row, **{"inputs_last_datapoint_at": None, "requests_per_period": requests, **columns})
    try:
        leaves = list(spec_of(made).leaves.values())
    except AlarmError as error:
        return f"CloudWatch would not take it: {error}"
    if signal_of(leaves) != row.signal or row.tool not in tools_of(leaves, context.traffic):
        return "its queries would not find the tool"
    wrong = judge_alarm(made, context)
    return f"row 1.2 would find wrong with it: {_in_words(wrong)}" if wrong else ""


def _in_words(findings: list[Finding]) -> str:
    return first_few([f"{finding.code} ({finding.seen})" for finding in findings], 2)
