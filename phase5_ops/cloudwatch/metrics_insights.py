"""Metrics Insights queries: `SELECT SUM(tool_error) FROM SCHEMA("CCNative/Execution", tool_name) WHERE tool_name = 'x'`.

Pure: which metrics a query covers and how it adds them up. Keywords are case-insensitive, identifiers are not.

Source: CloudWatch User Guide, "Metrics Insights query components and syntax". FROM "ns" covers every metric of that name in the
namespace; FROM SCHEMA("ns", a, b) only those with exactly the dimensions a and b, and SCHEMA("ns") only those without any. In a
monitoring account AWS.AccountId tells whose metrics are meant: a number, or the account's own (CURRENT_ACCOUNT_ID(), LOCAL()).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean
from typing import TypeVar

from phase5_ops.cloudwatch.tokens import TokenStream, unquote

FUNCTIONS = ("AVG", "COUNT", "MAX", "MIN", "SUM")
STATISTIC_OF_FUNCTION = {"AVG": "Average", "COUNT": "SampleCount", "MAX": "Maximum", "MIN": "Minimum", "SUM": "Sum"}
"""The CloudWatch statistic that a function of Metrics Insights stands for."""

ACCOUNT = "AWS.AccountId"
"""The label of the account that a metric belongs to. It is no dimension: every metric has it."""

MOST_SERIES = 500
"""Time series that a query returns at most."""

_ONE_VALUE_OF: Mapping[str, Callable[[Collection[float]], float]] = {
    "AVG": fmean,
    "COUNT": len,
    "MAX": max,
    "MIN": min,
    "SUM": fsum,
}
_Line = TypeVar("_Line")

_OWN_ACCOUNT = ("CURRENT_ACCOUNT_ID", "LOCAL")


class InsightsError(ValueError):
    """The text is not a Metrics Insights query."""


@dataclass(frozen=True, slots=True)
class _Metric:
    """What a condition looks at; `account` None: not known, `own`: it is the account that asks."""

    dimensions: Mapping[str, str]
    account: str | None
    own: bool


class _Condition(ABC):
    @abstractmethod
    def holds(self, metric: _Metric) -> bool: ...


@dataclass(frozen=True, slots=True)
class _OneOf(_Condition):
    """A dimension that has, or (negated) has not, one of the values. A metric without the dimension never matches."""

    key: str
    values: frozenset[str]
    negated: bool

    def holds(self, metric: _Metric) -> bool:
        value = metric.dimensions.get(self.key)
        return value is not None and (value in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class _OfAccount(_Condition):
    """An account that is, or (negated) is not, one of the numbers, or the own one. What is not known never matches."""

    numbers: frozenset[str]
    own: bool
    negated: bool

    def holds(self, metric: _Metric) -> bool:
        named = (self.own and metric.own) or metric.account in self.numbers
        if metric.account is None and self.numbers and not named:
            return False
        return named != self.negated


@dataclass(frozen=True, slots=True)
class _Several(_Condition):
    conditions: tuple[_Condition, ...]


class _All(_Several):
    def holds(self, metric: _Metric) -> bool:
        return all(condition.holds(metric) for condition in self.conditions)


class _Any(_Several):
    def holds(self, metric: _Metric) -> bool:
        return any(condition.holds(metric) for condition in self.conditions)


def _accounts(condition: _Condition) -> Iterator[str]:
    if isinstance(condition, _OfAccount):
        yield from condition.numbers
    if isinstance(condition, _Several):
        for part in condition.conditions:
            yield from _accounts(part)


@dataclass(frozen=True, slots=True)
class InsightsQuery:
    """A Metrics Insights query.

    Attributes:
        text: the query as written.
        function: AVG, COUNT, MAX, MIN or SUM.
        metric_name: the metric queried.
        namespace: the namespace it is looked for in.
        schema: the exact dimension names (SCHEMA), or None for any.
        group_by: dimension names; one time series per combination of their values, one in all where empty.
        order_by: the function that orders the time series, or None.
        descending: the order.
        limit: the greatest number of time series, or None (then 500).
    """

    text: str
    function: str
    metric_name: str
    namespace: str
    schema: frozenset[str] | None
    group_by: tuple[str, ...]
    order_by: str | None
    descending: bool
    limit: int | None
    _where: _Condition

    @property
    def statistic(self) -> str:
        """The CloudWatch statistic the function stands for."""
        return STATISTIC_OF_FUNCTION[self.function]

    @property
    def accounts(self) -> frozenset[str]:
        """The accounts that the query names by their numbers."""
        return frozenset(_accounts(self._where))

    @property
    def needed(self) -> tuple[str, frozenset[str]] | None:
        """A dimension that every metric of the answer has, and the values that it may have; None where there is no such one."""
        conditions = self._where.conditions if isinstance(self._where, _All) else (self._where,)
        return next(((each.key, each.values) for each in conditions if isinstance(each, _OneOf) and not each.negated), None)

    def matches(
        self, namespace: str, dimensions: Mapping[str, str], *, account: str | None = None, foreign: bool = False
    ) -> bool:
        """Whether a metric of the query's name, with these dimensions, is part of the answer.

        Args:
            namespace: the metric's namespace.
            dimensions: the metric's dimensions.
            account: the metric's account; None: not known, so that a query that asks for one by its number does not match.
            foreign: the account is not the one that asks.
        """
        return (
            namespace == self.namespace
            and (self.schema is None or self.schema == dimensions.keys())
            and all(key in dimensions for key in self.group_by if key != ACCOUNT)
            and self._where.holds(_Metric(dimensions, account, not foreign))
        )

    @property
    def most_series(self) -> int:
        """How many time series it returns at most."""
        return min(self.limit or MOST_SERIES, MOST_SERIES)

    def returned(self, lines: Iterable[_Line], values: Callable[[_Line], Collection[float]]) -> list[_Line]:
        """The time series that it returns, in its order; without ORDER BY the first ones are taken.

        Args:
            lines: all that there are.
            values: of one of them, over the range that is asked for; without any it is no time series.
        """
        there = [(held, line) for line in lines if (held := values(line))]
        if self.order_by is not None:
            one_value = _ONE_VALUE_OF[self.order_by]
            there.sort(key=lambda pair: one_value(pair[0]), reverse=self.descending)
        return [line for _, line in there[: self.most_series]]

    def finds_others(self, dimensions: Mapping[str, str], own: str | None) -> bool:
        """Whether a metric with these dimensions of another account that the query names is part of the answer."""
        return any(self.matches(self.namespace, dimensions, account=other, foreign=True) for other in self.accounts - {own})


_TOKENS = re.compile(
    r"""(?P<space>\s+)|(?P<number>\d{1,9}(?![A-Za-z0-9_]))|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<string>'(?:[^'\\]|\\.)*')"""
    r"""|(?P<op>!=|[(),=*])|(?P<word>[A-Za-z0-9_.:]+)"""
)


