"""Row 1.3: runbook, section and links, each with its finding."""

import pytest

from phase5_ops.ccnative.runbook import runbook_table
from phase5_ops.policy import RunbookPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.slo.runbook_judge import judge_alarm_runbook
from phase5_ops.verdict import Verdict
from phase5_ops_tests.slo.alarm_platform import NOW, RUNBOOK, errors, evidence, latency, read

TEXT = "# Reliability\n\n## SLO alarms (`tool_latency_ms`, `tool_error`)\nLook at the vendor.\n\n## Empty\n"
LOCATION = "docs/runbooks/phase_5_7_reliability.md"


def runbook(
    text=TEXT, *, status=ReadStatus.OK, error=None, location=LOCATION, url="https://git.example/phase_5_7_reliability.md"
):
    how = Read("file:read", location, status, error, 1, "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:00.000Z")
    return runbook_table(text, how, location=location, url=url, observed_at=NOW)


def found(book=None, alarms=None, **policy):
    table = evidence(latency(), errors()) if alarms is None else alarms
    judgement = judge_alarm_runbook(runbook() if book is None else book, table, policy=RunbookPolicy(**policy))
    return judgement.verdict, [finding.code for finding in judgement.findings]


def described_as(text):
    return evidence(latency(AlarmDescription=text), errors())


def test_runbook_section_and_links_pass():
    judgement = judge_alarm_runbook(runbook(), evidence(latency(), errors()), policy=RunbookPolicy())
    assert (judgement.verdict, judgement.facts["alarms_linked"]) == (Verdict.PASS, 2)
    assert [link.url for link in judgement.evidence] == [RUNBOOK]


@pytest.mark.parametrize(
    "text",
    [
        "see docs/runbooks/phase_5_7_reliability.md",
        "see `phase_5_7_reliability.md#slo-alarms-tool_latency_ms-tool_error`.",
        "[runbook](https://github.example/o/r/blob/main/docs/PHASE_5_7_RELIABILITY.md?plain=1#slo-alarms-tool_latency_ms-tool_error)",
        "<https://git.example/phase_5_7_reliability.md>",
        "phase_5_7_reliability.md#gone, moved to phase_5_7_reliability.md#slo-alarms-tool_latency_ms-tool_error",
    ],
)
def test_ways_to_point_to_the_runbook(text):
    assert found(alarms=described_as(text)) == (Verdict.PASS, [])


@pytest.mark.parametrize(
    "text",
    [None, "", "ask Bob", "see old_phase_5_7_reliability.md", "see phase_5_7_reliability.md.bak", "https://git.example/other.md"],
)
def test_alarms_that_do_not_name_the_runbook(text):
    assert found(alarms=described_as(text)) == (Verdict.FAIL, ["alarm_without_runbook_link"])


@pytest.mark.parametrize(("fragment", "code"), [("gone", "runbook_anchor_missing"), ("empty", "runbook_section_empty")])
def test_the_anchor_of_a_link_must_lead_somewhere(fragment, code):
    assert found(alarms=described_as(f"phase_5_7_reliability.md#{fragment}")) == (Verdict.FAIL, [code])


@pytest.mark.parametrize(("anchor", "code"), [("gone", "runbook_anchor_missing"), ("empty", "runbook_section_empty")])
def test_the_section_on_alarms_must_be_there(anchor, code):
    assert found(alarm_anchor=anchor) == (Verdict.FAIL, [code])


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(ReadStatus.NOT_FOUND, Verdict.FAIL), (ReadStatus.DENIED, Verdict.ERROR), (ReadStatus.INVALID, Verdict.ERROR)],
)
def test_an_unreadable_runbook_is_one_finding(status, verdict):
    assert found(runbook(None, status=status, error="x")) == (verdict, ["runbook_unreadable"])


def test_no_alarm_to_link_is_not_a_pass():
    assert found(alarms=evidence()) == (Verdict.FAIL, ["no_alarm_to_link"])


def test_unread_alarms_are_an_error_and_not_missing():
    denied = [read("cloudwatch:DescribeAlarms", ReadStatus.DENIED, "AccessDenied: no")]
    assert found(alarms=evidence(alarm_reads=denied)) == (Verdict.ERROR, ["read_failed"])


def test_reads_that_do_not_bear_on_the_row_are_left_to_their_own():
    topic = read("sns:GetTopicAttributes", ReadStatus.DENIED, "no")
    assert found(alarms=evidence(latency(), errors(), topic_reads=[topic])) == (Verdict.PASS, [])


def test_a_runbook_with_an_address_without_file_name():
    book = runbook(location="s3://docs/handbook/reliability.md", url="https://wiki.example/x/Reliability")
    assert found(book, described_as("https://wiki.example/x/Reliability"))[1] == ["alarm_without_runbook_link"]
    both = evidence(latency(AlarmDescription="https://wiki.example/x/Reliability"), errors(AlarmDescription="reliability.md"))
    assert found(book, both) == (Verdict.PASS, [])
