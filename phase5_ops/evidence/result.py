"""A check's result: as it is stored with the evidence and published by every report, and the part that the gate decides from.

What must not live here: judging, deciding, what a whole document says.
"""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from phase5_ops.checklist import Row
from phase5_ops.clock import Moment
from phase5_ops.verdict import Finding, Judgement, Verdict


class PublishedModel(BaseModel):
    """Base of what every report publishes: a field that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class FindingEntry(PublishedModel):
    """One finding of a row."""

    code: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    verdict: Verdict
    subject: str
    expected: str
    seen: str
    link: str | None = None


class EvidenceEntry(PublishedModel):
    """A labelled link to evidence."""

    label: str
    url: str


class RowEntry(PublishedModel):
    """One row, or one extra check."""

    id: str
    section: str
    title: str
    check: str
    asset: str
    verdict: Verdict
    waived: bool = False
    summary: str
    facts: dict[str, float | int | str | bool] = Field(default_factory=dict)
    observed_at: str
    findings: list[FindingEntry] = Field(default_factory=list)
    evidence: list[EvidenceEntry] = Field(default_factory=list)

    @classmethod
    def of(cls, row: Row, judgement: Judgement, observed_at: str) -> Self:
        """What a judgement says of a row; `observed_at` is when the oldest table behind it was read, ISO-8601."""
        return cls(
            **identity(row),
            verdict=judgement.verdict,
            summary=judgement.summary,
            facts=dict(judgement.facts),
            observed_at=observed_at,
            findings=list(judgement.findings),
            evidence=list(judgement.evidence),
        )


def identity(row: Row) -> dict[str, str]:
    """The fields of a row's entry that the checklist gives."""
    return {name: getattr(row, name) for name in ("id", "section", "title", "check", "asset")}


class CheckResult(BaseModel):
    """The part of a stored result that the gate decides from; the rest is for reports.

    Attributes:
        verdict, findings: what the judge said.
        observed_at: when the oldest table behind it was read.
        tables: asset -> `sha256:...` of the tables it was judged from.
        policy_digest: of the policy under which it was judged; None if it is no text.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    findings: tuple[Finding, ...]
    observed_at: Moment
    tables: dict[str, str]
    policy_digest: Annotated[str | None, BeforeValidator(lambda value: value if isinstance(value, str) else None)] = None
