"""What an alarm is made of: its queries and its condition, and the traffic of the tool that it is about. Pure.

A query sees only the dimension sets that it names: CloudWatch does not add them up.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from statistics import median
from typing import Any

from phase5_ops.ccnative.metrics import (
    CONNECTOR_DIMENSION,
    ERROR,
    LATENCY,
    SUCCESS,
    TENANT_DIMENSION,
    TOOL_DIMENSION,
    TOOL_METRICS,
)
from phase5_ops.ccnative.names import canonical_tool
from phase5_ops.cloudwatch.metric_math import (
    CALENDAR_FUNCTIONS,
    Array,
    Call,
    Expression,
    Keyword,
    MathError,
    Name,
    Node,
    Points,
    evaluate,
)
from phase5_ops.cloudwatch.metric_math import parse as parse_math
from phase5_ops.cloudwatch.metrics_insights import ACCOUNT, InsightsError, InsightsQuery, is_insights_query, parse_query
from phase5_ops.cloudwatch.statistics import Statistic, StatisticError, StatisticKind, parse_statistic

WINDOW_SECONDS = 300  # of the request windows that the metrics evidence carries
DEFAULT_REQUESTS = 1000.0  # a period, where no traffic was observed
UNITS = {LATENCY: "Milliseconds", SUCCESS: "Count", ERROR: "Count"}

#: Functions that give for a moment what they are given for it; those of the second kind if they put an array together.
_OF_A_MOMENT = frozenset({"ABS", "CEIL", "FLOOR", "LOG", "LOG10", "IF", "FILL", "METRICS", *CALENDAR_FUNCTIONS})
_OF_AN_ARRAY = frozenset({"SUM", "AVG", "MIN", "MAX"})

Dimensions = Mapping[str, str]


class AlarmError(ValueError):
    """The alarm's definition cannot work or cannot be understood; the message says why."""


@dataclass(frozen=True)
class Leaf:
    """A query of an alarm that reads metrics: one metric with one dimension set, or a Metrics Insights query."""

    id: str
    metric: str
    namespace: str
    statistic: Statistic
    dimensions: Dimensions = field(default_factory=dict)
    unit: str | None = None
    account: str | None = None
    insights: InsightsQuery | None = None
    own_account: str | None = None

    def names(self, dimensions: Dimensions) -> bool:
        """Whether the query asks for this dimension set of the alarm's own account, in whatever namespace."""
        if self.insights is not None:
            return self.insights.matches(self.insights.namespace, dimensions, account=self.own_account)
        return dict(self.dimensions) == dict(dimensions)

    @property
    def needed(self) -> tuple[str, frozenset[str]] | None:
        """A dimension that every set has that the query asks for, and what it may be; None where there is no such one."""
        if self.insights is not None:
            return self.insights.needed
        return next(((key, frozenset({value})) for key, value in self.dimensions.items()), None)

    @property
    def adds_accounts_up(self) -> bool:
        """Whether metrics of several accounts become one time series."""
        return self.insights is not None and ACCOUNT not in self.insights.group_by

    def other_accounts(self, dimensions: Dimensions) -> frozenset[str]:
        """The other accounts that the query names, if it asks for this dimension set in the own account and in theirs."""
        if self.insights is None or not self.names(dimensions) or not self.insights.finds_others(dimensions, self.own_account):
            return frozenset()
        return self.insights.accounts - {self.own_account}

    def obstacle(self, namespace: str) -> str | None:
        """Why the query receives nothing whatever its dimensions are, or None."""
        if self.namespace != namespace:
            return f"reads namespace {self.namespace!r}, the platform emits to {namespace!r}"
        if self.unit and self.metric in UNITS and self.unit != UNITS[self.metric]:
            return f"asks for unit {self.unit}, {self.metric} is emitted in {UNITS[self.metric]}"
        if self.account and self.account != self.own_account:
            return f"reads account {self.account}, the alarm lives in {self.own_account or 'one that is not known'}"
        return None

    @property
    def label(self) -> str:
        """How people read it: `p99 of tool_latency_ms{connector_id=..., tool_name=...}`."""
        if self.insights is not None:
            return self.insights.text
        dimensions = ", ".join(f"{key}={value}" for key, value in sorted(self.dimensions.items()))
        return f"{self.statistic.text} of {self.metric}{{{dimensions}}}"


