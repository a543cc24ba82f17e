"""Judge of audit_export_is_whole: the file holds every entry of the period once, unaltered, and nothing else. Pure.

An export that one page of DynamoDB holds would be whole even if the platform never asked for a second page, as its observed code
does not; so fewer pages than the policy wants do not decide.
"""

from collections.abc import Callable, Sequence

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.policy import ExportPolicy
from phase5_ops.probing.codes import ProbingCode
from phase5_ops.reads import read_findings
from phase5_ops.sections.isolation.exports.evidence import AuditExport, ExportedEntry
from phase5_ops.text import first_few
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class ExportCode(FindingCodes):
    """The finding codes of audit_export_is_whole."""

    EXPORT_ENTRIES_MISSING = FindingCode(
        Verdict.FAIL,
        "An audit export lacks entries that the ledger has in its period.",
        "Read every page of the query (LastEvaluatedKey), without a limit; the observed worker reads one page, newest first.",
    )
    EXPORT_ENTRIES_UNKNOWN = FindingCode(
        Verdict.FAIL,
        "An audit export holds entries of the tenant that its ledger does not have in the period.",
        "Find out where the worker takes entries from; an export has what the ledger has and nothing else.",
    )
    EXPORT_NAMES_OTHER_TENANT = FindingCode(
        Verdict.FAIL,
        "An audit export holds entries of another tenant.",
        "Query the tenant's own partition alone, and take the tenant from the token.",
    )
    EXPORT_ENTRIES_DOUBLED = FindingCode(
        Verdict.FAIL,
        "An audit export holds entries more than once.",
        "Begin each page where the one before ended; a retry writes the file anew.",
    )
    EXPORT_ENTRIES_ALTERED = FindingCode(
        Verdict.FAIL,
        "An audit export has attributes of entries otherwise than the ledger, or not at all.",
        "Export entries as they are: numbers as numbers, whole data, no field left out.",
    )
    EXPORT_REFUSED = FindingCode(
        Verdict.FAIL,
        "The Control Center did not take a test tenant's request for its own export, or did not show its state.",
        "Look at the Control Center's answer; POST /audit/exports takes from, to and format.",
    )
    EXPORT_FAILED = FindingCode(
        Verdict.FAIL,
        "The platform says that the export failed, or did not complete it within the policy's time.",
        "Look at the log of the export worker; PHASE5_EXPORTS__SECONDS is how long an export may take.",
    )
    EXPORT_LINK_REFUSED = FindingCode(
        Verdict.FAIL,
        "The link of a completed export is missing, is not https to Amazon S3, or names another tenant's file; it was not"
        " followed.",
        "Give a presigned URL of the export's own object.",
    )
    EXPORT_NOT_FETCHED = FindingCode(
        Verdict.ERROR,
        "The exported file could not be fetched whole: refused, redirected, too large, too slow, or not reached.",
        "Follow the link of an export yourself; PHASE5_EXPORTS__MAX_MEGABYTES and __FETCH_SECONDS bound what is fetched.",
    )
    EXPORT_MALFORMED = FindingCode(
        Verdict.ERROR,
        "The exported file is no JSON array of entries with their ids.",
        "Look at the file; a worker that is ended while it writes must not leave a part of it as completed.",
    )
    EXPORT_UNANSWERED = FindingCode(
        Verdict.ERROR,
        "The Control Center did not answer a request for an export.",
        "Check that it can be reached, and run again.",
    )
    EXPORT_WITHIN_ONE_PAGE = FindingCode(
        Verdict.INCONCLUSIVE,
        "The test tenant's ledger has so few entries in the period that one page of DynamoDB (1 MB) holds them, so nothing shows"
        " that an export reads further pages.",
        "Let phase5 write what is missing (dynamodb:BatchWriteItem on the ledger under the test tenant's key, see"
        " `phase5 iam-policy`), or accept it: PHASE5_EXPORTS__MIN_PAGES=1.",
        not_tried=True,
    )
    EXPORT_NOT_TRIED = FindingCode(
        Verdict.INCONCLUSIVE,
        "PHASE5_PROBE_MODE=refusals: no export was asked for, since that starts work.",
        "Set PHASE5_PROBE_MODE to full.",
        not_tried=True,
    )


