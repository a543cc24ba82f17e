"""The breakers' history for people: Markdown of the states of every connector over the latest runs. Pure."""

from collections.abc import Sequence

from phase5_ops.ccnative.breaker_records import CLOSED, HALF_OPEN, OPEN
from phase5_ops.clock import iso
from phase5_ops.evidence.history import Snapshot

_SIGNS = {CLOSED: "●", OPEN: "○", HALF_OPEN: "◐"}  # they differ in form, and every font has them
_ABSENT = "·"
_OTHER = "?"

LEGEND = f"{_SIGNS[CLOSED]} CLOSED, {_SIGNS[OPEN]} OPEN, {_SIGNS[HALF_OPEN]} HALF_OPEN, {_OTHER} other, {_ABSENT} not observed"


def timeline(history: Sequence[Snapshot], *, runs: int = 24, changes: int = 20) -> str:
    """Two Markdown tables: a line of signs per connector (one sign per run, newest right), and the latest changes of state.

    Args:
        history: snapshots in the order of writing, those of the present run last.
        runs: how many of the latest runs to show.
        changes: how many of the latest changes to show.
    """
    if not history:
        return "No snapshot of a breaker yet."
    run_ids = list(dict.fromkeys(snapshot.run_id for snapshot in history))[-runs:]
    stamps = {snapshot.run_id: iso(snapshot.observed_at) for snapshot in history}
    lines = [
        f"Last {len(run_ids)} run(s), {stamps[run_ids[0]]} to {stamps[run_ids[-1]]}. {LEGEND}.",
        "",
        "| connector | states, newest right | now |",
        "|---|---|---|",
        *(_line(connector, history, run_ids) for connector in sorted({snapshot.subject for snapshot in history})),
    ]
    changed = _changes(history)[-changes:]
    if changed:
        lines += ["", "| seen at | connector | from | to |", "|---|---|---|---|", *reversed(changed)]
    return "\n".join(lines)


def _line(connector: str, history: Sequence[Snapshot], run_ids: Sequence[str]) -> str:
    states = {snapshot.run_id: snapshot.payload.get("state") for snapshot in history if snapshot.subject == connector}
    signs = "".join(_sign(states.get(run_id)) for run_id in run_ids)
    return f"| {_cell(connector)} | {signs} | {_cell(states.get(run_ids[-1]))} |"


def _sign(state: object) -> str:
    return _ABSENT if state is None else _SIGNS.get(str(state), _OTHER)


def _cell(value: object) -> str:
    """Text that cannot break out of its table cell; formatted as code, since names hold underscores."""
    text = "not observed" if value is None else " ".join(str(value).split())
    return "`" + text.replace("`", "'").replace("|", "\\|") + "`"


def _changes(history: Sequence[Snapshot]) -> list[str]:
    latest: dict[str, object] = {}
    rows = []
    for snapshot in history:
        state = snapshot.payload.get("state")
        if snapshot.subject in latest and latest[snapshot.subject] != state:
            before = latest[snapshot.subject]
            rows.append(f"| {iso(snapshot.observed_at)} | {_cell(snapshot.subject)} | {_cell(before)} | {_cell(state)} |")
        latest[snapshot.subject] = state
    return rows
