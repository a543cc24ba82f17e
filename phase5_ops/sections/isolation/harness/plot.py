"""The picture of `isolation_harness`: what one execution of tenant A touched, table by table, and what the probes got."""

from collections import Counter

from phase5_ops.evidence.drawing import Drawing, Fill
from phase5_ops.evidence.panel import BLUE, GREEN, ORANGE, PURPLE, RED, LegendEntry, Panel, label, legend
from phase5_ops.sections.isolation.harness.evidence import AccessKind, Harness, Result

_MOST_LINES = 40
_LOOKED_AT = (AccessKind.WRITE, AccessKind.READ, AccessKind.PROBE)
_PROBES = "cross-tenant probes"
#: Result -> colour and hatching, in the order of the bars' parts.
_FORMS = {
    Result.VIOLATION: Fill(RED, "xx"),
    Result.NOT_JUDGED: Fill(PURPLE, ".."),
    Result.SET_ASIDE: Fill(ORANGE, "\\\\"),
    Result.APPROVED: Fill(BLUE, "//"),
    Result.IN_SCOPE: Fill(GREEN),
    Result.REFUSED: Fill(GREEN),
}
_NAMES = {Result.APPROVED: "without tenant, approved", Result.IN_SCOPE: "tenant A's own", Result.REFUSED: "probes refused"}


def plot_footprint(harness: Harness) -> Drawing | None:
    """A bar a table, each as long as what it names is many: keys written, keys read, and probes, by what was found of them.

    Bars show parts of their own whole, since there are a hundred times as many probes as keys; the numbers stand beside them.
    None where nothing was written, read or tried.
    """
    counts: dict[tuple[str, str], Counter[Result]] = {}
    for row in harness.rows:
        if row.kind in _LOOKED_AT:
            name = (
                (_PROBES, "")
                if row.kind is AccessKind.PROBE
                else (row.table, "written" if row.kind is AccessKind.WRITE else "read")
            )
            counts.setdefault(name, Counter())[row.result] += 1
    if not counts:
        return None
    lines = sorted(counts, key=lambda each: (-counts[each][Result.VIOLATION], -counts[each][Result.NOT_JUDGED], each))[
        :_MOST_LINES
    ]
    high = 18.7 * max(len(lines), 2)
    drawing = Drawing("What one execution of tenant A touched, and what requests across tenants got", 720, high + 72)
    panel = Panel(drawing, 216, 62, 288, high, (0, 1), (-0.5, len(lines) - 0.5))
    entries = []
    for result, fill in _FORMS.items():
        if here := [(position, counts[line]) for position, line in enumerate(lines) if counts[line][result]]:
            panel.bars((_part(found, result, position) for position, found in here), fill)
            entries.append(LegendEntry(_NAMES.get(result, str(result)), fill))
    for position, line in enumerate(lines):
        said = ", ".join(f"{counts[line][result]:,} {result}" for result in _FORMS if counts[line][result])
        drawing.text(panel.right + 4, panel.y(position), said or str(counts[line].total()))
    panel.names([f"{label(table, 36)} {how}".strip() for table, how in lines])
    panel.edges("left")
    legend(drawing, entries, 360, 36, width=680)
    return drawing


def _part(counts: Counter[Result], result: Result, position: int) -> tuple[float, float, float, float]:
    """Where the part of a result is in the bar of its line."""
    order = list(_FORMS)
    before = sum(counts[each] for each in order[: order.index(result)])
    return before / counts.total(), position - 0.33, (before + counts[result]) / counts.total(), position + 0.33