_OWN = {code.code: code for code in ExportCode.all()}


def judge_export(export: AuditExport, *, policy: ExportPolicy, links: ConsoleLinks) -> Judgement:
    """audit_export_is_whole, of the table `audit_export`.

    Args:
        export: the table, with its reads.
        policy: how many pages are wanted.
        links: console links of the platform's region.
    """
    facts, rows = export.facts, export.rows
    findings = [] if facts.obstacle is not None and not export.reads else read_findings(export.reads)
    if facts.obstacle is not None:
        findings.append(_of_obstacle(facts.obstacle))
    if facts.compared:
        findings += _of_entries(export, links)
        if facts.ledger_pages < policy.min_pages:
            findings.append(
                ExportCode.EXPORT_WITHIN_ONE_PAGE.at(
                    facts.ledger,
                    expected=f"entries of {policy.min_pages} pages or more",
                    seen=f"{sum(row.in_ledger for row in rows)} entries in {facts.ledger_pages} page",
                    link=links.table(facts.ledger),
                )
            )
    figures = "no export was compared with the ledger"
    held, exported = sum(row.in_ledger for row in rows), sum(row.in_file for row in rows)
    if facts.compared:
        figures = f"{exported} entries exported, {held} in the ledger on {facts.ledger_pages} page(s)"
        figures += f"; {facts.file_bytes:,} bytes after {facts.waited:.1f} s"
    return conclude(
        judged=len(rows) if facts.compared else 0,
        summary=figures,
        findings=findings,
        facts={
            "entries_in_ledger": held,
            "entries_in_file": exported,
            "ledger_pages": facts.ledger_pages,
            "entries_written_for_it": facts.planted,
            "waited_seconds": round(facts.waited, 1),
        },
        evidence=[EvidenceLink(f"Table {facts.ledger}", links.table(facts.ledger))] if facts.ledger else [],
    )


def _of_obstacle(obstacle: dict[str, str]) -> Finding:
    code = _OWN.get(obstacle["code"]) or ProbingCode.named(obstacle["code"])
    return code.at(obstacle["subject"], expected=obstacle["expected"], seen=obstacle["seen"])


def _of_entries(export: AuditExport, links: ConsoleLinks) -> list[Finding]:
    tenant, rows = export.facts.tenant, export.rows
    link = links.table(export.facts.ledger)
    kinds: Sequence[tuple[FindingCode, str, Callable[[ExportedEntry], bool]]] = (
        (ExportCode.EXPORT_ENTRIES_MISSING, "every entry of the period", lambda row: row.in_ledger and not row.in_file),
        (
            ExportCode.EXPORT_NAMES_OTHER_TENANT,
            f"entries of {tenant} alone",
            lambda row: row.tenant != tenant and row.in_file > 0,
        ),
        (
            ExportCode.EXPORT_ENTRIES_UNKNOWN,
            "no entry beside those of the ledger",
            lambda row: not row.in_ledger and row.tenant == tenant,
        ),
        (ExportCode.EXPORT_ENTRIES_DOUBLED, "each entry once", lambda row: row.in_file > 1),
        (ExportCode.EXPORT_ENTRIES_ALTERED, "each attribute as the ledger has it", lambda row: bool(row.differs)),
    )
    findings = []
    for code, expected, wrong in kinds:
        if found := [row for row in rows if wrong(row)]:
            names = sorted({name for row in found for name in row.differs}) if code is ExportCode.EXPORT_ENTRIES_ALTERED else []
            seen = f"{len(found)} of {len(rows)}: {first_few([row.entry_id for row in found], 3)}"
            findings.append(
                code.at(
                    f"export {export.facts.export_id}",
                    expected=expected,
                    seen=seen + (f"; in {first_few(names)}" if names else ""),
                    link=link,
                )
            )
    return findings
