"""Runbooks in the shapes of files that people have published: headings, anchors and content as GitHub shows them."""

from dataclasses import dataclass
from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from phase5_ops.ccnative.runbook import anchor_findings, parse, runbook_table
from phase5_ops.reads import Read, ReadStatus
from phase5_ops_tests.places import FIELD_CASES

pytestmark = pytest.mark.slow

CASES = FIELD_CASES / "runbook"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def codes(text: str, anchor: str) -> list[str]:
    return codes_of_each(text, [anchor])[0]


def codes_of_each(text: str, anchors: list[str]) -> list[list[str]]:
    read = Read("file:Read", "runbook.md", ReadStatus.OK, None, 1, "2026-11-23T12:00:00Z", "2026-11-23T12:00:00Z")
    table = runbook_table(text, read, location="runbook.md", url=None, observed_at=NOW)
    return [[finding.code for finding in anchor_findings(table, anchor)] for anchor in anchors]


def case(name: str) -> str:
    return (CASES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("anchor", ["reliability-runbook", "slo-alarms", "breaker-open", "custom"])
def test_html_headings_have_anchors(anchor):
    assert codes(case("r1_html_headings.md"), anchor) == []


@pytest.mark.parametrize("heading", ["## Circuit breaker OPEN", "<h2>Circuit breaker OPEN</h2>", "Circuit breaker OPEN\n---"])
def test_an_empty_section_before_an_html_heading_is_empty(heading):
    following = case("r1_html_headings.md").replace("<h1", "<h2").replace("</h1", "</h2")
    assert codes(f"{heading}\n\n{following}", "circuit-breaker-open") == ["runbook_section_empty"]


@pytest.mark.parametrize(("anchor", "empty"), [("a", 1), ("b", 1), ("c", 0), ("d", 1), ("e", 1), ("f", 1), ("g", 1), ("h", 1)])
def test_what_only_says_that_it_will_be_written_is_empty(anchor, empty):
    assert codes(case("r4_placeholders.md"), anchor) == ["runbook_section_empty"] * empty


@pytest.mark.parametrize(
    "text",
    ["Steps:", "**What to do:**", "%%steps%%", "...coming...", "TKTK", "Same as above", "See above.", "ditto", "idem", "a"],
)
def test_a_label_a_pointer_or_a_letter_alone_says_nothing(text):
    assert codes(f"## Fire\n\n{text}\n", "fire") == ["runbook_section_empty"]
    assert codes(f"## Fire\n\n{text}\n\n    systemctl restart tool\n", "fire") == []


# --- generated runbooks ------------------------------------------------------------------------------------------------------

WRITTEN = [
    "Look at the dashboard and roll back.",
    "<p>Ask the vendor,<br>then page the <b>owner</b>.</p>",
    "1. Open the console.\n2. Set the kill switch.",
    "| Step |\n|---|\n| Look at the vendor. |",
    "```\nphase5 status\n```",
    "<details><summary>More</summary>\n\nDo not close a breaker by hand.\n\n</details>",
    '<img src="flow.png" alt="flow chart">',
    "> Call the on-call first.",
    "Owner: TBD\n\nAction: look at the vendor.",
    "1. On-call: page the owner.",
    "Call +1 555 0100",
    "<details><summary>Steps</summary>\n\n- Roll back.\n\n</details>",
    "<table><tr><td>Set the kill switch.</td></tr></table>",
    "<custom-note>Restart nothing.</custom-note>",
    "Text with <unknown attr='x'>odd markup</unknown> in it.",
    "<center>\n\nLook at the vendor.\n\n</center>",
]
UNWRITTEN = [
    "",
    "TODO",
    "TO\u200bDO: describe the steps",
    "\U0001f6a7 Work in progress",
    "Not yet written.",
    "- [ ] TBD",
    "<!-- Look at the vendor. -->",
    "<p>To be written.</p>",
    "| Step | Owner |\n|---|---|",
    "<div>\n\nComing soon\n\n</div>",
    "~~Look at the vendor.~~",
    "<s>Look at the vendor.</s>",
    "\u200b\u2060",
    "---",
    "<style>p { color: red }</style>",
    "[//]: # (Look at the vendor.)",
    "<script>lookAtTheVendor()</script>",
    "Owner: TBD",
    "**Steps:** _to be written_",
    "| Step | Action |\n|---|---|\n| 1 | TBD |",
    "<details><summary>Steps</summary>\n\nTBD\n\n</details>",
    "_This is a stub. You can help by expanding it._",
    "Content goes here.",
    "{{ steps }}",
]
FORBIDDEN = [
    "Do not use this section.",
    "**DEPRECATED**: see the wiki.\n\nLook at the vendor.",
    "This runbook is no longer maintained.",
    "<details><summary>Do not use this section.</summary>\n\nLook at the vendor.\n\n</details>",
    "**DEPRECATED**\n\n<details><summary>Steps</summary>\n\nLook at the vendor.\n\n</details>",
]
HEADINGS = {
    "atx": "## {title}",
    "closed": "## {title} ##",
    "underlined": "{title}\n---",
    "html": "<h2>{title}</h2>",
    "html_attributes": '<h2 align="center" class=x>{title}</h2>',
    "html_upper": "<H2>{title}</H2>",
    "html_lines": "<h2>\n{title}\n</h2>",
    "html_inside": "<div>\n<h2>{title}</h2>\n</div>",
    "html_quoted": "<blockquote>\n\n<h2>{title}</h2>\n\n</blockquote>",
    "marked": "## **{title}**",
}
BETWEEN = ["", "<hr>", "<br>", "<!-- note -->", "<a id='x'></a>", "***"]


@dataclass(frozen=True)
class Part:
    title: str
    heading: str
    text: str
    after: str

    def __str__(self) -> str:
        return f"{HEADINGS[self.heading].format(title=self.title)}\n\n{self.text}\n\n{self.after}\n\n"


def parts(texts: list[str]):
    return st.builds(Part, st.just(""), st.sampled_from(sorted(HEADINGS)), st.sampled_from(texts), st.sampled_from(BETWEEN))


def book(generated) -> tuple[str, list[str]]:
    made = [Part(f"Part {number}", part.heading, part.text, part.after) for number, part in enumerate(generated)]
    return "<h1>Runbook</h1>\n\n" + "".join(map(str, made)), [f"part-{number}" for number in range(len(made))]


@settings(max_examples=150, deadline=None)
@given(
    before=st.lists(parts(WRITTEN), max_size=4),
    planted=parts(UNWRITTEN + FORBIDDEN),
    after=st.lists(parts(WRITTEN), max_size=4),
)
def test_an_empty_or_disowned_section_is_found_among_any_others(before, planted, after):
    text, anchors = book([*before, planted, *after])
    expected = "runbook_section_disowned" if planted.text in FORBIDDEN else "runbook_section_empty"
    assert codes_of_each(text, anchors) == [[expected] if number == len(before) else [] for number in range(len(anchors))], text
    assert parse(text)[0].anchor == "runbook"


NOT_SHOWN_AS_HEADINGS = [
    "<!--\n## Wanted\n\nLook at the vendor.\n-->",
    "`<h2>Wanted</h2>`",
    "\\## Wanted",
    "```\n<h2>Wanted</h2>\n## Wanted\n```",
]


@settings(max_examples=60, deadline=None)
@given(before=st.lists(parts(WRITTEN), max_size=3), hidden=st.sampled_from(NOT_SHOWN_AS_HEADINGS), after=st.lists(parts(WRITTEN)))
def test_a_heading_that_is_not_shown_as_one_is_missing(before, hidden, after):
    text = f"{book(before)[0]}{hidden}\n\n{book(after)[0]}"
    assert codes(text, "wanted") == ["runbook_anchor_missing"]
