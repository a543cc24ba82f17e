"""CloudWatch of the sandbox: moto's API with its metrics, queries and alarms replaced by ones that behave as AWS documents.

`installed` grafts the functions of `_Operations` and `_Backend` onto moto's classes, so that they serve every way into moto. What
is stored hangs on moto's own backend object, and goes when moto is reset. Data older than PutMetricData takes is seeded through
`store`.
"""

import copy
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any
from unittest.mock import patch

import orjson
from moto.cloudwatch.exceptions import (
    CloudWatchException,
    InvalidParameterCombination,
    InvalidParameterValue,
    ResourceNotFound,
    ResourceNotFoundException,
    ValidationError,
)
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from phase5_ops.cloudwatch.alarm_evaluation import ALARM, INSUFFICIENT_DATA, OK
from phase5_ops.cloudwatch.alarm_rule import AlarmRuleError, parse_rule
from phase5_ops.cloudwatch.mute_schedule import MuteScheduleError
from phase5_ops.cloudwatch.statistics import StatisticError, parse_statistic
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.alarms import SandboxAlarm
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.cloudwatch_checks import aware, check_datum, check_metric_alarm
from phase5_ops.sandbox.aws.cloudwatch_state import CloudWatchState
from phase5_ops.sandbox.aws.faults import CLOUDWATCH_KINDS, Faults
from phase5_ops.sandbox.aws.metric_store import MetricRow, MetricStore, StoredSeries
from phase5_ops.sandbox.aws.mute_rules import MuteRule
from phase5_ops.sandbox.aws.queries import (
    MAX_DATAPOINTS,
    SEARCHABLE,
    MetricDataRequest,
    MetricDataResult,
    QueryError,
    dimensions_of,
    pages,
)

_MAX_METRICS_A_CALL = 1000
_LIST_METRICS_PAGE = 500
_RECENT = timedelta(hours=3)
_MAX_STATISTICS_POINTS = 1440
_KEPT_PAGES = 200


class InvalidNextToken(CloudWatchException):  # type: ignore[misc]
    """A page that does not exist."""

    code = "InvalidNextToken"


@dataclass(frozen=True, slots=True)
class _Installation:
    clock: PlatformClock
    faults: Faults


_installed: _Installation | None = None


@contextmanager
def installed(clock: PlatformClock, faults: Faults) -> Iterator[None]:
    """Replaces moto's CloudWatch for the block; afterwards what was installed before counts again."""
    global _installed  # noqa: PLW0603 - moto's classes exist once a process, and so does what replaces them
    before, _installed = _installed, _Installation(clock, faults)
    try:
        with ExitStack() as patches:
            for target, ours in ((CloudWatchResponse, _Operations), (CloudWatchBackend, _Backend)):
                functions: dict[str, Any] = {name: each for name, each in vars(ours).items() if isinstance(each, FunctionType)}
                patches.enter_context(patch.multiple(target, create=True, **functions))
            yield
    finally:
        _installed = before


def store(region: str) -> MetricStore:
    """The data points of a region, for seeding without PutMetricData's limits on age and size."""
    return _state(cloudwatch_backends[ACCOUNT][region]).store


def backdate_alarms(region: str, configured: datetime) -> None:
    """Makes all alarms of a region look as if they had been put at `configured`, for a scenario of an old platform."""
    for alarm in _state(cloudwatch_backends[ACCOUNT][region]).alarms.values():
        alarm.configured = min(alarm.configured, configured)


def give_history(region: str, name: str, configured: datetime, changes: Sequence[tuple[datetime, str]]) -> None:
    """Gives an alarm a past: put at `configured`, in INSUFFICIENT_DATA then, and in these states from these moments on."""
    alarm = _state(cloudwatch_backends[ACCOUNT][region]).alarms[name]
    alarm.configured, alarm.state, alarm.history = configured, INSUFFICIENT_DATA, []
    for at, state in changes:
        alarm.set_state(state, "as CloudWatch evaluated it then", None, at)


def _now() -> datetime:
    return _setup().clock.now()


def _setup() -> _Installation:
    if _installed is None:
        raise RuntimeError("the sandbox's CloudWatch answers only within `installed()`")
    return _installed


