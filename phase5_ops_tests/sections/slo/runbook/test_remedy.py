"""What is printed for row 1.3: sections that the runbook then has, and descriptions that lead to it."""

import pytest

from phase5_ops.ccnative.runbook import parse
from phase5_ops.policy import RunbookPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.remedies.model import AlarmDescription, CannotMend, MendingCase, RunbookText
from phase5_ops.sections.slo.runbook.judge import judge_alarm_runbook
from phase5_ops.sections.slo.runbook.remedy import mend_alarm_runbook
from phase5_ops.settings import Settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, errors, evidence, latency
from phase5_ops_tests.sections.slo.runbook.test_judge import TEXT, found, runbook


def mended(book=None, alarms=None, anchor=None):
    tables = {"runbook": book or runbook(), "slo_alarms": alarms or evidence(latency(), errors())}
    settings = Settings(**({"runbook_policy": {"alarm_anchor": anchor}} if anchor else {}))
    findings = judge_alarm_runbook(tables["runbook"], tables["slo_alarms"], policy=settings.runbook_policy).findings
    return list(mend_alarm_runbook(MendingCase(findings, tables, settings, "123456789012", "us-west-2", NOW)))


@pytest.mark.parametrize("anchor", [RunbookPolicy().alarm_anchor, "our-own-anchor", 'odd"<anchor>'])
def test_the_runbook_has_the_section_once_the_text_is_added(anchor):
    alarms = evidence(*(each(AlarmDescription=f"see phase_5_7_reliability.md#{anchor}") for each in (latency, errors)))
    texts = [each.resource for each in mended(runbook("# Reliability\n"), alarms, anchor) if not isinstance(each, CannotMend)]
    (text,) = [each for each in texts if isinstance(each, RunbookText)]
    assert any(row.anchor == anchor and row.has_content for row in parse(f"# Reliability\n\n{text.markdown}\n"))


def test_where_there_is_no_runbook_the_text_begins_one():
    (remedy,) = mended(runbook(None, status=ReadStatus.NOT_FOUND))
    assert found(runbook(remedy.resource.markdown)) == (Verdict.PASS, [])
    assert "new file" in remedy.resource.place
    assert mended(runbook(None, status=ReadStatus.DENIED)) == []  # it may well be there


def test_a_section_that_is_not_to_be_used_needs_a_person():
    assert mended(runbook(TEXT.replace("Look at", "DO NOT USE: deprecated. Look at"))) == []


@pytest.mark.parametrize("text", ["", "CRM is slow", "TODO: nothing here is right, do not use", "x" * 1024, "see $(touch x)\n'"])
@pytest.mark.parametrize("url", ["https://git.example/phase_5_7_reliability.md", None], ids=["with address", "without"])
def test_every_description_leads_to_the_runbook(text, url):
    book = runbook(url=url)
    (remedy,) = mended(
        book, evidence(latency(AlarmDescription=text), errors(AlarmDescription=url and errors()["AlarmDescription"]))
    )[:1]
    assert isinstance(remedy.resource, AlarmDescription)
    assert len(remedy.resource.description) <= 1024
    after = evidence(latency(AlarmDescription=remedy.resource.description), errors())
    codes = [code for code in found(book, after)[1] if code != "alarm_without_runbook_link" or url]
    assert codes == []


def test_where_there_is_no_alarm_row_1_2_is_named():
    (said,) = mended(alarms=evidence())
    assert isinstance(said, CannotMend)
    assert "phase5 remedy 1.2" in said.why
