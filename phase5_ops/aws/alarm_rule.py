"""The rule of a composite alarm: `ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(c))`.

Pure: what a rule refers to, and what it says for given states of those alarms.

Source: CloudWatch API Reference, PutCompositeAlarm, AlarmRule; User Guide, "Create a composite alarm" (AT_LEAST).
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from phase5_ops.aws.tokens import END, TokenStream, unquote

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")


class AlarmRuleError(ValueError):
    """The text is not the rule of a composite alarm."""


class _Node(ABC):
    @abstractmethod
    def holds(self, states: Mapping[str, str]) -> bool: ...

    @abstractmethod
    def names(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class _Constant(_Node):
    value: bool

    def holds(self, states: Mapping[str, str]) -> bool:
        return self.value

    def names(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True, slots=True)
class _InState(_Node):
    name: str
    state: str

    def holds(self, states: Mapping[str, str]) -> bool:
        return states.get(self.name) == self.state

    def names(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True, slots=True)
class _Not(_Node):
    node: _Node

    def holds(self, states: Mapping[str, str]) -> bool:
        return not self.node.holds(states)

    def names(self) -> frozenset[str]:
        return self.node.names()


@dataclass(frozen=True, slots=True)
class _AtLeast(_Node):
    """At least `count` of `nodes`; AND is all of them, OR is one of them."""

    count: int
    nodes: tuple[_Node, ...]

    def holds(self, states: Mapping[str, str]) -> bool:
        return sum(node.holds(states) for node in self.nodes) >= self.count

    def names(self) -> frozenset[str]:
        return frozenset().union(*(node.names() for node in self.nodes))


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """A composite alarm's rule.

    Attributes:
        text: the rule as written.
        alarm_names: the alarms it refers to, by name (of an ARN: the name at its end).
    """

    text: str
    alarm_names: frozenset[str]
    _root: _Node

    def evaluate(self, states: Mapping[str, str]) -> bool:
        """Whether the rule holds (the composite is in ALARM).

        Args:
            states: alarm name -> OK, ALARM or INSUFFICIENT_DATA. An alarm that is not in it is in none of the three.
        """
        return self._root.holds(states)


_TOKENS = re.compile(r"""(?P<space>\s+)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<op>[(),])|(?P<word>[^\s()",']+)""")
_ARN = re.compile(r"arn:[^:]+:cloudwatch:[^:]*:[^:]*:alarm:(?P<name>.+)", re.DOTALL)


def parse_rule(text: str) -> AlarmRule:
    """Reads the rule of a composite alarm.

    Raises:
        AlarmRuleError: not a rule, with the place where it stops being one.
    """
    tokens = TokenStream(text, _TOKENS, AlarmRuleError)
    root = _either(tokens)
    tokens.expect_end()
    return AlarmRule(text, root.names(), root)


def _either(tokens: TokenStream) -> _Node:
    nodes = [_both(tokens)]
    while tokens.accept("OR"):
        nodes.append(_both(tokens))
    return nodes[0] if len(nodes) == 1 else _AtLeast(1, tuple(nodes))


def _both(tokens: TokenStream) -> _Node:
    nodes = [_negated(tokens)]
    while tokens.accept("AND"):
        nodes.append(_negated(tokens))
    return nodes[0] if len(nodes) == 1 else _AtLeast(len(nodes), tuple(nodes))


def _negated(tokens: TokenStream) -> _Node:
    with tokens.nested():
        return _Not(_negated(tokens)) if tokens.accept("NOT") else _condition(tokens)


def _condition(tokens: TokenStream) -> _Node:
    if tokens.accept("("):
        node = _either(tokens)
        tokens.expect(")")
        return node
    if constant := tokens.accept("TRUE", "FALSE"):
        return _Constant(constant.text == "TRUE")
    if tokens.accept("AT_LEAST"):
        return _at_least(tokens)
    state = tokens.accept(*STATES) or tokens.fail("expected ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, NOT or a parenthesis")
    tokens.expect("(")
    node = _InState(_name(tokens), state.text)
    tokens.expect(")")
    return node


def _at_least(tokens: TokenStream) -> _Node:
    """`AT_LEAST(2, ALARM, (a, b, c))`, `AT_LEAST(50%, NOT OK, (a, b))`."""
    tokens.expect("(")
    count = tokens.take().text
    if not re.fullmatch(r"[1-9]\d*%?", count):
        tokens.fail(f"expected a number or a percentage of alarms, not {count!r}")
    tokens.expect(",")
    negated = tokens.accept("NOT") is not None
    state = (tokens.accept(*STATES) or tokens.fail("expected an alarm state")).text
    tokens.expect(",")
    tokens.expect("(")
    names = [_name(tokens)]
    while tokens.accept(","):
        names.append(_name(tokens))
    tokens.expect(")")
    tokens.expect(")")
    nodes: tuple[_Node, ...] = tuple(_InState(name, state) for name in names)
    if negated:
        nodes = tuple(_Not(node) for node in nodes)
    needed = math.ceil(len(nodes) * int(count[:-1]) / 100) if count.endswith("%") else int(count)
    return _AtLeast(needed, nodes)


def _name(tokens: TokenStream) -> str:
    token = tokens.accept_kind("string", "word")
    if token is None or token.kind == END:
        tokens.fail("expected the name of an alarm")
    name = unquote(token.text) if token.kind == "string" else token.text
    match = _ARN.fullmatch(name)
    return match["name"] if match else name
