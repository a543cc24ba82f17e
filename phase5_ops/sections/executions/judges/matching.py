"""Executions matched with measured calls, and their failures with measured errors: what is left over, however one matches. Pure.

An execution is a span of five-minute windows, and takes one call of them. All is matched one to one: one call that was not
measured excuses one failure that is no error, and not several. Which executions and which failures are left over is mostly a
choice, so that is chosen which excuses the most. How many may be left over is for the judge to say.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
        excused: those of these that are among the missing: what was not measured at all is no success in the metrics.
    """

    executions: Spans
    failures: Spans
    missing: Spans
    no_error: Spans
    excused: Spans

    @property
    def unmeasured(self) -> int:
        """How many executions no measured call can be."""
        return self.missing.total()

    @property
    def hidden(self) -> Spans:
        """The reported failures that are successes in the metrics."""
        return self.no_error - self.excused

    @property
    def shown(self) -> int:
        """How many reported failures are errors in the metrics."""
        return self.failures.total() - self.no_error.total()


def matched(executions: Spans, failures: Spans, calls: Windows, errors: Windows, beside: Iterable[Matched] = ()) -> Matched:
    """Executions, the failures among them, and the metrics.

    Args:
        executions: of one tool, or of tools that are not known.
        failures: those of them that reported a failure.
        calls: of the tool, or of all tools together.
        errors: those of the calls that failed.
        beside: what took some of these calls before, each tool's own executions: those that took a call go on taking one.
    """
    all_, all_failures = executions, failures
    for tool in beside:
        all_ = all_ + (tool.executions - tool.missing)
        all_failures = all_failures + (tool.failures - tool.no_error)
    excused = _excused(failures, (all_, calls), (all_failures, errors))
    missing, no_error = excused + unmatched(all_ - excused, calls), excused + unmatched(all_failures - excused, errors)
    return Matched(executions, failures, missing, no_error, excused)


def _excused(failures: Spans, *matchings: tuple[Spans, Windows]) -> Spans:
    """The failures that are left over in both matchings at once, of calls and of errors, while no more than before are in either.

    Those that end first are taken first, which in rare arrangements are fewer than could be; never more.
    """
    before = [unmatched(spans, windows).total() for spans, windows in matchings]
    excused = Spans()

    def among(some: Spans) -> int:
        """How many of these can be left over beside the excused: as many as fewer are without them."""
        less = excused + some
        return min(
            left - excused.total() - unmatched(spans - less, windows).total()
            for left, (spans, windows) in zip(before, matchings, strict=True)
        )

    def take(spans: Sequence[tuple[int, int]]) -> None:
        """Excuses as many of these as can be, the first ones first; parts of which none or all can be are not looked into."""
        all_ = Spans({span: failures[span] for span in spans})
        some = among(all_)
        if some == all_.total():
            excused.update(all_)
        elif some and len(spans) == 1:
            excused[spans[0]] = some
        if some in (0, all_.total()) or len(spans) == 1:
            return
        half = len(spans) // 2
        take(spans[:half])
        take(spans[half:])

    if all(before):
        take(sorted(failures, key=lambda span: (span[1], span[0])))
    return excused


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