def is_insights_query(text: str) -> bool:
    """Whether an expression is a Metrics Insights query rather than metric math."""
    return re.match(r"\s*SELECT\s", text, re.IGNORECASE) is not None


def parse_query(text: str) -> InsightsQuery:
    """Reads a Metrics Insights query.

    Raises:
        InsightsError: not a query, with the place where it stops being one.
    """
    tokens = TokenStream(text, _TOKENS, InsightsError)
    _keyword(tokens, "SELECT")
    function = tokens.accept_keyword(*FUNCTIONS) or tokens.fail(f"expected one of {', '.join(FUNCTIONS)}")
    tokens.expect("(")
    metric_name = _identifier(tokens)
    tokens.expect(")")
    _keyword(tokens, "FROM")
    namespace, schema = _source(tokens)
    where = _any(tokens) if tokens.accept_keyword("WHERE") else _All(())
    group_by = _group_by(tokens)
    order_by, descending = _order_by(tokens)
    limit = _limit(tokens)
    tokens.expect_end()
    return InsightsQuery(text, function, metric_name, namespace, schema, group_by, order_by, descending, limit, where)


def _keyword(tokens: TokenStream, word: str) -> None:
    if not tokens.accept_keyword(word):
        tokens.fail(f"expected {word}")


def _identifier(tokens: TokenStream) -> str:
    return tokens.name("quoted")


def _source(tokens: TokenStream) -> tuple[str, frozenset[str] | None]:
    if tokens.next.text.upper() != "SCHEMA" or tokens.after_next.text != "(":
        return _identifier(tokens), None
    tokens.take()
    tokens.expect("(")
    names = tokens.separated(_identifier)
    tokens.expect(")")
    return names[0], frozenset(names[1:])


def _any(tokens: TokenStream) -> _Condition:
    conditions = [_all(tokens)]
    while tokens.accept_keyword("OR"):
        conditions.append(_all(tokens))
    return conditions[0] if len(conditions) == 1 else _Any(tuple(conditions))


def _all(tokens: TokenStream) -> _Condition:
    conditions = [_condition(tokens)]
    while tokens.accept_keyword("AND"):
        conditions.append(_condition(tokens))
    return conditions[0] if len(conditions) == 1 else _All(tuple(conditions))


def _condition(tokens: TokenStream) -> _Condition:
    if tokens.accept("("):
        with tokens.nested():
            condition = _any(tokens)
        tokens.expect(")")
        return condition
    key = _identifier(tokens)
    negated, values = _compared(tokens, functions=_OWN_ACCOUNT if key == ACCOUNT else ())
    if key == ACCOUNT:
        return _OfAccount(frozenset(value for value in values if value is not None), None in values, negated)
    return _OneOf(key, frozenset(value for value in values if value is not None), negated)


def _compared(tokens: TokenStream, functions: Sequence[str]) -> tuple[bool, list[str | None]]:
    """Whether a comparison is negated, and the values it compares with; None for one of the functions."""
    if operator := tokens.accept("=", "!="):
        return operator.text == "!=", [_value(tokens, functions)]
    negated = tokens.accept_keyword("NOT") is not None
    _keyword(tokens, "IN")
    tokens.expect("(")
    values = tokens.separated(lambda tokens: _value(tokens, functions))
    tokens.expect(")")
    return negated, values


def _value(tokens: TokenStream, functions: Sequence[str]) -> str | None:
    if functions and tokens.accept_keyword(*functions):
        tokens.expect("(")
        tokens.expect(")")
        return None
    token = tokens.accept_kind("string") or tokens.fail("expected a value in single quotes")
    return unquote(token.text)


def _group_by(tokens: TokenStream) -> tuple[str, ...]:
    if not tokens.accept_keyword("GROUP"):
        return ()
    _keyword(tokens, "BY")
    return tuple(tokens.separated(_identifier))


def _order_by(tokens: TokenStream) -> tuple[str | None, bool]:
    if not tokens.accept_keyword("ORDER"):
        return None, False
    _keyword(tokens, "BY")
    function = tokens.accept_keyword(*FUNCTIONS) or tokens.fail(f"expected one of {', '.join(FUNCTIONS)}")
    tokens.expect("(")
    tokens.expect(")")
    return function, tokens.accept_keyword("ASC", "DESC") == "DESC"


def _limit(tokens: TokenStream) -> int | None:
    if not tokens.accept_keyword("LIMIT"):
        return None
    return int((tokens.accept_kind("number") or tokens.fail("expected a number")).text)
