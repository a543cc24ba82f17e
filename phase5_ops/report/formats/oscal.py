"""The readiness document as OSCAL assessment results, which auditors' tools load: an objective a row, an observation a finding.

Pure. Validated and written by the models of compliance-trestle (extra `formats`). A row is satisfied by what was seen alone: one
that waivers open is not, and has their risk beside it, with its end.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from trestle.oscal import OSCAL_VERSION
from trestle.oscal.assessment_results import AssessmentResults

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.clock import iso, parse_iso
from phase5_ops.evidence.result import RowEntry
from phase5_ops.report.document import ReadinessDocument, headline, waiver_line
from phase5_ops.report.formats import RenderContext
from phase5_ops.report.formats.outcomes import (
    RowFinding,
    RowOutcome,
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

#: Of the properties that OSCAL does not name itself.
NAMESPACE = "urn:phase5-ops:oscal"

_PLAN = "Phase 5 Operational Readiness Exit Checklist"
_REASONS = {Verdict.PASS: "pass", Verdict.FAIL: "fail"}


def render(document: ReadinessDocument, context: RenderContext) -> str:
    """The document as one OSCAL JSON document."""
    content = _AssessmentResults(document, context).content()
    text: str = AssessmentResults.model_validate(content).oscal_serialize_json(pretty=True)
    return text


def _text(text: str, otherwise: str = "not given") -> str:
    """In one line, and never empty: OSCAL takes no empty text."""
    return one_line(text).strip() or otherwise


def _props(**values: str | None) -> list[dict[str, str]]:
    return [
        {"name": name.replace("_", "-"), "ns": NAMESPACE, "value": _text(value)}
        for name, value in values.items()
        if value is not None
    ]


class _AssessmentResults:
    """Makes the parts of one document, each with an id that the same document always gives it."""

    def __init__(self, document: ReadinessDocument, context: RenderContext) -> None:
        self._document, self._context = document, context
        self._at = iso(parse_iso(document.stated_at or document.evaluated_at))
        self._rows = shown_rows(document, context.meanings)
        self._closed = closing(document)

    def content(self) -> dict[str, Any]:
        """The whole, under OSCAL's names."""
        document, plan = self._document, self._id("plan")
        return {
            "uuid": self._id("assessment results"),
            "metadata": self._metadata(),
            "import-ap": {"href": f"#{plan}"},
            "results": [self._result()],
            "back-matter": {
                "resources": [
                    {
                        "uuid": plan,
                        "title": _PLAN,
                        "description": "The checklist is the plan: each of its rows is an objective that is tested in every run.",
                        "props": _props(policy_digest=document.policy_digest),
                    }
                ]
            },
        }

    def _id(self, *of: str) -> str:
        document = self._document
        return str(uuid5(NAMESPACE_URL, "\0".join((NAMESPACE, document.environment, document.run_id, self._at, *of))))

    def _metadata(self) -> dict[str, Any]:
        document = self._document
        of = f"{document.release} in {document.environment}" if document.release else document.environment
        signed = [each for each in document.sign_offs if each.done]
        found: dict[str, Any] = {
            "title": _text(f"Phase 5 readiness of {of}: {headline(document)}"),
            "last-modified": self._at,
            "version": version("phase5-ops"),
            "oscal-version": OSCAL_VERSION,
            "roles": [{"id": each.role, "title": each.role} for each in document.sign_offs],
            "parties": [
                {"uuid": self._id("party", each.role), "type": "person", "name": _text(each.by or "", "not known")}
                for each in signed
            ],
        }
        return {name: value for name, value in found.items() if value}

    def _result(self) -> dict[str, Any]:
        document = self._document
        found: dict[str, Any] = {
            "uuid": self._id("result"),
            "title": _text(f"Readiness run {document.run_id}"),
            "description": _text(f"{headline(document)}, exit code {document.exit_code}, {len(document.blockers)} blocker(s)"),
            "start": iso(parse_iso(document.evaluated_at)),
            "end": self._at,
            "props": _props(
                environment=document.environment,
                release=document.release,
                run_id=document.run_id,
                decision=document.decision,
                evidence_digest=document.evidence_digest,
                policy_digest=document.policy_digest,
            )
            + (_props(**{f"judged_{name}": value for name, value in document.judged if value}) if document.judged else []),
            "reviewed-controls": {
                "control-selections": [{"include-controls": [{"control-id": _target(entry)} for entry in self._rows]}]
                if self._rows
                else [{"include-all": {}}]
            },
            "attestations": list(self._attestations()),
            "observations": [each for entry in self._rows for each in self._observations(entry)],
            "risks": [self._risk(waiver) for waiver in document.waivers],
            "findings": [self._finding(entry) for entry in self._rows],
        }
        return {name: value for name, value in found.items() if value}

    def _attestations(self) -> Iterator[dict[str, Any]]:
        for each in self._document.sign_offs:
            if each.done:
                text = _text(f"{each.by or 'not known'} signed for {each.role} at {each.date or 'a time that is not known'}")
                yield {
                    "responsible-parties": [{"role-id": each.role, "party-uuids": [self._id("party", each.role)]}],
                    "parts": [{"name": "sign-off", "ns": NAMESPACE, "title": f"Sign-off of {each.role}", "prose": text}],
                }

    def _observations(self, entry: RowEntry) -> Iterator[dict[str, Any]]:
        """What was seen of a row as a whole, with its evidence; then each finding."""
        sign_off = entry.id in ROW_OF_ID and ROW_OF_ID[entry.id].is_sign_off
        try:
            collected, untimed = iso(parse_iso(entry.observed_at)), None
        except ValueError:
            collected, untimed = self._at, f"The row does not say when it was observed: {_text(entry.observed_at)}"
        common = {"methods": ["EXAMINE" if sign_off else "TEST"], "collected": collected}
        evidence = [{"description": _text(each.label), "href": web_link(each.url)} for each in entry.evidence]
        whole = common | {
            "uuid": self._id("observation", entry.id),
            "title": _text(name_of(entry)),
            "description": _text(entry.summary),
            "types": ["control-objective"],
            "props": _props(
                verdict=str(entry.verdict), waived="yes" if entry.waived else None, check=entry.check, asset=entry.asset
            ),
            "relevant-evidence": [{name: value for name, value in each.items() if value} for each in evidence],
            "remarks": untimed,
        }
        yield {name: value for name, value in whole.items() if value}
        for found in findings_of(entry):
            yield common | self._observation(found)

    def _observation(self, found: RowFinding) -> dict[str, Any]:
        finding = found.finding
        link = web_link(finding.link)
        return {
            "uuid": self._id("observation", *map(str, found.key)),
            "title": _text(f"{finding.code}: {finding.subject}"),
            "description": _text(f"Expected: {finding.expected}; seen: {finding.seen}"),
            "types": ["finding"],
            "props": _props(
                verdict=str(finding.verdict),
                code=finding.code,
                subject=finding.subject,
                remedy=remedies(finding.code, self._context.meanings) or None,
            ),
        } | ({"links": [{"href": link}]} if link else {})

    def _finding(self, entry: RowEntry) -> dict[str, Any]:
        """Whether a row's objective is satisfied: by what was seen, not by what was waived."""
        became = outcome(entry.model_copy(update={"waived": False}), self._closed)
        related = [self._id("observation", entry.id), *(self._id("observation", *map(str, f.key)) for f in findings_of(entry))]
        found: dict[str, Any] = {
            "uuid": self._id("finding", entry.id),
            "title": _text(name_of(entry)),
            "description": _text(f"{entry.verdict}: {entry.summary}"),
            "props": _props(
                verdict=str(entry.verdict),
                keeps_the_gate_closed="yes" if entry.id in self._closed else "no",
                waived="yes" if entry.waived else None,
            ),
            "target": {
                "type": "objective-id",
                "target-id": _target(entry),
                "title": _text(entry.title),
                "description": _text(requirement(entry)),
                "status": {
                    "state": "satisfied" if became is RowOutcome.passed else "not-satisfied",
                    "reason": _REASONS.get(entry.verdict, "other"),
                },
            },
            "related-observations": [{"observation-uuid": each} for each in related],
            "related-risks": [
                {"risk-uuid": self._id("risk", waiver["id"])} for waiver in self._document.waivers if waiver["row"] == entry.id
            ],
        }
        return {name: value for name, value in found.items() if value}

    def _risk(self, waiver: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            "uuid": self._id("risk", waiver["id"]),
            "title": _text(f"Waiver {waiver['id']} of row {waiver['row']}"),
            "description": _text(waiver_line(waiver)),
            "statement": _text(str(waiver["reason"])),
            "status": "deviation-approved" if waiver["in_force"] else "open",
            "props": _props(**{name: str(waiver[name]) for name in ("ticket", "by", "signed_by", "until")}),
        }
        try:
            return found | {"deadline": iso(parse_iso(str(waiver["until"])))}
        except ValueError:  # it is in the properties as it stands
            return found


def _target(entry: RowEntry) -> str:
    """A row as OSCAL names an objective."""
    return f"row-{entry.id}"
