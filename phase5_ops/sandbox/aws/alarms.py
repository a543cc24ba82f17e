"""Alarms as CloudWatch evaluates them: M of N data points, missing data, low samples, math, Metrics Insights, composites.

An alarm is evaluated when it is looked at, at the platform's clock. Knows nothing of moto or HTTP.

Rules: those of `cloudwatch/alarm_evaluation.py`; API Reference, PutMetricAlarm, PutCompositeAlarm. The evaluation range ends with
the last whole period.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.cloudwatch.alarm_evaluation import (
    ALARM,
    COMPARISONS,
    EXTRA_PERIODS,
    INSUFFICIENT_DATA,
    OK,
    evaluate_range,
    state_of_series,
)
from phase5_ops.cloudwatch.alarm_rule import AlarmRuleError, parse_rule
from phase5_ops.cloudwatch.metric_math import Points
from phase5_ops.cloudwatch.statistics import parse_statistic
from phase5_ops.sandbox.aws.metric_store import MetricStore
from phase5_ops.sandbox.aws.queries import MetricDataRequest, QueryError

INITIAL_REASON = "Unchecked: Initial alarm creation"

COMPARISON_OPERATORS = frozenset(COMPARISONS) | {
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
}
_DEFAULT_PERIOD = 300  # where no query says


@dataclass
class SandboxAlarm:
    """One alarm: its configuration as it was put, and its state. `name` and `alarm_arn` are what moto's tagging looks for."""

    name: str
    alarm_arn: str
    config: dict[str, Any]
    configured: datetime
    composite: bool = False
    state: str = INSUFFICIENT_DATA
    reason: str = INITIAL_REASON
    reason_data: str | None = None
    state_updated: datetime | None = None
    transitioned: datetime | None = None
    evaluation_state: str | None = None
    by_hand: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)

    def set_state(self, state: str, reason: str, reason_data: str | None, at: datetime) -> None:
        """Changes the state; the timestamps move only with the state or its reason."""
        if state != self.state:
            self.transitioned = at
            summary = f"Alarm updated from {self.state} to {state}"
            self.record("StateUpdate", summary, {"oldState": {"stateValue": self.state}, "newState": {"stateValue": state}}, at)
        if (state, reason) != (self.state, self.reason):
            self.state_updated = at
        self.state, self.reason, self.reason_data = state, reason, reason_data

    def record(self, kind: str, summary: str, data: Mapping[str, Any], at: datetime) -> None:
        """Adds to the alarm's history."""
        self.history.append(
            {
                "AlarmName": self.name,
                "AlarmType": "CompositeAlarm" if self.composite else "MetricAlarm",
                "Timestamp": at,
                "HistoryItemType": kind,
                "HistorySummary": summary,
                "HistoryData": json.dumps({"version": "1.0", **data}),
            }
        )

    def as_response(self) -> dict[str, Any]:
        """The alarm as DescribeAlarms shows it; what was not put is not shown, apart from the API's defaults."""
        defaults: dict[str, Any] = {"ActionsEnabled": True, "OKActions": [], "AlarmActions": [], "InsufficientDataActions": []}
        if "MetricName" in self.config:
            defaults["Dimensions"] = []
        shown = defaults | {key: value for key, value in self.config.items() if key != "Tags"}
        return shown | {
            "AlarmArn": self.alarm_arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateReasonData": self.reason_data,
            "StateUpdatedTimestamp": self.state_updated or self.configured,
            "StateTransitionedTimestamp": self.transitioned or self.configured,
            "EvaluationState": self.evaluation_state,
        }


def evaluate_metric_alarm(alarm: SandboxAlarm, store: MetricStore, now: datetime) -> None:
    """Brings a metric alarm's state up to date."""
    try:
        evaluation = _Evaluation(alarm, store, now)
        states = [evaluation.state_of(points) for points in evaluation.series()]
    except Exception as error:  # noqa: BLE001 - one alarm that cannot be evaluated must not fail the listing of all
        alarm.evaluation_state = "EVALUATION_ERROR"
        alarm.set_state(INSUFFICIENT_DATA, f"The alarm cannot be evaluated: {error}", None, now)
        return
    alarm.evaluation_state = None
    worst = state_of_series(states)
    if worst is not None:
        alarm.set_state(worst, evaluation.reason(worst), evaluation.reason_data(), max(alarm.configured, evaluation.end))


