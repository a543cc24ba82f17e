"""The worst findings of a row, and where the others stand: a page that lists ten thousand is read by nobody. Pure.

What people look at has these (HTML, Markdown, JUnit, SARIF); what programs take apart (JSON, CSV, OCSF, OSCAL) has every finding.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from heapq import nsmallest
from typing import TypeVar

from phase5_ops.checklist import ROW_OF_CHECK
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.release import LEFT_OUT

SHOWN = 50  # findings of a row, and lines of any other list, in what people look at

Item = TypeVar("Item")


def worst_findings(findings: Iterable[FindingEntry], most: int = SHOWN) -> list[FindingEntry]:
    """At most so many findings, by severity, code, subject and what was seen; the first of each code is among them."""
    ordered = sorted(findings, key=lambda each: (-each.verdict.severity, each.code, each.subject, each.seen))
    return chosen(ordered, most, kind=lambda each: (each.verdict, each.code), severity=lambda each: each.verdict.severity)


def chosen(items: Sequence[Item], most: int, *, kind: Callable[[Item], Hashable], severity: Callable[[Item], int]) -> list[Item]:
    """At most so many of the items, in their order: the first of each kind, then the most severe, then those that come first."""
    if len(items) <= most:
        return list(items)
    first = set({kind(item): place for place, item in reversed(list(enumerate(items)))}.values())
    places = nsmallest(most, range(len(items)), key=lambda place: (place not in first, -severity(items[place]), place))
    return [items[place] for place in sorted(places)]


def more(entry: RowEntry, shown: int) -> str:
    """How many findings a row has beside those shown, and where they are; "" where it has no more."""
    left = len(entry.findings) - shown + int(entry.facts.get(LEFT_OUT, 0))
    if left <= 0:
        return ""
    row = ROW_OF_CHECK.get(entry.check)
    if row is None or row.is_sign_off:
        return f"and {left:,} more: --format json has all"
    return f"and {left:,} more: see verdicts/{entry.check}.json in the run's evidence folder"


def first_lines(lines: Sequence[str], most: int = SHOWN, rest: str = "--format json has all") -> list[str]:
    """The first of these lines, and how many more there are and where."""
    return [*lines[:most], *([f"and {len(lines) - most:,} more: {rest}"] if len(lines) > most else [])]
