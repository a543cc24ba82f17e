"""What the CloudWatch of one region of the sandbox holds: data points, alarms, mute rules, and pages not yet read."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from phase5_ops.cloudwatch.alarm_evaluation import ALARM
from phase5_ops.cloudwatch.alarm_rule import AlarmRuleError, parse_rule
from phase5_ops.sandbox.aws.alarms import SandboxAlarm, evaluate_composite, evaluate_metric_alarm
from phase5_ops.sandbox.aws.faults import CLOUDWATCH_KINDS, Faults
from phase5_ops.sandbox.aws.metric_store import MetricStore
from phase5_ops.sandbox.aws.mute_rules import MuteRule
from phase5_ops.sandbox.aws.queries import MetricDataResult


@dataclass
class CloudWatchState:
    """What one region's CloudWatch holds beside moto's own."""

    store: MetricStore = field(default_factory=MetricStore)
    alarms: dict[str, SandboxAlarm] = field(default_factory=dict)
    mute_rules: dict[str, MuteRule] = field(default_factory=dict)
    pages: dict[str, list[list[MetricDataResult]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def evaluate(self, now: datetime, faults: Faults) -> None:
        """Brings the state of every alarm up to date, composites after what they refer to."""
        for alarm in self.alarms.values():
            if not alarm.composite:
                _evaluate(alarm, self.store, now, faults)
        done: set[str] = set()
        for alarm in self.alarms.values():
            self._evaluate_composite(alarm, done, now)

    def _evaluate_composite(self, alarm: SandboxAlarm, done: set[str], now: datetime) -> None:
        if not alarm.composite or alarm.name in done:
            return
        done.add(alarm.name)
        for name in _children(alarm):
            if name in self.alarms:
                self._evaluate_composite(self.alarms[name], done, now)
        if not alarm.by_hand:
            evaluate_composite(alarm, {name: other.state for name, other in self.alarms.items()}, now)

    def shown(self, alarm: SandboxAlarm) -> dict[str, Any]:
        """The alarm as DescribeAlarms shows it, with its suppression."""
        shown = alarm.as_response()
        suppressor = self.alarms.get(_plain_name(alarm.config.get("ActionsSuppressor") or ""))
        if alarm.state == ALARM and suppressor is not None and suppressor.state == ALARM:
            shown["ActionsSuppressedBy"] = "Alarm"
            shown["ActionsSuppressedReason"] = f"Suppressed by alarm {suppressor.name}"
        return shown

    def selected(self, params: Mapping[str, Any]) -> list[SandboxAlarm]:
        """The alarms that DescribeAlarms asks for, by name; without AlarmTypes it asks for metric alarms only."""
        return [alarm for _, alarm in sorted(self.alarms.items()) if self._is_selected(alarm, params)]

    def _is_selected(self, alarm: SandboxAlarm, params: Mapping[str, Any]) -> bool:
        config = alarm.config
        parent = self.alarms.get(params.get("ChildrenOfAlarmName") or "")
        actions = [
            *(config.get("AlarmActions") or []),
            *(config.get("OKActions") or []),
            *(config.get("InsufficientDataActions") or []),
        ]
        kinds = params.get("AlarmTypes") or ["MetricAlarm"]
        tests: tuple[tuple[str, Callable[[Any], bool]], ...] = (
            ("AlarmNames", lambda names: alarm.name in names),
            ("AlarmNamePrefix", alarm.name.startswith),
            ("StateValue", lambda value: alarm.state == value),
            ("ActionPrefix", lambda prefix: any(action.startswith(prefix) for action in actions)),
            ("ChildrenOfAlarmName", lambda _: parent is not None and alarm.name in _children(parent)),
            ("ParentsOfAlarmName", lambda name: name in _children(alarm)),
        )
        of_kind = ("CompositeAlarm" if alarm.composite else "MetricAlarm") in kinds
        return of_kind and all(test(params[key]) for key, test in tests if params.get(key))


def _evaluate(alarm: SandboxAlarm, metrics: MetricStore, now: datetime, faults: Faults) -> None:
    fault = faults.strike(CLOUDWATCH_KINDS, "EvaluateAlarm", service="monitoring", text=alarm.name)
    if not alarm.by_hand and (fault is None or fault.kind == "partial"):
        evaluate_metric_alarm(alarm, metrics, now)
    if fault is not None:
        states = {"partial": "PARTIAL_DATA", "internal_error": "EVALUATION_FAILURE", "forbidden": "EVALUATION_ERROR"}
        alarm.evaluation_state = states.get(fault.kind)


def _plain_name(name_or_arn: str) -> str:
    return name_or_arn.split(":alarm:", 1)[1] if name_or_arn.startswith("arn:") else name_or_arn


def _children(alarm: SandboxAlarm) -> frozenset[str]:
    """The alarms a composite alarm's rule refers to."""
    try:
        return parse_rule(alarm.config["AlarmRule"]).alarm_names if alarm.composite else frozenset()
    except AlarmRuleError:
        return frozenset()