class _Evaluation:
    """One look at one metric alarm."""

    def __init__(self, alarm: SandboxAlarm, store: MetricStore, now: datetime) -> None:
        config = alarm.config
        self._config = config
        self._queries = _queries(config)
        self._returned = next(query["Id"] for query in self._queries if query.get("ReturnData", True))
        self._period = _period(config, self._queries, self._returned)
        self._n = int(config["EvaluationPeriods"])
        self._m = int(config.get("DatapointsToAlarm") or self._n)
        if config["ComparisonOperator"] not in COMPARISONS or "Threshold" not in config:
            raise QueryError("the sandbox does not evaluate anomaly detection bands")
        self._threshold = float(config["Threshold"])
        self._treatment = config.get("TreatMissingData") or "missing"
        self.end = datetime.fromtimestamp(int(now.timestamp()) // self._period * self._period, UTC)
        self._start = self.end - timedelta(seconds=self._period * (self._n + EXTRA_PERIODS))
        self._request = MetricDataRequest(store, self._queries, self._start, self.end, now)
        self._low_samples = self._low_sample_stamps()
        self._recent: list[tuple[datetime, float]] = []

    def series(self) -> list[Points]:
        return [line.points for line in self._request.lines(self._returned)] or [{}]

    def state_of(self, points: Points) -> str | None:
        """The state of one time series; None to keep the present one."""
        kept = {at: value for at, value in points.items() if at not in self._low_samples}
        grid = [self._start + timedelta(seconds=self._period * index) for index in range(self._n + EXTRA_PERIODS)]
        self._recent = self._recent or sorted(kept.items())[-self._n :]
        breaching = tuple(self._breaches(kept[at]) if at in kept else None for at in grid)
        low_samples = bool(self._low_samples)
        return evaluate_range(breaching, periods=self._n, to_alarm=self._m, treatment=self._treatment, low_samples=low_samples)

    def _breaches(self, value: float) -> bool:
        return COMPARISONS[self._config["ComparisonOperator"]](value, self._threshold)

    def _low_sample_stamps(self) -> frozenset[datetime]:
        """The periods with too few samples for the alarm's percentile, where the alarm is to ignore those."""
        if self._config.get("EvaluateLowSampleCountPercentile") != "ignore" or "ExtendedStatistic" not in self._config:
            return frozenset()
        limit = parse_statistic(self._config["ExtendedStatistic"]).low_sample_count
        counting = [{**self._queries[0], "MetricStat": {**self._queries[0]["MetricStat"], "Stat": "SampleCount"}}]
        counts = (
            MetricDataRequest(self._request.store, counting, self._start, self.end, self._request.now)
            .lines(self._returned)[0]
            .points
        )
        return frozenset(at for at, count in counts.items() if limit is not None and count < limit)

    def reason(self, state: str) -> str:
        """A sentence like CloudWatch's own."""
        if not self._recent:
            ending = "" if state == INSUFFICIENT_DATA else f" which was treated as [{self._treatment}]"
            label = "Insufficient Data" if state == INSUFFICIENT_DATA else "Threshold Crossed"
            return f"{label}: no datapoints were received for {self._n} periods{ending}."
        shown = ", ".join(f"{value:g} ({at:%d/%m/%y %H:%M:%S})" for at, value in reversed(self._recent))
        return (
            f"Threshold Crossed: {sum(self._breaches(value) for _, value in self._recent)} out of the last {len(self._recent)} "
            f"datapoints [{shown}] breached the threshold ({self._threshold:g}) by {self._config['ComparisonOperator']} "
            f"(minimum {self._m} datapoints for OK -> ALARM transition)."
        )

    def reason_data(self) -> str:
        """StateReasonData, as JSON."""
        return json.dumps(
            {
                "version": "1.0",
                "queryDate": iso(self.end),
                "startDate": iso(self._start),
                "period": self._period,
                "recentDatapoints": [value for _, value in self._recent],
                "threshold": self._threshold,
            }
        )


def _queries(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alarm's input as MetricDataQueries."""
    if config.get("Metrics"):
        return list(config["Metrics"])
    stat = {
        "Metric": {key: config[key] for key in ("Namespace", "MetricName", "Dimensions") if key in config},
        "Period": int(config["Period"]),
        "Stat": config.get("ExtendedStatistic") or config["Statistic"],
        **({"Unit": config["Unit"]} if config.get("Unit") else {}),
    }
    return [{"Id": "m1", "MetricStat": stat}]


def _period(config: Mapping[str, Any], queries: Sequence[Mapping[str, Any]], returned: str) -> int:
    """The alarm's period: its own, its returned query's, or that of its metrics."""
    own = next(query for query in queries if query["Id"] == returned)
    periods = [query.get("MetricStat", query).get("Period") or 0 for query in queries]
    candidates = (config.get("Period"), own.get("MetricStat", own).get("Period"), max(periods), _DEFAULT_PERIOD)
    return int(next(period for period in candidates if period))


def evaluate_composite(alarm: SandboxAlarm, states: Mapping[str, str], now: datetime) -> None:
    """Brings a composite alarm's state up to date with the states of the alarms it refers to."""
    try:
        rule = parse_rule(alarm.config["AlarmRule"])
    except AlarmRuleError as error:
        alarm.set_state(INSUFFICIENT_DATA, f"The rule cannot be read: {error}", None, now)
        return
    held = rule.evaluate(states)
    state = ALARM if held else OK
    inputs = ", ".join(f"{name} is {states.get(name, 'unknown')}" for name in sorted(rule.alarm_names))
    alarm.set_state(state, f"The rule {'holds' if held else 'does not hold'}: {inputs}.", None, now)