@dataclass(frozen=True)
class ToolTraffic:
    """Where a tool's data points are, and how many requests its 5-minute windows had.

    Attributes:
        sets: (metric, dimensions) with data in the lookback; all known ones where none has data; empty where nothing is known.
        windows: requests of consecutive 5-minute windows, oldest first.
    """

    tool: str
    connector: str
    sets: Sequence[tuple[str, Dimensions]] = ()
    windows: Sequence[float] = ()

    @cached_property
    def base_sets(self) -> list[Dimensions]:
        """Where successes are emitted: the observed sets without tenant_id, else {tool_name, connector_id} by contract."""
        bare = [{key: value for key, value in dims.items() if key != TENANT_DIMENSION} for _, dims in self.sets]
        return _distinct(bare) or [{TOOL_DIMENSION: self.tool, CONNECTOR_DIMENSION: self.connector}]

    @cached_property
    def tenant_sets(self) -> list[Dimensions]:
        """The observed sets with tenant_id; one of an unknown tenant where none was seen."""
        seen = _distinct(dims for _, dims in self.sets if TENANT_DIMENSION in dims)
        return seen or [{**self.base_sets[0], TENANT_DIMENSION: "(a tenant)"}]

    @cached_property
    def error_sets(self) -> list[Dimensions]:
        """Where errors are, or would be, emitted."""
        return _distinct([*self.tenant_sets, *(dims for metric, dims in self.sets if metric == ERROR)])

    @cached_property
    def _values(self) -> dict[str, set[str]]:
        """What each dimension is in any of the sets."""
        found: dict[str, set[str]] = {}
        for dims in (*self.base_sets, *self.error_sets):
            for key, value in dims.items():
                found.setdefault(key, set()).add(value)
        return found

    def receives(self, metric: str, leaf: Leaf) -> bool:
        """Whether data points of `metric` can arrive in a set that the query names."""
        if (needed := leaf.needed) and needed[1].isdisjoint(self._values.get(needed[0], ())):
            return False  # as nearly every alarm is of nearly every other tool
        sets = self.error_sets if metric == ERROR else [*self.base_sets, *self.tenant_sets]
        return any(leaf.names(dims) for dims in sets)

    def requests(self, period: int) -> float | None:
        """Median requests an alarm period, over the windows that had any; None where no window had any."""
        known = self.requests_of_periods(period)
        return median(known) if known else None

    def requests_of_periods(self, period: int) -> list[float]:
        """Requests an alarm period, in each window that had any, the quietest first; `period` in seconds."""
        return sorted(count * period / WINDOW_SECONDS for count in self.windows if count > 0)

    def most_periods_with_data(self, period: int, periods: int) -> int | None:
        """Upper bound of the periods with data among `periods` consecutive ones; None where no window had any request."""
        if not any(self.windows):
            return None
        if period <= WINDOW_SECONDS:
            fits = max(1, WINDOW_SECONDS // period)
            filled, span = [min(fits, count) for count in self.windows], -(-periods // fits) + 1
        else:
            width = period // WINDOW_SECONDS
            chunks = [self.windows[at : at + width] for at in range(0, len(self.windows), width)]
            filled, span = [min(1, sum(chunk)) for chunk in chunks], periods + 1
        best = max(sum(filled[at : at + span]) for at in range(max(1, len(filled) - span + 1)))
        return min(periods, int(best))


def _distinct(sets: Iterable[Dimensions]) -> list[Dimensions]:
    return list({json.dumps(dict(dims), sort_keys=True): dims for dims in sets}.values())


@dataclass(frozen=True)
class AlarmSpec:
    """What decides whether an alarm breaches.

    Attributes:
        leaves: the queries that read metrics, by id.
        expressions: metric math, by id.
        returned: the id whose value is compared.
        threshold: None for an alarm on an anomaly band.
    """

    leaves: Mapping[str, Leaf]
    expressions: Mapping[str, Expression]
    returned: str
    period: int
    threshold: float | None
    comparison: str
    treat_missing: str

    @classmethod
    def of(cls, queries: Sequence[Mapping[str, Any]], account: str | None, **rest: Any) -> "AlarmSpec":  # noqa: ANN401 - the fields of the class
        """A spec from normalized queries (see `description.queries_of`) of an alarm that lives in `account`.

        Raises:
            AlarmError: a query cannot be read, or cannot be part of an alarm.
        """
        leaves, expressions = {}, {}
        try:
            for query in queries:
                text = query.get("expression")
                if text and not is_insights_query(text):
                    expressions[query["id"]] = parse_math(text)
                else:
                    leaves[query["id"]] = _leaf(query, text, account)
        except (MathError, InsightsError, StatisticError) as error:
            raise AlarmError(str(error)) from error
        if any("SEARCH" in expression.functions for expression in expressions.values()):
            raise AlarmError("an alarm cannot use SEARCH")
        returned = [query["id"] for query in queries if query.get("returned")]
        if len(returned) != 1:
            raise AlarmError(f"{len(returned)} of its queries return data, an alarm compares exactly one")
        return cls(leaves, expressions, returned[0], **rest)

    def flipped(self) -> "AlarmSpec":
        """The same alarm with the comparison in the other direction."""
        swap = {"Greater": "Less", "Less": "Greater"}
        head = "Greater" if self.comparison.startswith("Greater") else "Less"
        return replace(self, comparison=self.comparison.replace(head, swap[head], 1))

    def other_accounts(self, dimensions: Dimensions) -> list[str]:
        """The accounts that its queries name and whose metrics they put together with those of the own one."""
        return sorted(
            {
                account
                for key, leaf in self.leaves.items()
                if leaf.adds_accounts_up or key != self.returned
                for account in leaf.other_accounts(dimensions)
            }
        )

    def compared(self, read: Mapping[str, Points | list[Points]], stamps: Sequence[datetime]) -> list[Points]:
        """The time series that the alarm compares with its threshold: one, or one a contributor.

        Args:
            read: what each query that reads metrics gave, by its id; several time series where it groups.
            stamps: the periods that are looked at.

        Raises:
            AlarmError: an expression cannot be computed.
        """
        known = dict(read)
        self._compute(self.returned, known, stamps, frozenset())
        result = known[self.returned]
        return result if isinstance(result, list) else [result]

    def _compute(
        self, key: str, known: dict[str, Points | list[Points]], stamps: Sequence[datetime], above: frozenset[str]
    ) -> None:
        if key in known:
            return
        if key not in self.expressions or key in above:
            raise AlarmError(f"no metric or expression has the id {key!r}" if key not in above else f"{key!r} refers to itself")
        expression = self.expressions[key]
        for name in sorted(expression.names):
            self._compute(name, known, stamps, above | {key})
        periods = dict.fromkeys(self.leaves, float(self.period))
        try:
            known[key] = evaluate(expression, known, timestamps=stamps, metrics=list(self.leaves), periods=periods)
        except MathError as error:
            raise AlarmError(str(error)) from error

    @cached_property
    def calendar_functions(self) -> frozenset[str]:
        """The functions of the time of day, the weekday or the date that it calls."""
        return frozenset().union(*(expression.functions for expression in self.expressions.values())) & CALENDAR_FUNCTIONS.keys()

    @cached_property
    def nodes(self) -> int:
        """How long its expressions are, in numbers, names, operators and calls."""
        return sum(1 for expression in self.expressions.values() for _ in expression.walk())

    @cached_property
    def moment_by_moment(self) -> bool:
        """Whether what it compares at a moment rests on nothing of any other moment."""
        return all(_of_a_moment(node) for expression in self.expressions.values() for node in expression.walk())

    @cached_property
    def filled(self) -> frozenset[str]:
        """Ids that stand inside FILL with a number or a series, so that their silence is not missing data."""
        nodes = [node for expression in self.expressions.values() for node in expression.walk()]
        fills = [node.arguments[0] for node in nodes if isinstance(node, Call) and node.function == "FILL" and node.arguments]
        return frozenset(target.id for target in fills if isinstance(target, Name))


def _of_a_moment(node: Node) -> bool:
    if isinstance(node, Call):
        return node.function in _OF_A_MOMENT or (node.function in _OF_AN_ARRAY and _is_array(node.arguments))
    return not isinstance(node, Keyword)  # as FILL takes for what came before


def _is_array(arguments: Sequence[Node]) -> bool:
    return bool(arguments) and (isinstance(arguments[0], Array) or getattr(arguments[0], "function", "") == "METRICS")


def _leaf(query: Mapping[str, Any], text: str | None, own_account: str | None) -> Leaf:
    if text:
        insights = parse_query(text)
        return Leaf(
            query["id"],
            insights.metric_name,
            insights.namespace,
            parse_statistic(insights.statistic),
            account=query.get("account"),
            insights=insights,
            own_account=own_account,
        )
    return Leaf(
        query["id"],
        query["metric"],
        query["namespace"],
        parse_statistic(str(query["stat"])),
        query["dimensions"],
        query.get("unit"),
        query.get("account"),
        own_account=own_account,
    )


def tools_of(leaves: Iterable[Leaf], traffic: Mapping[str, ToolTraffic]) -> list[str]:
    """The tools that an alarm is about, among those of `traffic`: named by a dimension, or seen by a Metrics Insights query."""
    found = set()
    for leaf in leaves:
        if leaf.metric not in TOOL_METRICS:
            continue
        if leaf.insights is None:
            found.add(canonical_tool(leaf.dimensions.get(TOOL_DIMENSION, "")))
        else:
            found.update(
                tool for tool, seen in traffic.items() if seen.receives(leaf.metric, leaf) or f"'{tool}'" in leaf.insights.text
            )
    return sorted(found & traffic.keys())


def signal_of(leaves: Iterable[Leaf]) -> str | None:
    """`latency` or `error` by the metrics that an alarm reads; None if it reads none of the platform's."""
    read = list(leaves)
    metrics = {leaf.metric for leaf in read}
    ranks = {StatisticKind.PERCENTILE, StatisticKind.PERCENTILE_RANK, StatisticKind.TRIMMED_COUNT}
    if ERROR in metrics:
        return "error"
    if any(leaf.metric == LATENCY and leaf.statistic.kind in ranks for leaf in read):
        return "latency"
    if SUCCESS in metrics:
        return "error"
    return "latency" if LATENCY in metrics else None
