"""The picture of `isolation_harness`: what one execution of tenant A touched, table by table, and what the probes got."""

from collections import Counter

from matplotlib.figure import Figure

from phase5_ops.evidence.picture import BLUE, GREEN, ORANGE, PURPLE, RED, label, name_lines
from phase5_ops.sections.isolation.harness.evidence import AccessKind, Harness, Result

_MOST_LINES = 40
_LOOKED_AT = (AccessKind.WRITE, AccessKind.READ, AccessKind.PROBE)
_PROBES = "cross-tenant probes"
#: Result -> colour and hatching, in the order of the bars' parts.
_FORMS = {
    Result.VIOLATION: (RED, "xx"),
    Result.NOT_JUDGED: (PURPLE, ".."),
    Result.SET_ASIDE: (ORANGE, "\\\\"),
    Result.APPROVED: (BLUE, "//"),
    Result.IN_SCOPE: (GREEN, ""),
    Result.REFUSED: (GREEN, ""),
}
_NAMES = {Result.APPROVED: "without tenant, approved", Result.IN_SCOPE: "tenant A's own", Result.REFUSED: "probes refused"}


def plot_footprint(harness: Harness) -> Figure | None:
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
    part = 0.26 * max(len(lines), 2)
    height = part + 1.1
    figure = Figure(figsize=(10, height))
    axes = figure.add_axes((0.3, 0.1 / height, 0.4, part / height))
    for result, (colour, hatch) in _FORMS.items():
        if not (here := [position for position, line in enumerate(lines) if counts[line][result]]):
            continue
        axes.barh(
            here,
            [counts[lines[position]][result] / counts[lines[position]].total() for position in here],
            0.66,
            left=[_before(counts[lines[position]], result) for position in here],
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
            label=_NAMES.get(result, str(result)),
        )
    for position, line in enumerate(lines):
        said = ", ".join(f"{counts[line][result]:,} {result}" for result in _FORMS if counts[line][result])
        axes.text(1.01, position, said or str(counts[line].total()), fontsize=8, va="center")
    axes.set_xlim(0, 1)
    name_lines(axes, [f"{label(table, 36)} {how}".strip() for table, how in lines])
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    figure.legend(fontsize=8, loc="upper center", ncols=6, frameon=False, bbox_to_anchor=(0.5, 1 - 0.38 / height))
    figure.suptitle(
        "What one execution of tenant A touched, and what requests across tenants got", fontsize=11, y=1 - 0.18 / height
    )
    return figure


def _before(counts: Counter[Result], result: Result) -> float:
    """Where the part of a result begins in its bar."""
    order = list(_FORMS)
    return sum(counts[each] for each in order[: order.index(result)]) / counts.total()
