"""The runbook parser follows GitHub's rules, and every runbook finding is produced."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.runbook import (
    anchor_findings,
    link_to,
    parse,
    runbook_table,
    slug,
    unreadable_findings,
)
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
RUNBOOK = """\
# Reliability runbook

## Circuit breaker open
Stop the connector, see [below](#disable-a-connector).

## Disable a connector
```
phase5 kill
```

## Replay safely
### Before
Check the intent.

## SLO alarms (`tool_latency_ms`, `tool_error`)
| alarm | action |
|---|---|
| latency | look at the vendor |

## Empty
<!-- nothing yet -->

## To do
TODO: to be written.

## Titles only
### Sub
"""


def read(status=ReadStatus.OK, error=None):
    return Read("file:read", "runbook.md", status, error, 1, "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.000Z")


def table(text=RUNBOOK, **kwargs):
    return runbook_table(text, read(**kwargs), location="runbook.md", url="https://git.example/runbook.md", observed_at=NOW)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("SLO alarms (`tool_latency_ms`, `tool_error`)".replace("`", ""), "slo-alarms-tool_latency_ms-tool_error"),
        ("Circuit breaker OPEN", "circuit-breaker-open"),
        ("What's new? (v1.2)", "whats-new-v12"),
        ("A & B", "a--b"),
        ("Änderung \u2013 Plan", "änderung--plan"),
        ("日本語 見出し", "日本語-見出し"),
    ],
)
def test_slug_follows_github(title, expected):
    assert slug(title) == expected


def test_the_platforms_anchors_resolve():
    """The four anchors that the platform's documents use exist and have content."""
    for anchor in ("circuit-breaker-open", "disable-a-connector", "replay-safely", "slo-alarms-tool_latency_ms-tool_error"):
        assert anchor_findings(table(), anchor) == []


def test_repeated_headings_are_numbered_as_github_does():
    anchors = [row.anchor for row in parse("# A\n# A\n# A-1\n# A\n")]
    assert anchors == ["a", "a-1", "a-1-1", "a-2"]


def test_markup_of_a_heading_is_not_part_of_its_anchor():
    assert [row.anchor for row in parse("## *Open* the [door](x) <br> `now`\n")] == ["open-the-door--now"]


def test_front_matter_is_not_a_heading():
    found = parse("---\ntitle: x\n---\n# Real\ntext\n")
    assert [row.anchor for row in found] == ["real"]
    assert [row.line for row in found] == [4]


def test_a_heading_in_a_code_block_is_not_a_heading():
    assert [row.anchor for row in parse("```\n# no\n```\n\n    # no\n")] == []


def test_setext_headings_count():
    assert [row.anchor for row in parse("Title\n=====\ntext\n")] == ["title"]


@pytest.mark.parametrize(
    "text",
    [
        '<a id="old-name"></a>\n\n## New name\nDo it.\n',
        '## <a name="old-name"></a>New name\nDo it.\n',
        "## New name\n<span id='old-name'>Do it.</span>\n",
        '## Before\ntext\n\n<a id="other"></a><a id="old-name"></a>\n## New name\nDo it.\n',
    ],
)
def test_explicit_anchors_resolve(text):
    assert anchor_findings(table(text), "old-name") == []


def test_an_explicit_anchor_before_an_empty_section_is_empty():
    (finding,) = anchor_findings(table('## A\ntext\n<a id="x"></a>\n## B\n## C\ntext\n'), "x")
    assert finding.code == "runbook_section_empty"


@pytest.mark.parametrize("anchor", ["#circuit-breaker-open", "circuit%2Dbreaker%2Dopen", "user-content-circuit-breaker-open"])
def test_spellings_of_one_fragment(anchor):
    assert anchor_findings(table(), anchor) == []


def test_a_missing_anchor_names_what_is_there():
    (finding,) = anchor_findings(table(), "no-such", subject="breaker crm")
    assert (finding.code, finding.verdict, finding.subject) == ("runbook_anchor_missing", Verdict.FAIL, "breaker crm")
    assert "#circuit-breaker-open" in finding.seen


@pytest.mark.parametrize("anchor", ["empty", "to-do", "titles-only"])
def test_sections_without_instructions_are_empty(anchor):
    (finding,) = anchor_findings(table(), anchor)
    assert (finding.code, finding.link) == ("runbook_section_empty", f"https://git.example/runbook.md#{anchor}")


def test_an_empty_file_has_no_anchor():
    (finding,) = anchor_findings(table(""), "circuit-breaker-open")
    assert (finding.code, finding.seen) == ("runbook_anchor_missing", "no heading at all")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(ReadStatus.NOT_FOUND, Verdict.FAIL), (ReadStatus.DENIED, Verdict.ERROR), (ReadStatus.TIMEOUT, Verdict.ERROR)],
)
def test_a_missing_runbook_fails_and_an_unreadable_one_is_an_error(status, verdict):
    (finding,) = anchor_findings(table(None, status=status, error="x"), "circuit-breaker-open")
    assert (finding.code, finding.verdict) == ("runbook_unreadable", verdict)


def test_a_table_without_reads_is_an_error():
    bare = replace(table(), reads=())
    assert [f.code for f in unreadable_findings(bare)] == ["reads_missing"]


def test_survives_parquet(tmp_path):
    for original in (table(), table(None, status=ReadStatus.NOT_FOUND, error="x")):
        assert_kept(original, tmp_path)


