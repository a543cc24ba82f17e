"""Metrics Insights queries: `SELECT SUM(tool_error) FROM SCHEMA("CCNative/Execution", tool_name) WHERE tool_name = 'x'`.

Pure: which metrics a query covers and how it adds them up. Keywords are case-insensitive, identifiers are not.

Source: CloudWatch User Guide, "Metrics Insights query components and syntax". FROM "ns" covers every metric of that name in the
namespace; FROM SCHEMA("ns", a, b) only those with exactly the dimensions a and b, and SCHEMA("ns") only those without any.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from phase5_ops.aws.tokens import TokenStream, unquote

FUNCTIONS = ("AVG", "COUNT", "MAX", "MIN", "SUM")
STATISTIC_OF_FUNCTION = {"AVG": "Average", "COUNT": "SampleCount", "MAX": "Maximum", "MIN": "Minimum", "SUM": "Sum"}
"""The CloudWatch statistic that a function of Metrics Insights stands for."""


class InsightsError(ValueError):
    """The text is not a Metrics Insights query."""


class _Condition(ABC):
    @abstractmethod
    def holds(self, dimensions: Mapping[str, str]) -> bool: ...


@dataclass(frozen=True, slots=True)
class _OneOf(_Condition):
    """A dimension that has, or (negated) has not, one of the values. A metric without the dimension never matches."""

    key: str
    values: frozenset[str]
    negated: bool

    def holds(self, dimensions: Mapping[str, str]) -> bool:
        value = dimensions.get(self.key)
        return value is not None and (value in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class _All(_Condition):
    conditions: tuple[_Condition, ...]

    def holds(self, dimensions: Mapping[str, str]) -> bool:
        return all(condition.holds(dimensions) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class _Any(_Condition):
    conditions: tuple[_Condition, ...]

    def holds(self, dimensions: Mapping[str, str]) -> bool:
        return any(condition.holds(dimensions) for condition in self.conditions)


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

    def matches(self, namespace: str, dimensions: Mapping[str, str]) -> bool:
        """Whether a metric of the query's name, with these dimensions, is part of the answer."""
        return (
            namespace == self.namespace
            and (self.schema is None or self.schema == dimensions.keys())
            and all(key in dimensions for key in self.group_by)
            and self._where.holds(dimensions)
        )


_TOKENS = re.compile(
    r"""(?P<space>\s+)|(?P<number>\d+(?![A-Za-z0-9_]))|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<string>'(?:[^'\\]|\\.)*')"""
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
    token = tokens.accept_kind("quoted", "word") or tokens.fail("expected a name")
    return unquote(token.text) if token.kind == "quoted" else token.text


def _source(tokens: TokenStream) -> tuple[str, frozenset[str] | None]:
    if tokens.next.text.upper() != "SCHEMA" or tokens.after().text != "(":
        return _identifier(tokens), None
    tokens.take()
    tokens.expect("(")
    names = [_identifier(tokens)]
    while tokens.accept(","):
        names.append(_identifier(tokens))
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
    if operator := tokens.accept("=", "!="):
        return _OneOf(key, frozenset({_value(tokens)}), negated=operator.text == "!=")
    negated = tokens.accept_keyword("NOT") is not None
    _keyword(tokens, "IN")
    tokens.expect("(")
    values = [_value(tokens)]
    while tokens.accept(","):
        values.append(_value(tokens))
    tokens.expect(")")
    return _OneOf(key, frozenset(values), negated)


def _value(tokens: TokenStream) -> str:
    token = tokens.accept_kind("string") or tokens.fail("expected a value in single quotes")
    return unquote(token.text)


def _group_by(tokens: TokenStream) -> tuple[str, ...]:
    if not tokens.accept_keyword("GROUP"):
        return ()
    _keyword(tokens, "BY")
    keys = [_identifier(tokens)]
    while tokens.accept(","):
        keys.append(_identifier(tokens))
    return tuple(keys)


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
