"""CloudWatch metric math: `IF(FILL(errors, 0) + calls >= 30, 100 * errors / (errors + calls), 0)`.

Pure: parses an expression and computes it over time series given as timestamp -> value. Two callers use it: the sandbox's
CloudWatch, and the judge that tries alarms on hypothetical data points. One file, since parser and evaluator share the nodes and
the list of functions.

Missing points, as the CloudWatch User Guide documents them ("Using metric math"):

* between two time series, a timestamp that only one of them has counts the other as 0; a timestamp that neither has, has no
  result; with a scalar, only the series' own timestamps have results. `missing="drop"` leaves out points that only one series
  has, for a caller that must not rely on the 0;
* a division by zero, or any result that is not a finite number, has no data point;
* AVG of an array counts missing values as 0, SUM, MIN and MAX use the values that are there;
* IF: where the condition has no value, there is no result; where the chosen series has none, true gives 0, false no result;
* FILL fills on the timestamps of the request (`timestamps`), or, where those are not given, on all timestamps of all series.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any, Literal

from phase5_ops.cloudwatch.tokens import TokenStream

MAX_LENGTH = 2048
"""Characters of an expression that CloudWatch accepts."""


class MathError(ValueError):
    """The text is not a metric math expression, or cannot be computed over the given series."""


Points = dict[datetime, float]
"""One time series."""

Value = float | Points | list[Points]
"""A scalar (S), a time series (TS) or an array of time series (TS[])."""

_FUNCTIONS = frozenset(
    """
    ABS ANOMALY_DETECTION_BAND AVG CEIL DATAPOINT_COUNT DATE DAY DB_PERF_INSIGHTS DIFF DIFF_TIME EPOCH FILL FIRST FLOOR HOUR IF
    INSIGHT_RULE_METRIC LAMBDA LAST LOG LOG10 MAX METRIC_COUNT METRICS MIN MINUTE MONTH PERIOD RATE REMOVE_EMPTY RUNNING_SUM
    SEARCH SERVICE_QUOTA SLICE SORT STDDEV SUM TIME_SERIES YEAR
    """.split()  # noqa: SIM905 - a list of forty quoted names is harder to read
)
_KEYWORDS = frozenset({"REPEAT", "LINEAR", "ASC", "DESC", "AVG", "SUM", "MIN", "MAX"})


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """The id of a metric or of another expression."""

    id: str


@dataclass(frozen=True, slots=True)
class TextNode:
    """A quoted text."""

    value: str


@dataclass(frozen=True, slots=True)
class Keyword:
    """REPEAT, LINEAR, ASC, DESC, or a function's name as an argument of SORT."""

    word: str


@dataclass(frozen=True, slots=True)
class Negative:
    """Unary minus."""

    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands and what stands between them; AND and OR in letters."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Array:
    """`[m1, m2]`."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple["Node", ...]


Node = Number | Name | TextNode | Keyword | Negative | Binary | Array | Call


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Negative):
        return (node.operand,)
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Array):
        return node.items
    return node.arguments if isinstance(node, Call) else ()


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: the expression as written.
        root: its tree.
    """

    text: str
    root: Node

    def walk(self) -> Iterator[Node]:
        """Every node of the tree."""
        nodes = [self.root]
        while nodes:
            node = nodes.pop()
            yield node
            nodes.extend(_children(node))

    @cached_property
    def names(self) -> frozenset[str]:
        """The ids it refers to by name. METRICS() adds to these; see `metric_filters`."""
        return frozenset(node.id for node in self.walk() if isinstance(node, Name))

    @cached_property
    def metric_filters(self) -> frozenset[str]:
        """What each METRICS() in it looks for in the ids of metrics: `""` for all of them; empty without METRICS()."""
        calls = (node for node in self.walk() if isinstance(node, Call) and node.function == "METRICS")
        return frozenset("" if not call.arguments else _text(call.arguments[0]) for call in calls)

    @cached_property
    def functions(self) -> frozenset[str]:
        """The functions it calls."""
        return frozenset(node.function for node in self.walk() if isinstance(node, Call))

    @cached_property
    def searches(self) -> tuple[tuple[str, str, int | None], ...]:
        """Text, statistic and period of every SEARCH in it."""
        return tuple(_search_arguments(node) for node in self.walk() if isinstance(node, Call) and node.function == "SEARCH")


