"""docs/fuzzing.md: what is fuzzed, what a malformed input must become, and the figures of the last campaign."""

import json
from pathlib import Path

from phase5_ops_tests.fuzz.registry import names, parser
from phase5_ops_tests.places import ROOT

PAGE = ROOT / "docs" / "fuzzing.md"
FIGURES = Path(__file__).parent / "figures.json"
BEGIN, END = "<!-- made by python -m phase5_ops_tests.fuzz --write -->", "<!-- end -->"


def record(name: str, figures: dict) -> None:
    """Notes the figures of a parser's last campaign, and writes the page; what was mended in it before stays noted."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    kept[name] = {"mended": [], **kept.get(name, {}), **figures}
    FIGURES.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def written(page: str) -> str:
    """The page with its tables made anew."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


def tables() -> str:
    """What is fuzzed, and the last figures of each parser."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    parsers = [parser(name) for name in names()]
    what = ["| parser | reads | a malformed input becomes |", "|---|---|---|"]
    what += [f"| `{each.name}` | {each.reads} | {each.malformed} |" for each in parsers]
    figures = [
        "| parser | seconds | executions | slowest, s | peak, MiB | open faults | found and mended |",
        "|---|---|---|---|---|---|---|",
    ]
    figures += [f"| `{each.name}` | {_figures(kept.get(each.name))} |" for each in parsers]
    return "\n".join([*what, "", *figures])


def _figures(kept: dict | None) -> str:
    if kept is None:
        return "not run | | | | | "
    numbers = [f"{kept[name]:,}" for name in ("seconds", "executions", "slowest_seconds", "peak_megabytes")]
    return " | ".join([*numbers, str(len(kept["faults"])), "; ".join(kept["mended"]) or "none"])
