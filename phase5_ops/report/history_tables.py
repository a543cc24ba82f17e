"""Past runs, and what changed between two of them, as tables for a terminal of 60 columns and more.

Everything shown is from stored files: it is cleaned of what could steer a terminal, and of markup.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.report.changes import Changes, FigureChange, FindingChange, changes_between
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.past_runs import PastRun
from phase5_ops.report.terminal import STYLE
from phase5_ops.report.verdict_history import RowHistory, VerdictChange, entries
from phase5_ops.text import printable
from phase5_ops.verdict import Verdict

#: The bar of each verdict: the worse, the higher.
BARS = {Verdict.PASS: "▁", Verdict.WARN: "▃", Verdict.INCONCLUSIVE: "▅", Verdict.FAIL: "▇", Verdict.ERROR: "█"}
_NOT_JUDGED, _NO_DOCUMENT = "·", "?"
_LEAST_BARS = 20  # in a table of rows; so many fit beside the rest in 60 columns
_FINDINGS_SHOWN, _FIGURES_SHOWN = 20, 15
_FINDINGS_OF_A_CHANGE = 2
_LONGEST = 200  # characters of a text that is not the only one on its line
_ID_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs, and what changed from one to the other. `remarks`: what makes them differ beside the platform."""

    before: PastRun
    after: PastRun
    changes: Changes
    remarks: tuple[str, ...]


def short(run_id: str) -> str:
    """The beginning of a run id, which names the run wherever no other run begins so."""
    return run_id[:_ID_SHOWN]


