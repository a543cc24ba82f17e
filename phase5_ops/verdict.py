"""The vocabulary of judging: Verdict, Finding, EvidenceLink, Judgement, and the order of verdicts.

Pure: imports neither dagster nor boto3. A judge builds its answer with `conclude`, which starts at FAIL:
PASS is given only when at least one subject was judged and nothing was found.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain


class Verdict(StrEnum):
    """What the evidence says, in rising severity: the worst finding of a row is the row's verdict."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    WARN = "WARN"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"
    ERROR = "ERROR"

    @property
    def severity(self) -> int:
        """Position in PASS < WARN < INCONCLUSIVE < FAIL < ERROR."""
        return _SEVERITY[self]

    @property
    def blocks(self) -> bool:
        """True for everything that keeps a row closed whatever the policy says of WARN."""
        return self.severity >= Verdict.INCONCLUSIVE.severity


_SEVERITY = {verdict: position for position, verdict in enumerate(Verdict)}
_UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.ERROR)
_NAMED = 3  # findings that a summary names


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most severe verdict; no verdict at all is FAIL, never PASS."""
    return max(verdicts, key=lambda verdict: verdict.severity, default=Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: stable code, the subject it is about, what was expected and what was seen."""

    code: str
    verdict: Verdict
    subject: str
    expected: str
    seen: str
    link: str | None = None


@dataclass(frozen=True, slots=True)
class FindingCode:
    """A stable finding code with its meaning; the documentation's table of findings is made from these.

    `verdict` is the default; `also` lists the other verdicts that the code may carry. `not_tried`: the code says that something
    of what the row is about was not tried, read or judged; whoever signs is shown that. `code` is the published name: that of the
    attribute it is declared as (see `FindingCodes`), in lower case.
    """

    verdict: Verdict
    meaning: str
    remedy: str
    also: tuple[Verdict, ...] = ()
    not_tried: bool = False
    code: str = field(default="", kw_only=True)

    def __set_name__(self, _owner: type, name: str) -> None:
        """Takes the name from the attribute that declares the code; a later one may repeat the code without renaming it."""
        if not self.code:
            object.__setattr__(self, "code", name.lower())

    def at(self, subject: str, *, expected: str, seen: str, verdict: Verdict | None = None, link: str | None = None) -> Finding:
        """A finding of this code about `subject`.

        Raises:
            ValueError: `verdict` is not one that this code may carry.
        """
        chosen = verdict or self.verdict
        if chosen not in (self.verdict, *self.also):
            raise ValueError(f"{self.code} may not be {chosen}")
        return Finding(self.code, chosen, subject, expected, seen, link)


class FindingCodes:
    """Base of a class whose attributes are the finding codes of one judge, in the order of the documentation."""

    @classmethod
    def all(cls) -> tuple[FindingCode, ...]:
        """Every code, in the order of declaration."""
        return tuple(value for value in vars(cls).values() if isinstance(value, FindingCode))

    @classmethod
    def named(cls, name: str) -> FindingCode:
        """The code of this name.

        Raises:
            KeyError: there is none.
        """
        return {code.code: code for code in cls.all()}[name]


@dataclass(frozen=True, slots=True)
class CodeChapter:
    """A chapter of docs/findings.md.

    Attributes:
        title: its heading.
        codes: those that it lists: whole classes, or single codes of another class.
        row: id of the row, or of the extra check, whose place in the documentation it has; None if it belongs to none.
        of: ids of the rows and extra checks whose judges give these codes, where they are not `row` alone.
    """

    title: str
    codes: tuple[type[FindingCodes] | FindingCode, ...]
    row: str | None = None
    of: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """Ids of the rows and extra checks whose judges give these codes; none where any row's, or no row's, may."""
        return self.of or ((self.row,) if self.row is not None else ())

    def all(self) -> tuple[FindingCode, ...]:
        """Every code, in the order of declaration."""
        return tuple(chain.from_iterable((each,) if isinstance(each, FindingCode) else each.all() for each in self.codes))


@dataclass(frozen=True, slots=True)
class EvidenceLink:
    """A labelled URL of evidence behind a row (console page, dashboard, runbook section)."""

    label: str
    url: str


Fact = float | int | str | bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's whole answer about one check.

    Attributes:
        verdict: the worst finding's, or PASS.
        figures: one sentence of what was counted.
        judged: number of subjects that the figures are about.
    """

    verdict: Verdict
    figures: str
    judged: int
    facts: Mapping[str, Fact] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    evidence: Sequence[EvidenceLink] = ()

    @property
    def summary(self) -> str:
        """What a person reads first."""
        return summarized(self.verdict, self.figures, self.findings, judged=self.judged)


def summarized(verdict: Verdict, figures: str, findings: Iterable[Finding], *, judged: int = 0) -> str:
    """The figures; if INCONCLUSIVE or ERROR, what was not judged comes first, so that no figure sounds like success.

    Where nothing was judged, there are no figures.
    """
    if verdict not in _UNDECIDED:
        return figures
    missing = [finding for finding in findings if finding.verdict in _UNDECIDED]
    named = list(dict.fromkeys(f"{finding.subject} ({finding.code})" for finding in missing))
    shown = ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
    why = f": {missing[0].seen}" if len(missing) == 1 else ""
    if judged <= 0:
        return f"Nothing was judged: {shown}{why}"
    return f"Not judged: {shown}{why}. Of the rest: {figures}"


class JudgingCode(FindingCodes):
    """What judging itself can find, whatever the row."""

    NOTHING_JUDGED = FindingCode(
        Verdict.INCONCLUSIVE,
        "There was no subject to judge, so nothing could be shown to hold.",
        "Check that the platform's tables and metrics hold the data the row is about.",
        not_tried=True,
    )
    JUDGE_CRASHED = FindingCode(
        Verdict.ERROR,
        "The code that judges the row failed on this evidence, so nothing was decided.",
        "Report the traceback in the check's metadata together with the stored table.",
    )


def conclude(
    *,
    judged: int,
    summary: str,
    findings: Sequence[Finding],
    facts: Mapping[str, Fact] | None = None,
    evidence: Sequence[EvidenceLink] = (),
) -> Judgement:
    """The judgement of `judged` subjects: the worst finding, or PASS if there is none and something was judged.

    With nothing judged and nothing (or only warnings) found, `nothing_judged` is added, so that an empty platform never passes.
    `summary` says what was counted; what is shown to people is `Judgement.summary`.
    """
    all_findings = list(findings)
    if judged <= 0 and not any(f.verdict.blocks for f in all_findings):
        all_findings.append(
            JudgingCode.NOTHING_JUDGED.at("evidence", expected="at least one subject to judge", seen="no subject at all")
        )
    verdict = worst(f.verdict for f in all_findings) if all_findings else Verdict.PASS
    return Judgement(verdict, summary, judged, dict(facts or {}), in_order(all_findings), tuple(evidence))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by severity, then code and subject, so that equal evidence gives equal output."""
    return tuple(sorted(findings, key=lambda f: (-f.verdict.severity, f.code, f.subject, f.seen)))
