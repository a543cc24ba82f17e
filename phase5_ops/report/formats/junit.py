"""The readiness document as JUnit XML, which CI systems show as test results: a suite a section, a test a row. Pure.

A row that FAILs, or WARNs where that keeps the gate closed, is a failure; INCONCLUSIVE and ERROR are errors; nothing is skipped.
What keeps the gate closed as a whole is a test of its own.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from phase5_ops.evidence.result import RowEntry
from phase5_ops.report.document import WHOLE_RUN, ReadinessDocument
from phase5_ops.report.formats import RenderContext
from phase5_ops.report.formats.outcomes import (
    RowOutcome,
    closing,
    findings_of,
    name_of,
    outcome,
    remedies,
    section_heading,
    shown_rows,
)
from phase5_ops.report.formats.plain import one_line, web_link
from phase5_ops.report.worst import more, worst_findings

_RESULTS = {RowOutcome.failed: Failure, RowOutcome.undecided: Error}


def render(document: ReadinessDocument, context: RenderContext) -> str:
    """The document as one XML file, in UTF-8."""
    closed = closing(document)
    suites = JUnitXml(f"Phase 5 readiness of {one_line(_subject(document))}")
    for heading, entries in groupby(shown_rows(document, context.meanings), key=lambda entry: _heading(document, entry)):
        suites.add_testsuite(_suite(document, heading, (_case(document, each, closed, context) for each in entries)))
    suites.update_statistics()
    suites.time = document.reading.seconds.get(WHOLE_RUN, 0.0)
    xml: bytes = suites.tostring()
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml.decode()}'


def _subject(document: ReadinessDocument) -> str:
    return f"{document.release} in {document.environment}" if document.release else document.environment


def _heading(document: ReadinessDocument, entry: RowEntry) -> str:
    return "Extra checks" if entry in document.extra_checks else section_heading(entry)


def _suite(document: ReadinessDocument, heading: str, cases: Iterable[TestCase]) -> TestSuite:
    suite = TestSuite(one_line(heading))
    suite.timestamp = one_line(document.evaluated_at)
    for name in ("environment", "release", "run_id", "decision", "evidence_digest", "policy_digest"):
        suite.add_property(name, one_line(str(getattr(document, name) or "")))
    for case in cases:
        suite.add_testcase(case)
    return suite


def _case(document: ReadinessDocument, entry: RowEntry, closed: frozenset[str], context: RenderContext) -> TestCase:
    case = TestCase(
        one_line(name_of(entry)), f"phase5.{one_line(entry.check)}", round(document.reading.seconds.get(entry.check, 0.0), 3)
    )
    became = outcome(entry, closed)
    text = "\n".join(_lines(entry, context))
    if became is RowOutcome.passed:
        case.system_out = text
        return case
    first = next(findings_of(entry), None)
    result = _RESULTS[became](f"{entry.verdict}: {one_line(entry.summary)}", first.finding.code if first else str(entry.verdict))
    result.text = text
    case.result = [result]
    return case


def _lines(entry: RowEntry, context: RenderContext) -> Iterator[str]:
    yield f"{entry.verdict}{' (waived)' if entry.waived else ''}: {one_line(entry.summary)}"
    findings = worst_findings(each.finding for each in findings_of(entry))
    for found in findings:
        yield f"{found.verdict} {found.code} {one_line(found.subject)}"
        yield f"  expected: {one_line(found.expected)}"
        yield f"  seen: {one_line(found.seen)}"
        if remedy := remedies(found.code, context.meanings):
            yield f"  remedy: {remedy}"
        if link := web_link(found.link):
            yield f"  link: {link}"
    if further := more(entry, len(findings)):
        yield further
    for evidence in entry.evidence:
        if link := web_link(evidence.url):
            yield f"evidence: {one_line(evidence.label)} {link}"
