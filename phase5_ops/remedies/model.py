"""Resources that would mend a row, as plain values; a section says next to its codes which of them answer which findings. Pure.

What must not live here: how a format writes a resource, and which row needs one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from phase5_ops.evidence.table import Tables
from phase5_ops.settings import Settings
from phase5_ops.verdict import Finding


@dataclass(frozen=True, slots=True)
class RemedyParameter:
    """A value that only whoever applies the remedy knows.

    Attributes:
        name: as CloudFormation writes it: `AlertTopicArn`. Other formats derive theirs.
        description: what it is, in a sentence.
        pattern: a regular expression of the whole value.
        number: it is a number, not a text.
    """

    name: str
    description: str
    pattern: str
    number: bool = False


ALERT_TOPIC = RemedyParameter(
    "AlertTopicArn",
    "ARN of an SNS topic with a confirmed subscription, which tells the people on call.",
    r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+",
)


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """A metric alarm: the parameters of PutMetricAlarm, in which a `RemedyParameter` may stand for a text."""

    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AlarmDescription:
    """An alarm that exists gets another description and keeps all else.

    Attributes:
        alarm: its name.
        description: the new one.
        known: what the evidence says of it, under the names of PutMetricAlarm.
    """

    alarm: str
    description: str
    known: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewDashboard:
    """A CloudWatch dashboard; `body` is its content."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewBudget:
    """A monthly cost budget of the account, with one alert at `percent` of it."""

    name: str
    amount: RemedyParameter
    currency: str | RemedyParameter
    address: RemedyParameter
    percent: int = 80


@dataclass(frozen=True, slots=True)
class ActiveCostTag:
    """A tag key that becomes an active cost allocation tag."""

    key: str


@dataclass(frozen=True, slots=True)
class RolePolicy:
    """One more inline policy of an IAM role that exists."""

    role: str
    name: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunbookText:
    """Markdown that belongs into the runbook.

    Attributes:
        runbook: where the runbook is.
        place: where in it: `at its end`.
        markdown: the text.
    """

    runbook: str
    place: str
    markdown: str


Resource = NewAlarm | AlarmDescription | NewDashboard | NewBudget | ActiveCostTag | RolePolicy | RunbookText


@dataclass(frozen=True, slots=True)
class Remedy:
    """A resource, and the findings that are gone once it is there.

    Attributes:
        answers: (code, subject) of the findings.
        cautions: what to know before it is applied, a sentence each.
    """

    answers: tuple[tuple[str, str], ...]
    resource: Resource
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CannotMend:
    """Findings that a resource mends as a rule, and why not here."""

    answers: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True, slots=True)
class MendingCase:
    """What a section makes remedies from: what a run found of one check, and the tables that it was judged from.

    Attributes:
        findings: every one of the check that is not PASS.
        tables: by asset.
        settings: as they are now.
        account, region: that were judged; "" where the evidence does not say.
        now: evaluation time of the tables.
    """

    findings: Sequence[Finding]
    tables: Tables
    settings: Settings
    account: str
    region: str
    now: datetime

    def of(self, *codes: str) -> list[Finding]:
        """The findings of these codes."""
        return [finding for finding in self.findings if finding.code in codes]

    @property
    def partition(self) -> str:
        """The partition of the region, as ARNs name it."""
        beginnings = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        return next((name for begin, name in beginnings.items() if self.region.startswith(begin)), "aws")


Mend = Callable[[MendingCase], Iterable[Remedy | CannotMend]]


def answering(findings: Iterable[Finding]) -> tuple[tuple[str, str], ...]:
    """The findings as a remedy names them."""
    return tuple((finding.code, finding.subject) for finding in findings)


@dataclass(frozen=True, slots=True)
class ByHand:
    """A finding that no printed resource mends.

    Attributes:
        finding: code, verdict and subject.
        what_to_do: the remedy of its code.
        why: why no code mends it, where code does as a rule; "" otherwise.
    """

    finding: Finding
    what_to_do: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class RowRemedies:
    """What would mend one row.

    Attributes:
        id, title: of the row.
        verdict: that the run gave it; "" where it gave none.
        problem: why nothing can be said of the row; "" otherwise.
    """

    id: str
    title: str
    verdict: str
    problem: str = ""
    remedies: tuple[Remedy, ...] = ()
    by_hand: tuple[ByHand, ...] = ()

    @property
    def outcome(self) -> str:
        """How the row ended and what can be done, in a line: `1.2 Alarms defined: FAIL, 2 resources would mend it`."""
        head = f"{self.id} {self.title}" if self.id != self.title else self.id
        if self.problem:
            return f"{head}: {self.problem}"
        if not self.remedies and not self.by_hand:
            return f"{head}: {self.verdict}, nothing to mend"
        count = len(self.remedies)
        made = f"{count} {'resource' if count == 1 else 'resources'} below"
        hand = f"{len(self.by_hand)} {'finding needs' if len(self.by_hand) == 1 else 'findings need'} a person"
        if not self.remedies:
            return f"{head}: {self.verdict}, no code can mend it: {hand}"
        return f"{head}: {self.verdict}, {made}" + (f"; {hand}" if self.by_hand else "")


@dataclass(frozen=True, slots=True)
class RemedyPlan:
    """What would mend the rows that a run judged.

    Attributes:
        run_id, environment, observed: the run, and when it began.
        account, region: that were judged; "" where the evidence does not say.
        notices: what makes the evidence old, partial or doubtful, a sentence each.
    """

    run_id: str
    environment: str
    observed: str
    account: str
    region: str
    rows: tuple[RowRemedies, ...]
    notices: tuple[str, ...] = field(default=())

    @property
    def headline(self) -> str:
        """What this is, in a line."""
        place = f" (account {self.account or 'unknown'}, region {self.region or 'unknown'})"
        return f"What would mend environment {self.environment}{place}, from readiness run {self.run_id} of {self.observed}"

    def remedies(self) -> list[tuple[RowRemedies, Remedy]]:
        """Every remedy with its row, each resource once: where it mends several rows it stands with the first."""
        found: list[tuple[RowRemedies, Remedy]] = []
        for row in self.rows:
            for remedy in row.remedies:
                if all(remedy.resource != other.resource for _, other in found):
                    found.append((row, remedy))
        return found
