"""The picture of `replay_audit`: how many replays got how far, from the request to their end."""

from matplotlib.figure import Figure

from phase5_ops.evidence.picture import BLUE, GREEN, ORANGE, RED, name_lines
from phase5_ops.sections.replay.audit.evidence import REQUEST, ReplayAudit, ReplayRow

_COMPLETED, _FAILED = "REPLAY_COMPLETED", "REPLAY_FAILED"


def plot_funnel(audit: ReplayAudit) -> Figure | None:
    """A bar a step, with how many got there; the last one in two parts, completed and failed. None without replays.

    Starts and ends without a request stand on their own, since they belong to no step before them.
    """
    rows = audit.rows
    if not rows:
        return None
    requested = [row for row in rows if row.kind == REQUEST]
    started = [row for row in requested if row.start_entries]
    executed = [row for row in started if row.execution_entries]
    completed = [row for row in started if row.terminal == _COMPLETED]
    failed = [row for row in started if row.terminal == _FAILED]
    orphans = len(rows) - len(requested)
    steps: list[tuple[str, list[tuple[int, str, str]]]] = [
        ("requested", [(len(requested), BLUE, "")]),
        ("started", [(len(started), BLUE, "")]),
        ("executed", [(len(executed), BLUE, "")]),
        ("ended", [(len(completed), GREEN, ""), (len(failed), ORANGE, "//")]),
    ]
    if orphans:
        steps.append(("without request", [(orphans, RED, "xx")]))
    texts = [
        str(len(requested)),
        _of(started, requested),
        _of(executed, requested),
        f"{len(completed)} completed, {len(failed)} failed, {len(requested) - len(completed) - len(failed)} without end",
        str(orphans),
    ]
    height = 0.9 + 0.3 * len(steps)
    figure = Figure(figsize=(10, height))
    axes = figure.add_axes((0.16, 0.15 / height, 0.8, 0.3 * len(steps) / height))
    for line, (_, parts) in enumerate(steps):
        left = 0
        for count, colour, hatch in parts:
            axes.barh(
                line, count, 0.62, left=left, color=colour, hatch=hatch, edgecolor="white" if hatch else colour, linewidth=0
            )
            left += count
        axes.text(left, line, f"  {texts[line]}", fontsize=8, va="center")
    name_lines(axes, [name for name, _ in steps])
    axes.set_xlim(0, max(len(requested), orphans, 1) * 1.45)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    window = audit.facts.window
    span = f", {window['from'][:16]} to {window['to'][:16]} UTC" if {"from", "to"} <= window.keys() else ""
    figure.suptitle(f"Replays in the ledger{span}", fontsize=11, y=1 - 0.2 / height)
    return figure


def _of(part: list[ReplayRow], whole: list[ReplayRow]) -> str:
    lost = len(whole) - len(part)
    return f"{len(part)}, {lost} did not get here" if lost else str(len(part))
