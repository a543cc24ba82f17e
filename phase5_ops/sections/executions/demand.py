"""The calls of tools that executions made, by tool and by when they were made: what the metrics must show at least. Pure.

An execution whose tool ran (ACTION_EXECUTED, or ACTION_FAILED with a status) called the tool once at least, and once only if no
try of InvokeTool had to be repeated. The call ended between the execution's start and its end, so its data points lie in one of
the five-minute windows that this time touches, widened by how far clocks may differ. So each execution is a span of windows, and
equal spans are counted together: what is kept grows with tools and windows, not with executions.

The ledger does not name tools. An execution's tool is that of its intent's outcome. A replay finds the outcome of the execution
before it, which says `unknown` where a step before the tool failed, or the call itself: then the replay called some tool. Of an
execution that ended in that way itself it is not known whether and how often a tool was called, and nothing is demanded.
"""

from collections import Counter
from dataclasses import dataclass, field

from phase5_ops.ccnative.executions.stored import Stored
from phase5_ops.ccnative.executions.trails import Trail
from phase5_ops.policy import ExecutionPolicy

WINDOW_SECONDS = 300
_WINDOW_MS = WINDOW_SECONDS * 1000


@dataclass(frozen=True, slots=True)
class CallSpan:
    """Calls that ended in the five-minute windows from `first` to `last`, epoch seconds of their starts.

    `calls` of them there were, and `failed` of these reported a failure.
    """

    first: int
    last: int
    calls: int
    failed: int


@dataclass(frozen=True, slots=True)
class Calls:
    """What is known of calls.

    Attributes:
        by_tool: canonical tool -> its spans, in order of time.
        unnamed: the spans of executions whose tool ran, and is named nowhere.
        ended: executions that ended in the time compared.
        tool_unknown: those of them of which it is not known whether they called a tool.
        refused: those of these that were refused by the connector's breaker or by its limit of calls in flight.
    """

    by_tool: dict[str, list[CallSpan]] = field(default_factory=dict)
    unnamed: list[CallSpan] = field(default_factory=list)
    ended: int = 0
    tool_unknown: int = 0
    refused: int = 0


class ToolCalls:
    """Counts the calls of executions that ended between two moments, in epoch ms."""

    def __init__(self, since: int, until: int, policy: ExecutionPolicy) -> None:
        self._since, self._until, self._edge = since, until, policy.edge_seconds * 1000
        self._calls: Counter[tuple[str, int, int]] = Counter()
        self._failed: Counter[tuple[str, int, int]] = Counter()
        self._ended = self._unknown = self._refused = 0

    def add(self, trail: Trail, outcome: Stored | None) -> None:
        """Counts what one execution called; `outcome` is its intent's, which may be of another execution."""
        if trail.ended is None or not self._since <= trail.ended <= self._until:
            return
        self._ended += 1
        if not trail.reported:
            self._unknown += 1
            self._refused += trail.refused
            return
        began, ended = sorted((trail.started if trail.started is not None else trail.ended, trail.ended))
        tool = outcome.tool if outcome is not None else ""
        span = (tool, _window(began - self._edge), _window(ended + self._edge))
        self._calls[span] += 1
        if not trail.executed:
            self._failed[span] += 1

    def found(self) -> Calls:
        """What was counted."""
        by_tool: dict[str, list[CallSpan]] = {}
        for (tool, first, last), calls in sorted(self._calls.items()):
            by_tool.setdefault(tool, []).append(CallSpan(first, last, calls, self._failed[tool, first, last]))
        unnamed = by_tool.pop("", [])
        return Calls(by_tool, unnamed, self._ended, self._unknown, self._refused)


def _window(at: int) -> int:
    """The start of the five-minute window that a moment lies in, epoch seconds."""
    return at // _WINDOW_MS * WINDOW_SECONDS
