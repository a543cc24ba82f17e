"""The page of a check, read like a line of the checklist: the row, what it means, what was found and what to do, then figures.

What was found is the description of the result, in Markdown: of all that Dagster shows on this page, only there a table can have
links, and its long texts wrap. Dagster sorts the metadata of a check by its labels, capitals first: that is why the labels begin
as they do. What the gate reads (`gate/inputs/dagster_records.py`) has labels in lower case, and so stands last. What must not
live here: judging, deciding.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import dagster as dg

from phase5_ops.checklist import Row
from phase5_ops.evidence.histories import HistoryCode
from phase5_ops.evidence.result import FindingEntry, RowEntry
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.shown import MOST_ROWS, in_cell, in_markdown, linked
from phase5_ops.orchestration.tags import ROW_TAG, SECTION_TAG
from phase5_ops.reads import ReadCode
from phase5_ops.verdict import CodeChapter, JudgingCode, Verdict

_MEANING = {
    Verdict.PASS: "it holds",
    Verdict.WARN: "it holds, with something to look at; the gate stays closed for it only where the policy says so",
    Verdict.INCONCLUSIVE: "it could not be decided, so the gate stays closed",
    Verdict.FAIL: "it does not hold, so the gate stays closed",
    Verdict.ERROR: "it could not be read or judged, so the gate stays closed",
}
_NON_BLOCKING = (
    "*Dagster calls this check non-blocking because the run goes on when it fails, so that every row is judged. The release gate"
    " does not go on: it stays closed while the row is FAIL, INCONCLUSIVE or ERROR (red). WARN is amber, and Dagster calls it"
    " failed, too.*"
)
_FINDINGS_HEAD = ("| verdict | about | expected | seen | what to do |", "|---|---|---|---|---|")


def remedies(declared: Iterable[CodeChapter]) -> dict[str, str]:
    """Code -> what to do, of every code that a check with these chapters can give."""
    codes = chain(ReadCode.all(), JudgingCode.all(), HistoryCode.all(), chain.from_iterable(each.all() for each in declared))
    return {code.code: code.remedy for code in codes}


def check_spec(row: Row, others: Sequence[str], names: DagsterNames) -> dg.AssetCheckSpec:
    """A row as Dagster's list of checks has it; `others` are further assets that its judge reads."""
    title = row.title if row.id == row.check else f"{row.id} {row.title}"
    about = f"**{title}** (section {row.section_number}, {row.section}; owner {row.owner})"
    return dg.AssetCheckSpec(
        row.check,
        asset=names.key(row.asset),
        description="\n\n".join((about, row.requirement, _NON_BLOCKING)),
        additional_deps=[names.key(other) for other in others],
        metadata={
            ROW_TAG: row.id,
            SECTION_TAG: row.section_number,
            "owner": row.owner,
            "waivable": row.waivable,
        },
    )


def check_description(entry: RowEntry, what_to_do: Mapping[str, str]) -> str:
    """The verdict with its meaning, the figures, and the worst findings as a table, in Markdown."""
    lines = [f"**{entry.verdict}**: {_MEANING[entry.verdict]}. {in_markdown(entry.summary)}"]
    if shown := entry.findings[:MOST_ROWS]:  # the worst come first
        lines += ["", *_FINDINGS_HEAD, *(_line(each, what_to_do.get(each.code, "")) for each in shown)]
    if further := len(entry.findings) - len(shown):
        lines += ["", f"{further:,} more findings; these are the worst {len(shown)} of {len(entry.findings):,}."]
    return "\n".join(lines)


def _line(finding: FindingEntry, remedy: str) -> str:
    subject = linked(finding.subject, finding.link)
    texts = map(in_markdown, (finding.expected, finding.seen, remedy))
    return f"| {' | '.join((f'**{finding.verdict}**', subject, *texts))} |"


def check_metadata(row: Row, entry: RowEntry, runbook: str | None) -> dict[str, Any]:
    """The row, its verdict, how many findings there are, where to look, and everything that was measured or noted."""
    title = row.title if row.id == row.check else f"{row.id} {row.title}"
    codes = Counter((str(finding.verdict), finding.code) for finding in entry.findings)  # the worst come first
    found = [f"{number:,} {verdict} {code}" for (verdict, code), number in codes.items()]
    metadata: dict[str, Any] = {
        "Checklist row": title,
        "Conclusion": f"{entry.verdict}: {_MEANING[entry.verdict]}",
        "Findings by code": ", ".join(found) or "none",
    }
    for link in entry.evidence:
        metadata[f"Link: {in_cell(link.label)}"] = dg.MetadataValue.url(link.url)
    for name, value in entry.facts.items():
        if isinstance(value, (bool, str)):
            metadata[f"Noted: {name}"] = in_cell(str(value))
        else:
            metadata[f"Measured: {name}"] = value
    if runbook:
        metadata["Runbook"] = dg.MetadataValue.url(runbook)
    return metadata
