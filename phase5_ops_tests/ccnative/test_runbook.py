"""The runbook parser follows GitHub's rules, and every runbook finding is produced."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.runbook import (
    SCHEMA,
    anchor_findings,
    link_to,
    parse,
    runbook_table,
    slug,
    unreadable_findings,
)
from phase5_ops.reads import Read, ReadStatus, reads_of
from phase5_ops.verdict import Verdict

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
    anchors = parse("# A\n# A\n# A-1\n# A\n")["anchor"]
    assert list(anchors) == ["a", "a-1", "a-1-1", "a-2"]


def test_markup_of_a_heading_is_not_part_of_its_anchor():
    assert list(parse("## *Open* the [door](x) <br> `now`\n")["anchor"]) == ["open-the-door--now"]


def test_front_matter_is_not_a_heading():
    found = parse("---\ntitle: x\n---\n# Real\ntext\n")
    assert list(found["anchor"]) == ["real"]
    assert list(found["line"]) == [4]


def test_a_heading_in_a_code_block_is_not_a_heading():
    assert list(parse("```\n# no\n```\n\n    # no\n")["anchor"]) == []


def test_setext_headings_count():
    assert list(parse("Title\n=====\ntext\n")["anchor"]) == ["title"]


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
    bare = table()
    bare.attrs.pop("reads")
    assert [f.code for f in unreadable_findings(bare)] == ["reads_missing"]


def test_survives_parquet(tmp_path):
    for original in (table(), table(None, status=ReadStatus.NOT_FOUND, error="x")):
        path = tmp_path / "runbook.parquet"
        original.to_parquet(path)
        back = pd.read_parquet(path)
        pd.testing.assert_frame_equal(SCHEMA.validate(back), original)
        assert back.attrs == original.attrs
        assert reads_of(back) == reads_of(original)


def test_no_public_address_no_link():
    local = runbook_table(RUNBOOK, read(), location="runbook.md", url=None, observed_at=NOW)
    assert link_to(local, "replay-safely") is None


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_text_parses(text):
    SCHEMA.validate(parse(text))
