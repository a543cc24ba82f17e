"""`python -m benchmarks`: see the package's docstring."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import benchmarks
from benchmarks import page, rounds
from benchmarks.figure import Figure, all_figures
from benchmarks.machine import ROOT, circumstances
from benchmarks.results import FigureResult, SideResult, SizeResult, Spread, keep, kept, ratio

RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, keeps and writes; 0, or 1 where a figure failed or something could not be measured."""
    figures = all_figures()
    asked = _asked(arguments)
    if asked.list:
        for figure in figures.values():
            print(f"{figure.name:<28} {figure.title}; {figure.unit}: {', '.join(f'{size:,}' for size in figure.sizes)}")
        return 0
    if unknown := sorted(set(asked.names) - figures.keys()):
        sys.exit(f"there is no figure {', '.join(unknown)}: --list names them")
    folder, docs = _folders(asked)
    chosen = [] if asked.write else [figures[name] for name in asked.names or figures]
    failed = [figure.name for figure in chosen if not _measured(figure, asked, folder)]
    if docs is not None and folder is not None:
        page.write(kept(folder), figures, docs)
        _say(f"wrote {docs / 'performance.md'}")
    if failed:
        _say(f"FAILED or not whole: {', '.join(failed)}")
    return 1 if failed else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=benchmarks.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures; all where none is named")
    parser.add_argument("--list", action="store_true", help="name the figures and their sizes")
    parser.add_argument("--small", action="store_true", help="one round at the smallest size; kept only with --out")
    parser.add_argument("--against", type=Path, metavar="TREE", help="another checkout of this repository, measured by turns")
    parser.add_argument("--rounds", type=int, metavar="NUMBER", help="instead of the figure's own number")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="keep results, page and plots there, not in this repository")
    parser.add_argument("--write", action="store_true", help="measure nothing, write page and plots from the kept results")
    return parser.parse_args(arguments)


def _folders(asked: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where results are kept, and where the page is written."""
    if asked.out is not None:
        return asked.out / "results", asked.out
    return (None, None) if asked.small else (RESULTS, DOCS)


def _measured(figure: Figure, asked: argparse.Namespace, folder: Path | None) -> bool:
    """Measures a figure, keeps and prints it; whether all of it could be measured."""
    if asked.rounds:
        figure = replace(figure, rounds=asked.rounds)
    began = time.perf_counter()
    before = asked.against.resolve() if asked.against else None
    try:
        result = rounds.measured(figure, circumstances(before), small=asked.small, before=before, say=_say)
    except rounds.Failed as failed:
        _say(f"FAILED: {failed}")
        return False
    if folder is not None:
        keep(result, folder)
    _print(figure, result)
    _say(f"{figure.name}: took {time.perf_counter() - began:.0f} s")
    return not any(label for each in result.sizes for label in each.absent)


def _print(figure: Figure, result: FigureResult) -> None:
    for each in result.sizes:
        start = f"{figure.name} {each.size:>12,}  "
        for label, side in (*each.sides.items(), *((f"{name} before", side) for name, side in each.before.items())):
            cpu, clock, peak = (Spread.of(side.values(name)).median for name in ("cpu", "clock", "peak_mib"))
            counts = ", ".join(f"{name} {count:,.10g}" for name, count in side.counts.items())
            print(f"{start}{label:<34} CPU {cpu:8.3f} s  clock {clock:8.3f} s  {peak:6.0f} MiB  {counts}")
        for label, reason in each.absent.items():
            print(f"{start}{label:<34} NOT MEASURED: {reason}")
        for label, mine, theirs in _pairs(figure, each):
            times = [ratio(mine, theirs, name) for name in ("cpu", "clock", "peak_mib")]
            said = [f"{one.median:.2f} ({one.least:.2f} to {one.most:.2f})" for one in times]
            print(f"{start}{label:<34} CPU {said[0]}, clock {said[1]}, memory {said[2]}")
    sys.stdout.flush()


def _pairs(figure: Figure, found: SizeResult) -> Iterator[tuple[str, SideResult, SideResult]]:
    """What is compared: this project's sides with the reference, and with what they were."""
    reference = found.sides.get(figure.reference.name) if figure.reference else None
    for side in figure.sides:
        mine, before = found.sides.get(side.name), found.before.get(side.name)
        if mine and reference and figure.reference:
            yield f"{side.name} / {figure.reference.name}", mine, reference
        if mine and before:
            yield f"{side.name} / before", mine, before


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
