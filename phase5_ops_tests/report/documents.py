"""Readiness documents for tests, and evidence folders that hold them."""

import json
from pathlib import Path
from typing import Any

from phase5_ops.checklist import ALL_CHECKS, ROW_OF_ID, ROWS
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.document import ReadinessDocument, Reading
from phase5_ops.verdict import Verdict, worst

DIGEST = "sha256:" + "0" * 64
AT = "2026-11-23T12:00:00.000Z"
ENVIRONMENT = "test"


def finding(
    code: str = "breaker_open", verdict: Verdict = Verdict.FAIL, subject: str = "crm", seen: str = "open"
) -> FindingEntry:
    return FindingEntry(code=code, verdict=verdict, subject=subject, expected="closed", seen=seen)


def row(row_id: str, *findings: FindingEntry, **facts: Any) -> RowEntry:
    """A row with these findings; its verdict is the worst of them."""
    about = ROW_OF_ID[row_id]
    return RowEntry(
        id=about.id,
        section=about.section,
        title=about.title,
        check=about.check,
        asset=about.asset,
        verdict=worst(each.verdict for each in findings) if findings else Verdict.PASS,
        summary="s",
        facts=facts,
        observed_at=AT,
        findings=list(findings),
    )


def document(
    run_id: str,
    *rows: RowEntry,
    at: str = AT,
    environment: str = ENVIRONMENT,
    partial: bool = False,
    policy: str = DIGEST,
) -> ReadinessDocument:
    """The document of a run with these rows; the others PASS, or are not covered by a `partial` one."""
    given = {each.id: each for each in rows}
    entries = [given.get(each.id) or row(each.id) for each in ALL_CHECKS if each.id in given or not partial]
    of_checklist = {each.id for each in ROWS}
    return ReadinessDocument(
        environment=environment,
        release=None,
        run_id=run_id,
        evaluated_at=at,
        decision="NOT_DECIDED" if partial else "BLOCKED",
        covers=list(given) if partial else None,
        exit_code=1,
        evidence_digest=DIGEST,
        policy_digest=policy,
        rows=[each for each in entries if each.id in of_checklist],
        extra_checks=[each for each in entries if each.id not in of_checklist],
        sign_offs=[],
        waivers=[],
        blockers=[],
        reading=Reading(),
    )


def keep(root: Path, about: ReadinessDocument, **origin: Any) -> Path:
    """Keeps a document below an evidence folder, with what made it where that is given; returns the run's folder."""
    folder = root / about.run_id
    folder.mkdir(parents=True)
    folder.joinpath("readiness.json").write_text(json.dumps(about.to_json()))
    if origin:
        folder.joinpath("run.json").write_text(json.dumps({"environment": about.environment, **origin}))
    return folder
