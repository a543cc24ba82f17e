"""docs/performance.md, made from the kept results and what the figures say of themselves."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from benchmarks.figure import Figure, Target
from benchmarks.plots import plotted
from benchmarks.results import FigureResult, Quantity, SideResult, SizeResult, Spread, growth, ratio

_HEAD = """# Performance

How fast `phase5_ops` is and how much memory it takes: each figure beside what it is compared with, over sizes, and what it has to
reach. `python -m benchmarks` measures all of it again and writes this page (`pip install -e '.[bench]'`; `--list` names the
figures, `python -m benchmarks NAME` measures one); the numbers are kept in `benchmarks/results`.

How it is measured: every measurement in a process of its own, the sides of a figure by turns, in the other order every other
round. CPU is user and system time of all threads and of the children that ended with the work. Memory is the peak, mapped files
included; for a command the sum over its processes, for work inside a process what that process held, imports included. A ratio is
the middle of the rounds' ratios, with the least and the greatest behind it. Seconds stand here so that a reader can see what the
ratios are made of; they are those of this machine, and judge nothing by themselves.
"""


def page(results: Mapping[str, FigureResult], figures: Mapping[str, Figure]) -> str:
    """The whole page; figures without a result are named as not measured."""
    parts = [_HEAD, _circumstances(results.values()), "## All figures\n", _overview(results, figures)]
    for name, figure in figures.items():
        parts.append(_section(figure, results.get(name)))
    return "\n".join(parts)


def _circumstances(results: Iterable[FigureResult]) -> str:
    machines = {each.circumstances.machine.model_dump_json(): each.circumstances.machine for each in results}
    versions = {f"{name} {value}" for each in results for name, value in each.circumstances.versions.items()}
    lines = [
        f"Machine: {each.processor}, {each.cores} cores, {each.memory_gib} GiB, {each.system}." for each in machines.values()
    ]
    lines.append(f"Versions: {', '.join(sorted(versions, key=str.lower))}.")
    return "\n".join(lines) + "\n"


def _overview(results: Mapping[str, FigureResult], figures: Mapping[str, Figure]) -> str:
    lines = [
        "| figure | size | compared with | CPU | clock | peak MiB (theirs) | CPU of before | clock of before | targets |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, figure in figures.items():
        result = results.get(name)
        if result is None:
            lines.append(f"| [{figure.title}](#{_anchor(figure)}) | | | **not measured** | | | | | {_unmet(figure)} |")
        else:
            lines += (_overview_line(figure, result, side.name) for side in figure.sides)
    return "\n".join(lines) + "\n"


def _overview_line(figure: Figure, result: FigureResult, side: str) -> str:
    last = result.sizes[-1]
    mine, theirs = last.sides.get(side), None if figure.reference is None else last.sides.get(figure.reference.name)
    title = f"[{figure.title}](#{_anchor(figure)})" + (f", {side}" if len(figure.sides) > 1 else "")
    reference = "itself, smaller" if figure.reference is None else figure.reference.name
    cells = [title, f"{last.size:,} {figure.unit}", reference]
    cells += [_compared(result, side, mine, theirs, quantity) for quantity in _TIMES]
    cells.append("" if mine is None else _mib(mine) + (f" ({_mib(theirs)})" if theirs else ""))
    before = last.before.get(side)
    cells += ["" if before is None or mine is None else _times(ratio(mine, before, quantity)) for quantity in _TIMES]
    cells.append("; ".join(_judged(figure, target, result) for target in figure.targets) if side == figure.sides[0].name else "")
    return _row(cells)


_TIMES: tuple[Quantity, Quantity] = ("cpu", "clock")


def _compared(result: FigureResult, side: str, mine: SideResult | None, theirs: SideResult | None, quantity: Quantity) -> str:
    """The ratio to the reference; without one, how much more than the smallest size it takes."""
    if mine is None:
        return f"**not measured: {result.sizes[-1].absent.get(side, 'no result')}**"
    if theirs is not None:
        return _times(ratio(mine, theirs, quantity))
    missing = [text for name, text in result.sizes[-1].absent.items() if not name.endswith(" before")]
    if missing:
        return f"**not measured: {'; '.join(missing)}**"
    if len(result.sizes) == 1:
        return ""
    size, grown = growth(result.sizes, side, quantity)[-1]
    return f"{grown:.3g} times at {size / result.sizes[0].size:,.0f} times the size"


def _times(spread: Spread) -> str:
    return f"**{spread.median:.2f}** ({spread.least:.2f} to {spread.most:.2f})"


def _mib(side: SideResult) -> str:
    return f"{Spread.of(side.peak_mib).median:,.0f}"


def _judged(figure: Figure, target: Target, result: FigureResult) -> str:
    """The target, what was reached, and whether that is enough; what cannot be judged is said to be so."""
    try:
        value = target.value(result, figure.sides[0].name)
    except LookupError:
        return f"{target.says}: **not measured**"
    return f"{target.says}: {value:.3g}, {'met' if value <= target.at_most else '**missed**'}"


def _unmet(figure: Figure) -> str:
    return "; ".join(f"{target.says}: **not measured**" for target in figure.targets)


def _row(cells: Iterable[str]) -> str:
    """A row of a table; a command with a pipe stays in its cell."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _anchor(figure: Figure) -> str:
    """The heading's anchor as GitHub makes it."""
    kept = "".join(letter for letter in figure.title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _section(figure: Figure, result: FigureResult | None) -> str:
    lines = [f"## {figure.title}", "", f"`python -m benchmarks {figure.name}`. {_one_line(figure.measures)}", ""]
    if result is None:
        return "\n".join([*lines, "**Not measured.**", ""])
    lines += [f"- {_judged(figure, target, result)}" for target in figure.targets]
    lines += [""] if figure.targets else []
    lines += [
        f"| {figure.unit} | side | CPU s | clock s | peak MiB | of that before the work | counted |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in result.sizes:
        lines += _size_lines(each)
    rounds = max((len(side.cpu) for each in result.sizes for side in each.sides.values()), default=0)
    made = result.circumstances
    against = f", before: `{made.before}`" if made.before else ""
    lines += ["", f"Commit `{made.commit}`{against}, {made.when}, {rounds} rounds.", ""]
    if len(plotted(figure, result)) > 0:
        lines += [f"![{figure.title}: growth over {figure.unit}](images/performance-{figure.name}.svg)", ""]
    return "\n".join(lines)


def _size_lines(found: SizeResult) -> Iterator[str]:
    for label, side in (*found.sides.items(), *((f"{name} before", each) for name, each in found.before.items())):
        times = (_seconds(side.values(quantity)) for quantity in _TIMES)
        held = f"{Spread.of(side.held_mib).median:,.0f}" if any(side.held_mib) else ""
        counts = ", ".join(f"{name} {count:,.10g}" for name, count in side.counts.items())
        yield _row([f"{found.size:,}", label, *times, _mib(side), held, counts])
    for label, reason in found.absent.items():
        yield _row([f"{found.size:,}", label, f"**not measured: {reason}**", "", "", "", ""])


def _seconds(values: list[float]) -> str:
    spread = Spread.of(values)
    return f"{spread.median:.3g} ({spread.least:.3g} to {spread.most:.3g})"


def write(results: Mapping[str, FigureResult], figures: Mapping[str, Figure], folder: Path) -> None:
    """Writes performance.md and its plots below `folder`, which is docs or stands for it."""
    from benchmarks.plots import write_plots

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "performance.md").write_text(page(results, figures), encoding="utf-8")
    write_plots(results, figures, folder / "images")
