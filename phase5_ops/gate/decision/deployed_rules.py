"""Whether the evidence is about what runs, and about the candidate. Pure.

A readiness run records what is deployed when it begins and when it ends. If something changed in between, part of the evidence is
from before and part from after, so it decides nothing. What is not recorded, or could not be read, does not count as unchanged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from phase5_ops.evidence.table import DeclaredTable, GatheredTable, NoFacts
from phase5_ops.gate.reasons import RELEASE, GateReason
from phase5_ops.gate.records import Reason, Release
from phase5_ops.policy import DeployedPolicy
from phase5_ops.reads import ReadStatus

START, END = "start", "end"


@dataclass(frozen=True, slots=True)
class DeployedThing:
    """One row of `deployed_identity`: a thing that runs, at one moment of a readiness run."""

    moment: Annotated[str, "start, end"]
    kind: Annotated[str, "function, parameter"]
    name: Annotated[str, "of the function or parameter"]
    version: Annotated[str, "its version"]
    code: Annotated[str, "CodeSha256, or the parameter's value"]


DEPLOYED_IDENTITY = DeclaredTable(DeployedThing, NoFacts)
DeployedIdentity = GatheredTable[DeployedThing, NoFacts]

#: (kind, name) -> (version, code)
Identity = Mapping[tuple[str, str], tuple[str, str]]


def identity_at(table: DeployedIdentity, moment: str) -> dict[tuple[str, str], tuple[str, str]]:
    """What ran at one moment of a run.

    Raises:
        KeyError: it is no such table.
    """
    return {(row.kind, row.name): (row.version, row.code) for row in table.rows if row.moment == moment}


def recorded_problems(table: DeployedIdentity | None, release: Release, policy: DeployedPolicy) -> tuple[Reason, ...]:
    """What the record of a readiness run says against its evidence.

    Args:
        table: `deployed_identity` of the run; None if it is not there or cannot be read.
        release: the candidate.
        policy: whether it must be the candidate that runs.
    """
    if table is None:
        return (_unknown("deployed_identity", "the run recorded nothing that can be read"),)
    failed = [read for read in table.reads if read.status is not ReadStatus.OK]
    if failed or not table.reads:
        seen = "; ".join(map(str, failed)) or "no reads recorded"
        return (_unknown("deployed_identity", seen),)
    start, end = identity_at(table, START), identity_at(table, END)
    if not start or not end:
        return (_unknown("deployed_identity", "no function of the platform was found"),)
    changed = tuple(GateReason.PLATFORM_CHANGED_DURING_RUN.closes(RELEASE, *difference) for difference in differences(start, end))
    return (*changed, *_about_candidate(end, release, policy))


def present_problems(table: DeployedIdentity | None, now: Identity, failed: Iterable[str]) -> tuple[Reason, ...]:
    """Why what runs now is not what the evidence is about.

    Args:
        table: as for `recorded_problems`, which reports it where it is None.
        now: what runs now.
        failed: how reading it failed, in words.
    """
    if found := tuple(failed):
        return tuple(_unknown("now", seen) for seen in found)
    if table is None:
        return ()
    changed = differences(identity_at(table, END), now)
    return tuple(GateReason.PLATFORM_CHANGED_SINCE_EVIDENCE.closes(RELEASE, *difference) for difference in changed)


def differences(before: Identity, after: Identity) -> list[tuple[str, str]]:
    """(name, what changed) of everything that is not the same, by kind and name."""
    found = []
    for key in sorted(before.keys() | after.keys()):
        was, became = before.get(key), after.get(key)
        if was != became:
            found.append((key[1], f"{_shown(was)}, then {_shown(became)}"))
    return found


def _shown(identity: tuple[str, str] | None) -> str:
    return "not there" if identity is None else f"version {identity[0]} {identity[1]}"


def _about_candidate(identity: Identity, release: Release, policy: DeployedPolicy) -> tuple[Reason, ...]:
    if not policy.must_be_candidate:
        return ()
    name = policy.digest_parameter or ""
    _, digest = identity.get(("parameter", name), ("", "nothing"))
    if digest == release.digest:
        return ()
    seen = f"{digest} runs, the candidate is {release.digest}"
    return (GateReason.EVIDENCE_NOT_ABOUT_CANDIDATE.closes(RELEASE, name, seen),)


def _unknown(subject: str, seen: str) -> Reason:
    return GateReason.DEPLOYED_IDENTITY_UNKNOWN.closes(RELEASE, subject, seen)