_TOKENS = re.compile(
    r"""(?P<space>\s+)|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<string>'[^']*'|"[^"]*"|\u201c[^\u201d]*\u201d)"""
    r"""|(?P<op>==|!=|<=|>=|&&|\|\||[-+*/^()\[\],<>])|(?P<name>[a-z][A-Za-z0-9_]*)|(?P<word>[A-Z][A-Z0-9_]*)"""
)
_LEVELS: tuple[dict[str, str], ...] = (  # from the loosest to the tightest
    {"OR": "OR", "||": "OR"},
    {"AND": "AND", "&&": "AND"},
    {sign: sign for sign in ("==", "!=", "<=", ">=", "<", ">")},
    {"+": "+", "-": "-"},
    {"*": "*", "/": "/"},
)


def parse(expression: str) -> Expression:
    """Reads a metric math expression (SEARCH included; for Metrics Insights see `metrics_insights`).

    Raises:
        MathError: not an expression, with the place where it stops being one.
    """
    if len(expression) > MAX_LENGTH:
        raise MathError(f"expression of {len(expression)} characters, CloudWatch accepts {MAX_LENGTH}")
    tokens = TokenStream(expression, _TOKENS, MathError)
    root = _binary(tokens, 0)
    tokens.expect_end()
    parsed = Expression(expression, root)
    _ = parsed.searches, parsed.metric_filters  # reading them checks their arguments
    return parsed


def _binary(tokens: TokenStream, level: int) -> Node:
    if level == len(_LEVELS):
        return _signed(tokens)
    node = _binary(tokens, level + 1)
    while sign := tokens.accept(*_LEVELS[level]):
        node = Binary(_LEVELS[level][sign.text], node, _binary(tokens, level + 1))
    return node


def _signed(tokens: TokenStream) -> Node:
    with tokens.nested():
        if tokens.accept("-"):
            return Negative(_signed(tokens))
        node = _atom(tokens)
        return Binary("^", node, _signed(tokens)) if tokens.accept("^") else node


def _atom(tokens: TokenStream) -> Node:
    if tokens.accept("("):
        node = _binary(tokens, 0)
        tokens.expect(")")
        return node
    if tokens.accept("["):
        return Array(_items(tokens, "]"))
    token = tokens.accept_kind("number", "name", "string", "word") or tokens.fail("expected a number, an id or a function")
    if token.kind == "number":
        return Number(float(token.text))
    if token.kind == "name":
        return Name(token.text)
    if token.kind == "string":
        return TextNode(token.text[1:-1])  # a search has escapes of its own
    if token.text in _FUNCTIONS and tokens.accept("("):
        return Call(token.text, () if tokens.accept(")") else _items(tokens, ")"))
    if token.text in _KEYWORDS:
        return Keyword(token.text)
    raise MathError(f"unknown function {token.text} at position {token.at}; ids begin with a lower-case letter")


def _items(tokens: TokenStream, closing: str) -> tuple[Node, ...]:
    items = tokens.separated(lambda tokens: _binary(tokens, 0))
    tokens.expect(closing)
    return tuple(items)


def _text(node: Node) -> str:
    if not isinstance(node, TextNode):
        raise MathError("expected a text in quotes")
    return node.value


def _search_arguments(call: Call) -> tuple[str, str, int | None]:
    if len(call.arguments) not in (2, 3):
        raise MathError("SEARCH takes a search, a statistic and a period")
    period = call.arguments[2] if len(call.arguments) == 3 else None  # noqa: PLR2004 - the third is the period
    if period is not None and not (isinstance(period, Number) and math.isfinite(period.value)):
        raise MathError("the period of SEARCH is a number of seconds")
    return _text(call.arguments[0]), _text(call.arguments[1]), int(period.value) if period else None


