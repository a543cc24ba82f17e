"""Row 1.3: the runbook exists, its section on SLO alarms says something, and every SLO alarm points to that section. Pure."""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from phase5_ops.ccnative.disclaimers import LINK, disowns_link
from phase5_ops.ccnative.runbook import Runbook, anchor_findings, anchor_name, link_to, unreadable_findings
from phase5_ops.policy import RunbookPolicy
from phase5_ops.reads import read_findings
from phase5_ops.sections.slo.alarms.evidence import SloAlarm, SloAlarms
from phase5_ops.sections.slo.alarms.judge import OTHER_READS, slo_alarms_known
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class RunbookLinkCode(FindingCodes):
    """What can be wrong with how alarms point to the runbook."""

    ALARM_WITHOUT_RUNBOOK_LINK = FindingCode(
        Verdict.FAIL,
        "The description of an SLO alarm does not lead to the runbook's section on SLO alarms, so whoever it wakes does not know"
        " where to look (WARN: it leads to the runbook, not to its section).",
        "Put the runbook's address with its anchor into AlarmDescription.",
        also=(Verdict.WARN,),
    )
    ALARM_RUNBOOK_LINK_DISOWNED = FindingCode(
        Verdict.FAIL,
        "The description of an SLO alarm leads to the runbook's section and at once says not to use it, or that it is yet to be"
        " written.",
        "Say in AlarmDescription what holds, and leave out what does not.",
    )
    NO_ALARM_TO_LINK = FindingCode(
        Verdict.FAIL,
        "There is no SLO alarm at all that could point to the runbook.",
        "Create the SLO alarms that row 1.2 asks for.",
    )


_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s<>\"'`|]+", re.IGNORECASE)
_AFTER = r"(?![\w/~%+-]|\.\w)(?:[?&][^\s#]*)?(?:#(?P<fragment>[^\s()\[\]<>\"'|,;]+))?"  # the end of the name, query, fragment


def judge_alarm_runbook(runbook: Runbook, slo_alarms: SloAlarms, *, policy: RunbookPolicy) -> Judgement:
    """Row 1.3.

    Args:
        runbook: the evidence table `runbook`.
        slo_alarms: the evidence table `slo_alarms`.
        policy: the anchor that must resolve, and that alarms must point to.
    """
    alarms = watching_alarms(slo_alarms)
    unreadable = unreadable_findings(runbook)
    findings = [
        *(unreadable or anchor_findings(runbook, policy.alarm_anchor)),
        *read_findings(slo_alarms.reads, ignoring=OTHER_READS),
    ]
    linked = 0
    for name, alarm in sorted(alarms.items()):
        found = link_findings(runbook, name, alarm.description or "", alarm.url or "", policy.alarm_anchor)
        linked += not any(finding.verdict.blocks for finding in found)
        findings += found
    if not alarms and slo_alarms_known(slo_alarms):
        findings.append(
            RunbookLinkCode.NO_ALARM_TO_LINK.at("SLO alarms", expected="alarms that point to the runbook", seen="no SLO alarm")
        )
    place = runbook.facts.url or runbook.facts.location
    link = link_to(runbook, policy.alarm_anchor)
    return conclude(
        judged=len(alarms),
        summary=f"{linked} of {len(alarms)} SLO alarms point to the runbook ({place}).",
        findings=findings,
        facts={
            "slo_alarms": len(alarms),
            "alarms_linked": linked,
            "runbook_headings": sum(row.kind == "heading" for row in runbook.rows),
            "runbook": place,
        },
        evidence=[EvidenceLink("Runbook, SLO alarms", link)] if link else [],
    )


def watching_alarms(table: SloAlarms) -> dict[str, SloAlarm]:
    """The alarms that watch a registered tool, by name; an alarm that watches several tools has its first row."""
    return {row.alarm: row for row in reversed(table.rows) if row.signal is not None and row.alarm is not None}


