"""Row 1.3: the runbook exists, its section on SLO alarms says something, and every SLO alarm points to it. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import pandas as pd

from phase5_ops.ccnative.runbook import anchor_findings, link_to, unreadable_findings
from phase5_ops.policy import RunbookPolicy
from phase5_ops.reads import ReadStatus, read_findings, reads_of
from phase5_ops.slo.alarm_judge import OTHER_READS
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, Judgement, Verdict, conclude

ALARM_WITHOUT_RUNBOOK_LINK = FindingCode(
    "alarm_without_runbook_link",
    Verdict.FAIL,
    "The description of an SLO alarm does not name the runbook, so whoever it wakes does not know where to look.",
    "Put the runbook's address with its anchor into AlarmDescription.",
)
NO_ALARM_TO_LINK = FindingCode(
    "no_alarm_to_link", Verdict.FAIL, "There is no SLO alarm at all that could point to the runbook.", "See row 1.2."
)
CODES = (ALARM_WITHOUT_RUNBOOK_LINK, NO_ALARM_TO_LINK)


def judge_alarm_runbook(runbook: pd.DataFrame, slo_alarms: pd.DataFrame, *, policy: RunbookPolicy) -> Judgement:
    """Row 1.3.

    Args:
        runbook: the evidence table `runbook`, with its location and address in `attrs`.
        slo_alarms: the evidence table `slo_alarms`.
        policy: the anchor that must resolve.
    """
    alarms = _slo_alarms(slo_alarms)
    unreadable = unreadable_findings(runbook)
    findings = [*(unreadable or anchor_findings(runbook, policy.alarm_anchor)), *read_findings(slo_alarms, ignoring=OTHER_READS)]
    linked = 0
    for alarm in alarms.itertuples():
        found = _link_findings(runbook, f"{alarm.alarm}", _text(alarm.description), _text(alarm.url), readable=not unreadable)
        linked += not found
        findings += found
    if alarms.empty and all(
        r.status is ReadStatus.OK for r in reads_of(slo_alarms) if r.operation == "cloudwatch:DescribeAlarms"
    ):
        findings.append(NO_ALARM_TO_LINK.at("SLO alarms", expected="alarms that point to the runbook", seen="no SLO alarm"))
    place = str(runbook.attrs.get("url") or runbook.attrs.get("location"))
    link = link_to(runbook, policy.alarm_anchor)
    return conclude(
        judged=len(alarms),
        summary=f"{linked} of {len(alarms)} SLO alarms point to the runbook ({place}).",
        findings=findings,
        facts={
            "slo_alarms": len(alarms),
            "alarms_linked": linked,
            "runbook_headings": int((runbook["kind"] == "heading").sum()),
            "runbook": place,
        },
        evidence=[EvidenceLink("Runbook, SLO alarms", link)] if link else [],
    )


def _slo_alarms(table: pd.DataFrame) -> pd.DataFrame:
    """One row an alarm that watches a registered tool."""
    return table[table["signal"].notna() & table["alarm"].notna()].drop_duplicates("alarm").sort_values("alarm")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _link_findings(runbook: pd.DataFrame, alarm: str, description: str, url: str, *, readable: bool) -> list[Finding]:
    """What is wrong with the link of one alarm; with several links one that resolves is enough."""
    expected = f"a link to {' or '.join(_runbook_names(runbook))} in the description"
    fragments = list(_references(runbook, description))
    if not fragments:
        seen = f"description {description[:200]!r}" if description else "no description"
        return [ALARM_WITHOUT_RUNBOOK_LINK.at(alarm, expected=expected, seen=seen, link=url or None)]
    outcomes = [anchor_findings(runbook, fragment, subject=alarm) if fragment and readable else [] for fragment in fragments]
    return min(outcomes, key=len)


def _runbook_names(runbook: pd.DataFrame) -> list[str]:
    """What a description may call the runbook: its address, or its file name."""
    names = []
    for place in (runbook.attrs.get("url"), runbook.attrs.get("location")):
        if place:
            whole = str(place).split("#", 1)[0]
            file_name = (
                unquote(urlsplit(whole).path if "://" in whole else whole).replace("\\", "/").rstrip("/").rpartition("/")[2]
            )
            names += [whole] if "://" in whole else []
            names += [file_name] if "." in file_name else []
    return list(dict.fromkeys(names)) or [str(runbook.attrs.get("location"))]


def _references(runbook: pd.DataFrame, description: str) -> Iterator[str]:
    """The fragment of every mention of the runbook in a description; empty for a mention without fragment."""
    for name in _runbook_names(runbook):
        pattern = rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)(?:\?[^\s#]*)?(?:#(?P<fragment>[^\s()\[\]<>\"'|,;]+))?"
        for match in re.finditer(pattern, description, re.IGNORECASE):
            yield (match["fragment"] or "").rstrip(".:!?*`")
