"""The use of a release's waivers: whether each is in force and needed, what it excuses in vain, for how many releases. Pure.

Nothing is decided here; `waivers.py` says what a waiver does, `decide.py` which of them the release needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from phase5_ops.gate.decision.waivers import problem_of
from phase5_ops.gate.records import Decision, GateInputs, Pair, Waiver

#: The promotions of an environment, oldest first: name of the release, and what was waived for it as (row id, pair).
Promotions = Sequence[tuple[str, frozenset[tuple[str, Pair]]]]


@dataclass(frozen=True, slots=True)
class WaiverUse:
    """One waiver of a release.

    Attributes:
        waiver: as it was signed.
        problem: why it does not count; None if it is in force.
        used: the release needs it.
        unmatched: what it excuses although no such finding closes its row; known only for a row with a result.
        in_a_row: for how many releases in a row up to this one the same finding was waived; 1 for this one alone.
    """

    waiver: Waiver
    problem: str | None
    used: bool
    unmatched: tuple[Pair, ...]
    in_a_row: int


def waiver_uses(inputs: GateInputs, decision: Decision, promotions: Promotions) -> tuple[WaiverUse, ...]:
    """Every waiver of a release, by id; none for a run without a release."""
    release = inputs.release
    if release is None:
        return ()
    found = []
    for waiver in sorted(inputs.waivers, key=lambda each: each.id):
        problem = problem_of(waiver, release_digest=release.digest, policy=inputs.policy, now=inputs.now)
        known = waiver.row in decision.facts
        vain = tuple(pair for name, pair in decision.unmatched_waivers if name == waiver.id) if known else ()
        count = releases_in_a_row(waiver.row, waiver.pairs, promotions, release.name)
        found.append(WaiverUse(waiver, problem, waiver.id in decision.waivers_used, vain, count))
    return tuple(found)


def matching_nothing(uses: Iterable[WaiverUse]) -> tuple[str, ...]:
    """A line for each waiver in force that excuses something in vain."""
    return tuple(in_vain(use.waiver, use.unmatched) for use in uses if use.problem is None and use.unmatched)


def in_vain(waiver: Waiver, unmatched: Iterable[Pair]) -> str:
    """That a waiver matches nothing, in words."""
    pairs = ", ".join(f"{code}@{subject}" for code, subject in sorted(unmatched))
    return f"waiver {waiver.id} of row {waiver.row} matches nothing: {pairs}"


def releases_in_a_row(row: str, pairs: Iterable[Pair], promotions: Promotions, release: str) -> int:
    """For how many releases in a row, up to `release`, one of these findings of a row was waived.

    Before it, only promoted releases count. A release that a rollback promoted again counts where it was promoted first.
    """
    first: dict[str, frozenset[tuple[str, Pair]]] = {}
    for name, waived in promotions:
        first.setdefault(name, waived)
    latest_first = [waived for name, waived in first.items() if name != release][::-1]

    def streak(entry: tuple[str, Pair]) -> int:
        return 1 + len(list(takewhile(lambda waived: entry in waived, latest_first)))

    return max((streak((row, pair)) for pair in pairs), default=0)


def in_words(count: int) -> str:
    """A number of releases in a row, for people: `3rd release in a row`."""
    suffix = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{suffix} release in a row"
