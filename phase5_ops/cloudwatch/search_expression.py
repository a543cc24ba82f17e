"""CloudWatch search expressions: `SEARCH('{CCNative/Execution,tool_name} MetricName="tool_error"', 'Sum', 300)`.

Pure: which metrics a search finds.

Source: CloudWatch User Guide, "CloudWatch search expression syntax": a schema in braces names the namespace and exactly the
dimensions a metric has (the namespace alone: any dimensions); a quoted term is an exact match; any other term is matched token
by token. Names are cut into tokens at capitals, digits and characters that are neither letters nor digits. In a monitoring
account `:aws.AccountId=` tells whose metrics are meant: a number, or "LOCAL" for the account's own.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from phase5_ops.cloudwatch.statistics import Statistic, StatisticError, parse_statistic
from phase5_ops.cloudwatch.tokens import END, TokenStream, unquote

MAX_QUERY = 1024
"""Characters of a search that CloudWatch accepts."""

ACCOUNT = ":aws.AccountId"
"""The designator of the account that a metric belongs to."""

_OWN_ACCOUNT = "LOCAL"


class SearchError(ValueError):
    """The text is not a search expression."""


@dataclass(frozen=True, slots=True)
class _SearchMetric:
    """What a term looks at."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    account: Sequence[str]

    def texts(self, designator: str | None) -> Iterable[str]:
        """The texts of one property (`MetricName`, `Namespace` or a dimension), or of all of them."""
        if designator is None:
            return (self.name, self.namespace, *self.dimensions.keys(), *self.dimensions.values())
        if designator == "MetricName":
            return (self.name,)
        if designator == "Namespace":
            return (self.namespace,)
        if designator == ACCOUNT:
            return self.account
        return (self.dimensions[designator],) if designator in self.dimensions else ()


class _Node(ABC):
    parts: "Sequence[_Node]" = ()

    @abstractmethod
    def finds(self, metric: _SearchMetric) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Term(_Node):
    text: str
    exact: bool
    designator: str | None

    def finds(self, metric: _SearchMetric) -> bool:
        texts = metric.texts(self.designator)
        if self.exact:
            return self.text in texts
        return any(_partially_matches(self.text, text) for text in texts)


@dataclass(frozen=True)
class _Not(_Node):
    parts: tuple[_Node]

    def finds(self, metric: _SearchMetric) -> bool:
        return not self.parts[0].finds(metric)


@dataclass(frozen=True)
class _SearchAll(_Node):
    parts: tuple[_Node, ...]

    def finds(self, metric: _SearchMetric) -> bool:
        return all(node.finds(metric) for node in self.parts)


@dataclass(frozen=True)
class _SearchAny(_Node):
    parts: tuple[_Node, ...]

    def finds(self, metric: _SearchMetric) -> bool:
        return any(node.finds(metric) for node in self.parts)


