"""`phase5 explain ROW|CODE`: what a row asks for, or what a finding code means and what to do. Needs neither Dagster nor AWS."""

from collections.abc import Iterator, Sequence

from phase5_ops.checklist import ALL_CHECKS, ROW_OF_CHECK, ROW_OF_ID, Row
from phase5_ops.report.findings import Catalogue, Explanations, stored_explanations
from phase5_ops.report.wrapping import labelled, wrapped
from phase5_ops.settings import ConfigurationError, Settings, load_settings
from phase5_ops.text import did_you_mean, first_few, printable
from phase5_ops.verdict import FindingCode

_LABEL = 11  # columns of a label
_NOT_A_ROWS = "a release candidate, not a row"
_ANY_ROW = "any row"


def explained(name: str, width: int) -> str:
    """What a row (by id or check name) or a finding code is about, in lines of at most `width` columns but for addresses.

    Raises:
        ConfigurationError: there is no such row or code; the message names what was probably meant.
    """
    explanations = stored_explanations()
    row = ROW_OF_ID.get(name) or ROW_OF_CHECK.get(name)
    codes = explanations.catalogue.by_name.get(name, [])
    if row is None and not codes:
        known = (*explanations.catalogue.by_name, *ROW_OF_CHECK, *ROW_OF_ID)
        hint = did_you_mean(name, known, "docs/findings.md lists the codes, README.md the rows")
        raise ConfigurationError(f"no row or finding code {printable(name)}{hint}")
    runbook = _Runbook()
    blocks = [list(_row(row, explanations, runbook, width))] if row is not None else []
    blocks += [list(_code(code, explanations.catalogue, runbook, width)) for code in codes]
    return "\n\n".join("\n".join(block) for block in blocks)


class _Runbook:
    """Where people read what to do, by the settings; where these are wrong, why it is not known."""

    def __init__(self) -> None:
        try:
            settings: Settings | None = load_settings()
            self._problem = ""
        except ConfigurationError as error:
            settings, self._problem = None, f"not known: {error}"
        self._address = (settings.runbook_address or settings.runbook) if settings is not None else ""

    def section(self, rows: Sequence[Row]) -> str | None:
        """The runbook's section of the first of these rows that has one."""
        anchor = next((row.runbook_anchor for row in rows if row.runbook_anchor), None)
        if anchor is None:
            return None
        return self._problem or f"{self._address}#{anchor}"


def _row(row: Row, explanations: Explanations, runbook: _Runbook, width: int) -> Iterator[str]:
    extra = row.id == row.check
    yield from wrapped(f"{'extra check' if extra else row.id} {row.title} ({row.check})", width)
    yield from _said("section", row.section, width)
    yield from _said("passes if", row.requirement, width)
    yield from _said("owner", row.owner, width)
    yield from _said("evidence", f"{row.asset}: {explanations.evidence.get(row.asset, 'the signatures of a candidate')}", width)
    yield from _said("", f"at most {row.max_age_hours:g} h old when a release is decided", width)
    yield from _said("waiver", "possible, signed by another role than the owner" if row.waivable else "not possible", width)
    if (section := runbook.section([row])) is not None:
        yield from _said("runbook", section, width)
    chapters = explanations.catalogue.chapters
    own = {code.code: code for chapter in chapters if row.id in chapter.rows for code in chapter.all()}
    yield "  findings"
    for code in own.values():
        yield from labelled("", f"{code.code} ({_verdicts(code)})", width, indent=4)
        yield from labelled("", code.meaning, width, indent=8)
    general = [code.code for code in explanations.catalogue.any_row.all() if code.code not in own]
    yield from labelled("", f"and what any row may find: {', '.join(general)}", width, indent=4)
    yield from wrapped("`phase5 explain CODE` says what to do about one.", width)


def _code(code: FindingCode, catalogue: Catalogue, runbook: _Runbook, width: int) -> Iterator[str]:
    of = {row for chapter in catalogue.chapters if code in chapter.all() for row in chapter.rows}
    rows = [row for row in ALL_CHECKS if row.id in of]
    anywhere = code in catalogue.any_row.all()
    yield from wrapped(f"{code.code} ({_verdicts(code)})", width)
    yield from _said("meaning", code.meaning, width)
    yield from _said("remedy", code.remedy, width)
    shown = _ANY_ROW if anywhere else first_few([row.id for row in rows]) or _NOT_A_ROWS
    yield from _said("found in", shown, width)
    if code.not_tried:
        yield from _said("signing", "who signs is shown it, as something that was not tried", width)
    if not anywhere and (section := runbook.section(rows)) is not None:
        yield from _said("runbook", section, width)


def _verdicts(code: FindingCode) -> str:
    return " or ".join([code.verdict, *code.also])


def _said(label: str, text: str, width: int) -> list[str]:
    return labelled(label, text, width, indent=2, label_width=_LABEL)
