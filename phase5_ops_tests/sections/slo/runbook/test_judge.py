"""Row 1.3: runbook, section and links, each with its finding."""

import pytest

from phase5_ops.ccnative.runbook import runbook_table
from phase5_ops.policy import RunbookPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.slo.runbook.judge import judge_alarm_runbook
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, RUNBOOK, errors, evidence, latency, no_tool, read

pytestmark = pytest.mark.slow

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


SECTION = "#slo-alarms-tool_latency_ms-tool_error"
ADDRESS = "https://git.example/phase_5_7_reliability.md"


@pytest.mark.parametrize(
    "text",
    [
        f"see docs/runbooks/phase_5_7_reliability.md{SECTION}",
        f"see `phase_5_7_reliability.md{SECTION}`.",
        f"[runbook]({ADDRESS}?plain=1{SECTION})",
        f"<{ADDRESS}{SECTION}>",
        f"{ADDRESS}/{SECTION}.",
        f"HTTPS://GIT.example/phase_5_7_reliability.md#user-content-{SECTION[1:]}",
        f"phase_5_7_reliability.md#gone, moved to phase_5_7_reliability.md{SECTION}",
        f"https://grafana.example/d/1 and {ADDRESS}{SECTION}",
    ],
)
def test_ways_to_point_to_the_section(text):
    assert found(alarms=described_as(text)) == (Verdict.PASS, [])


@pytest.mark.parametrize(
    "text",
    ["see phase_5_7_reliability.md", f"<{ADDRESS}>", f"{ADDRESS}.", f"{ADDRESS}?plain=1", f"{ADDRESS} or {ADDRESS}#empty"],
)
def test_the_runbook_without_its_section_is_a_warning(text):
    judgement = judge_alarm_runbook(runbook(), described_as(text), policy=RunbookPolicy())
    assert [finding.code for finding in judgement.findings] == ["alarm_without_runbook_link"]
    assert (judgement.verdict, judgement.findings[0].seen) == (Verdict.WARN, "points to the runbook, not to its section")
    assert judgement.facts["alarms_linked"] == 2


@pytest.mark.parametrize(
    "text",
    [
        f"TODO: {ADDRESS}{SECTION}",
        f"T.O.D.O. check the link {ADDRESS}{SECTION}",
        f"TO\u200bDO {ADDRESS}{SECTION}",
        f"{ADDRESS}{SECTION} (TBD)",
        f"Do not use {ADDRESS}{SECTION}",
        f"DO NOT USE the runbook: {ADDRESS}{SECTION}",
        f"{ADDRESS}{SECTION} - don\u2019t use!",
        f"See {ADDRESS}{SECTION}. Do not use.",
        f"Runbook to be written: {ADDRESS}{SECTION}",
        f"Runbook {ADDRESS}{SECTION} is deprecated.",
        f"Deprecated. {ADDRESS}{SECTION}",
        f"The old runbook, no longer maintained, is phase_5_7_reliability.md{SECTION}",
        f"WIP\n{ADDRESS}{SECTION}",
        f"Please ignore {ADDRESS}{SECTION}",
        f"{ADDRESS}{SECTION} coming soon",
    ],
)
def test_a_link_that_its_own_description_takes_back_is_found(text):
    assert found(alarms=described_as(text)) == (Verdict.FAIL, ["alarm_runbook_link_disowned"])


@pytest.mark.parametrize(
    "text",
    [
        f"Do not close the breaker by hand, see {ADDRESS}{SECTION}",
        f"If the connector is broken or a token invalid, follow {ADDRESS}{SECTION}. Do not ignore this alarm.",
        f"Missing data is not breaching. Runbook: {ADDRESS}{SECTION}",
        f"Never restart the tool before reading phase_5_7_reliability.md{SECTION}; then draft a message to customers.",
    ],
)
def test_what_a_description_forbids_elsewhere_is_no_word_against_its_link(text):
    assert found(alarms=described_as(text)) == (Verdict.PASS, [])


