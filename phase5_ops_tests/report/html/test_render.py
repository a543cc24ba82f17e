"""The report: what stands in it, that it is HTML, and that nothing from outside becomes markup, script or a link."""

from base64 import b64encode
from hashlib import sha256
from itertools import pairwise

import html5lib
import pytest
from markupsafe import escape

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.evidence.preview import Preview
from phase5_ops.evidence.result import EvidenceEntry, FindingEntry, RowEntry, identity
from phase5_ops.policy import GatePolicy
from phase5_ops.report.changes import Changes, FigureChange, FindingChange, RowChange
from phase5_ops.report.document import ReadinessDocument, Reading, readiness_document
from phase5_ops.report.findings import Catalogue
from phase5_ops.report.html.render import is_web_address, render_report
from phase5_ops.sections.breakers.codes import BreakerCode
from phase5_ops.verdict import CodeChapter, Verdict
from phase5_ops_tests.sections.breakers.support import Platform

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
    at = [blockers.index(f">row {each}</a>") for each in ("2.1", "1.1", "S.1")]
    assert at == sorted(at)
    assert "Find out who wrote the item" in blockers


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


def changed(**found) -> Changes:
    return Changes("earlier", "2026-11-22T12:00:00.000Z", **found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (None, "The previous run was not looked at."),
        (Changes(None, None), "There is no earlier run"),
        (changed(), "Nothing changed."),
        (changed(rows=(RowChange("2.1", "Breaker", Verdict.PASS, None),)), "not there"),
        (changed(came=(FindingChange("2.1", "breaker_open", SCRIPT, Verdict.FAIL, "open"),)), "Findings that came"),
        (changed(went=(FindingChange("2.1", "breaker_open", "crm", Verdict.FAIL, "open"),)), "Findings that went"),
        (changed(figures=(FigureChange("2.1", "open_breakers", None, 2.0),)), "open breakers"),
    ],
)
def test_what_changed_is_said_and_never_claimed_without_an_earlier_run(changes: Changes | None, said: str):
    text = render_report(document(chosen=["2.1"]), tables={}, previews={}, changes=changes)
    parsed(text)
    assert said in text
    assert SCRIPT not in text


def test_a_table_that_is_missing_or_cannot_be_read_is_said_to_be():
    shown = document(entry("2.1", []), entry("1.2", []), chosen=["2.1", "1.2"])
    text = render_report(shown, tables={}, previews={}, changes=None, unread={"slo_alarms": "cut off"})
    assert "The evidence table breaker_snapshot is not in this report: there is no such file of the run." in text
    assert "The evidence table slo_alarms could not be read: cut off." in text


def test_waivers_show_their_end_and_whether_they_are_in_force():
    waiver = {
        "id": "w1", "row": "2.1", "pairs": [["breaker_open", SCRIPT]], "reason": "known", "ticket": "T-1", "issued_at": NOW,
        "until": "2026-12-01T00:00:00.000Z", "signed_by": "ops-sre", "by": "jane", "in_force": False, "why_not": "it ended",
        "used": False, "unmatched": [["breaker_open", "crm"]], "releases_in_a_row": 2,
    }  # fmt: skip
    text = page(document(entry("2.1", []), chosen=["2.1"]).model_copy(update={"waivers": [waiver]}))
    parsed(text)
    assert '<a href="#waivers">Waiver w1</a> is <strong>NOT IN FORCE</strong>: it ended.' in text[text.index('id="rows"') :]
    for said in ("2026-12-01T00:00:00.000Z", "NOT IN FORCE", "it ended", "2 releases in a row", "T-1"):
        assert said in text


def test_the_page_allows_its_own_script_and_nothing_from_the_network():
    text = page(document(chosen=["2.1"]))
    tree = parsed(text)
    policy = next(each.get("content") for each in tree.iter("meta") if each.get("http-equiv") == "Content-Security-Policy")
    script = tree.find(".//script").text
    assert policy.startswith("default-src 'none'")
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert not [each for each in tree.iter() if each.tag in ("link", "iframe", "object") or each.get("src")]


def test_headings_come_in_order_and_tables_have_captions_and_scopes():
    tree = parsed(page(document(entry("2.1", [finding("breaker_state_invalid", Verdict.FAIL, "crm")]), chosen=["2.1", "S.1"])))
    levels = [int(each.tag[1]) for each in tree.iter() if each.tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in tree.iter("table"):
        assert table.find("caption") is not None
        assert all(each.get("scope") for each in table.iter("th"))


def test_every_link_inside_the_page_leads_somewhere():
    tree = parsed(page(document(entry("2.1", [finding("breaker_state_invalid", Verdict.FAIL, "crm")]), entry("2.2", []))))
    ids = [each.get("id") for each in tree.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert {each.get("href")[1:] for each in tree.iter("a") if each.get("href").startswith("#")} <= set(ids)


def test_the_same_document_gives_the_same_page():
    shown = document(entry("2.1", []))
    assert page(shown) == page(shown)


def test_the_lines_of_one_kind_stand_together_with_their_remedy_once():
    shown = document(entry("2.1", [finding("breaker_state_invalid", Verdict.FAIL, f"c{n}") for n in range(9)]), chosen=["2.1"])
    text = page(shown)
    blockers = text[text.index('id="blockers"') : text.index('id="checklist"')]
    parsed(text)
    assert "9 blockers" in text
    assert blockers.count("Find out who wrote the item") == 1
    assert "and 6 more like these" in blockers


def test_a_picture_or_a_table_that_fails_is_said_to_and_the_rest_stands():
    def fails(_: object) -> None:
        raise RuntimeError("no paper")

    table = Platform().table()
    of = {"tables": {"breaker_snapshot": table}, "changes": None}
    broken = Preview(("connector",), lambda frame: frame, lambda _: {}, fails)
    text = render_report(document(entry("2.1", [])), previews={"breaker_snapshot": broken}, **of)
    assert "could not be drawn (RuntimeError: no paper)" in text
    assert "crm_salesforce" in text
    unknown = Preview(("no_such_column",), lambda frame: frame, lambda _: {})
    text = render_report(document(entry("2.1", [])), previews={"breaker_snapshot": unknown}, **of)
    assert "The evidence table breaker_snapshot could not be read: KeyError" in text
