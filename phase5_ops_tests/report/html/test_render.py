"""The report: what stands in it, that it is HTML, and that nothing from outside becomes markup, script or a link."""

import html5lib
import pytest
from markupsafe import escape

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.evidence.result import EvidenceEntry, FindingEntry, RowEntry, identity
from phase5_ops.policy import GatePolicy
from phase5_ops.report.document import ReadinessDocument, Reading, readiness_document
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.html.render import is_web_address, render_report
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.verdict import CodeChapter, Verdict

DIGEST = "sha256:" + "0" * 64
NOW = "2026-11-23T12:00:00.000Z"
SCRIPT = "<script>alert(1)</script>"
CATALOGUE = Catalogue.of([CodeChapter("2.1", (BreakerCode,), "2.1")])


def entry(row_id: str, findings: list[FindingEntry], evidence: list[EvidenceEntry] | None = None) -> RowEntry:
    row = ROW_OF_ID[row_id]
    verdict = findings[0].verdict if findings else Verdict.PASS
    return RowEntry(
        **identity(row), verdict=verdict, summary=f"{row_id} seen", observed_at=NOW, findings=findings, evidence=evidence or []
    )


def finding(code: str, verdict: Verdict, subject: str, link: str | None = None) -> FindingEntry:
    return FindingEntry(code=code, verdict=verdict, subject=subject, expected="closed", seen="open", link=link)


def document(*entries: RowEntry, chosen: list[str] | None = None) -> ReadinessDocument:
    return readiness_document(
        environment="test",
        run_id="r",
        evaluated_at=NOW,
        evidence_digest=DIGEST,
        policy_digest=DIGEST,
        entries={each.check: each for each in entries},
        gate=GatePolicy(),
        reading=Reading(),
        chosen=chosen,
    )


def page(shown: ReadinessDocument) -> str:
    return render_report(shown, tables={}, previews={}, changes=None, catalogue=CATALOGUE)


def parsed(text: str):
    """The page as a tree; every parse error of the HTML standard fails."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def test_decision_blockers_and_remedies_come_first_with_what_is_wrong_before_what_is_not_known():
    shown = document(
        entry("1.1", [finding("read_failed", Verdict.ERROR, "CloudWatch")]),
        entry("2.1", [finding("breaker_state_invalid", Verdict.FAIL, "crm")]),
        chosen=["1.1", "2.1", "S.1"],
    )
    text = page(shown)
    assert parsed(text).find(".//h1").text == "Phase 5 readiness of test"
    blockers = text[text.index('id="blockers"') : text.index('id="checklist"')]
    at = [blockers.index(each) for each in ("2.1 FAIL", "1.1 ERROR", "S.1 FAIL")]
    assert at == sorted(at)


@pytest.mark.parametrize("hostile", [SCRIPT, "x" * 300, "a\nb", "{{ 7 * 7 }}", "\" onload='x'", "]]>--><!--"])
def test_hostile_text_stays_text(hostile: str):
    shown = document(entry("2.1", [finding("breaker_state_invalid", Verdict.FAIL, hostile)]), chosen=["2.1"])
    text = page(shown)
    tree = parsed(text)
    assert len(tree.findall(".//script")) == 1
    assert str(escape(hostile)) in text
    assert all(not name.startswith("on") for element in tree.iter() for name in element.attrib)


@pytest.mark.parametrize(
    ("url", "links"),
    [
        ("https://console.aws.amazon.com/x", True),
        ("javascript:alert(1)", False),
        ("file:///home/somebody/.phase5/readiness.json", False),
        ("http://127.0.0.1:3000/runs/x", False),
        ("/root/.phase5/x", False),
        ("https://[", False),
        (None, False),
    ],
)
def test_only_addresses_of_the_web_become_links(url: str | None, links: bool):
    assert is_web_address(url) is links
    shown = document(entry("2.1", [finding("breaker_state_invalid", Verdict.FAIL, "crm", url)]), chosen=["2.1"])
    targets = [each.get("href") for each in parsed(page(shown)).iter("a") if not each.get("href", "#").startswith("#")]
    assert targets == ([url] if links else [])


def test_a_document_without_any_row_is_said_to_decide_nothing():
    text = page(document(chosen=[]))
    assert "NOT DECIDED" in text
    assert "no row" in text
