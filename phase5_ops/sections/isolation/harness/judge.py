"""Judge of row 4.1: did one real execution for tenant A touch only tenant A's keys. Pure.

The rows of `isolation_harness` already say what was found about each key. The judge turns them into findings, decides how much
unread evidence counts in this environment, and refuses evidence of detectors that did not report their planted violation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.reads import read_findings
from phase5_ops.sections.isolation.harness.evidence import AccessKind, Harness, HarnessRow, Result
from phase5_ops.verdict import EvidenceLink, Fact, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude


class HarnessCode(FindingCodes):
    """The finding codes of row 4.1."""

    FOREIGN_KEY_WRITTEN = FindingCode(
        Verdict.FAIL,
        "The execution for one tenant wrote, changed or removed a key of another tenant.",
        "Find the write in the named table and take the tenant from the execution's own context.",
    )
    FOREIGN_TENANT_ATTRIBUTE = FindingCode(
        Verdict.FAIL,
        "An item or event of the execution names another tenant in an attribute, nested data, an S3 key or an event detail.",
        "Find where the named attribute is filled, and take the tenant from the execution's own context.",
    )
    KEY_WITHOUT_TENANT = FindingCode(
        Verdict.FAIL,
        "A key that the execution wrote names no tenant, and is no approved form that refers to this execution.",
        "Put the tenant into the partition key, or have the form approved with a justification in the key grammar.",
    )
    KEY_ATTRIBUTE_MISMATCH = FindingCode(
        Verdict.FAIL,
        "An item's key names one tenant, its tenant attribute another.",
        "Write both from the same value; whoever reads by the attribute sees another tenant's item.",
    )
    KEY_AMBIGUOUS = FindingCode(
        Verdict.INCONCLUSIVE,
        "Two known tenants fit the same key, since a tenant id holds the separator #.",
        "Use test tenants whose id followed by # is not the beginning of another tenant's id; forbid # in tenant ids.",
    )
    OUTCOME_MISSING = FindingCode(
        Verdict.FAIL,
        "The canary execution left no outcome under the tenant's own key in time.",
        "Look at the execution's state machine and logs; check that the outcome is written under the execution's tenant.",
    )
    LEDGER_TRAIL_INCOMPLETE = FindingCode(
        Verdict.FAIL,
        "The tenant's partition of the ledger does not hold every event of the execution.",
        "Look for the missing events under other tenants, and at the function that should have written them.",
    )
    CANARY_FAILED = FindingCode(
        Verdict.INCONCLUSIVE,
        "The canary execution ended with a failure, so it did not touch what a whole execution touches.",
        "Look at the outcome's error; run again when the action type of the canary works.",
    )
    CANARY_NOT_EXECUTED = FindingCode(
        Verdict.INCONCLUSIVE,
        "The canary execution was not made, so nothing about isolation was shown.",
        "The finding says why: a missing setting, a stop, a lease held by another run, or a rate limit.",
        also=(Verdict.ERROR,),
        not_tried=True,
    )
    UNSCOPED_SCAN = FindingCode(
        Verdict.FAIL,
        "A function of the execution read a whole table or index: a Scan, a statement without the partition key, or a stream.",
        "Query by the tenant's partition key instead, and take Scan away from the function's role.",
    )
    UNSCOPED_QUERY = FindingCode(
        Verdict.FAIL,
        "A query of the execution names neither the tenant nor anything of this execution.",
        "Query by the tenant's partition key; on an index without the tenant, query by an id of the execution only.",
    )
    FOREIGN_KEY_READ = FindingCode(
        Verdict.FAIL,
        "The execution for one tenant read a key of another tenant, or one that is nobody's.",
        "Find the read in the named function and take the tenant from the execution's own context.",
    )
    READS_NOT_JUDGED = FindingCode(
        Verdict.WARN,
        "Reads of the execution could not be judged: there is no data-access trail, it is not delivered yet, or it hides the"
        " keys.",
        "Turn on CloudTrail data events for DynamoDB to S3 and name the location in the settings; run again once it is"
        " delivered.",
        also=(Verdict.INCONCLUSIVE,),
        not_tried=True,
    )
    FOREIGN_DATA_READABLE = FindingCode(
        Verdict.FAIL,
        "The Control Center showed data of test tenant B to a token of test tenant A.",
        "Take the tenant from the token's claim custom:tenant_id alone in the named route.",
    )
    FOREIGN_DATA_WRITABLE = FindingCode(
        Verdict.FAIL,
        "A request with a token of test tenant A changed data of test tenant B through the Control Center.",
        "Take the tenant from the token's claim custom:tenant_id alone in the named route; refuse a body that names another.",
    )
    UNAUTHORIZED_REQUEST_ANSWERED = FindingCode(
        Verdict.FAIL,
        "A route of the Control Center or the decision API answered a request without a token, or with one that is not valid.",
        "Put the named route behind the user pool's authorizer, for every method and spelling of its path.",
    )
    OTHER_CLIENT_REQUEST_ANSWERED = FindingCode(
        Verdict.WARN,
        "A route of the Control Center or the decision API accepts tokens that the user pool issued for another client.",
        "Check the audience of the token in the named route, or have the other client approved.",
    )
    REQUEST_WITHOUT_TENANT_ANSWERED = FindingCode(
        Verdict.FAIL,
        "A route answered for a tenant although the token names none: its claim custom:tenant_id is missing or is no"
        " tenant's id.",
        "Refuse tokens without custom:tenant_id in the named route; take the tenant from nowhere else, and compare it exactly.",
    )
    FOREIGN_ACCOUNT_ANSWERED = FindingCode(
        Verdict.FAIL,
        "A route answered for an account that the token's claim custom:account_ids does not name.",
        "Check the account of the named route against the token's accounts.",
    )
    LATE_EFFECT = FindingCode(
        Verdict.FAIL,
        "What a probe of an earlier run asked for was done after that run had ended and had put everything back.",
        "Find what carries out requests later (a queue, a retry, a stream) and have it check who asked; or what repeats writes.",
    )
    DECISION_API_NOT_FOUND = FindingCode(
        Verdict.WARN,
        "The decision API is not at the Control Center's address, so nothing was shown about its routes.",
        "Set PHASE5_DECISION_API_URL, and PHASE5_DECISION_API_KEY where it wants a key.",
        not_tried=True,
    )
    NOT_PUT_BACK = FindingCode(
        Verdict.ERROR,
        "What a cross-tenant write changed on test tenant B could not be put back.",
        "Restore the named item of test tenant B by hand; the stored evidence has its content before the probe.",
    )
    PROBE_NOT_ANSWERED = FindingCode(
        Verdict.INCONCLUSIVE,
        "A cross-tenant probe got no answer that decides: a server error, a timeout, no connection.",
        "Run again; if it stays, look at the Control Center's logs for the named route.",
        not_tried=True,
    )
    PROBE_NOT_TRIED = FindingCode(
        Verdict.INCONCLUSIVE,
        "A cross-tenant probe was not tried, so nothing was shown about its route.",
        "The finding says why: a missing setting, probe mode, or a stop.",
        not_tried=True,
    )
    CLEANUP_FAILED = FindingCode(
        Verdict.ERROR,
        "Something that the harness put on the platform could not be removed.",
        "The next run removes leftovers; if this stays, grant the delete on the named table's test tenant partitions.",
    )
    DETECTOR_BLIND = FindingCode(
        Verdict.ERROR,
        "A detector was shown a planted violation in memory and did not report it, so its silence means nothing.",
        "Report it with the stored evidence: the harness itself is at fault.",
    )


#: Detectors; every run must show each of them a planted violation (`controls.py` plants them).
DETECTORS = (
    "foreign_key_written",
    "foreign_tenant_attribute",
    "key_without_tenant",
    "key_attribute_mismatch",
    "outcome_missing",
    "ledger_trail_incomplete",
    "unscoped_scan",
    "unscoped_query",
    "foreign_key_read",
    "reads_not_judged",
    "foreign_data_readable",
    "foreign_data_writable",
    "unauthorized_request_answered",
    "request_without_tenant_answered",
    "foreign_account_answered",
    "late_effect",
)

_SHOWN_OF_A_CODE = 50


def judge_harness(table: Harness, *, production: bool, links: ConsoleLinks, ignoring: Iterable[str] = ()) -> Judgement:
    """Row 4.1: one real execution for tenant A touched only tenant A's keys.

    Args:
        table: `isolation_harness`, with its reads.
        production: whether the environment is production, where reads that were not judged keep the row from passing.
        links: console links of the platform's region.
        ignoring: reads that do not matter for this row, or that have rows of their own (`reads.read_findings`).
    """
    rows = table.rows
    nothing_begun = not table.reads and any("canary_not_executed" in row.codes for row in rows)  # the row says why
    unread = [] if nothing_begun else read_findings(table.reads, ignoring=ignoring)
    findings = [*unread, *findings_of(rows, production=production, links=links)]
    findings += _control_findings(rows)
    written = [row for row in rows if row.kind is AccessKind.WRITE and row.result is not Result.SET_ASIDE]
    results = Counter((row.kind, row.result) for row in rows)
    facts: dict[str, Fact] = {
        "keys_written": len(written),
        "tables_written": len({row.table for row in written}),
        "keys_in_scope": results[AccessKind.WRITE, Result.IN_SCOPE],
        "keys_approved": results[AccessKind.WRITE, Result.APPROVED],
        "keys_set_aside": results[AccessKind.WRITE, Result.SET_ASIDE],
        "reads_judged": sum(1 for row in rows if row.kind is AccessKind.READ and row.result is not Result.NOT_JUDGED),
        "reads_not_judged": results[AccessKind.READ, Result.NOT_JUDGED],
        "probes_refused": results[AccessKind.PROBE, Result.REFUSED],
        "probes": sum(1 for row in rows if row.kind is AccessKind.PROBE),
        "probe_cost": "; ".join(row.reason for row in rows if row.kind is AccessKind.RUN and row.operation == "cost"),
        "events": sum(1 for row in rows if row.kind is AccessKind.EVENT),
        "detectors_shown": results[AccessKind.CONTROL, Result.DETECTED],
        "violations": sum(1 for row in rows if row.result is Result.VIOLATION),
    }
    if not written and not any(finding.verdict.blocks for finding in findings):
        findings.append(
            HarnessCode.CANARY_NOT_EXECUTED.at(
                "canary", expected="at least one key written by the execution", seen="no key was written"
            )
        )
    summary = (
        f"{len(written)} keys in {facts['tables_written']} tables written, {facts['reads_judged']} reads judged,"
        f" {facts['probes_refused']} of {facts['probes']} cross-tenant probes refused, {facts['violations']} violations"
    )
    evidence = [EvidenceLink(row_table, links.table(row_table)) for row_table in sorted({row.table for row in written})[:5]]
    return conclude(judged=len(written), summary=summary, findings=findings, facts=facts, evidence=evidence)


def findings_of(rows: Sequence[HarnessRow], *, production: bool, links: ConsoleLinks) -> list[Finding]:
    """The findings of these rows, without controls and exceptions; at most fifty of one code, with a count of the rest."""
    by_code: dict[str, list[Finding]] = {}
    for row in rows:
        for name in row.codes if row.kind not in (AccessKind.CONTROL, AccessKind.EXCEPTION) else ():
            by_code.setdefault(name, []).append(_finding(name, row, production, links))
    findings = []
    for name, found in by_code.items():
        findings += found[:_SHOWN_OF_A_CODE]
        if len(found) > _SHOWN_OF_A_CODE:
            worst_of_rest = max((one.verdict for one in found[_SHOWN_OF_A_CODE:]), key=lambda verdict: verdict.severity)
            findings.append(
                HarnessCode.named(name).at(
                    f"{len(found) - _SHOWN_OF_A_CODE} more",
                    expected="none",
                    seen="listed in the stored table isolation_harness",
                    verdict=worst_of_rest,
                )
            )
    return findings


def _finding(name: str, row: HarnessRow, production: bool, links: ConsoleLinks) -> Finding:
    code = HarnessCode.named(name)
    verdict = None
    if code is HarnessCode.READS_NOT_JUDGED:
        verdict = Verdict.INCONCLUSIVE if production else Verdict.WARN
    if code is HarnessCode.CANARY_NOT_EXECUTED and row.operation == "error":
        verdict = Verdict.ERROR
    subject = " ".join(part for part in (row.table, row.index, row.key) if part)
    of_key = row.kind in (AccessKind.WRITE, AccessKind.READ)
    seen = f"{row.operation}: {row.reason}" if row.operation and of_key else row.reason
    link = links.table(row.table) if of_key or row.kind is AccessKind.OUTCOME else None
    return code.at(subject, expected=row.expected or code.meaning, seen=seen, verdict=verdict, link=link)


def _control_findings(rows: Sequence[HarnessRow]) -> list[Finding]:
    shown: Mapping[str, HarnessRow] = {row.table: row for row in rows if row.kind is AccessKind.CONTROL}
    findings = []
    for detector in DETECTORS:
        row = shown.get(detector)
        if row is None or row.result is not Result.DETECTED:
            findings.append(
                HarnessCode.DETECTOR_BLIND.at(
                    detector,
                    expected="the planted violation reported, and nothing where nothing is planted",
                    seen="no planted violation was shown to the detector" if row is None else row.reason,
                )
            )
    return findings
