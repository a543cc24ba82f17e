"""The result of an audit over files: text for people, JSON for programs, and its exit code. Pure."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from phase5_ops.report.wrapping import hanging, labelled, wrapped
from phase5_ops.text import printable
from phase5_ops.verdict import Judgement, Verdict

_EXIT_CODES = {Verdict.PASS: 0, Verdict.WARN: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 2, Verdict.ERROR: 2}


def exit_code(judgement: Judgement) -> int:
    """0 PASS or WARN, 1 FAIL, 2 INCONCLUSIVE or ERROR."""
    return _EXIT_CODES[judgement.verdict]


def as_document(schema: str, judgement: Judgement) -> dict[str, Any]:
    """The result as JSON values: schema, verdict, summary, facts, findings."""
    return {
        "schema": schema,
        "verdict": str(judgement.verdict),
        "summary": judgement.summary,
        "facts": dict(judgement.facts),
        "findings": [{**asdict(finding), "verdict": str(finding.verdict)} for finding in judgement.findings],
    }


def as_json(schema: str, judgement: Judgement) -> str:
    """The result as JSON text."""
    return json.dumps(as_document(schema, judgement), indent=2, ensure_ascii=False)


def as_text(title: str, judgement: Judgement, width: int) -> str:
    """The result as lines of at most `width` columns but for addresses: verdict and summary, the findings, the facts."""
    lines = wrapped(printable(f"{title}: {judgement.verdict}. {judgement.summary}"), width)
    lines += finding_lines(judgement, width)
    for name, value in judgement.facts.items():
        lines += wrapped(printable(f"{name}: {value}"), width)
    return "\n".join(lines)


def finding_lines(judgement: Judgement, width: int) -> Iterator[str]:
    """The findings in lines of at most `width` columns but for addresses: what and where, and under it expected and seen."""
    for finding in judgement.findings:
        yield from hanging(printable(f"{finding.verdict} {finding.code} {finding.subject}"), width, indent=2)
        for label, text in (("expected", finding.expected), ("seen", finding.seen)):
            yield from labelled(label, printable(text), width, indent=4, label_width=8)
