"""The rule of a composite alarm: `ALARM("a") AND NOT (OK(b) OR INSUFFICIENT_DATA(c))`.

Pure: what a rule refers to, what it says for given states of those alarms, and whether it can hold at all over the states that
they may take. For the last, one part after the other is assumed to be in a state (`assume`), and a remaining rule that came up
before is not examined again: a rule of a hundred parts joined by OR takes a hundred steps, not 3^100.

Source: CloudWatch API Reference, PutCompositeAlarm, AlarmRule; User Guide, "Create a composite alarm" (AT_LEAST).
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from phase5_ops.cloudwatch.tokens import TokenStream

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")

MOST_STEPS = 2_000
"""Rules that `AlarmRule.witness` examines before it gives up."""

MOST_NODES = 2_000
"""Conditions that a rule may have after its parts are replaced by their own rules."""


MOST_LEVELS = 200
"""Conditions within conditions that a rule may have then: far below Python's own recursion limit."""


class AlarmRuleError(ValueError):
    """The text is not the rule of a composite alarm."""


class RuleTooLarge(ValueError):
    """A rule with too many states to examine."""


class _RuleNode(ABC):
    @abstractmethod
    def holds(self, states: Mapping[str, str]) -> bool: ...

    @abstractmethod
    def replaced(self, replace: "_Replace") -> "_RuleNode":
        """The node with every condition on a part replaced, in its simplest form."""


@dataclass(frozen=True, slots=True)
class _Constant(_RuleNode):
    value: bool

    def holds(self, states: Mapping[str, str]) -> bool:
        return self.value

    def replaced(self, replace: "_Replace") -> _RuleNode:
        return self


_TRUE, _FALSE = _Constant(True), _Constant(False)


@dataclass(frozen=True, slots=True)
class _InState(_RuleNode):
    name: str
    state: str

    def holds(self, states: Mapping[str, str]) -> bool:
        return states.get(self.name) == self.state

    def replaced(self, replace: "_Replace") -> _RuleNode:
        return replace(self)


@dataclass(frozen=True, slots=True)
class _RuleNot(_RuleNode):
    node: _RuleNode

    def holds(self, states: Mapping[str, str]) -> bool:
        return not self.node.holds(states)

    def replaced(self, replace: "_Replace") -> _RuleNode:
        return _not(self.node.replaced(replace))


def _not(node: _RuleNode) -> _RuleNode:
    if isinstance(node, _Constant):
        return _FALSE if node.value else _TRUE
    return node.node if isinstance(node, _RuleNot) else _RuleNot(node)


@dataclass(frozen=True, slots=True)
class _AtLeast(_RuleNode):
    """At least `count` of `nodes`; AND is all of them, OR is one of them."""

    count: int
    nodes: tuple[_RuleNode, ...]

    def holds(self, states: Mapping[str, str]) -> bool:
        return sum(node.holds(states) for node in self.nodes) >= self.count

    def replaced(self, replace: "_Replace") -> _RuleNode:
        return _at_least(self.count, [node.replaced(replace) for node in self.nodes])


def _at_least(count: int, nodes: Iterable[_RuleNode]) -> _RuleNode:
    """At least `count` of `nodes`, without the constants among them."""
    left = []
    for node in nodes:
        if not isinstance(node, _Constant):
            left.append(node)
        elif node.value:
            count -= 1
    if count <= 0:
        return _TRUE
    if count > len(left):
        return _FALSE
    return left[0] if len(left) == 1 else _AtLeast(count, tuple(left))