def _state(backend: Any) -> CloudWatchState:  # noqa: ANN401 - moto is not typed
    """The state that hangs on a backend; moto's reset empties the backend's __dict__, and the state with it."""
    found: CloudWatchState = backend.__dict__.setdefault("phase5_state", CloudWatchState())
    backend.alarms = found.alarms  # what moto's tagging looks through
    return found


def _slice(items: Sequence[Any], token: str | None, size: int) -> tuple[Sequence[Any], str | None]:
    """One page of a listing; the token is where it begins."""
    if token is not None and not (token.startswith("page-") and token[5:].isdigit()):
        raise InvalidNextToken("The next token specified is invalid.")
    begin = int(token[5:]) if token else 0
    end = begin + size
    return items[begin:end], f"page-{end}" if end < len(items) else None


class _Backend:
    """Grafted onto moto's CloudWatchBackend; other services of moto put their metrics here too."""

    def put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        """Checks every datum, then stores all of them."""
        now = _now()
        for number, datum in enumerate(metric_data, start=1):
            self._validate_parameters_put_metric_data(datum, number)
            check_datum(datum, number, now, any_time=_setup().clock.replay)
        state, clock = _state(self), _setup().clock
        for datum in metric_data:
            at = aware(datum.get("Timestamp") or now)
            state.store.put(namespace, datum["MetricName"], dimensions_of(datum), _rows(datum, int(at.timestamp())))
            clock.observe(at)

    def reset(self: Any) -> None:
        """Moto's own reset; a replay clock then follows the data that comes next."""
        region_name, account_id = self.region_name, self.account_id
        self.__dict__ = {}
        self.__init__(region_name, account_id)
        _setup().clock.forget()


def _rows(datum: Mapping[str, Any], at: int) -> list[MetricRow]:
    unit = datum.get("Unit") or "None"
    if sets := datum.get("StatisticValues"):
        return [MetricRow(at, sets["SampleCount"], sets["Sum"], sets["Minimum"], sets["Maximum"], unit)]
    if values := datum.get("Values"):
        counts = datum.get("Counts") or [1.0] * len(values)
        return [MetricRow(at, count, value * count, value, value, unit) for value, count in zip(values, counts, strict=True)]
    value = float(datum.get("Value", 0.0))
    return [MetricRow(at, 1.0, value, value, value, unit)]


def _answer(**entries: Any) -> ActionResult:  # noqa: ANN401 - what the API has
    return ActionResult({key: value for key, value in entries.items() if value is not None})


