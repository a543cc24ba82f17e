"""Executions matched with measured calls, and their failures with measured errors: what is left over, however one matches. Pure.

An execution is a span of five-minute windows, and takes one call of them. All is matched one to one: one call that was not
measured excuses one failure that is no error, and not several. How many may be left over is for the judge to say.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Windows = Counter[int]  # start of a five-minute window, epoch seconds -> calls
Spans = Counter[tuple[int, int]]  # first and last window -> executions


@dataclass(frozen=True, slots=True)
class Matched:
    """What came of matching executions with metrics.

    Attributes:
        executions, failures: all of them, and those that reported a failure.
        missing: executions that no measured call can be.
        no_error: reported failures that no measured error can be.
        excused: how many of these can be among the missing: what was not measured at all is no success in the metrics.
    """

    executions: Spans
    failures: Spans
    missing: Spans
    no_error: Spans
    excused: int

    @property
    def unmeasured(self) -> int:
        """How many executions no measured call can be."""
        return self.missing.total()

    @property
    def hidden(self) -> int:
        """How many reported failures are successes in the metrics."""
        return self.no_error.total() - self.excused


def matched(executions: Spans, failures: Spans, calls: Windows, errors: Windows) -> Matched:
    """One tool's executions, the failures among them, and its metrics."""
    missing, no_error = unmatched(executions, calls), unmatched(failures, errors)
    # As many as fewer are missing without them: then all the others can still be as many calls as before.
    excused = missing.total() - unmatched(executions - no_error, calls).total() if missing and no_error else 0
    return Matched(executions, failures, missing, no_error, excused)


def matched_with_any(executions: Spans, failures: Spans, tools: Iterable[Matched], calls: Windows, errors: Windows) -> Matched:
    """Executions of any tool, matched with the calls of all tools that the executions of known tools leave.

    Args:
        executions: those whose tool is not known.
        failures: those of them that reported a failure.
        tools: of each tool, its own executions as they were matched: those that took a call go on taking one.
        calls: of all tools together.
        errors: of all tools together.
    """
    known, known_failures = Spans(), Spans()
    for tool in tools:
        known += tool.executions - tool.missing
        known_failures += tool.failures - tool.no_error
    missing, no_error = unmatched(executions + known, calls), unmatched(failures + known_failures, errors)
    return Matched(executions, failures, missing, no_error, min(missing.total(), no_error.total()))


def unmatched(spans: Spans, windows: Mapping[int, int]) -> Spans:
    """The executions that are left over when each has taken one call of its windows.

    Each window gives its calls to the spans that end first, which leaves over as few as possible (earliest deadline first).
    """
    waiting = sorted((first, last, count) for (first, last), count in spans.items())
    left = Spans()
    open_: list[list[int]] = []  # last window, first window, how many
    position = 0
    for window in sorted({*windows, *(first for first, _, _ in waiting)}):
        while position < len(waiting) and waiting[position][0] <= window:
            first, last, count = waiting[position]
            heapq.heappush(open_, [last, first, count])
            position += 1
        available = windows.get(window, 0)
        while open_ and open_[0][0] < window:
            last, first, count = heapq.heappop(open_)
            left[first, last] += count
        while open_ and available:
            taken = min(available, open_[0][2])
            available -= taken
            open_[0][2] -= taken
            if not open_[0][2]:
                heapq.heappop(open_)
    for last, first, count in open_:
        left[first, last] += count
    return left
