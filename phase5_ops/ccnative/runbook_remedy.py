"""What code can mend of a section of the runbook that a row asks for (1.3, 2.2): the Markdown to add. Pure."""

from collections.abc import Iterator

from phase5_ops.ccnative.runbook import Runbook, anchor_name, parse
from phase5_ops.ccnative.runbook_texts import SectionText, whole_section
from phase5_ops.remedies.model import CannotMend, MendingCase, Remedy, RunbookText, answering
from phase5_ops.text import printable
from phase5_ops.verdict import Verdict

_CAUTION = "read it against what your operators really do; it says what the platform's contract says"


def mend_section(case: MendingCase, section: SectionText, anchor: str) -> Iterator[Remedy | CannotMend]:
    """The text of the section where it is missing or empty, or where there is no runbook at all."""
    runbook: Runbook = case.tables["runbook"]
    location, wanted = runbook.facts.location, anchor_name(anchor)
    missing = case.of("runbook_anchor_missing")
    absent = [each for each in case.of("runbook_unreadable") if each.verdict is Verdict.FAIL]
    if findings := missing or absent:
        markdown = whole_section(section, wanted) if wanted == printable(wanted) else None
        if markdown is None:
            yield CannotMend(answering(findings), f"no heading gives a section the anchor #{wanted}")
        else:
            place = "at the end" if missing else "in a new file, which is to become the contents,"
            yield Remedy(answering(findings), RunbookText(location, place, markdown), (_CAUTION,))
    if empty := case.of("runbook_section_empty"):
        row = next((row for row in runbook.rows if row.anchor == wanted), None)
        if row is None or not any(each.has_content for each in parse(f"## {section.heading}\n\n{section.body}")):
            yield CannotMend(answering(empty), f"the table of the runbook has no section #{wanted}")
        else:
            place = f'under the heading "{row.title}" (line {row.line}), in place of what is there,'
            yield Remedy(answering(empty), RunbookText(location, place, section.body), (_CAUTION,))
