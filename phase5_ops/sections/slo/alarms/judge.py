"""Row 1.2 and the check no_slo_alarm_firing: does every registered tool have a latency and an error alarm that can fire? Pure.

An alarm is judged by what it would do (`definition`), when it can fire (`window`), who hears of it (`notification_path`) and
what its state says (`state`). A tool's signal passes with one faultless alarm; otherwise the findings of its best candidate are
given.
"""

from collections.abc import Sequence
from datetime import datetime

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.metrics import ERROR, LATENCY
from phase5_ops.cloudwatch.metric_query import DASHBOARD_READS, METRIC_READS
from phase5_ops.evidence.table import filled
from phase5_ops.policy import AlarmPolicy, SloPolicy
from phase5_ops.reads import ReadStatus, read_findings
from phase5_ops.sections.slo.alarms.codes import AlarmCode
from phase5_ops.sections.slo.alarms.context import AlarmContext, finding_at
from phase5_ops.sections.slo.alarms.definition import definition
from phase5_ops.sections.slo.alarms.evidence import SIGNALS, SloAlarm, SloAlarms, traffic_of
from phase5_ops.sections.slo.alarms.notification_path import told
from phase5_ops.sections.slo.alarms.state import silence_or_alarm, state
from phase5_ops.sections.slo.alarms.window import reachable, window
from phase5_ops.verdict import EvidenceLink, Finding, Judgement, conclude

_MISSING = {"latency": AlarmCode.LATENCY_ALARM_MISSING, "error": AlarmCode.ERROR_ALARM_MISSING}

#: Reads without which it is not known which SLO alarms there are.
ALARM_READS = ("dynamodb:Scan", "cloudwatch:DescribeAlarms")

#: Reads that say what becomes of an alarm's message.
DELIVERY_READS = (
    "sns:GetTopicAttributes",
    "sns:ListSubscriptionsByTopic",
    "sns:GetSubscriptionAttributes",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
    "lambda:GetFunctionConfiguration",
    "lambda:GetPolicy",
)

#: Reads behind `slo_alarms` that have no bearing on which alarms there are, what they say and in which state they are.
OTHER_READS = (
    *DASHBOARD_READS,
    *METRIC_READS,
    "cloudwatch:ListAlarmMuteRules",
    "cloudwatch:GetAlarmMuteRule",
    *DELIVERY_READS,
)


def judge_slo_alarms(table: SloAlarms, *, slo: SloPolicy, alarms: AlarmPolicy, now: datetime, links: ConsoleLinks) -> Judgement:
    """Row 1.2: PASS when every registered tool has a faultless latency alarm and a faultless error alarm.

    Args:
        table: the evidence table `slo_alarms`.
        slo: the limits that alarms must not be laxer than.
        alarms: lowest percentile and the window's range.
        now: evaluation time.
        links: console URLs of the region.
    """
    rows = table.rows
    required = required_rows(table)
    context = context_of(table, slo=slo, alarms=alarms, now=now)
    findings = read_findings(table.reads, ignoring=DASHBOARD_READS)
    working: dict[tuple[str, str], SloAlarm] = {}
    for tool in required:
        for signal in SIGNALS:
            row, found = best_candidate([row for row in rows if row.tool == tool and row.signal == signal], context)
            if row.alarm is None and not _read(table, "cloudwatch:DescribeAlarms"):
                continue  # whether there is one is not known, and the read is an ERROR already
            findings += found
            if not any(finding.verdict.blocks for finding in found):
                working[tool, signal] = row
        if (tool, "latency") in working and (tool, "error") not in working:
            findings.append(_blind_to_errors(working[tool, "latency"]))
    alarmed = {signal: sum(key[1] == signal for key in working) for signal in SIGNALS}
    total = len(required)
    return conclude(
        judged=total,
        summary=f"{alarmed['latency']} of {total} registered tools have a working latency alarm, "
        f"{alarmed['error']} of {total} a working error alarm.",
        findings=findings,
        facts={
            "tools_required": total,
            "tools_with_latency_alarm": alarmed["latency"],
            "tools_with_error_alarm": alarmed["error"],
            "tools_whose_latency_alarm_cannot_see_failed_calls": alarmed["latency"],
            "slo_alarms": len({row.alarm for row in rows if row.signal and row.alarm}),
            "other_alarms_on_platform_metrics": sum(row.signal is None for row in rows),
        },
        evidence=[EvidenceLink("CloudWatch alarms", links.alarms())],
    )


