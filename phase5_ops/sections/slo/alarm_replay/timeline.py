"""States over time, as pieces that follow each other; a piece that is missing is a time of which the state is not known. Pure."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from phase5_ops.cloudwatch.alarm_evaluation import ALARM

Span = tuple[int, int]
"""From a moment to before another, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class StateSpan:
    """One state, from `start` to before `end` (epoch seconds)."""

    start: int
    end: int
    state: str


@dataclass(frozen=True)
class Timeline:
    """The states of one alarm, oldest first; asked for each breach, so what is made of them is kept."""

    pieces: Sequence[StateSpan] = ()

    def at(self, moment: int) -> str | None:
        """The state at a moment; None where it is not known."""
        before = bisect_right(self.pieces, moment, key=lambda piece: piece.start)
        piece = self.pieces[before - 1] if before else None
        return piece.state if piece is not None and moment < piece.end else None

    def knows(self, start: int, end: int) -> bool:
        """Whether the state is known at every moment from `start` to before `end`."""
        return any(first <= start and end <= last for first, last in self.known) or start >= end

    def first_within(self, span: Span) -> StateSpan | None:
        """The first piece that reaches into a span; None where nothing of it is known."""
        return next((piece for piece in self.pieces if overlaps((piece.start, piece.end), span)), None)

    def since(self, moment: int) -> "Timeline":
        """What is known of it from a moment on."""
        return Timeline([replace(piece, start=max(piece.start, moment)) for piece in self.pieces if piece.end > moment])

    @cached_property
    def known(self) -> list[Span]:
        """The spans in which the state is known."""
        return merged((piece.start, piece.end) for piece in self.pieces)

    @cached_property
    def firing(self) -> list[Span]:
        """The spans in which it is in ALARM."""
        return merged((piece.start, piece.end) for piece in self.pieces if piece.state == ALARM)


def merged(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Spans in order, those that overlap, touch or are at most `gap` seconds apart made one."""
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def in_common(some: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """The spans that both have in common."""
    return merged((max(start, first), min(end, last)) for start, end in some for first, last in others)


def without(some: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """What of some spans is in none of the others; both are in order, and none overlaps another of its own."""
    left: list[Span] = []
    for start, end in some:
        begin = start
        for number in range(bisect_right(others, start, key=lambda span: span[1]), len(others)):
            first, last = others[number]
            if first >= end:
                break
            left.append((begin, first))
            begin = last
        left.append((begin, end))
    return [span for span in left if span[0] < span[1]]


def unbroken(evaluated: Iterable[tuple[int, str | None]], end: int) -> Iterator[tuple[int, int, str | None]]:
    """(from, until, state) of states that were found at some moments and held until the next, the last one until `end`."""
    since: int | None = None
    state: str | None = None
    for at, found in evaluated:
        if since is not None and found != state:
            yield since, at, state
        if since is None or found != state:
            state, since = found, at
    if since is not None:
        yield since, end, state


def pieced(evaluated: Iterable[tuple[int, int, str]]) -> Timeline:
    """A timeline of states that were found one after the other, (start, end, state), neighbours of one state made one piece."""
    pieces: list[StateSpan] = []
    for start, end, state in evaluated:
        if pieces and pieces[-1].end == start and pieces[-1].state == state:
            pieces[-1] = StateSpan(pieces[-1].start, end, state)
        else:
            pieces.append(StateSpan(start, end, state))
    return Timeline(pieces)


def overlaps(first: Span, second: Span) -> bool:
    """Whether two spans have a moment in common."""
    return first[0] < second[1] and second[0] < first[1]


def combined(timelines: Sequence[Timeline], state_of: Callable[[Sequence[str | None]], str | None]) -> Timeline:
    """The timeline whose state at each moment is made of the states of others then; None: not known."""
    edges = sorted({edge for line in timelines for piece in line.pieces for edge in (piece.start, piece.end)})
    found = ((start, end, state_of([line.at(start) for line in timelines])) for start, end in pairwise(edges))
    return pieced((start, end, state) for start, end, state in found if state is not None)
