"""What code can mend of row 1.3: descriptions of alarms that do not lead to the runbook, and the runbook's section. Pure."""

from collections.abc import Iterator
from typing import Any

from phase5_ops.ccnative.runbook import Runbook, anchor_name, link_to
from phase5_ops.ccnative.runbook_remedy import mend_section
from phase5_ops.ccnative.runbook_texts import ALARM_SECTION
from phase5_ops.evidence.table import filled
from phase5_ops.remedies.model import AlarmDescription, CannotMend, MendingCase, Remedy, answering
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.sections.slo.runbook.judge import link_findings, runbook_names, watching_alarms

_MOST_DESCRIPTION = 1024  # characters that CloudWatch takes


def mend_alarm_runbook(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """The section that is missing or empty, and a description with a link for every alarm that has none."""
    anchor = case.settings.runbook_policy.alarm_anchor
    yield from mend_section(case, ALARM_SECTION, anchor)
    alarms = watching_alarms(case.tables["slo_alarms"])
    runbook: Runbook = case.tables["runbook"]
    for finding in case.of("alarm_without_runbook_link", "alarm_runbook_link_disowned"):
        answers, row = answering([finding]), alarms.get(finding.subject)
        description = None if row is None else _description(runbook, row, anchor)
        if row is None or description is None:
            yield CannotMend(answers, "no description that leads to the runbook fits this alarm")
        else:
            yield Remedy(answers, AlarmDescription(finding.subject, description, _known(row)))
    if missing := case.of("no_alarm_to_link"):
        yield CannotMend(answering(missing), "phase5 remedy 1.2 prints the alarms, with their links")


def _description(runbook: Runbook, row: SloAlarm, anchor: str) -> str | None:
    """What the alarm says now, and the link; a sentence of our own where that would not do; None where neither does."""
    link = link_to(runbook, anchor) or f"{runbook_names(runbook)[0]}#{anchor_name(anchor)}"
    signal = "latency" if row.signal == "latency" else "share of failed calls"
    for text in ((row.description or "").strip(), f"SLO alarm on the {signal} of {row.tool}."):
        described = f"{text} Runbook: {link}".strip()
        fits = len(described) <= _MOST_DESCRIPTION
        if fits and not link_findings(runbook, filled(row.alarm), described, "", anchor):
            return described
    return None


def _known(row: SloAlarm) -> dict[str, Any]:
    """What the evidence says of the alarm, as parameters of PutMetricAlarm."""
    queries = filled(row.queries)
    known: dict[str, Any] = {
        "AlarmName": row.alarm,
        "ActionsEnabled": row.actions_enabled,
        "AlarmActions": row.alarm_actions,
        "EvaluationPeriods": row.evaluation_periods,
        "DatapointsToAlarm": row.datapoints_to_alarm,
        "ComparisonOperator": row.comparison,
        "Threshold": row.threshold,
        "TreatMissingData": row.treat_missing,
    }
    if len(queries) == 1 and not queries[0]["expression"]:
        (query,) = queries
        plain = query["stat"] in ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
        return known | {
            "Namespace": query["namespace"],
            "MetricName": query["metric"],
            "Dimensions": _dimensions(query),
            "Statistic" if plain else "ExtendedStatistic": query["stat"],
            "Period": query["period"],
        }
    return known | {"Metrics": [_query(query) for query in queries]}


def _query(query: dict[str, Any]) -> dict[str, Any]:
    found = {"Id": query["id"], "ReturnData": query["returned"]}
    if query["expression"]:
        return found | {"Expression": query["expression"], "Period": query["period"]}
    metric = {"Namespace": query["namespace"], "MetricName": query["metric"], "Dimensions": _dimensions(query)}
    return found | {"MetricStat": {"Metric": metric, "Period": query["period"], "Stat": query["stat"]}}


def _dimensions(query: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in query["dimensions"].items()]