class _Operations:
    """Grafted onto moto's CloudWatchResponse: one function an operation; `self.params` are the parsed parameters."""

    def put_metric_data(self: Any) -> ActionResult:
        data = list(self.params.get("MetricData") or [])
        for entity in self.params.get("EntityMetricData") or []:
            data += entity.get("MetricData") or []
        if len(data) > _MAX_METRICS_A_CALL:
            raise InvalidParameterValue(f"The collection MetricData must not have a size greater than {_MAX_METRICS_A_CALL}.")
        self.cloudwatch_backend.put_metric_data(self.params["Namespace"], data)
        return EmptyResult()

    def get_metric_data(self: Any) -> ActionResult | tuple[int, dict[str, str], str]:
        state, params = _state(self.cloudwatch_backend), self.params
        if token := params.get("NextToken"):
            todo = state.pages.get(token)
            if todo is None:
                raise InvalidNextToken("The next token specified is invalid.")
        else:
            todo = list(pages(_metric_data(state, params), params.get("MaxDatapoints") or MAX_DATAPOINTS))
        page, rest = todo[0], todo[1:]
        following = str(uuid.uuid4()) if rest else None
        with state.lock:
            if following:
                state.pages[following] = rest
            for old in list(state.pages)[:-_KEPT_PAGES]:
                del state.pages[old]
        answer = {
            "MetricDataResults": [result.as_response() for result in page],
            "Messages": _messages(params),
            **({"NextToken": following} if following else {}),
        }
        if "json" not in self.headers.get("Content-Type", ""):
            return ActionResult(answer)
        # moto serializes value by value, which takes longer than computing them
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, _json_of(answer)

    def get_metric_statistics(self: Any) -> ActionResult:
        params, state = self.params, _state(self.cloudwatch_backend)
        basic, extended = params.get("Statistics") or [], params.get("ExtendedStatistics") or []
        if not basic and not extended:
            raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
        start, end, period = aware(params["StartTime"]), aware(params["EndTime"]), params["Period"]
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        if (end - start).total_seconds() / period > _MAX_STATISTICS_POINTS:
            raise InvalidParameterCombination(
                f"You have requested more than the limit of {_MAX_STATISTICS_POINTS} datapoints. You may reduce the datapoints "
                "requested by increasing Period, or decreasing the time range."
            )
        series = state.store.get(params["Namespace"], params["MetricName"], dimensions_of(params))
        points: dict[int, dict[str, Any]] = {}
        unit = params.get("Unit") or state.store.unit(series)
        for name in [*basic, *extended]:
            try:
                statistic = parse_statistic(name)
            except StatisticError as error:
                raise InvalidParameterValue(str(error)) from error
            stamps, values = state.store.statistics(
                series, statistic, start=start, end=end, period=period, now=_now(), unit=params.get("Unit")
            )
            for at, value in zip(stamps.tolist(), values.tolist(), strict=True):
                point = points.setdefault(at, {"Timestamp": datetime.fromtimestamp(at, UTC), "Unit": unit})
                if name in extended:
                    point.setdefault("ExtendedStatistics", {})[name] = value
                else:
                    point[name] = value
        return _answer(Label=params["MetricName"], Datapoints=[points[at] for at in sorted(points)])

    def list_metrics(self: Any) -> ActionResult:
        params, now = self.params, _now()
        since = (now - (_RECENT if params.get("RecentlyActive") else SEARCHABLE)).timestamp()
        wanted = params.get("Dimensions") or []
        found = [
            series
            for series in _state(self.cloudwatch_backend).store.find(params.get("Namespace"), params.get("MetricName"))
            if series.newest >= since and (not wanted or _has(series, wanted))
        ]
        page, token = _slice(found, params.get("NextToken"), _LIST_METRICS_PAGE)
        return _answer(Metrics=[_metric(series) for series in page], NextToken=token)

    def put_metric_alarm(self: Any) -> ActionResult:
        check_metric_alarm(self.params)
        _put_alarm(self.cloudwatch_backend, self.params, composite=False)
        return EmptyResult()

    def put_composite_alarm(self: Any) -> ActionResult:
        try:
            rule = parse_rule(self.params["AlarmRule"])
        except AlarmRuleError as error:
            raise ValidationError(f"AlarmRule cannot be read: {error}") from error
        unknown = sorted(rule.alarm_names - _state(self.cloudwatch_backend).alarms.keys())
        if unknown:
            names = ", ".join(unknown)
            raise ValidationError(f"Could not save the composite alarm as alarms [{names}] in the alarm rule do not exist")
        _put_alarm(self.cloudwatch_backend, self.params, composite=True)
        return EmptyResult()

    def describe_alarms(self: Any) -> ActionResult:
        state, params = _state(self.cloudwatch_backend), self.params
        with state.lock:
            state.evaluate(_now(), _setup().faults)
            page, token = _slice(state.selected(params), params.get("NextToken"), params.get("MaxRecords") or 50)
            return _answer(
                MetricAlarms=[state.shown(alarm) for alarm in page if not alarm.composite],
                CompositeAlarms=[state.shown(alarm) for alarm in page if alarm.composite],
                NextToken=token,
            )

    def describe_alarms_for_metric(self: Any) -> ActionResult:
        state, params = _state(self.cloudwatch_backend), self.params
        with state.lock:
            state.evaluate(_now(), _setup().faults)
            keys = ("Namespace", "MetricName", "Statistic", "ExtendedStatistic", "Period", "Unit")
            asked = {key: params[key] for key in keys if params.get(key) is not None}
            found = [
                state.shown(alarm)
                for _, alarm in sorted(state.alarms.items())
                if asked.items() <= {key: alarm.config.get(key) for key in keys}.items()
                and dimensions_of(alarm.config) == dimensions_of(params)
            ]
        return _answer(MetricAlarms=found)

    def describe_alarm_history(self: Any) -> ActionResult:
        state, params = _state(self.cloudwatch_backend), self.params
        with state.lock:
            state.evaluate(_now(), _setup().faults)
            items = [item for alarm in state.alarms.values() for item in alarm.history if _in_history(item, params)]
        items.sort(key=lambda item: item["Timestamp"])
        if params.get("ScanBy") != "TimestampAscending":
            items.reverse()  # those of one moment as well
        page, token = _slice(items, params.get("NextToken"), params.get("MaxRecords") or 100)
        return _answer(AlarmHistoryItems=list(page), NextToken=token)

    def delete_alarms(self: Any) -> ActionResult:
        state = _state(self.cloudwatch_backend)
        with state.lock:
            for name in self.params.get("AlarmNames") or []:
                state.alarms.pop(name, None)
        return EmptyResult()

    def enable_alarm_actions(self: Any) -> ActionResult:
        return _switch_actions(self, enabled=True)

    def disable_alarm_actions(self: Any) -> ActionResult:
        return _switch_actions(self, enabled=False)

    def set_alarm_state(self: Any) -> ActionResult:
        """The state stays until it is set again or the alarm is put again, so that a scenario can rely on it."""
        params, state = self.params, _state(self.cloudwatch_backend)
        value = params["StateValue"]
        if value not in (OK, ALARM, INSUFFICIENT_DATA):
            raise ValidationError(f"Value '{value}' at 'stateValue' failed to satisfy constraint: [INSUFFICIENT_DATA, ALARM, OK]")
        try:
            json.loads(params.get("StateReasonData") or "{}")
        except ValueError as error:
            raise ValidationError("StateReasonData is not JSON") from error
        with state.lock:
            if params["AlarmName"] not in state.alarms:
                raise ResourceNotFound
            alarm = state.alarms[params["AlarmName"]]
            alarm.by_hand = True
            alarm.set_state(value, params["StateReason"], params.get("StateReasonData"), _now())
        return EmptyResult()

    def put_alarm_mute_rule(self: Any) -> ActionResult:
        backend, params = self.cloudwatch_backend, copy.deepcopy(self.params)
        arn = f"arn:aws:cloudwatch:{backend.region_name}:{backend.account_id}:alarm-mute-rule:{params['Name']}"
        rule = MuteRule(params, arn, _now())
        try:
            _ = rule.schedule
        except MuteScheduleError as error:
            raise ValidationError(str(error)) from error
        _state(backend).mute_rules[rule.name] = rule
        return EmptyResult()

    def get_alarm_mute_rule(self: Any) -> ActionResult:
        rule = _state(self.cloudwatch_backend).mute_rules.get(self.params["AlarmMuteRuleName"])
        if rule is None:
            raise ResourceNotFoundException(f"Alarm mute rule {self.params['AlarmMuteRuleName']} does not exist")
        return ActionResult(rule.as_response(_now()))

    def list_alarm_mute_rules(self: Any) -> ActionResult:
        params, now = self.params, _now()
        wanted, alarm = params.get("Statuses"), params.get("AlarmName")
        found = [
            rule.as_summary(now)
            for _, rule in sorted(_state(self.cloudwatch_backend).mute_rules.items())
            if (not wanted or rule.status(now) in wanted) and (not alarm or alarm in rule.targets)
        ]
        page, token = _slice(found, params.get("NextToken"), params.get("MaxRecords") or 100)
        return _answer(AlarmMuteRuleSummaries=list(page), NextToken=token)

    def delete_alarm_mute_rule(self: Any) -> ActionResult:
        _state(self.cloudwatch_backend).mute_rules.pop(self.params["AlarmMuteRuleName"], None)
        return EmptyResult()

    def put_dashboard(self: Any) -> ActionResult:
        """Moto's own, with the platform's clock as the time of the change."""
        try:
            json.loads(self.params["DashboardBody"])
        except ValueError as error:
            raise InvalidParameterValue("The field DashboardBody must be a valid JSON object") from error
        dashboard = self.cloudwatch_backend.put_dashboard(self.params["DashboardName"], self.params["DashboardBody"])
        dashboard.last_modified = _now()
        return ActionResult({"DashboardValidationMessages": []})