SearchResolver = Callable[[str, str, int | None], Sequence[Mapping[datetime, float]]]


def evaluate(
    expression: Expression | str,
    series: Mapping[str, Any],
    *,
    timestamps: Iterable[datetime] | None = None,
    metrics: Collection[str] | None = None,
    periods: Mapping[str, float] | None = None,
    search: SearchResolver | None = None,
    missing: Literal["zero", "drop"] = "zero",
) -> Points | list[Points]:
    """Computes an expression.

    Args:
        expression: parsed, or as text.
        series: id -> time series (a mapping or pandas Series of timestamp -> value, possibly empty), a list of them (the
            result of an expression that gives several), or a number. NaN and None are missing points.
        timestamps: the timestamps of the request, for FILL and TIME_SERIES; default: all that occur in `series`.
        metrics: the ids that METRICS() stands for (those that are not expressions); default: all.
        periods: id -> period in seconds, for PERIOD.
        search: finds the series of SEARCH(text, statistic, period).
        missing: the result where only one operand of a binary operation has a point: with 0 for the other, or none.

    Returns:
        One time series, or several (METRICS() * 100), each ordered by time.

    Raises:
        MathError: an id that is not in `series`, a function that is not supported or is misused, or a result that is a scalar.
    """
    parsed = parse(expression) if isinstance(expression, str) else expression
    given = {key: _value_of(value) for key, value in series.items()}
    grid = sorted(set(timestamps) if timestamps is not None else {at for value in given.values() for at in _stamps(value)})
    evaluator = _Evaluator(given, grid, metrics, periods or {}, search, missing)
    result = evaluator.value(parsed.root)
    if isinstance(result, float):
        raise MathError(f"the result is a number, not a time series: {parsed.text!r}")
    return [_ordered(item) for item in result] if isinstance(result, list) else _ordered(result)


def _value_of(value: Any) -> Value:  # noqa: ANN401 - a mapping, a pandas Series, a list of them or a number
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, list):
        return [_points(item) for item in value]
    return _points(value)


def _points(series: Any) -> Points:  # noqa: ANN401 - a mapping or a pandas Series
    return {at: float(number) for at, number in series.items() if number is not None and math.isfinite(number)}


def _stamps(value: Value) -> Iterator[datetime]:
    for points in value if isinstance(value, list) else [value]:
        if isinstance(points, dict):
            yield from points


def _ordered(points: Points) -> Points:
    return dict(sorted(points.items()))


def _with_points(value: Value) -> Value:
    """A result without the points that are not finite numbers."""
    if isinstance(value, list):
        return [_finite_points(points) for points in value]
    return value if isinstance(value, float) else _finite_points(value)


def _finite_points(points: Points) -> Points:
    if all(map(math.isfinite, points.values())):
        return points
    return {at: number for at, number in points.items() if math.isfinite(number)}


def _or_nan(number: float | None) -> float:
    """A number; NaN where it has no value, and with that nothing that is computed with it has data points."""
    return math.nan if number is None else number


def _finite(compute: Callable[..., Any], *numbers: Any) -> float | None:  # noqa: ANN401 - numbers, or a list of them
    """The result, or None where it is not a finite number (division by zero, overflow, root of a negative number)."""
    try:
        result = compute(*numbers)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return float(result) if not isinstance(result, complex) and math.isfinite(result) else None


def _difference_seconds(later: Any, earlier: Any) -> float:  # noqa: ANN401 - datetimes, or numbers of seconds
    gap = later - earlier
    return float(gap.total_seconds() if hasattr(gap, "total_seconds") else gap)