@dataclass(frozen=True)
class Search:
    """A search for metrics.

    Attributes:
        text: the search as written, without SEARCH( and its quotes.
        statistic: what is computed of each metric found.
        period: seconds, or None where the request decides.
        namespace: the namespace of the schema, or None where there is no schema.
        dimension_names: exactly the dimensions a metric must have, or None for any.
    """

    text: str
    statistic: Statistic
    period: int | None
    namespace: str | None
    dimension_names: frozenset[str] | None
    _root: _Node

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts that the search names by their numbers."""
        return frozenset(term.text for term in _terms(self._root) if term.designator == ACCOUNT) - {_OWN_ACCOUNT}

    def matches(
        self,
        namespace: str,
        metric_name: str,
        dimensions: Mapping[str, str],
        *,
        account: str | None = None,
        foreign: bool = False,
    ) -> bool:
        """Whether the search finds this metric.

        Args:
            namespace: the metric's namespace.
            metric_name: its name.
            dimensions: its dimensions.
            account: its account; None: not known, so that a search that asks for one by its number finds nothing.
            foreign: the account is not the one that searches.
        """
        if self.namespace is not None and namespace != self.namespace:
            return False
        if self.dimension_names is not None and dimensions.keys() != self.dimension_names:
            return False
        if account is None and self.accounts:
            return False
        names = (*([account] if account else []), *([] if foreign else [_OWN_ACCOUNT]))
        return self._root.finds(_SearchMetric(namespace, metric_name, dimensions, names))

    def finds_others(self, namespace: str, metric_name: str, dimensions: Mapping[str, str], own: str | None) -> bool:
        """Whether the search finds this metric of another account that it names."""
        return any(
            self.matches(namespace, metric_name, dimensions, account=other, foreign=True) for other in self.accounts - {own}
        )


_TOKENS = re.compile(
    r"""(?P<space>\s+)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op>[(){},=])|(?P<word>[^\s(){},="']+)"""
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+|[^\W\d_]+")


def parse_search_text(text: str, statistic: str, period: int | None = None) -> Search:
    """Reads what stands between the quotes of SEARCH.

    Raises:
        SearchError: not a search, an unknown statistic, or longer than CloudWatch accepts.
    """
    if len(text) > MAX_QUERY:
        raise SearchError(f"search of {len(text)} characters, CloudWatch accepts {MAX_QUERY}")
    try:
        parsed_statistic = parse_statistic(statistic)
    except StatisticError as error:
        raise SearchError(str(error)) from error
    tokens = TokenStream(text, _TOKENS, SearchError)
    namespace, names = _schema(tokens)
    if tokens.next.kind == END and namespace is None:
        tokens.fail("expected a schema in braces or a term")
    root: _Node = _SearchAll(()) if tokens.next.kind == END else _either(tokens, None)
    tokens.expect_end()
    return Search(text, parsed_statistic, period, namespace, names, root)


def _terms(node: _Node) -> Iterator[_Term]:
    if isinstance(node, _Term):
        yield node
    for part in node.parts:
        yield from _terms(part)


def _schema(tokens: TokenStream) -> tuple[str | None, frozenset[str] | None]:
    if not tokens.accept("{"):
        return None, None
    names = tokens.separated(_name)
    tokens.expect("}")
    tokens.accept(",")  # the guide's own examples put a comma between schema and terms
    return names[0], frozenset(names[1:]) if len(names) > 1 else None


def _name(tokens: TokenStream) -> str:
    return tokens.name("string")


def _either(tokens: TokenStream, designator: str | None) -> _Node:
    nodes = tokens.separated(lambda tokens: _both(tokens, designator), "OR")
    return nodes[0] if len(nodes) == 1 else _SearchAny(tuple(nodes))


def _both(tokens: TokenStream, designator: str | None) -> _Node:
    nodes = [_negated(tokens, designator)]
    while tokens.next.kind != END and tokens.next.text not in ("OR", ")"):
        tokens.accept("AND")
        nodes.append(_negated(tokens, designator))
    return nodes[0] if len(nodes) == 1 else _SearchAll(tuple(nodes))


def _negated(tokens: TokenStream, designator: str | None) -> _Node:
    with tokens.nested():
        return _Not((_negated(tokens, designator),)) if tokens.accept("NOT") else _term(tokens, designator)


def _term(tokens: TokenStream, designator: str | None) -> _Node:
    if tokens.accept("("):
        node = _either(tokens, designator)
        tokens.expect(")")
        return node
    if tokens.after_next.text == "=" and tokens.next.kind in ("word", "string"):
        designator = _name(tokens)
        tokens.expect("=")
        node = _term(tokens, designator)
        if designator.startswith(":") and designator != ACCOUNT:
            tokens.fail(f"{designator} is not known")
        return node
    token = tokens.accept_kind("string", "word") or tokens.fail("expected a term")
    exact = token.kind == "string"
    return _Term(unquote(token.text) if exact else token.text, exact, designator)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    """The tokens of a text in order, in their own case: CustomCount1 -> Custom, Count, 1; SDBFailure -> SDB, Failure."""
    # a space before the last capital of a run that begins a capitalised word: SDBFailure -> SDB Failure
    return tuple(_WORDS.findall(re.sub(r"([A-Z])(?=[A-Z][a-z])", r"\1 ", text)))


def _partially_matches(term: str, text: str) -> bool:
    """A single token, or the whole text without separators, matches in any case; several tokens match in a row.

    Several tokens written together (`Count1`) match in their own case, written with separators (`network-errors`) in any.
    """
    wanted, there = _words(term), _words(text)
    lowered = tuple(word.lower() for word in there)
    if not wanted:
        return False
    if len(wanted) == 1 and wanted[0].lower() in lowered:
        return True
    if term.isalnum() and term.lower() == "".join(lowered):
        return True
    if not term.isalnum():
        wanted, there = tuple(word.lower() for word in wanted), lowered
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))
