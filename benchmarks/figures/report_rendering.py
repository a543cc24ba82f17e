"""Rendering a run's report as findings grow, beside writing the same document as JSON."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figure import Counts, Figure, Side, Work
from benchmarks.targets import linear

if TYPE_CHECKING:
    from phase5_ops.report.document import ReadinessDocument

AT = "2026-11-23T12:00:00.000Z"
DIGEST = "sha256:" + "0" * 64


def document(findings: int) -> "ReadinessDocument":
    """The document of a run in which one row has this many findings, of all verdicts that close; every other row passes."""
    from phase5_ops.checklist import ALL_CHECKS, ROWS
    from phase5_ops.evidence.result import FindingEntry, RowEntry
    from phase5_ops.report.document import ReadinessDocument, Reading
    from phase5_ops.verdict import Verdict

    chance = random.Random(3)
    made = [
        FindingEntry(
            code=f"code_{chance.randrange(5)}",
            verdict=chance.choice([Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.ERROR]),
            subject=f"tenant-{number:05} {chance.getrandbits(64):x}",
            expected="no more than the budget",
            seen=f"{chance.random() * 100:.2f} of it",
        )
        for number in range(findings)
    ]
    entries = [
        RowEntry(
            id=each.id,
            section=each.section,
            title=each.title,
            check=each.check,
            asset=each.asset,
            verdict=Verdict.ERROR if each.id == "5.1" else Verdict.PASS,
            summary="as found",
            facts={},
            observed_at=AT,
            findings=made if each.id == "5.1" else [],
        )
        for each in ALL_CHECKS
    ]
    of_checklist = {each.id for each in ROWS}
    return ReadinessDocument(
        environment="production",
        release=None,
        run_id="6d04b7f3",
        evaluated_at=AT,
        decision="BLOCKED",
        covers=None,
        exit_code=1,
        evidence_digest=DIGEST,
        policy_digest=DIGEST,
        rows=[each for each in entries if each.id in of_checklist],
        extra_checks=[each for each in entries if each.id not in of_checklist],
        sign_offs=[],
        waivers=[],
        blockers=[],
        reading=Reading(),
    )


def _in(name: str) -> Callable[[int, Path], AbstractContextManager[Work]]:
    """Rendering in a format."""

    @contextmanager
    def begin(findings: int, _folder: Path) -> Iterator[Work]:
        from phase5_ops.build import CATALOGUE
        from phase5_ops.report.formats import Format, RenderContext, render

        shown, context = document(findings), RenderContext(meanings=CATALOGUE.by_name)
        render(document(0), Format(name), context)  # templates are read with the first page

        def work() -> Counts:
            return {f"characters of {name}": len(render(shown, Format(name), context))}

        yield work

    return begin


FIGURES = (
    Figure(
        name="report-rendering",
        title="Report rendering",
        measures="""
            The document of a run in which one row has this many findings, of all verdicts that close, rendered as HTML report
            (without the tables of evidence), as Markdown and as the terminal's table, after a first page that read the
            templates. It is compared with writing the same document as JSON.""",
        unit="findings",
        sizes=(1_000, 3_000, 10_000),
        small=10,
        sides=(Side("HTML", _in("html")), Side("Markdown", _in("markdown")), Side("terminal", _in("table"))),
        reference=Side("JSON", _in("json")),
        targets=(linear(1.2),),
    ),
)
