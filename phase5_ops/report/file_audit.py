"""The result of an audit over files (`phase5 audit-ledger`): text for people, JSON for programs, and its exit code. Pure."""

import json
from dataclasses import asdict
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from phase5_ops.verdict import Judgement, Verdict

_WIDTH = 150
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


def as_table(title: str, judgement: Judgement) -> str:
    """The result as text: verdict and summary, the findings as a table, the facts."""
    buffer = StringIO()
    console = Console(file=buffer, width=_WIDTH)
    console.print(Text(f"{title}: {judgement.verdict}. {judgement.summary}"))
    if judgement.findings:
        table = Table("verdict", "code", "subject", "expected", "seen")
        for finding in judgement.findings:
            cells = (str(finding.verdict), finding.code, finding.subject, finding.expected, finding.seen)
            table.add_row(*(Text(cell) for cell in cells))
        console.print(table)
    for name, value in judgement.facts.items():
        console.print(Text(f"{name}: {value}"))
    return buffer.getvalue().rstrip("\n")
