"""How evidence was read: every table carries its reads, and a judge turns what could not be read into findings.

"Could not read", "read, and empty" and "read, and fine" are three different things; this module keeps them apart.
Pure: the reading itself is in `aws/`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Verdict


class ReadStatus(StrEnum):
    """How a read ended. Only OK means that the answer is whole."""

    OK = "ok"
    PARTIAL = "partial"  # the service itself said that the answer is not whole
    DENIED = "denied"
    THROTTLED = "throttled"
    TIMEOUT = "timeout"
    NOT_FOUND = "not_found"
    UNREACHABLE = "unreachable"
    INVALID = "invalid"  # an answer that could not be understood
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Read:
    """One read: `operation` in IAM form (`dynamodb:Scan`), the resource, how it ended, how much came, from when to when."""

    operation: str
    resource: str
    status: ReadStatus
    error: str | None
    pages: int
    start: str
    end: str

    def __str__(self) -> str:
        return f"{self.operation} {self.resource}: {self.status}: {self.error}"

    def unless_invalid(self, error: str | None) -> Self:
        """The same read; INVALID with this error, if there is one and the read had succeeded."""
        if error is None or self.status is not ReadStatus.OK:
            return self
        return replace(self, status=ReadStatus.INVALID, error=error)

    def as_entry(self) -> dict[str, object]:
        """The read as it is kept with the table: operation, resource, status, error, pages, from, to."""
        return {
            "operation": self.operation,
            "resource": self.resource,
            "status": self.status,
            "error": self.error,
            "pages": self.pages,
            "from": self.start,
            "to": self.end,
        }

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """The inverse of `as_entry`.

        Raises:
            KeyError, ValueError: the entry is not one of `as_entry`.
        """
        return cls(
            entry["operation"],
            entry["resource"],
            ReadStatus(entry["status"]),
            entry["error"],
            entry["pages"],
            entry["from"],
            entry["to"],
        )


class ReadCode(FindingCodes):
    """What can be wrong with how the evidence of any row was read."""

    READ_FAILED = FindingCode(
        Verdict.ERROR,
        "A call to the platform did not succeed (access denied, throttled, timeout, missing table, unreachable endpoint,"
        " unreadable answer).",
        "The finding names the call and the resource: grant the IAM action, fix the name in the settings, or run again.",
    )
    PARTIAL_DATA = FindingCode(
        Verdict.INCONCLUSIVE,
        "The service answered, and said itself that the answer is not whole.",
        "Run again; if it stays, look at the service's message in the finding.",
        not_tried=True,
    )
    READS_MISSING = FindingCode(
        Verdict.ERROR,
        "The evidence does not say how it was read, so it cannot be trusted.",
        "Materialize the asset again with this version of phase5_ops.",
    )


def whole(reads: Iterable[Read]) -> bool:
    """True if there was a read, and every one gave its whole answer, so that what is not there is really absent."""
    statuses = {read.status for read in reads}
    return statuses == {ReadStatus.OK}


def distinct(reads: Iterable[Read]) -> list[Read]:
    """Of reads of the same that ended the same way, one each: evidence that is made of other evidence has its reads too."""
    return list({(read.operation, read.resource, read.status, read.error): read for read in reads}.values())


def read_findings(reads: Sequence[Read], *, ignoring: Iterable[str] = ()) -> list[Finding]:
    """Findings for every read that was not whole, and for a table without reads.

    Args:
        reads: those behind a table.
        ignoring: operations (`cloudwatch:GetDashboard`), or operations on one resource (`dynamodb:Scan cc-native-tenants`),
            that do not bear on the check at hand, or that it judges itself.
    """
    if not reads:
        return [ReadCode.READS_MISSING.at("evidence", expected="how the table was read", seen="no reads recorded")]
    skipped = set(ignoring)
    findings = []
    for read in reads:
        subject = f"{read.operation} {read.resource}"
        if read.status is ReadStatus.OK or not skipped.isdisjoint((read.operation, subject)):
            continue
        code = ReadCode.PARTIAL_DATA if read.status is ReadStatus.PARTIAL else ReadCode.READ_FAILED
        findings.append(
            code.at(
                subject,
                expected="a complete answer",
                seen=f"{read.status}: {read.error or 'no details'}",
            )
        )
    return findings
