"""The readiness document as SARIF 2.1.0, which code scanning takes: a rule a finding code, a result a finding. Pure.

Waivers in force are suppressions. Against the previous run each result is new, unchanged or updated; what went away is named in
the run's properties alone, since most consumers would show a result in state `absent` as an open alert.
"""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.changes import tells_all
from phase5_ops.report.document import EXIT_OPEN, ReadinessDocument, headline
from phase5_ops.report.formats import FORMATS, Format, RenderContext
from phase5_ops.report.formats.outcomes import (
    RowFinding,
    WaiversInForce,
    closing,
    findings_of,
    name_of,
    remedies,
    requirement,
    shown_rows,
)
from phase5_ops.report.formats.plain import one_line, web_link
from phase5_ops.report.markdown import cell, lines_of_rows
from phase5_ops.report.worst import chosen
from phase5_ops.verdict import FindingCode, Verdict

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

#: Of these GitHub shows the first 5,000 by severity, and refuses a file with more than 25,000.
MOST_RESULTS = 5_000

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LEVELS = {Verdict.WARN: "warning", Verdict.INCONCLUSIVE: "error", Verdict.FAIL: "error", Verdict.ERROR: "error"}


def render(document: ReadinessDocument, context: RenderContext) -> str:
    """The document as one SARIF log with one run."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(document, context)]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _run(document: ReadinessDocument, context: RenderContext) -> dict[str, Any]:
    found = _found(document, context)
    results_of = _Results(document, context)
    shown = chosen(
        found,
        MOST_RESULTS,
        kind=lambda each: (each.row.id, each.finding.code),
        severity=lambda each: each.finding.verdict.severity,
    )
    before = {} if context.before is None else {each.key: each.finding for each in _found(context.before, context)}
    results = []
    for each in shown:
        result = results_of(each)
        if context.before is not None:
            result["baselineState"] = _state(each, before)
        results.append(result)
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "phase5_ops",
                "semanticVersion": version("phase5-ops"),
                "rules": results_of.rules.used,
            }
        },
        "automationDetails": {"id": f"{_category(document)}/{one_line(document.run_id)}"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "exitCode": document.exit_code,
                "exitCodeDescription": headline(document),
            }
        ],
        "results": results,
        "properties": {
            "environment": one_line(document.environment),
            "release": document.release and one_line(document.release),
            "decision": document.decision,
            "open": document.exit_code == EXIT_OPEN and document.covers is None,
            "evaluatedAt": document.evaluated_at,
            "evidenceDigest": document.evidence_digest,
            "policyDigest": document.policy_digest,
            "verdicts": {entry.id: str(entry.verdict) for entry in shown_rows(document, context.meanings)},
        },
    }
    if left := len(found) - len(shown):
        text = f"{left:,} more findings, none of them worse: --format json, or verdicts/ in the run's evidence folder, has all"
        run["invocations"][0]["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
        run["properties"]["findingsLeftOut"] = left
    if _UUID.fullmatch(document.run_id):
        run["automationDetails"]["guid"] = document.run_id
    if context.before is not None:
        covered = {entry.id for entry in shown_rows(document, context.meanings) if tells_all(entry)}
        now = {each.key for each in found}
        gone = [key for key in before if key not in now and key[0] in covered]
        run["properties"] |= {
            "baselineRun": one_line(context.before.run_id),
            "gone": [one_line(" ".join((row, code, subject))) for row, code, subject, _number in gone[:MOST_RESULTS]],
        }
        if _UUID.fullmatch(context.before.run_id):
            run["baselineGuid"] = context.before.run_id
    return run


def _category(document: ReadinessDocument) -> str:
    """What the run is compared with: alerts of a category that a newer run does not have are closed by who takes the file."""
    rows = "" if document.covers is None else f"/rows {' '.join(document.covers)}"
    return one_line(f"phase5/{document.environment}{rows}")


def _found(document: ReadinessDocument, context: RenderContext) -> list[RowFinding]:
    return [each for entry in shown_rows(document, context.meanings) for each in findings_of(entry)]


def _state(found: RowFinding, before: Mapping[tuple[str, str, str, int], FindingEntry]) -> str:
    """How a finding stands to the previous run."""
    earlier = before.get(found.key)
    if earlier is None:
        return "new"
    return "unchanged" if earlier == found.finding else "updated"


class _UsedRules:
    """The rules that results refer to, in the order of their first use."""

    def __init__(self, context: RenderContext) -> None:
        self.used: list[dict[str, Any]] = []
        self._context = context
        self._places: dict[str, int] = {}

    def place(self, rule: str, row: RowEntry) -> int:
        """The index of a rule; `row` is that of the result that refers to it."""
        if rule not in self._places:
            self._places[rule] = len(self.used)
            self.used.append(self._rule(rule, row))
        return self._places[rule]

    def _rule(self, rule: str, row: RowEntry) -> dict[str, Any]:
        codes: Sequence[FindingCode] = self._context.meanings.get(rule, ())
        meaning = " Or: ".join(dict.fromkeys(code.meaning for code in codes)) or one_line(requirement(row))
        remedy = remedies(rule, self._context.meanings) or "Look at the evidence of the row."
        runbook = runbook_section(row.id, self._context.runbook)
        worst = max((code.verdict for code in codes), key=lambda verdict: verdict.severity, default=Verdict.FAIL)
        described: dict[str, Any] = {
            "id": rule,
            "name": "".join(word.capitalize() for word in rule.split("_")),
            "shortDescription": {"text": meaning},
            "fullDescription": {"text": meaning},
            "help": {
                "text": f"{meaning}\n\nWhat to do: {remedy}",
                "markdown": f"{cell(meaning)}\n\n**What to do:** {cell(remedy)}"
                + (f"\n\n[Runbook](<{runbook}>)" if runbook else ""),
            },
            "defaultConfiguration": {"level": _LEVELS.get(worst, "note")},
            "properties": {"tags": ["phase5", f"row-{row.id}"]},
        }
        return described | ({"helpUri": runbook} if runbook else {})


def runbook_section(row: str, runbook: str | None) -> str | None:
    """Where the runbook says what to do about a row; None where no address of it is known."""
    address = web_link(runbook)
    anchor = ROW_OF_ID[row].runbook_anchor if row in ROW_OF_ID else None
    return f"{address}#{anchor}" if address and anchor else address


class _Results:
    """Makes the results of a document, and keeps the rules that they refer to."""

    def __init__(self, document: ReadinessDocument, context: RenderContext) -> None:
        self.rules = _UsedRules(context)
        self._document, self._context = document, context
        self._closed, self._lines = closing(document), lines_of_rows(document)
        self._waivers = WaiversInForce(document)

    def __call__(self, found: RowFinding) -> dict[str, Any]:
        """One result; its place is the row's line in the Markdown page."""
        row, finding = found.row, found.finding
        closes = row.id in self._closed
        text = f"{name_of(row)}: {finding.subject}: {finding.seen} (expected: {finding.expected})"
        fingerprint = found.fingerprint(self._document.environment)
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": self.rules.place(finding.code, row),
            "level": "error" if closes and finding.verdict is Verdict.WARN else _LEVELS.get(finding.verdict, "note"),
            "kind": "fail",
            "message": {"text": one_line(text)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": FORMATS[Format.markdown].file_name},
                        "region": {"startLine": self._lines.get(row.id, 1)},
                    },
                    "logicalLocations": [
                        {
                            "name": one_line(finding.subject),
                            "fullyQualifiedName": one_line(f"{row.id}/{finding.subject}"),
                            "kind": "resource",
                        }
                    ],
                }
            ],
            "partialFingerprints": {"primaryLocationLineHash": f"{fingerprint}:1", "phase5/v1": fingerprint},
            "properties": {
                "row": row.id,
                "verdict": str(finding.verdict),
                "rowVerdict": str(row.verdict),
                "closes": closes,
                "subject": one_line(finding.subject),
                "expected": one_line(finding.expected),
                "seen": one_line(finding.seen),
                "remedy": remedies(finding.code, self._context.meanings),
                "observedAt": one_line(row.observed_at),
                "evidence": [link for link in (web_link(each.url) for each in row.evidence) if link],
            },
        }
        if link := web_link(finding.link):
            result["hostedViewerUri"] = link
        if suppressions := [_suppression(each) for each in self._waivers.of(found)]:
            result["suppressions"] = suppressions
        return result


def _suppression(waiver: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "kind": "external",
        "status": "accepted",
        "justification": one_line(f"{waiver['reason']} ({waiver['ticket']})"),
        "properties": {name: one_line(str(waiver[name])) for name in ("id", "until", "by", "signed_by", "ticket")},
    }