def _metric_data(state: CloudWatchState, params: Mapping[str, Any]) -> list[MetricDataResult]:
    """The whole answer to a GetMetricData call, with the faults that strike it."""
    request = MetricDataRequest(
        state.store, params.get("MetricDataQueries") or [], aware(params["StartTime"]), aware(params["EndTime"]), _now()
    )
    try:
        request.check()
        results = request.results(descending=params.get("ScanBy") != "TimestampAscending")
    except QueryError as error:
        raise ValidationError(str(error)) from error
    texts = {query["Id"]: json.dumps(query, default=str) for query in request.queries}
    return [_with_fault(result, texts[result.id]) for result in results]


def _with_fault(result: MetricDataResult, query: str) -> MetricDataResult:
    fault = _setup().faults.strike(CLOUDWATCH_KINDS - {"message"}, "GetMetricData", service="monitoring", text=query)
    if fault is None:
        return result
    if fault.kind == "partial":
        half = len(result.values) // 2
        return replace(result, stamps=result.stamps[:half], values=result.values[:half], status="PartialData")
    status = "Forbidden" if fault.kind == "forbidden" else "InternalError"
    return replace(
        result, stamps=(), values=(), status=status, messages=[{"Code": status, "Value": f"{status}: no data returned"}]
    )


def _json_of(answer: Mapping[str, Any]) -> str:
    """An answer as JSON, with times as epoch seconds."""
    return orjson.dumps(answer, default=datetime.timestamp, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _messages(params: Mapping[str, Any]) -> list[dict[str, str]]:
    text = json.dumps(params, default=str)
    if _setup().faults.strike(frozenset({"message"}), "GetMetricData", service="monitoring", text=text):
        return [
            {"Code": "MaxMetricsExceeded", "Value": "The maximum number of metrics was exceeded; the answer is not complete."}
        ]
    return []


def _has(series: StoredSeries, wanted: Iterable[Mapping[str, str]]) -> bool:
    dimensions = dict(series.dimensions)
    return all(want["Name"] in dimensions and want.get("Value") in (None, dimensions[want["Name"]]) for want in wanted)


def _metric(series: StoredSeries) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in sorted(series.dimensions)]
    return {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}