def test_a_section_that_must_not_be_used_is_found():
    book = runbook(TEXT.replace("Look at the vendor.", "**Deprecated**, do not use. Look at the vendor."))
    assert found(book) == (Verdict.FAIL, ["runbook_section_disowned"])


@pytest.mark.parametrize(
    ("fragment", "seen"),
    [("gone", "points to section #gone, which the runbook does not have"), ("empty", "points to section #empty (Empty)")],
)
@pytest.mark.parametrize("place", ["phase_5_7_reliability.md", ADDRESS])
def test_another_section_is_none(place, fragment, seen):
    judgement = judge_alarm_runbook(runbook(), described_as(f"{place}#{fragment}"), policy=RunbookPolicy())
    assert [finding.code for finding in judgement.findings] == ["alarm_without_runbook_link"]
    assert (judgement.verdict, judgement.findings[0].seen) == (Verdict.FAIL, seen)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "ask Bob",
        f"see old_phase_5_7_reliability.md{SECTION}",
        f"see phase_5_7_reliability.md.bak{SECTION}",
        f"https://git.example/other.md{SECTION}",
        f"https://github.example/o/r/blob/main/docs/phase_5_7_reliability.md{SECTION}",
        f"https://git.example/PHASE_5_7_reliability.md{SECTION}",
        f"{ADDRESS}/older{SECTION}",
        f"https://elsewhere.example/?to={ADDRESS}{SECTION}",
        f"s3://docs/phase_5_7_reliability.md{SECTION}",
    ],
)
def test_alarms_that_do_not_lead_to_the_runbook(text):
    assert found(alarms=described_as(text)) == (Verdict.FAIL, ["alarm_without_runbook_link"])


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (f"https://github.example/o/r/blob/main/phase_5_7_reliability.md{SECTION}", []),
        (f"s3://docs/phase_5_7_reliability.md{SECTION}", []),
        (f"https://git.example/other.md{SECTION}", ["alarm_without_runbook_link"]),
    ],
)
def test_the_file_name_is_enough_where_the_runbook_has_no_address(text, codes):
    assert found(runbook(url=None), described_as(text))[1] == codes


@pytest.mark.parametrize(("anchor", "code"), [("gone", "runbook_anchor_missing"), ("empty", "runbook_section_empty")])
def test_the_section_on_alarms_must_be_there(anchor, code):
    pointing = evidence(latency(AlarmDescription=f"{ADDRESS}#{anchor}"), errors(AlarmDescription=f"{ADDRESS}#{anchor}"))
    assert found(alarms=pointing, alarm_anchor=anchor) == (Verdict.FAIL, [code])


def test_a_renamed_section_is_one_finding():
    assert found(runbook(TEXT.replace("SLO alarms", "Alarms"))) == (Verdict.FAIL, ["runbook_anchor_missing"])


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


def test_no_alarm_is_said_to_be_missing_where_the_registry_was_not_read():
    denied = [read("dynamodb:Scan", ReadStatus.DENIED, "AccessDenied: no")]
    assert found(alarms=evidence(tools=no_tool(denied))) == (Verdict.ERROR, ["read_failed"])


def test_reads_that_do_not_bear_on_the_row_are_left_to_their_own():
    topic = read("sns:GetTopicAttributes", ReadStatus.DENIED, "no")
    assert found(alarms=evidence(latency(), errors(), topic_reads=[topic])) == (Verdict.PASS, [])


def test_a_runbook_with_an_address_without_file_name():
    book = runbook(location="s3://docs/handbook/reliability.md", url="https://wiki.example/x/Reliability")
    assert found(book, described_as(f"https://wiki.example/x/Reliability{SECTION}"))[1] == ["alarm_without_runbook_link"]
    address, name = f"https://wiki.example/x/Reliability{SECTION}", f"reliability.md{SECTION}"
    both = evidence(latency(AlarmDescription=address), errors(AlarmDescription=name))
    assert found(book, both) == (Verdict.PASS, [])