def link_findings(runbook: Runbook, alarm: str, description: str, url: str, anchor: str) -> list[Finding]:
    """What is wrong with the link of one alarm; of several links, one that leads to the section is enough."""
    wanted = anchor_name(anchor)
    anchors = [anchor_name(fragment) for fragment in _references(runbook, description)]
    if wanted in anchors:
        taken_back = disowns_link(_without_links(runbook, description))
        if taken_back is None:
            return []
        seen = f"the description says {taken_back.replace(LINK, '<link>')[:200]!r}"
        return [
            RunbookLinkCode.ALARM_RUNBOOK_LINK_DISOWNED.at(
                alarm, expected="a link that whoever is woken may follow", seen=seen, link=url or None
            )
        ]
    verdict = Verdict.FAIL
    if "" in anchors:
        verdict, seen = Verdict.WARN, "points to the runbook, not to its section"
    elif anchors:
        seen = f"points to section {_section(runbook, anchors[0])}"
    else:
        seen = f"description {description[:200]!r}" if description else "no description"
    expected = f"a link to {' or '.join(f'{name}#{wanted}' for name in runbook_names(runbook))} in the description"
    return [RunbookLinkCode.ALARM_WITHOUT_RUNBOOK_LINK.at(alarm, expected=expected, seen=seen, verdict=verdict, link=url or None)]


def _section(runbook: Runbook, anchor: str) -> str:
    """An anchor with the title of what it leads to."""
    title = next((row.title for row in runbook.rows if row.anchor == anchor), None)
    return f"#{anchor} ({title})" if title is not None else f"#{anchor}, which the runbook does not have"


def _address(runbook: Runbook) -> str | None:
    """Where people open the runbook, without fragment."""
    url = runbook.facts.url
    return url.split("#", 1)[0].rstrip("/") if url else None


def _file_names(runbook: Runbook) -> list[str]:
    """The names of the runbook's file, by its address and its location; the location itself if there is nothing else."""
    places = [place for place in (_address(runbook), runbook.facts.location) if place]
    paths = [unquote(urlsplit(place).path) if "://" in place else place.split("#", 1)[0] for place in places]
    names = [path.replace("\\", "/").rstrip("/").rpartition("/")[2] for path in paths]
    named = list(dict.fromkeys(name for name in names if "." in name))
    return named or ([] if _address(runbook) else places)


def runbook_names(runbook: Runbook) -> list[str]:
    """What a description may call the runbook: its address, or its file name."""
    address = _address(runbook)
    return [*([address] if address else []), *_file_names(runbook)]


def _references(runbook: Runbook, description: str) -> Iterator[str]:
    """The fragment of every mention of the runbook in a description; empty for a mention without fragment.

    A URL is a mention if it is the runbook's address; where that is not known, if it ends in the name of the runbook's file. In
    the text beside URLs the name of the file is enough.
    """
    names = _mention(runbook)
    address = _address(runbook)
    for url in _URL.findall(description):
        match = re.match(_exactly(address), url) if address else re.search(names, url, re.IGNORECASE)
        if match:
            yield _fragment(match)
    for match in re.finditer(names, _URL.sub(" ", description), re.IGNORECASE):
        yield _fragment(match)


def _without_links(runbook: Runbook, description: str) -> str:
    """The description with every address and every mention of the runbook's file replaced by `LINK`."""
    return re.sub(rf"(?:[\w.-]*/)*{_mention(runbook)}", f" {LINK} ", _URL.sub(f" {LINK} ", description), flags=re.IGNORECASE)


def _mention(runbook: Runbook) -> str:
    """A pattern of the name of the runbook's file, with what may follow it."""
    return rf"(?<![\w.-])(?:{'|'.join(map(re.escape, _file_names(runbook))) or '(?!)'}){_AFTER}"


def _exactly(address: str) -> str:
    """A pattern of an address: case matters in the path, not in scheme and host."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return rf"(?i:{re.escape(f'{scheme}://{host}')}){re.escape(slash + path)}/?{_AFTER}"


def _fragment(match: re.Match[str]) -> str:
    return (match["fragment"] or "").rstrip(".:!?*`")
