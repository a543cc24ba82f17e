"""The picture of `replay_audit`: how many replays got how far, from the request to their end."""

from phase5_ops.evidence.drawing import Drawing, Fill
from phase5_ops.evidence.panel import BLUE, GREEN, ORANGE, RED, Panel
from phase5_ops.sections.replay.audit.evidence import REQUEST, ReplayAudit, ReplayRow

_COMPLETED, _FAILED = "REPLAY_COMPLETED", "REPLAY_FAILED"


def plot_funnel(audit: ReplayAudit) -> Drawing | None:
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
    steps: list[tuple[str, list[tuple[int, Fill]]]] = [
        ("requested", [(len(requested), Fill(BLUE))]),
        ("started", [(len(started), Fill(BLUE))]),
        ("executed", [(len(executed), Fill(BLUE))]),
        ("ended", [(len(completed), Fill(GREEN)), (len(failed), Fill(ORANGE, "//"))]),
    ]
    if orphans:
        steps.append(("without request", [(orphans, Fill(RED, "xx"))]))
    texts = [
        str(len(requested)),
        _of(started, requested),
        _of(executed, requested),
        f"{len(completed)} completed, {len(failed)} failed, {len(requested) - len(completed) - len(failed)} without end",
        str(orphans),
    ]
    window = audit.facts.window
    span = f", {window['from'][:16]} to {window['to'][:16]} UTC" if {"from", "to"} <= window.keys() else ""
    high = 21.0 * len(steps)
    drawing = Drawing(f"Replays in the ledger{span}", 720, high + 54)
    panel = Panel(drawing, 115, 36, 576, high, (0, max(len(requested), orphans, 1) * 1.45), (-0.5, len(steps) - 0.5))
    for line, (_, parts) in enumerate(steps):
        left = 0
        for count, fill in parts:
            if count:
                panel.bars([(left, line - 0.31, left + count, line + 0.31)], fill)
            left += count
        drawing.text(panel.x(left) + 5, panel.y(line), texts[line])
    panel.names([name for name, _ in steps])
    panel.edges("left")
    return drawing


def _of(part: list[ReplayRow], whole: list[ReplayRow]) -> str:
    lost = len(whole) - len(part)
    return f"{len(part)}, {lost} did not get here" if lost else str(len(part))
