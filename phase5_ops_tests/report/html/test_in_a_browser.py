"""The report as a browser shows it: axe finds nothing serious, long tables are paged, sorted and filtered, nothing overflows."""

import os
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from phase5_ops.evidence.preview import Preview
from phase5_ops.report.html.render import render_report
from phase5_ops.sections.breakers.preview import PREVIEW
from phase5_ops_tests.report.documents import document
from phase5_ops_tests.report.html.chromium import CHROMIUM, evaluated
from phase5_ops_tests.report.html.pages import page, page_of_many_tenants
from phase5_ops_tests.sections.breakers.support import Platform, state

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]


def axe() -> str | None:
    """The text of axe-core: of the file that AXE_CORE names, else of the package axe-core-python (extra `dev`)."""
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text(encoding="utf-8")
    found = find_spec("axe_core_python")
    file = Path(found.origin).parent / "axe.min.js" if found and found.origin else None
    return file.read_text(encoding="utf-8") if file and file.exists() else None


@pytest.mark.skipif(axe() is None, reason="axe-core is not installed: pip install axe-core-python, or name it with AXE_CORE")
@pytest.mark.parametrize(
    ("shown", "width", "dark"),
    [
        (page, 1200, False),
        (page, 390, False),
        (page, 1200, True),
        (page, 390, True),
        (page_of_many_tenants, 390, True),
    ],
)
def test_axe_finds_nothing_serious(tmp_path: Path, shown: Callable[[], str], width: int, dark: bool):
    opened = "document.querySelectorAll('details').forEach((each) => { each.open = true });"
    run = "const found = await axe.run(document, {resultTypes: ['violations']});"
    named = "const violations = found.violations.map((each) => [each.impact, each.id, each.nodes[0].html.slice(0, 200)]);"
    colours = "[matchMedia('(prefers-color-scheme: dark)').matches, getComputedStyle(document.body).backgroundColor]"
    script = f"{axe()};{opened}{run}{named} return [violations, found.passes.map((each) => each.id), ...{colours}];"
    found = evaluated(shown(), script, tmp_path, width=width, dark=dark)
    assert isinstance(found, list), found
    violations, passed, prefers_dark, paper = found
    assert [each for each in violations if each[0] in ("serious", "critical")] == []
    assert "color-contrast" in passed
    assert (prefers_dark, paper) == ((True, "rgb(13, 17, 23)") if dark else (False, "rgb(255, 255, 255)"))


def test_a_hostile_name_runs_nothing_and_the_page_is_no_wider_than_a_phone(tmp_path: Path):
    script = "return [document.title, document.documentElement.scrollWidth, document.documentElement.clientWidth];"
    title, wide, seen = evaluated(page(), script, tmp_path, width=390)
    assert title.startswith("Phase 5 readiness")
    assert wide <= seen


def test_a_long_table_is_paged_sorted_and_filtered(tmp_path: Path):
    script = """
        const part = document.getElementById("table-breaker_snapshot"), table = part.querySelector("table");
        part.open = true;
        await new Promise((go) => setTimeout(go, 100));
        const first = () => table.tBodies[0].rows[0].cells[0].textContent;
        const said = () => part.querySelector("[role=status]").textContent;
        const found = [table.tBodies[0].rows.length, said()];
        table.tHead.querySelector("button").click();
        found.push(first(), table.tHead.querySelector("th").getAttribute("aria-sort"));
        table.tHead.querySelector("button").click();
        found.push(first());
        const input = part.querySelector("input");
        input.value = "connector_00007 open";
        input.dispatchEvent(new Event("input"));
        found.push(said(), first());
        return found;
    """
    found = evaluated(page(300), script, tmp_path)
    assert found == [
        50,
        "Rows 1 to 50 of 302",
        "connector_00000",
        "ascending",
        "internal",
        "Rows 1 to 1 of 1 found among 302",
        "connector_00007",
    ]


def test_ten_thousand_rows_stay_usable(tmp_path: Path):
    """Opening and filtering take less than seconds, also on a busy machine; the page stays below ten megabytes."""
    one = Platform(items=[state("internal")]).table()
    lines = [replace(one.rows[0], connector=f"connector_{n:05}") for n in range(10_000)]
    table = one.table.gathered(lines, one.facts).with_reads(one.reads, one.observed_at)
    preview = Preview(PREVIEW.columns, PREVIEW.worst_first, PREVIEW.figures)
    text = render_report(document("r"), tables={"breaker_snapshot": table}, previews={"breaker_snapshot": preview}, changes=None)
    script = """
        const part = document.getElementById("table-breaker_snapshot"), began = performance.now();
        part.open = true;
        await new Promise((go) => setTimeout(go, 0));
        const input = part.querySelector("input");
        input.value = "connector_09999";
        input.dispatchEvent(new Event("input"));
        return [part.querySelector("[role=status]").textContent, performance.now() - began];
    """
    assert len(text) < 10_000_000
    said, milliseconds = evaluated(text, script, tmp_path)
    assert said == "Rows 1 to 1 of 1 found among 10,000"
    assert milliseconds < 5000
