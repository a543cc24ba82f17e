"""The report as a browser shows it: axe finds nothing serious, long tables are paged, sorted and filtered, nothing overflows."""

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from phase5_ops.evidence.preview import Preview
from phase5_ops.report.changes import changes_between
from phase5_ops.report.html.render import render_report
from phase5_ops.sections.breakers.preview import PREVIEW
from phase5_ops.verdict import Verdict
from phase5_ops_tests.report.documents import document, finding, row
from phase5_ops_tests.report.html.chromium import CHROMIUM, evaluated
from phase5_ops_tests.sections.breakers.support import Platform, state

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]

HOSTILE = "<script>document.title = 'taken'</script>" + "x" * 300


def axe() -> str | None:
    """The text of axe-core: of the file that AXE_CORE names, else of the package axe-core-python (extra `dev`)."""
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text(encoding="utf-8")
    found = find_spec("axe_core_python")
    file = Path(found.origin).parent / "axe.min.js" if found and found.origin else None
    return file.read_text(encoding="utf-8") if file and file.exists() else None


def page(connectors: int = 3) -> str:
    """A report with every kind of verdict, a change, a table and its picture."""
    before = document("run-1", row("1.1", finding("breaker_open")))
    shown = document(
        "run-2",
        row("2.1", *(finding("breaker_open", Verdict.FAIL, f"{HOSTILE}{n}") for n in range(2)), open=2),
        row("1.2", finding("read_failed", Verdict.ERROR)),
        row("4.2", finding("read_failed", Verdict.INCONCLUSIVE)),
        row("5.2", finding("cost_estimated", Verdict.WARN)),
    )
    items = [state(f"connector_{n:05}", "OPEN" if n % 7 == 0 else "CLOSED") for n in range(connectors)]
    shown = shown.model_copy(update={"blockers": [f"2.1 FAIL breaker_open {HOSTILE}{n}: open" for n in range(9)]})
    return render_report(
        shown,
        tables={"breaker_snapshot": Platform(items=items).table()},
        previews={"breaker_snapshot": PREVIEW},
        changes=changes_between(before, shown),
    )


@pytest.mark.skipif(axe() is None, reason="axe-core is not installed: pip install axe-core-python, or name it with AXE_CORE")
@pytest.mark.parametrize("width", [1200, 390])
def test_axe_finds_nothing_serious(tmp_path: Path, width: int):
    opened = "document.querySelectorAll('details').forEach((each) => { each.open = true });"
    run = "const found = await axe.run(document, {resultTypes: ['violations']});"
    named = "return found.violations.map((each) => [each.impact, each.id, each.nodes[0].html.slice(0, 200)]);"
    found = evaluated(page(), f"{axe()};{opened}{run}{named}", tmp_path, width=width)
    assert isinstance(found, list), found
    assert [each for each in found if each[0] in ("serious", "critical")] == []


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
