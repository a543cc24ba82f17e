"""What is asked of CloudWatch metrics and what comes back, as plain data. Pure: no boto3, so that evidence can use it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

METRIC_READS = ("cloudwatch:ListMetrics", "cloudwatch:GetMetricData")
"""Operations that read which metrics there are, and their data points."""

DASHBOARD_READS = ("cloudwatch:ListDashboards", "cloudwatch:GetDashboard")
"""Operations that read the dashboards, which say nothing of where data points are."""


@dataclass(frozen=True, slots=True, order=True)
class MetricSet:
    """One CloudWatch metric: a name with one set of dimensions (name and value, sorted: their order means nothing)."""

    metric: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, metric: str, dimensions: Mapping[str, str]) -> Self:
        """The metric with these dimensions."""
        return cls(metric, tuple(sorted(dimensions.items())))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`."""
        content = json.loads(text)
        return cls.of(content["metric"], content["dimensions"])

    def __str__(self) -> str:
        """JSON with sorted keys: stable, so that it can be a key."""
        return json.dumps({"metric": self.metric, "dimensions": dict(self.dimensions)}, sort_keys=True)

    @property
    def label(self) -> str:
        """How people read it: `tool_error{connector_id=crm_salesforce, tenant_id=t1, tool_name=crm.create_task}`."""
        return f"{self.metric}{{{', '.join(f'{name}={value}' for name, value in self.dimensions)}}}"


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One statistic of one metric in [start, end), in bins of `period` seconds; start and end are multiples of the period."""

    metric_set: MetricSet
    stat: str
    period: int
    start: datetime
    end: datetime

    @property
    def points(self) -> int:
        """Most data points that the answer can hold."""
        return -(-int((self.end - self.start).total_seconds()) // self.period)

    @property
    def label(self) -> str:
        """How people read it."""
        return f"{self.metric_set.label} {self.stat} per {self.period} s"


@dataclass(frozen=True, slots=True)
class Series:
    """The answer to a query: bin starts (epoch seconds) and values, in any order; `whole` False if some may be missing."""

    query: MetricQuery
    starts: Sequence[int]
    values: Sequence[float]
    whole: bool
