"""The readiness document as OCSF Compliance Findings (class 2003): an event a finding, and one for a row without any. Pure.

Models of py-ocsf-models (extra `formats`); its class lacks the object of the profile `cloud`, which is added here. A JSON array.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from py_ocsf_models.events.findings.activity_id import ActivityID
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from py_ocsf_models.events.findings.compliance_finding_type_id import ComplianceFindingTypeID
from py_ocsf_models.events.findings.severity_id import SeverityID
from py_ocsf_models.events.findings.status_id import StatusID as FindingStatus
from py_ocsf_models.objects.account import Account
from py_ocsf_models.objects.account import TypeID as AccountType
from py_ocsf_models.objects.check import Check
from py_ocsf_models.objects.cloud import Cloud
from py_ocsf_models.objects.compliance import Compliance
from py_ocsf_models.objects.compliance_status import StatusID as ComplianceStatus
from py_ocsf_models.objects.finding_info import FindingInformation
from py_ocsf_models.objects.group import Group
from py_ocsf_models.objects.metadata import Metadata
from py_ocsf_models.objects.product import Product
from py_ocsf_models.objects.remediation import Remediation
from py_ocsf_models.objects.resource_details import ResourceDetails

from phase5_ops.clock import epoch_milliseconds, parse_iso
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.files import sha256_of
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.formats import RenderContext
from phase5_ops.report.formats.outcomes import (
    RowFinding,
    RowOutcome,
    WaiversInForce,
    closing,
    findings_of,
    name_of,
    outcome,
    remedies,
    requirement,
    shown_rows,
)
from phase5_ops.report.formats.plain import one_line, web_link
from phase5_ops.verdict import Verdict

STANDARD = "CCNative Phase 5 Operational Readiness Exit Checklist"

_SEVERITIES = {
    Verdict.PASS: SeverityID.Informational,
    Verdict.WARN: SeverityID.Low,
    Verdict.INCONCLUSIVE: SeverityID.Medium,
    Verdict.FAIL: SeverityID.High,
    Verdict.ERROR: SeverityID.High,
}
#: OCSF's Warning is for a check that "did not yield a result due to missing information": what is undecided, and what only warns.
_COMPLIANCE = {
    Verdict.PASS: ComplianceStatus.Pass,
    Verdict.WARN: ComplianceStatus.Warning,
    Verdict.INCONCLUSIVE: ComplianceStatus.Warning,
    Verdict.FAIL: ComplianceStatus.Fail,
    Verdict.ERROR: ComplianceStatus.Warning,
}


class CloudComplianceFinding(ComplianceFinding):
    """A Compliance Finding with what the profile `cloud` adds."""

    cloud: Cloud | None = None


def render(document: ReadinessDocument, context: RenderContext) -> str:
    """The document as a JSON array of events."""
    events = [each.model_dump(mode="json", exclude_none=True) for each in _events(document, context)]
    return json.dumps(events, indent=2, ensure_ascii=False)


def _events(document: ReadinessDocument, context: RenderContext) -> Iterator[CloudComplianceFinding]:
    closed, about = closing(document), _About(document, context)
    known: set[tuple[str, str, str, int]] = set()
    if context.before is not None:
        known = {each.key for entry in shown_rows(context.before, context.meanings) for each in findings_of(entry)}
    for entry in shown_rows(document, context.meanings):
        found = list(findings_of(entry))
        for each in found:
            yield about.event(entry, each, closes=entry.id in closed, known=each.key in known)
        if not found:
            passed = RowFinding(entry, _passed(entry), 1)
            yield about.event(entry, passed, closes=outcome(entry, closed) is not RowOutcome.passed, known=False)


def _passed(entry: RowEntry) -> FindingEntry:
    return FindingEntry(code="passed", verdict=Verdict.PASS, subject=entry.id, expected=requirement(entry), seen=entry.summary)


class _About:
    """Makes the events of one document."""

    def __init__(self, document: ReadinessDocument, context: RenderContext) -> None:
        self._document, self._context = document, context
        self._waivers = WaiversInForce(document)
        self._product = Product(name="phase5_ops", vendor_name="CCNative", version=version("phase5-ops"))
        self._at = parse_iso(document.stated_at or document.evaluated_at)
        judged = document.judged
        self._cloud = judged and Cloud(
            provider="AWS",
            region=one_line(judged.region),
            account=Account(
                name=one_line(judged.account), uid=one_line(judged.account), type="AWS Account", type_id=AccountType.AWS_Account
            ),
        )

    def event(self, entry: RowEntry, found: RowFinding, *, closes: bool, known: bool) -> CloudComplianceFinding:
        """One finding as an event; `known` says whether the previous run found it too."""
        document, finding = self._document, found.finding
        waived = bool(self._waivers.of(found))
        activity = ActivityID.Update if known else ActivityID.Create
        kind = ComplianceFindingTypeID.Update if known else ComplianceFindingTypeID.Create
        status = FindingStatus.Suppressed if waived else FindingStatus.New
        severity = _SEVERITIES[finding.verdict]
        compliance = _COMPLIANCE[finding.verdict]
        milliseconds = epoch_milliseconds(self._at)
        text = one_line(f"{name_of(entry)}: {finding.subject}: {finding.seen} (expected: {finding.expected})")
        return CloudComplianceFinding(
            message=text,
            activity_id=activity,
            activity_name=activity.name,
            type_uid=kind,
            type_name=f"Compliance Finding: {activity.name}",
            class_name="Compliance Finding",
            category_name="Findings",
            severity_id=severity,
            severity=severity.name,
            status_id=status,
            status=status.name,
            status_code=str(finding.verdict),
            status_detail=one_line(finding.seen),
            time=milliseconds,
            time_dt=self._at,
            metadata=Metadata(
                product=self._product,
                profiles=["cloud", "datetime"] if self._cloud else ["datetime"],
                event_code=finding.code,
                correlation_uid=one_line(document.run_id),
                uid=self._event_uid(found),
            ),
            finding_info=FindingInformation(
                uid=found.fingerprint(document.environment),
                title=one_line(f"{name_of(entry)}: {finding.code}"),
                desc=text,
                src_url=web_link(finding.link) or self._run_address(),
                types=[finding.code],
                data_sources=[link for link in (web_link(each.url) for each in entry.evidence) if link],
            ),
            compliance=Compliance(
                standards=[STANDARD],
                control=one_line(name_of(entry)),
                requirements=[one_line(requirement(entry))],
                category=one_line(entry.section),
                desc=one_line(entry.summary),
                status_id=compliance,
                checks=[
                    Check(
                        uid=one_line(entry.check),
                        name=one_line(entry.title),
                        desc=one_line(requirement(entry)),
                        status=compliance.name,
                        status_id=compliance,
                        standards=[STANDARD],
                        severity=severity.name,
                        severity_id=severity,
                    )
                ],
            ),
            remediation=self._remediation(finding),
            resources=[
                ResourceDetails(
                    uid=one_line(finding.subject),
                    name=one_line(finding.subject),
                    type=one_line(entry.asset),
                    region=self._cloud.region if self._cloud else None,
                    group=Group(name=one_line(document.environment)),
                    labels=[f"row:{entry.id}"],
                )
            ],
            cloud=self._cloud,
            unmapped=self._unmapped(entry, closes=closes),
        )

    def _event_uid(self, found: RowFinding) -> str:
        return sha256_of(f"{self._document.run_id}\0{found.fingerprint(self._document.environment)}".encode()).removeprefix(
            "sha256:"
        )

    def _run_address(self) -> str | None:
        return web_link(self._document.candidate.url) if self._document.candidate else None

    def _remediation(self, finding: FindingEntry) -> Remediation | None:
        remedy = remedies(finding.code, self._context.meanings)
        address = web_link(self._context.runbook)
        return Remediation(desc=remedy, references=[address] if address else None) if remedy else None

    def _unmapped(self, entry: RowEntry, *, closes: bool) -> dict[str, Any]:
        """What OCSF has no place for."""
        document = self._document
        return {
            "environment": one_line(document.environment),
            "release": document.release and one_line(document.release),
            "decision": document.decision,
            "row": entry.id,
            "row_verdict": str(entry.verdict),
            "row_closes_the_gate": closes,
            "row_waived": entry.waived,
            "observed_at": one_line(entry.observed_at),
            "evidence_digest": document.evidence_digest,
            "policy_digest": document.policy_digest,
        }