_OPERATORS: dict[str, Callable[[float, float], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "AND": lambda left, right: left != 0 and right != 0,
    "OR": lambda left, right: left != 0 or right != 0,
}
_POINTWISE: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
    "LOG": math.log,
    "LOG10": math.log10,
}
CALENDAR_FUNCTIONS: Mapping[str, Callable[[datetime], float]] = {
    "MINUTE": lambda at: at.minute,
    "HOUR": lambda at: at.hour,
    "DAY": lambda at: at.isoweekday(),
    "DATE": lambda at: at.day,
    "MONTH": lambda at: at.month,
    "YEAR": lambda at: at.year,
    "EPOCH": lambda at: at.timestamp(),
}
"""What the functions of the time of a data point give."""

_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": fmean,
    "MIN": min,
    "MAX": max,
    "STDDEV": pstdev,
    "DATAPOINT_COUNT": lambda values: float(len(values)),
}


@dataclass
class _Evaluator:
    series: Mapping[str, Value]
    grid: list[datetime]
    metrics: Collection[str] | None
    periods: Mapping[str, float]
    search: SearchResolver | None
    missing: str
    _special: Mapping[str, Callable[[Call], Value]] = field(init=False)

    def __post_init__(self) -> None:
        self._special = {
            "METRICS": self._metrics,
            "SEARCH": self._search,
            "PERIOD": self._period,
            "IF": self._if,
            "FILL": self._fill,
            "SORT": self._sort,
            "SLICE": self._slice,
            "TIME_SERIES": self._time_series,
        }

    def value(self, node: Node) -> Value:
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Name):
            if node.id not in self.series:
                raise MathError(f"no metric or expression has the id {node.id!r}")
            return self.series[node.id]
        if isinstance(node, Negative):
            return self._binary("*", -1.0, self.value(node.operand))
        if isinstance(node, Binary):
            return self._chained(node)
        if isinstance(node, Array):
            return [points for item in node.items for points in self._list(item)]
        if isinstance(node, Call):
            return _with_points(self._call(node))
        raise MathError(f"{node} is no value")

    def _chained(self, node: Binary) -> Value:
        """`a + b + c`, from left to right: there may be more operands than Python has stack."""
        operations: list[Binary] = []
        first: Node = node
        while isinstance(first, Binary):
            operations.append(first)
            first = first.left
        result = self.value(first)
        for each in reversed(operations):
            result = self._binary(each.operator, result, self.value(each.right))
        return result

    def _list(self, node: Node) -> list[Points]:
        value = self.value(node)
        if isinstance(value, float):
            raise MathError("a number stands where a time series is needed")
        return value if isinstance(value, list) else [value]

    def _scalar(self, node: Node) -> float:
        value = self.value(node)
        if not isinstance(value, float):
            raise MathError("a time series stands where a number is needed")
        return value

    def _number_of_series(self, node: Node) -> int:
        value = self._scalar(node)
        if not math.isfinite(value):
            raise MathError("a number without a value stands where so many time series are meant")
        return int(value)

    def _binary(self, sign: str, left: Value, right: Value) -> Value:
        if isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                raise MathError(f"{sign} needs arrays of one length, not of {len(left)} and {len(right)} time series")
            return [self._pointwise(sign, a, b) for a, b in zip(left, right, strict=True)]
        if isinstance(left, list):
            return [self._pointwise(sign, item, right) for item in left]  # type: ignore[arg-type]
        if isinstance(right, list):
            return [self._pointwise(sign, left, item) for item in right]
        if isinstance(left, float) and isinstance(right, float):
            return _or_nan(_finite(_OPERATORS[sign], left, right) if math.isfinite(left) and math.isfinite(right) else None)
        return self._pointwise(sign, left, right)

    def _pointwise(self, sign: str, left: float | Points, right: float | Points) -> Points:
        compute = _OPERATORS[sign]
        if any(isinstance(each, float) and not math.isfinite(each) for each in (left, right)):
            return {}
        if isinstance(left, float):
            pairs = {at: (left, value) for at, value in right.items()} if isinstance(right, dict) else {}
        elif isinstance(right, float):
            pairs = {at: (value, right) for at, value in left.items()}
        elif self.missing == "drop":
            pairs = {at: (value, right[at]) for at, value in left.items() if at in right}
        else:
            pairs = {at: (left.get(at, 0.0), right.get(at, 0.0)) for at in left.keys() | right.keys()}
        return {at: result for at, pair in pairs.items() if (result := _finite(compute, *pair)) is not None}

    def _call(self, call: Call) -> Value:
        if special := self._special.get(call.function):
            return special(call)
        if len(call.arguments) != 1:
            raise MathError(f"{call.function} takes one argument, {len(call.arguments)} given")
        argument = call.arguments[0]
        if call.function in _AGGREGATES:
            return self._aggregate(call.function, self.value(argument))
        if call.function in ("METRIC_COUNT", "FIRST", "LAST", "REMOVE_EMPTY"):
            return self._of_array(call.function, self._list(argument))
        return self._each(call.function, self.value(argument))

    def _aggregate(self, function: str, value: Value) -> Value:
        """Of one series: a number over its points. Of an array: one series, point by point."""
        aggregate = _AGGREGATES[function]
        if isinstance(value, float):
            raise MathError(f"{function} needs a time series, not a number")
        if isinstance(value, dict):
            if not value:
                return 0.0 if function in ("SUM", "DATAPOINT_COUNT") else math.nan
            return _or_nan(_finite(aggregate, list(value.values())))
        columns: dict[datetime, list[float]] = {}
        for points in value:
            for at, number in points.items():
                columns.setdefault(at, []).append(number)
        if function == "AVG":
            aggregate = lambda column: math.fsum(column) / len(value)  # noqa: E731 - over all of the array's time series
        return {at: _or_nan(_finite(aggregate, column)) for at, column in columns.items()}

    def _of_array(self, function: str, array: list[Points]) -> Value:
        if function == "METRIC_COUNT":
            return float(len(array))
        if function == "REMOVE_EMPTY":
            return [points for points in array if points]
        if not array:
            raise MathError(f"{function} needs at least one time series")
        return array[0 if function == "FIRST" else -1]

    def _each(self, function: str, value: Value) -> Value:
        if isinstance(value, list):
            return [self._of_series(function, points) for points in value]
        if isinstance(value, float):
            raise MathError(f"{function} needs a time series, not a number")
        return self._of_series(function, value)

    def _of_series(self, function: str, points: Points) -> Points:
        if compute := _POINTWISE.get(function):
            return {at: result for at, number in points.items() if (result := _finite(compute, number)) is not None}
        if calendar := CALENDAR_FUNCTIONS.get(function):
            return {at: float(calendar(at)) for at in self.grid}
        if function in ("RATE", "DIFF", "DIFF_TIME"):
            return _differences(function, _ordered(points))
        if function == "RUNNING_SUM":
            total, sums = 0.0, {}
            for at, number in _ordered(points).items():
                sums[at] = total = total + number
            return sums
        raise MathError(f"the function {function} is not supported")

    def _metrics(self, call: Call) -> Value:
        wanted = _text(call.arguments[0]) if call.arguments else ""
        ids = [key for key in self.series if (self.metrics is None or key in self.metrics) and wanted in key]
        return [points for key in ids for points in self._list(Name(key))]

    def _search(self, call: Call) -> Value:
        if self.search is None:
            raise MathError("SEARCH cannot be used here")
        return [_points(found) for found in self.search(*_search_arguments(call))]

    def _period(self, call: Call) -> Value:
        argument = call.arguments[0] if len(call.arguments) == 1 else None
        if not isinstance(argument, Name) or argument.id not in self.periods:
            raise MathError("PERIOD takes the id of a metric of this request")
        return float(self.periods[argument.id])

    def _time_series(self, call: Call) -> Value:
        if len(call.arguments) != 1:
            raise MathError("TIME_SERIES takes one number")
        return dict.fromkeys(self.grid, self._scalar(call.arguments[0]))

    def _if(self, call: Call) -> Value:
        if len(call.arguments) not in (2, 3):
            raise MathError("IF takes a condition, a value, and optionally another value")
        condition, *choices = (self.value(argument) for argument in call.arguments)
        if isinstance(condition, list) or any(isinstance(choice, list) for choice in choices):
            raise MathError("IF takes time series and numbers, not arrays")
        when_true, when_false = choices[0], choices[1] if len(choices) > 1 else {}
        if isinstance(condition, float):
            return {} if math.isnan(condition) else when_true if condition != 0 else when_false
        result: Points = {}
        for at, truth in condition.items():
            choice = when_true if truth != 0 else when_false
            if isinstance(choice, float):
                result[at] = choice
            elif isinstance(choice, dict) and (truth != 0 or at in choice):
                result[at] = choice.get(at, 0.0)
        return result

    def _fill(self, call: Call) -> Value:
        if len(call.arguments) != 2:  # noqa: PLR2004 - the series and its filler
            raise MathError("FILL takes a time series and a filler")
        target, filler = self.value(call.arguments[0]), call.arguments[1]
        if isinstance(target, float):
            raise MathError("FILL needs a time series, not a number")
        if isinstance(filler, Keyword):
            if filler.word not in ("REPEAT", "LINEAR"):
                raise MathError(f"FILL takes REPEAT or LINEAR, not {filler.word}")
            fill: Callable[[Points], Points] = self._repeat if filler.word == "REPEAT" else self._linear
        else:
            value = self.value(filler)
            if isinstance(value, list):
                raise MathError("FILL takes a number or one time series as its filler, not an array")
            default = dict.fromkeys(self.grid, value) if isinstance(value, float) else value
            fill = lambda points: default | points  # noqa: E731 - one expression, used in one place
        return [fill(points) for points in target] if isinstance(target, list) else fill(target)

    def _repeat(self, points: Points) -> Points:
        filled: Points = {}
        last: float | None = None
        for at in sorted({*self.grid, *points}):
            last = points.get(at, last)
            if last is not None:
                filled[at] = last
        return filled

    def _linear(self, points: Points) -> Points:
        filled = dict(points)
        known = sorted(points)
        for earlier, later in pairwise(known):
            width = _difference_seconds(later, earlier)
            for at in (stamp for stamp in self.grid if earlier < stamp < later):
                share = _difference_seconds(at, earlier) / width
                filled[at] = points[earlier] + share * (points[later] - points[earlier])
        return filled

    def _sort(self, call: Call) -> Value:
        if len(call.arguments) not in (3, 4):
            raise MathError("SORT takes an array, a function, an order and optionally a limit")
        array, function, order, *limit = call.arguments
        if not isinstance(function, Keyword) or function.word not in ("AVG", "MIN", "MAX", "SUM"):
            raise MathError("SORT takes AVG, MIN, MAX or SUM")
        if not isinstance(order, Keyword) or order.word not in ("ASC", "DESC"):
            raise MathError("SORT takes ASC or DESC")
        aggregate = _AGGREGATES[function.word]

        def rank(points: Points) -> float:
            value = _finite(aggregate, list(points.values())) if points else None
            return -math.inf if value is None else value

        ranked = sorted(self._list(array), key=rank, reverse=order.word == "DESC")
        return ranked[: self._number_of_series(limit[0])] if limit else ranked

    def _slice(self, call: Call) -> Value:
        if len(call.arguments) not in (2, 3):
            raise MathError("SLICE takes an array, a start and optionally an end")
        start, *end = map(self._number_of_series, call.arguments[1:])
        return self._list(call.arguments[0])[start : end[0] if end else None]


def _differences(function: str, points: Points) -> Points:
    """Between each point and the one before it: value (DIFF), seconds (DIFF_TIME), value a second (RATE)."""
    stamps = list(points)
    result: Points = {}
    for earlier, later in pairwise(stamps):
        change, seconds = points[later] - points[earlier], _difference_seconds(later, earlier)
        result[later] = {"DIFF": change, "DIFF_TIME": seconds, "RATE": change / seconds}[function]
    return result
