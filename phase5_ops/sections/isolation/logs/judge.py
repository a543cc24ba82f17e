"""Judges row 4.2: no log line of one tenant's invocation names another tenant. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.logs.evidence import FOREIGN, GROUP, NOT_SCANNABLE, LogRow
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude

FILTER_EVENTS, READ_ARCHIVE, RETENTION = "logs:FilterLogEvents", "archive:read", "logs:retention"


class LogCode(FindingCodes):
    """The finding codes of row 4.2."""

    FOREIGN_TENANT_IN_LOG = FindingCode(
        Verdict.FAIL,
        "A log line of one tenant's invocation names another tenant.",
        "Open the log stream at the time of the finding, find what put the other tenant's data there, and treat it as a data"
        " leak.",
    )
    LOG_GROUP_UNREADABLE = FindingCode(
        Verdict.ERROR,
        "A log group or archive, or a part of it, could not be read at all, so nothing is known of its lines.",
        "Grant logs:FilterLogEvents on the group (or access to the file), correct the setting that names it, or unpack it.",
    )
    LOG_WINDOW_INCOMPLETE = FindingCode(
        Verdict.INCONCLUSIVE,
        "Part of the window was not read: reading broke off, or the group keeps its lines for less time than the window.",
        "Give reading more time (reading.deadline_seconds), shorten logs.window_hours, lengthen the retention, or mend the"
        " archive.",
        not_tried=True,
    )
    NO_LOG_LINES = FindingCode(
        Verdict.INCONCLUSIVE,
        "There was not one log line in the window.",
        "Check the prefixes of the log groups (logs.group_prefixes) and that the platform ran in the window.",
        not_tried=True,
    )
    NO_TENANT_IDS = FindingCode(
        Verdict.INCONCLUSIVE,
        "The tenant dictionary is empty, so no line can name a tenant.",
        "Check the tenants table, or the file of ids.",
        not_tried=True,
    )
    ONE_TENANT_ID = FindingCode(
        Verdict.WARN,
        "The tenant dictionary has one id only, so no line could name another tenant: nothing was shown.",
        "Check the tenants table, or the file of ids.",
        not_tried=True,
    )
    UNATTRIBUTED_SHARE = FindingCode(
        Verdict.INCONCLUSIVE,
        "Too many of the lines that name a tenant cannot be attributed to one, so they could not be judged.",
        "Log the trace or intent id (or the request id) on every line that names a tenant.",
        not_tried=True,
    )
    SAMPLED = FindingCode(
        Verdict.WARN,
        "Policy allows sampling, and only part of the window was scanned.",
        "Set logs.sample_share to 1 to scan every line.",
        not_tried=True,
    )
    TENANT_ID_NOT_SCANNABLE = FindingCode(
        Verdict.WARN,
        "A tenant id is too short or too common a word to be looked for in free text; it is judged in structured places only.",
        "Give the tenant an id that is not a word of the logs.",
        not_tried=True,
    )
    LOG_OWNERS_FORGOTTEN = FindingCode(
        Verdict.WARN,
        "More traces than fit into memory: the oldest were forgotten, and later lines of theirs count as not attributed.",
        "Scan a shorter window, or fewer files at once.",
        not_tried=True,
    )
    LOG_ENCODED_TOO_DEEP = FindingCode(
        Verdict.INCONCLUSIVE,
        "Lines hold text that is encoded in more layers than are taken off, so an id in it was not seen.",
        "Find what encodes the same text again and again (a retry that escapes its own error is usual), and log it once.",
        not_tried=True,
    )


#: Facts about lines that were not judged and have no finding, in words.
NOT_TRIED_FACTS = {
    "unattributed": "lines that name a tenant have no known owner and were not judged",
    "listed_set_aside": "lines were set aside by logs.exceptions",
}
#: Reads that this judge turns into findings itself.
OWN_READS = (FILTER_EVENTS, READ_ARCHIVE, RETENTION)
MAX_NAMED_IDS = 20


def judge_log_scan(
    rows: Sequence[LogRow],
    *,
    facts: Mapping[str, Any],
    reads: Sequence[Read],
    policy: LogScanPolicy,
    links: ConsoleLinks | None = None,
    unread: Sequence[Finding] = (),
) -> Judgement:
    """The judgement of one scan.

    Args:
        rows: of `evidence.scan_rows`.
        facts: of `evidence.scan_facts`, with further settings of the scan.
        reads: how logs and archives were read.
        policy: the share of lines that may stay without an owner.
        links: to the log groups, where the scan read CloudWatch.
        unread: findings about other reads that were not whole (tenants, ledger, the list of groups).
    """
    groups = [row for row in rows if row.kind == GROUP]
    names = ("lines", "bytes", "naming", "unattributed", "foreign_hits", "probes_set_aside", "listed_set_aside", "too_deep")
    sums = {name: sum(getattr(group, name) for group in groups) for name in names}
    share = sums["unattributed"] / sums["naming"] if sums["naming"] else 0.0
    findings = [*unread, *_reading(reads), *_foreign(rows, sums["foreign_hits"], links)]
    if not facts.get("tenants"):
        findings.append(LogCode.NO_TENANT_IDS.at("tenant ids", expected="at least one id to look for", seen="none"))
    elif facts["tenants"] == 1:
        findings.append(LogCode.ONE_TENANT_ID.at("tenant ids", expected="at least two ids to tell apart", seen="one"))
    if not sums["lines"]:
        findings.append(LogCode.NO_LOG_LINES.at("logs", expected="lines of the platform in the window", seen="no line at all"))
    if share > policy.unattributed_max_share:
        findings.append(
            LogCode.UNATTRIBUTED_SHARE.at(
                "lines that name a tenant",
                expected=f"at most {policy.unattributed_max_share:.1%} without a known owner",
                seen=f"{sums['unattributed']} of {sums['naming']} lines ({share:.1%})" + _worst_groups(groups),
            )
        )
    sampled = float(facts.get("sampled_share", 1.0))
    if sampled < 1:
        findings.append(LogCode.SAMPLED.at("window", expected="every line", seen=f"{sampled:.0%} of the window was scanned"))
    findings += _not_scannable(rows)
    if facts.get("owners_forgotten"):
        findings.append(
            LogCode.LOG_OWNERS_FORGOTTEN.at(
                "owners", expected="all traces of the scan in memory", seen=f"{facts['owners_forgotten']} forgotten"
            )
        )
    if sums["too_deep"]:
        findings.append(
            LogCode.LOG_ENCODED_TOO_DEEP.at(
                "encoded lines",
                expected=f"at most {facts.get('layers_at_most')} layers of encodings",
                seen=f"{sums['too_deep']} lines with more" + _worst_groups(groups, "too_deep"),
            )
        )
    summary = (
        f"{sums['lines']} lines in {len(groups)} sources, {sums['naming']} name a tenant: {sums['foreign_hits']} foreign,"
        f" {sums['unattributed']} without a known owner"
    )
    shown = {name: value for name, value in facts.items() if isinstance(value, (int, float, str, bool))}
    return conclude(
        judged=sums["naming"] - sums["unattributed"] - sums["listed_set_aside"],
        summary=summary,
        findings=findings,
        facts={**sums, "unattributed_share": round(share, 6), **shown},
        evidence=[EvidenceLink(group.group, link) for group in groups if (link := _link(group.group, links))],
    )


def _link(group: object, links: ConsoleLinks | None) -> str | None:
    """The page of a log group; None for a file."""
    return links.log_group(str(group)) if links and str(group).startswith("/aws/") else None


def _reading(reads: Sequence[Read]) -> list[Finding]:
    findings = []
    for read in reads:
        if read.operation not in OWN_READS or read.status is ReadStatus.OK:
            continue
        code = LogCode.LOG_WINDOW_INCOMPLETE if _began(read) else LogCode.LOG_GROUP_UNREADABLE
        findings.append(
            code.at(read.resource, expected="every line of the window", seen=f"{read.status}: {read.error or 'no details'}")
        )
    return findings


def _began(read: Read) -> bool:
    """Whether reading began: the lines that came are judged, and only the rest is missing."""
    return read.pages > 0 or read.operation == RETENTION


def _foreign(rows: Sequence[LogRow], total: int, links: ConsoleLinks | None) -> list[Finding]:
    hits = [row for row in rows if row.kind == FOREIGN]
    findings = []
    for hit in hits:
        where = " ".join(part for part in (hit.group, hit.stream) if part)
        when = f", {hit.time}" if hit.time else ""
        request = f", request {hit.request}" if hit.request else ""
        findings.append(
            LogCode.FOREIGN_TENANT_IN_LOG.at(
                f"{where} line {hit.line}{when}",
                expected=f"only tenant {hit.owner}",
                seen=f"names tenant {hit.foreign}{_written(hit)}{request}: {hit.excerpt}",
                link=_link(hit.group, links),
            )
        )
    if total > len(hits):
        findings.append(
            LogCode.FOREIGN_TENANT_IN_LOG.at(
                "further lines", expected="no foreign tenant", seen=f"{total - len(hits)} more hits, not listed"
            )
        )
    return findings


def _written(hit: LogRow) -> str:
    """How the line writes an id that an encoding hides."""
    return f" (written {hit.written}; behind {hit.layers})" if hit.layers else ""


def _not_scannable(rows: Sequence[LogRow]) -> list[Finding]:
    names = [row.foreign for row in rows if row.kind == NOT_SCANNABLE]
    findings = [
        LogCode.TENANT_ID_NOT_SCANNABLE.at(
            f"tenant {name[:80]}", expected="an id that can be told from other words", seen="judged in structured places only"
        )
        for name in names[:MAX_NAMED_IDS]
    ]
    if len(names) > MAX_NAMED_IDS:
        more = len(names) - MAX_NAMED_IDS
        findings.append(
            LogCode.TENANT_ID_NOT_SCANNABLE.at("further tenants", expected="ids that can be told", seen=f"{more} more")
        )
    return findings


def _worst_groups(groups: Sequence[LogRow], count: str = "unattributed") -> str:
    ranked = sorted(groups, key=lambda group: -getattr(group, count))[:3]
    named = [f"{group.group} {getattr(group, count)}" for group in ranked if getattr(group, count)]
    return f"; most in {', '.join(named)}" if named else ""