def judge_no_slo_alarm_firing(table: SloAlarms, *, links: ConsoleLinks) -> Judgement:
    """The extra check no_slo_alarm_firing: FAIL while an SLO alarm is in ALARM, INCONCLUSIVE where silence says nothing.

    Args:
        table: the evidence table `slo_alarms`.
        links: console URLs of the region.
    """
    alarms: dict[str, list[SloAlarm]] = {}  # one alarm may watch several tools
    for row in table.rows:
        if row.signal and row.alarm:
            alarms.setdefault(row.alarm, []).append(row)
    states = [rows[0].state for rows in alarms.values()]
    bearing = METRIC_READS if "INSUFFICIENT_DATA" in states else ()  # whether its inputs had data decides then
    findings = read_findings(table.reads, ignoring=set(OTHER_READS) - set(bearing))
    for _, rows in sorted(alarms.items()):
        findings += silence_or_alarm(rows, table.observed_at)
    firing = states.count("ALARM")
    if not alarms and slo_alarms_known(table):
        findings.append(AlarmCode.NO_SLO_ALARM.at("SLO alarms", expected="at least one alarm", seen="none", link=links.alarms()))
    return conclude(
        judged=len(alarms),
        summary=f"{firing} of {len(alarms)} SLO alarms are in ALARM.",
        findings=findings,
        facts={"slo_alarms": len(alarms), "firing": firing},
        evidence=[EvidenceLink("CloudWatch alarms", links.alarms())],
    )


def slo_alarms_known(table: SloAlarms) -> bool:
    """Whether tools and alarms were read whole, so that an SLO alarm that is not in the table does not exist."""
    return _read(table, *ALARM_READS)


def required_rows(table: SloAlarms) -> dict[str, SloAlarm]:
    """One row of each tool that must have alarms, by its name."""
    return {filled(row.tool): row for row in table.rows if row.signal in SIGNALS}


def context_of(table: SloAlarms, *, slo: SloPolicy, alarms: AlarmPolicy, now: datetime) -> AlarmContext:
    """What all alarms of the table are judged against; the arguments are those of `judge_slo_alarms`."""
    traffic = {tool: traffic_of(row) for tool, row in required_rows(table).items()}
    return AlarmContext(slo, alarms, table.facts.metrics_namespace, now, traffic)


def _read(table: SloAlarms, *operations: str) -> bool:
    return all(read.status is ReadStatus.OK for read in table.reads if read.operation in operations)


def best_candidate(candidates: Sequence[SloAlarm], context: AlarmContext) -> tuple[SloAlarm, list[Finding]]:
    """The candidate with the mildest findings; the missing-alarm finding where there is no candidate."""
    judged = [(row, judge_alarm(row, context)) for row in candidates if row.alarm is not None]
    if judged:
        return min(judged, key=lambda pair: (max((each.verdict.severity for each in pair[1]), default=0), len(pair[1])))
    row = candidates[0]
    if row.signal == "latency":
        expected = f"an alarm on p99 of {LATENCY} above {context.slo.latency_threshold_ms:g} ms"
    else:
        expected = f"an alarm on the share of {ERROR} above {100 * context.slo.error_rate_max:g} %"
    return row, [
        _MISSING[filled(row.signal)].at(filled(row.tool), expected=expected, seen=f"no {row.signal} alarm names this tool")
    ]


def _blind_to_errors(row: SloAlarm) -> Finding:
    expected = "failed calls covered by an error alarm, since the latency alarm cannot see them"
    return finding_at(AlarmCode.LATENCY_ALARM_BLIND_TO_ERRORS, row, expected, "no working error alarm")


def judge_alarm(row: SloAlarm, context: AlarmContext) -> list[Finding]:
    """Everything wrong with one alarm as the alarm of one tool and signal."""
    if row.unreadable:
        return [finding_at(AlarmCode.ALARM_MALFORMED, row, "a readable definition", row.unreadable)]
    return [
        *(_without_inputs(row, context) or definition(row, context)),
        *window(row, context),
        *reachable(row, context),
        *told(row, longest_wait_seconds=context.policy.window_max_seconds, now=context.now),
        *state(row, context.now),
    ]


def _without_inputs(row: SloAlarm, context: AlarmContext) -> list[Finding]:
    """A finding if the tool has never emitted what the alarm reads; an error alarm may have seen no errors yet."""
    emitted = {metric for metric, _ in context.traffic[filled(row.tool)].sets}
    if LATENCY in emitted or (emitted and row.signal == "error"):
        return []
    missing = f"{LATENCY} of the tool" if emitted else "any metric of the tool"
    return [
        finding_at(AlarmCode.ALARM_CANNOT_FIRE, row, "data points of the tool to evaluate", f"{missing} has never been emitted")
    ]