def when(moment: datetime | None) -> str:
    """A moment to the minute, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment is not None else "not known"


def marks(run: PastRun) -> list[str]:
    """What sets a run apart from an ordinary whole one."""
    found = []
    if run.document is not None and run.document.covers is not None:
        found.append(f"partial, {', '.join(run.document.covers) or 'no row'} only")
    if run.fixed_clock:
        at = f" at {run.document.evaluated_at}" if run.document is not None else ""
        found.append(f"clock fixed{at}")
    return found


# --- history -----------------------------------------------------------------------------------------------------------------


def render_history(runs: Sequence[PastRun], rows: Sequence[RowHistory], console: Console) -> None:
    """Prints the runs, newest first, and the rows with a bar for each run, oldest first."""
    console.print(_runs(runs))
    if rows:
        console.print()
        console.print(_rows(runs, rows, max(_LEAST_BARS, console.width // 4)))
        console.print()
        console.print(_legend())


def render_row(runs: Sequence[PastRun], row: RowHistory, console: Console) -> None:
    """Prints one row over the runs: its bars, and a line a run with what came and went where its verdict changed."""
    console.print(Text(f"{row.row} {printable(row.title)}", style="bold"))
    console.print(_bars(runs, row, len(runs)))
    console.print(_legend())
    table = _table(("when (UTC)", 0), ("run", 0), ("verdict", 0), ("why", 1))
    changes = {change.run.run_id: change for change in row.changes}
    for run, verdict in zip(runs, reversed(row.verdicts), strict=True):
        change = changes.get(run.run_id)
        why = [_why(change, seen=True)] if change else []
        why += [Text(printable(line), style="dim") for line in (run.problem, *marks(run)) if line]
        table.add_row(when(run.at), printable(short(run.run_id)), _verdict(verdict), Text("\n").join(why))
    console.print(table)
    console.print()


def _runs(runs: Sequence[PastRun]) -> Table:
    table = _table(("when (UTC)", 0), ("run", 0), ("verdicts", 2), ("changed since the whole run before", 3))
    for position, run in enumerate(runs):
        lines = [Text(_cut(line), style="yellow") for line in (run.problem, *marks(run)) if line]
        if run.document is not None and run.document.covers is None:
            lines += _changed(run.document, runs[position + 1 :])
        table.add_row(when(run.at), printable(short(run.run_id)), _verdicts(run.document), Text("\n").join(lines))
    return table


def _changed(document: ReadinessDocument, older: Sequence[PastRun]) -> Iterator[Text]:
    before = next((run.document for run in older if run.document is not None and run.document.covers is None), None)
    for change in changes_between(before, document).rows:
        yield Text.assemble(f"{printable(change.row)} ", _verdict(change.before), " → ", _verdict(change.after))


def _verdicts(document: ReadinessDocument | None) -> Text:
    """The rows of each verdict, the worst first; those that PASS are only counted, sign-offs are left out."""
    if document is None:
        return Text("no document", style="bold red")
    lines = []
    of = {verdict: [e.id for e in entries(document) if e.verdict is verdict and not is_sign_off(e.id)] for verdict in Verdict}
    for verdict in reversed(Verdict):
        if of[verdict] and verdict is not Verdict.PASS:
            lines.append(Text.assemble(_verdict(verdict), f" {', '.join(map(printable, of[verdict]))}"))
    lines.append(Text.assemble(_verdict(Verdict.PASS), f" {len(of[Verdict.PASS])} of {sum(map(len, of.values()))}"))
    return Text("\n").join(lines)


def is_sign_off(row: str) -> bool:
    """Whether a row is a sign-off, which belongs to a release: no readiness run has one."""
    return row in ROW_OF_ID and ROW_OF_ID[row].is_sign_off


def _rows(runs: Sequence[PastRun], rows: Sequence[RowHistory], bars: int) -> Table:
    table = _table(("row", 0), ("what", 2), ("oldest to newest", 0), ("last change, and why", 4))
    for row in rows:
        now = Text.assemble(_bars(runs, row, bars), "\n", _verdict(row.now))
        name = row.row if "." in row.row else "extra"
        table.add_row(printable(name), _cut(row.title), now, _last_change(row))
    return table


def _last_change(row: RowHistory) -> Text:
    if not row.changes:
        judged = sum(verdict is not None for verdict in row.verdicts)
        return Text(f"none in {judged} run{'' if judged == 1 else 's'}", style="dim")
    change = row.changes[0]
    return Text.assemble(f"{when(change.run.at)} {printable(short(change.run.run_id))}\n", _why(change))


def _why(change: VerdictChange, *, seen: bool = False) -> Text:
    lines = [Text.assemble(_verdict(change.before), " → ", _verdict(change.after))]
    for word, found in (("came", change.came), ("went", change.went)):
        for each in found[:_FINDINGS_OF_A_CHANGE]:
            lines.append(Text(f"{word} {printable(each.code)} {_cut(each.subject)}{f': {_cut(each.seen)}' if seen else ''}"))
        if len(found) > _FINDINGS_OF_A_CHANGE:
            lines.append(Text(f"{word} {len(found) - _FINDINGS_OF_A_CHANGE} more", style="dim"))
    if change.policy_changed:
        lines.append(Text("the settings changed, too", style="yellow"))
    return Text("\n").join(lines)


def _bars(runs: Sequence[PastRun], row: RowHistory, most: int) -> Text:
    """A bar for each run, the newest last; of more runs than `most`, the beginning is left out."""
    text = Text("…" if len(runs) > most else "", style="dim")
    for run, verdict in list(zip(reversed(runs), row.verdicts, strict=True))[-most + len(text) :]:
        if verdict is not None:
            text.append(BARS[verdict], style=STYLE[verdict])
        else:
            text.append(_NO_DOCUMENT if run.document is None else _NOT_JUDGED, style="dim")
    return text


def _legend() -> Text:
    bars = "  ".join(f"{bar} {verdict}" for verdict, bar in BARS.items())
    return Text(f"{bars}  {_NOT_JUDGED} not judged  {_NO_DOCUMENT} no document", style="dim")


# --- diff --------------------------------------------------------------------------------------------------------------------


def render_diff(compared: Compared, console: Console, *, everything: bool) -> None:
    """Prints what changed from one run to another; with `everything`, however much that is."""
    changes = compared.changes
    for word, run in (("from", compared.before), ("to", compared.after)):
        said = "; ".join(marks(run))
        console.print(Text(printable(f"{word:<4} {run.run_id} {when(run.at)}Z{f' ({said})' if said else ''}")))
    for remark in compared.remarks:
        console.print(Text(printable(remark), style="yellow"))
    if changes.nothing:
        console.print(Text("\nNothing changed: no verdict, no finding, no figure.", style="bold"))
        return
    parts = {
        "Verdicts": _row_changes(changes),
        "Findings that came": _finding_changes(changes.came, everything=everything),
        "Findings that went": _finding_changes(changes.went, everything=everything),
        "Figures that moved": _figure_changes(changes.figures, everything=everything),
    }
    for title, part in parts.items():
        console.print(Text(f"\n{title}", style="bold"))
        console.print(Padding(part, (0, 0, 0, 2)))


def _row_changes(changes: Changes) -> RenderableType:
    if not changes.rows:
        return Text("none changed", style="dim")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for change in changes.rows:
        verdicts = Text.assemble(_verdict(change.before), " → ", _verdict(change.after))
        table.add_row(printable(change.row), verdicts, _cut(change.title))
    return table


def _finding_changes(found: Sequence[FindingChange], *, everything: bool) -> RenderableType:
    if not found:
        return Text("none", style="dim")
    shown = found if everything else found[:_FINDINGS_SHOWN]
    lines: list[RenderableType] = []
    for each in shown:
        subject, seen = (printable(text) if everything else _cut(text) for text in (each.subject, each.seen))
        lines.append(
            Text.assemble(_verdict(each.verdict), f" {printable(each.row)} ", (printable(each.code), "bold"), f" {subject}")
        )
        lines.append(Padding(Text(f"seen {seen}"), (0, 0, 0, 4)))
    return Group(*lines, *_more(len(found) - len(shown)))


def _figure_changes(figures: Sequence[FigureChange], *, everything: bool) -> RenderableType:
    if not figures:
        return Text("none", style="dim")
    shown = figures if everything else figures[:_FIGURES_SHOWN]
    table = Table(box=None, show_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name, justify in (("row", "left"), ("figure", "left"), ("before", "right"), ("after", "right"), ("change", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for each in shown:
        figure = _cut(each.fact)
        table.add_row(printable(each.row), figure, _number(each.before), _number(each.after), in_percent(each))
    return Group(table, *_more(len(figures) - len(shown)))


def in_percent(figure: FigureChange) -> str:
    """How far a figure moved from what it was before."""
    if figure.before is None:
        return "new"
    if figure.after is None:
        return "gone"
    if not figure.before:
        return "from 0"
    share = figure.after / figure.before - 1
    return f"{share * 100:+.3g}%" if abs(share) < 10 else f"x {share + 1:.4g}"  # noqa: PLR2004 - beyond it percent say nothing


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.12g}"


def _more(left: int) -> list[Text]:
    return [Text(f"and {left} more: --all shows them", style="dim")] if left > 0 else []


# --- both --------------------------------------------------------------------------------------------------------------------


def _cut(text: str) -> str:
    """The text on one line, with its end left out where it is long."""
    clean = printable(text)
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"


def _verdict(verdict: Verdict | None) -> Text:
    return Text(verdict, style=STYLE[verdict]) if verdict is not None else Text("none", style="dim")


def _table(*columns: tuple[str, int]) -> Table:
    """A table that takes the whole width; a column with a ratio wraps, one without does not."""
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, show_edge=False, leading=0)
    for name, ratio in columns:
        table.add_column(name, ratio=ratio or None, no_wrap=not ratio, overflow="fold")
    return table
