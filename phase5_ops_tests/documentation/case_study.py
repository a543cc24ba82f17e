"""The case study: what the gate says of the platform as observed, made from a run of the scenario `observed`.

`python -m phase5_ops_tests.documentation.case_study` makes that run on an embedded platform and writes docs/case-study.md. What
a row came to, and by which codes, is the run's; what was observed, and why the row is right to close, is written here.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from phase5_ops.build import CATALOGUE
from phase5_ops.checklist import ROW_OF_ID
from phase5_ops.commands.readiness import run_readiness
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.scenarios.observed import OBSERVED
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import load_settings
from phase5_ops.verdict import Verdict

PAGE = Path("docs/case-study.md")
_MOMENT = "2026-11-23T12:00:00Z"
_SHOWN = 150  # characters of an example

#: What was observed of the platform's real code, by the row that shows it.
_OBSERVED: Mapping[str, str] = {
    "1.1": "The tool invoker names tools and connectors as the gateway does (`internal-create-note___internal...`), and no"
    " dashboard exists. Who looks for `internal.create_note` sees nothing.",
    "1.2": "No alarm watches the tools' metrics. A tool may fail every call, and nobody is called.",
    "1.3": "Without an alarm nothing leads anybody to the runbook.",
    "2.1": "Breakers are kept under the gateway's names, beside the connectors that the registry knows: who looks up"
    " `internal` sees a breaker that never opens.",
    "2.2": "The probe of a HALF_OPEN breaker never came back, and the flag that it is in flight stays: the connector is shut for"
    " good, and no tenant's kill switch was set.",
    "3.1": "Where a token carries no tenant, the handler takes it from `?tenant_id` or the header `x-tenant-id`. API"
    " Gateway's authorizer stands before it in the template; the sandbox has none, so that what the code itself lets"
    " in shows whole.",
    "3.2": "No rule of the bus delivers REPLAY_REQUESTED to anything: a replay is asked for, answered with 202, and never"
    " starts.",
    "3.3": "Account and requester of a replay come from the body and are held against nothing: a user of one account replays for"
    " another, in anybody's name.",
    "4.1": "GET takes the account from the query unchecked; PUT /config and PUT /budget write for the tenant, and under the key,"
    " that the body names.",
    "4.2": "One line of one tenant's execution names another tenant.",
    "5.1": "A refusal takes one from a budget's total and leaves its counts, so that the next approval goes beyond the cap.",
    "alarms_would_have_fired": "Breaches of thirty days are replayed on the alarms that there are; with none, nobody would have"
    " been told of any.",
    "no_slo_alarm_firing": "There is no alarm that could fire, and so no silence that would mean anything.",
    "executions_end": "Of 33 attempts ten stayed RUNNING for ever: the failure was never recorded, and the ledger has a start and"
    " nothing else.",
    "changes_are_audited": "Modes are changed by `unknown`, and of changes of modes, allowlists, budgets and kill switches the"
    " ledger has no entry.",
    "audit_export_is_whole": "The export worker asks DynamoDB once: of a ledger longer than 1 MB the rest is missing from the"
    " file, and the export says COMPLETED.",
}


def case_study(document: ReadinessDocument) -> str:
    """The page that a run of the scenario makes."""
    entries = [entry for entry in (*document.rows, *document.extra_checks) if not ROW_OF_ID[entry.id].is_sign_off]
    closed = [entry for entry in entries if entry.verdict.blocks]
    return "\n".join(
        [
            "# A case study: the platform as observed",
            "",
            "CCNative's public code was run, its plan and runbook were read, and what it did was written down. The scenario"
            " `observed` of the sandbox does the same, all at once; this page is made from a readiness run of it"
            " (`python -m phase5_ops_tests.documentation.case_study`). See it for yourself:",
            "",
            "    phase5 demo --scenario observed",
            "",
            f"**The gate says {document.decision}**, with exit code {document.exit_code}: {len(closed)} of {len(entries)} rows"
            f" and extra checks close it. {_verdicts(entries)}.",
            "",
            "| row | verdict | because of |",
            "|---|---|---|",
            *(f"| {entry.id} {entry.title} | {entry.verdict} | {_codes(entry)} |" for entry in entries),
            "",
            "[Each code](findings.md) means the same on every platform. What passes is as telling: error rates, cost and the"
            " roles of the functions are as they should be. Nobody who looks at these alone would see any of the following.",
            *(line for entry in closed for line in _section(entry)),
            "",
        ]
    )


def _verdicts(entries: list[RowEntry]) -> str:
    counted = Counter(entry.verdict for entry in entries)
    return ", ".join(f"{counted[verdict]} {verdict}" for verdict in Verdict if counted[verdict])


def _worst(entry: RowEntry) -> dict[str, list[FindingEntry]]:
    """The findings that close the row, by code, the most severe first."""
    found: dict[str, list[FindingEntry]] = {}
    for finding in sorted(entry.findings, key=lambda each: -Verdict(each.verdict).severity):
        if Verdict(finding.verdict).blocks:
            found.setdefault(finding.code, []).append(finding)
    return found


def _codes(entry: RowEntry) -> str:
    return ", ".join(f"`{code}`" for code in _worst(entry)) or "-"


def _section(entry: RowEntry) -> Iterator[str]:
    yield from ("", f"## {entry.id} {entry.title}: {entry.verdict}", "", f"*{ROW_OF_ID[entry.id].requirement}*", "")
    if entry.id in _OBSERVED:
        yield from (f"**Observed.** {_OBSERVED[entry.id]}", "")
    yield from ("| found | for instance | what would open it |", "|---|---|---|")
    for code, findings in _worst(entry).items():
        known = CATALOGUE.meaning(code, entry.id)
        first = findings[0]
        yield f"| `{code}` | {_cell(f'{first.subject}: {first.seen}')} | {_cell(known.remedy, None) if known else ''} |"


def _cell(text: str, most: int | None = _SHOWN) -> str:
    shown = " ".join(text.split()).replace("|", "\\|")
    return shown if most is None or len(shown) <= most else f"{shown[:most].rstrip()}..."


def main() -> None:
    """Makes the run and writes the page."""
    with tempfile.TemporaryDirectory(prefix="phase5-case-study-") as folder:
        os.environ["PHASE5_NOW"] = _MOMENT
        with Sandbox(OBSERVED) as sandbox:
            os.environ.update({**sandbox.exports(), "PHASE5_STATE_DIR": folder})
            document = run_readiness(load_settings())
    PAGE.write_text(case_study(document), encoding="utf-8")


if __name__ == "__main__":
    main()
