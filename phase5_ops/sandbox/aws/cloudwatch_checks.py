"""What the sandbox's CloudWatch refuses of data points and of alarms, in CloudWatch's own words."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue, ValidationError

from phase5_ops.cloudwatch.metric_math import MathError, parse
from phase5_ops.cloudwatch.metrics_insights import InsightsError, is_insights_query, parse_query
from phase5_ops.cloudwatch.statistics import StatisticError, parse_statistic
from phase5_ops.sandbox.aws.alarms import COMPARISON_OPERATORS

_MAX_DIMENSIONS = 30
_MAX_VALUES = 150
_OLDEST, _NEWEST = timedelta(days=14), timedelta(hours=2)
_MAX_ALARM_METRICS = 10


def aware(moment: datetime) -> datetime:
    """The moment with a time zone; one without is UTC, as moto reads it."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def check_datum(datum: Mapping[str, Any], number: int, now: datetime, *, any_time: bool) -> None:
    """Refuses what PutMetricData refuses of the datum with that number; with `any_time` none for its age."""
    where = f"MetricData.member.{number}"
    dimensions = datum.get("Dimensions") or []
    if len(dimensions) > _MAX_DIMENSIONS:
        raise InvalidParameterValue(f"The parameter {where}.Dimensions must not have more than {_MAX_DIMENSIONS} members.")
    if any(not dimension.get("Value") for dimension in dimensions):
        raise InvalidParameterValue(f"The parameter {where}.Dimensions.member.1.Value is required.")
    if len(datum.get("Values") or []) > _MAX_VALUES:
        raise InvalidParameterValue(f"The parameter {where}.Values must not have more than {_MAX_VALUES} members.")
    numbers = [datum.get("Value", 0.0), *(datum.get("Values") or []), *(datum.get("StatisticValues") or {}).values()]
    if not all(math.isfinite(value) for value in numbers):
        raise InvalidParameterValue(f"The parameter {where} has a value that is not a finite number.")
    if datum.get("Timestamp") is None or any_time:
        return
    age = now - aware(datum["Timestamp"])
    if age > _OLDEST:
        raise InvalidParameterValue(f"The parameter {where}.Timestamp must specify a time no more than two weeks in the past.")
    if -age > _NEWEST:
        raise InvalidParameterValue(f"The parameter {where}.Timestamp must specify a time no more than two hours in the future.")


def check_metric_alarm(params: Mapping[str, Any]) -> None:
    """Refuses what PutMetricAlarm refuses; an alarm that is only useless is taken, as AWS takes it."""
    if params.get("ComparisonOperator") not in COMPARISON_OPERATORS:
        raise ValidationError(f"ComparisonOperator is required and must be one of {', '.join(sorted(COMPARISON_OPERATORS))}")
    if int(params.get("EvaluationPeriods") or 0) < 1:
        raise ValidationError("EvaluationPeriods must be at least 1")
    if int(params.get("DatapointsToAlarm") or 1) > int(params["EvaluationPeriods"]):
        raise ValidationError("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
    if (params.get("TreatMissingData") or "missing") not in ("missing", "ignore", "breaching", "notBreaching"):
        raise ValidationError(f"Option {params['TreatMissingData']} is not supported for TreatMissingData")
    if (params.get("EvaluateLowSampleCountPercentile") or "evaluate") not in ("evaluate", "ignore"):
        raise ValidationError("Supported options for parameter EvaluateLowSampleCountPercentile are evaluate and ignore.")
    if bool(params.get("MetricName")) == bool(params.get("Metrics")):
        raise ValidationError("Exactly one of MetricName and Metrics must be specified")
    if params.get("Metrics"):
        _check_alarm_queries(params["Metrics"])
        return
    if not params.get("Namespace") or not params.get("Period"):
        raise ValidationError("Namespace and Period are required with MetricName")
    if bool(params.get("Statistic")) == bool(params.get("ExtendedStatistic")):
        raise ValidationError("Exactly one of Statistic and ExtendedStatistic must be specified")
    try:
        parse_statistic(params.get("ExtendedStatistic") or params["Statistic"])
    except StatisticError as error:
        raise InvalidParameterValue(f"The value for parameter ExtendedStatistic is not supported: {error}") from error


def _check_alarm_queries(queries: Sequence[Mapping[str, Any]]) -> None:
    if sum("MetricStat" in query for query in queries) > _MAX_ALARM_METRICS:
        raise ValidationError(f"An alarm on metric math can have at most {_MAX_ALARM_METRICS} metrics")
    if sum(bool(query.get("ReturnData", True)) for query in queries) not in (1, 2):
        raise ValidationError("Exactly one element of the metrics list should return data.")
    for query in queries:
        text = query.get("Expression")
        try:
            if text is not None and is_insights_query(text):
                parse_query(text)
            elif text is not None and "SEARCH" in parse(text).functions:
                raise ValidationError("SEARCH is not supported in alarms")
        except (MathError, InsightsError) as error:
            raise ValidationError(f"Invalid metrics list: {error}") from error