_Replace = Callable[[_InState], _RuleNode]


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """A composite alarm's rule.

    Attributes:
        text: the rule as written.
        alarm_names: the alarms it refers to, by name (of an ARN: the name at its end).
    """

    text: str
    alarm_names: frozenset[str]
    _root: _RuleNode

    def evaluate(self, states: Mapping[str, str]) -> bool:
        """Whether the rule holds (the composite is in ALARM).

        Args:
            states: alarm name -> OK, ALARM or INSUFFICIENT_DATA. An alarm that is not named is in none of the three.
        """
        return self._root.holds(states)

    @property
    def size(self) -> int:
        """The number of conditions (`ALARM(a) AND OK(b)` has two)."""
        return sum(1 for _ in _conditions(self._root))

    @property
    def levels(self) -> int:
        """How many conditions are at most within each other."""
        most, nodes = 0, [(self._root, 1)]
        while nodes:
            node, level = nodes.pop()
            most = max(most, level)
            within = (node.node,) if isinstance(node, _RuleNot) else node.nodes if isinstance(node, _AtLeast) else ()
            nodes += [(each, level + 1) for each in within]
        return most

    def assume(self, states: Mapping[str, str]) -> "AlarmRule":
        """The rule that remains if these alarms are in these states; an unknown state is none of the three."""
        return self._replaced(_assuming(states))

    def with_rules(self, rules: Mapping[str, "AlarmRule"]) -> "AlarmRule":
        """The rule with the composite alarms among its parts replaced by their own rules.

        A composite alarm is in ALARM where its rule holds, else OK; it has INSUFFICIENT_DATA only until it is first evaluated.

        Raises:
            RuleTooLarge: the rule would have more than `MOST_NODES` conditions, or more than `MOST_LEVELS` within each other.
        """
        deepest = max((rules[name].levels for name in self.alarm_names & rules.keys()), default=0)
        if self.levels + deepest > MOST_LEVELS:
            raise RuleTooLarge(f"more than {MOST_LEVELS} conditions within each other")
        names = [node.name for node in _conditions(self._root)]
        if sum(rules[name].size if name in rules else 1 for name in names) > MOST_NODES:
            raise RuleTooLarge(f"more than {MOST_NODES} conditions")

        def replace(node: _InState) -> _RuleNode:
            if node.name not in rules:
                return node
            held = rules[node.name]._root
            return {"ALARM": held, "OK": _not(held)}.get(node.state, _FALSE)

        return self._replaced(replace)

    def both(self, other: "AlarmRule") -> "AlarmRule":
        """The rule that holds where this one and the other hold."""
        return _rule(f"({self.text}) AND ({other.text})", _at_least(2, (self._root, other._root)))

    def negated(self) -> "AlarmRule":
        """The rule that holds where this one does not."""
        return _rule(f"NOT ({self.text})", _not(self._root))

    def witness(self, may_be: Mapping[str, Sequence[str]], others: Sequence[str] = STATES) -> dict[str, str] | None:
        """States of its alarms in which the rule holds; None if it holds in none that they may take.

        Args:
            may_be: the states that an alarm may take, by name.
            others: the states that every other alarm may take.

        Raises:
            RuleTooLarge: not known after `MOST_STEPS` steps.
        """
        vain: set[_RuleNode] = set()
        steps = 0
        # Depth first, without recursion: a rule may have more parts than Python has stack.
        paths: list[tuple[_RuleNode, dict[str, str]]] = [(self.assume({})._root, {})]
        while paths:
            node, states = paths.pop()
            if node in vain:
                continue
            vain.add(node)
            if node == _TRUE:
                return states
            if node == _FALSE:
                continue
            name = next(_conditions(node)).name
            steps += 1
            if steps > MOST_STEPS:
                raise RuleTooLarge(f"not known after {MOST_STEPS} steps over {len(self.alarm_names)} alarms")
            for state in reversed(may_be.get(name, others)):
                left = node.replaced(_assuming({name: state}))
                paths.append((left, {**states, name: state}))
        return None

    def _replaced(self, replace: _Replace) -> "AlarmRule":
        return _rule(self.text, self._root.replaced(replace))


def alarm_in_alarm(name: str) -> AlarmRule:
    """The rule `ALARM(name)`."""
    return _rule(f"ALARM({name})", _InState(name, "ALARM"))


def _rule(text: str, root: _RuleNode) -> AlarmRule:
    return AlarmRule(text, frozenset(each.name for each in _conditions(root)), root)


def _assuming(states: Mapping[str, str]) -> _Replace:
    return lambda node: (_TRUE if states[node.name] == node.state else _FALSE) if node.name in states else node


def _conditions(node: _RuleNode) -> Iterator[_InState]:
    """The conditions on parts, each as often as it is written."""
    if isinstance(node, _InState):
        yield node
    elif isinstance(node, _RuleNot):
        yield from _conditions(node.node)
    elif isinstance(node, _AtLeast):
        for each in node.nodes:
            yield from _conditions(each)


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
    return _rule(text, root)


def _either(tokens: TokenStream) -> _RuleNode:
    nodes = tokens.separated(_both, "OR")
    return nodes[0] if len(nodes) == 1 else _AtLeast(1, tuple(nodes))


def _both(tokens: TokenStream) -> _RuleNode:
    nodes = tokens.separated(_negated, "AND")
    return nodes[0] if len(nodes) == 1 else _AtLeast(len(nodes), tuple(nodes))


def _negated(tokens: TokenStream) -> _RuleNode:
    with tokens.nested():
        return _RuleNot(_negated(tokens)) if tokens.accept("NOT") else _condition(tokens)


def _condition(tokens: TokenStream) -> _RuleNode:
    if tokens.accept("("):
        node = _either(tokens)
        tokens.expect(")")
        return node
    if constant := tokens.accept("TRUE", "FALSE"):
        return _Constant(constant.text == "TRUE")
    if tokens.accept("AT_LEAST"):
        return _at_least_call(tokens)
    state = tokens.accept(*STATES) or tokens.fail("expected ALARM, OK, INSUFFICIENT_DATA, TRUE, FALSE, NOT or a parenthesis")
    tokens.expect("(")
    node = _InState(_name(tokens), state.text)
    tokens.expect(")")
    return node


def _at_least_call(tokens: TokenStream) -> _RuleNode:
    """`AT_LEAST(2, ALARM, (a, b, c))`, `AT_LEAST(50%, NOT OK, (a, b))`."""
    tokens.expect("(")
    count = tokens.take().text
    if not re.fullmatch(r"[1-9]\d{0,8}%?", count):
        tokens.fail(f"expected a number or a percentage of alarms, not {count!r}")
    tokens.expect(",")
    negated = tokens.accept("NOT") is not None
    state = (tokens.accept(*STATES) or tokens.fail("expected an alarm state")).text
    tokens.expect(",")
    tokens.expect("(")
    names = tokens.separated(_name)
    tokens.expect(")")
    tokens.expect(")")
    nodes: tuple[_RuleNode, ...] = tuple(_InState(name, state) for name in names)
    if negated:
        nodes = tuple(_RuleNot(node) for node in nodes)
    needed = math.ceil(len(nodes) * int(count[:-1]) / 100) if count.endswith("%") else int(count)
    return _AtLeast(needed, nodes)


def _name(tokens: TokenStream) -> str:
    name = tokens.name("string", "the name of an alarm")
    match = _ARN.fullmatch(name)
    return match["name"] if match else name