def test_no_public_address_no_link():
    local = runbook_table(RUNBOOK, read(), location="runbook.md", url=None, observed_at=NOW)
    assert link_to(local, "replay-safely") is None


HTML_HEADINGS = """\
<h1 align="center">Reliability runbook</h1>

<h2>SLO alarms</h2>

Look at the dashboard and roll back.

<h2 id="custom">Breaker open</h2>

Close it by hand.
"""

PLACEHOLDERS = {
    "A": "\U0001f6a7 Work in progress",
    "B": "TODO: describe the steps",
    "D": "<!-- write me -->",
    "E": "Not yet written.",
    "F": "| Step | Owner |\n|---|---|",
    "G": "- [ ] TODO",
    "H": "TBC",
    "I": "\u200b\u2060 &nbsp; &#8203;",
    "J": "~~Look at the vendor.~~",
    "K": "<p></p>\n<script>Look at the vendor.</script>",
    "L": "```\nTODO\n```",
    "M": "> [!WARNING]\n> To be written",
    "N": "| Step | Owner |\n|---|---|\n| TBD | n/a |",
    "O": "<table><thead><tr><th>Step</th></tr></thead></table>",
    "P": "<!-- an unfinished comment\nLook at the vendor.",
    "Q": "![work in progress](wip.png)",
    "R": "<details><summary>Coming soon</summary>\n\nTODO\n\n</details>",
    "S": "* * *",
}


def test_html_headings_are_headings_with_githubs_anchors():
    found = parse(HTML_HEADINGS)
    assert [row.anchor for row in found] == ["reliability-runbook", "slo-alarms", "breaker-open", "custom"]
    assert [row.level for row in found] == [1, 2, 2, None]
    assert [row.line for row in found] == [1, 3, 7, 7]
    assert all(row.has_content for row in found)


@pytest.mark.parametrize(
    ("text", "anchors"),
    [
        ("<h2>\n  Circuit breaker\n  OPEN\n</h2>\n\ntext\n", {"circuit-breaker---open": True}),
        ("<H2>Circuit <code>breaker</code> <em>OPEN</em></H2>\ntext\n", {"circuit-breaker-open": True}),
        ("<div>\n\n<h2>A &amp; B</h2>\n\ntext\n\n</div>\n", {"a--b": True}),
        ("## A\n\n<h2>B</h2>\n\ntext\n", {"a": False, "b": True}),
        ("## A\n<h3>B</h3>\ntext\n\n<h2>C</h2>\n", {"a": True, "b": True, "c": False}),
        ("some words <h2>A</h2> text\n", {"a": True}),
        ("# A\n\n<h1>A</h1>\n\ntext\n", {"a": False, "a-1": True}),
        ("<h2><a name='x'></a>A</h2>\n\ntext\n", {"a": True, "x": True}),
        ("<details><summary><h2>A</h2></summary>\n\ntext\n\n</details>\n", {"a": True}),
        ("<!--\n<h2>A</h2>\n-->\n\n`<h2>B</h2>`\n\n```\n<h2>C</h2>\n```\n", {}),
    ],
)
def test_a_heading_is_a_heading_however_it_is_written(text, anchors):
    found = parse(text)
    assert {row.anchor: row.has_content for row in found} == anchors


def test_an_empty_section_borrows_nothing_from_the_html_heading_after_it():
    book = table("## Circuit breaker OPEN\n\n<h2>Next</h2>\n\nLook at the vendor.\n")
    assert [finding.code for finding in anchor_findings(book, "circuit-breaker-open")] == ["runbook_section_empty"]


@pytest.mark.parametrize("text", PLACEHOLDERS.values(), ids=PLACEHOLDERS.keys())
def test_a_section_that_only_says_that_it_will_be_written_is_empty(text):
    book = table(f"## Circuit breaker OPEN\n\n{text}\n")
    assert [finding.code for finding in anchor_findings(book, "circuit-breaker-open")] == ["runbook_section_empty"]


@pytest.mark.parametrize(
    "text",
    [
        '<img src="flow.png" alt="flow chart">',
        "![](flow.png)",
        "<ul><li>Look at the vendor.</li></ul>",
        "| Step |\n|---|\n| Look at the vendor. |",
        "TODO: pictures.\n\nLook at the vendor.",
        "```\n# TODO: nicer\nphase5 kill\n```",
        "<p>Look at<br>the vendor.</p>",
        "- [ ] Look at the vendor.",
    ],
)
def test_pictures_lists_tables_and_commands_are_content_in_either_dress(text):
    assert anchor_findings(table(f"## Circuit breaker OPEN\n\n{text}\n"), "circuit-breaker-open") == []


@pytest.mark.parametrize(
    "text",
    [
        "**DEPRECATED**: see the wiki.\n\nLook at the vendor.",
        "Look at the vendor.\n\nDo not use this section.",
        "Look at the vendor. This runbook is no longer maintained.",
        "> Do not\u200b use\n\nLook at the vendor.",
    ],
)
def test_a_section_that_must_not_be_used_is_found(text):
    (finding,) = anchor_findings(table(f"## Circuit breaker OPEN\n\n{text}\n"), "circuit-breaker-open")
    assert (finding.code, finding.verdict) == ("runbook_section_disowned", Verdict.FAIL)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_text_parses(text):
    assert len(table(text).rows) == len(parse(text))