def _put_alarm(backend: Any, params: Mapping[str, Any], *, composite: bool) -> None:  # noqa: ANN401 - moto is not typed
    """Creates an alarm, or overwrites the configuration of one and leaves its state."""
    state, now, name = _state(backend), _now(), params["AlarmName"]
    config = copy.deepcopy(dict(params))
    with state.lock:
        existing = state.alarms.get(name)
        if existing is not None and existing.composite == composite:
            existing.config, existing.configured, existing.by_hand = config, now, False
            alarm, verb = existing, "updated"
        else:
            arn = f"arn:aws:cloudwatch:{backend.region_name}:{backend.account_id}:alarm:{name}"
            alarm, verb = SandboxAlarm(name, arn, config, now, composite), "created"
            state.alarms[name] = alarm
        alarm.record("ConfigurationUpdate", f'Alarm "{name}" {verb}', {"type": verb.capitalize()}, now)
    if params.get("Tags"):
        backend.tagger.tag_resource(alarm.alarm_arn, params["Tags"])


def _switch_actions(response: Any, *, enabled: bool) -> ActionResult:  # noqa: ANN401 - moto is not typed
    state = _state(response.cloudwatch_backend)
    with state.lock:
        for name in response.params.get("AlarmNames") or []:
            if name in state.alarms:
                state.alarms[name].config["ActionsEnabled"] = enabled
    return EmptyResult()


def _in_history(item: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    begin, end = params.get("StartDate"), params.get("EndDate")
    return (
        params.get("AlarmName") in (None, item["AlarmName"])
        and params.get("HistoryItemType") in (None, item["HistoryItemType"])
        and item["AlarmType"] in (params.get("AlarmTypes") or ["MetricAlarm"])
        and (begin is None or item["Timestamp"] >= aware(begin))
        and (end is None or item["Timestamp"] <= aware(end))
    )
