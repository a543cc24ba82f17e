"""The files of attestations as they are verified: read strictly, sorted by what they state, signatures counted by role. Pure.

Every signature in a file must verify with a trusted key, each role counts only with its own key, and the signature of a role that
need not sign the file makes it fail.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, ReadEnvelope, read_envelope
from phase5_ops.gate.attestation.keys import KeySet, TrustedKey, revocation_problem
from phase5_ops.gate.attestation.statement import Statement, read_statement
from phase5_ops.text import printable

#: How a problem begins that says: the statement is for another environment than the one asked about.
ANOTHER_ENVIRONMENT = "another environment"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying files: everything holds only if `problems` is empty."""

    problems: tuple[str, ...]
    facts: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.problems

    @property
    def only_environment_differs(self) -> bool:
        """Whether the only problem is that it is for another environment."""
        return bool(self.problems) and all(problem.startswith(ANOTHER_ENVIRONMENT) for problem in self.problems)

    def with_problems(self, more: Sequence[str]) -> "Verification":
        """The same with further problems."""
        return replace(self, problems=(*self.problems, *more))

    def lines(self) -> list[str]:
        """For people: the facts, then the problems."""
        head = "verified" if self.ok else "NOT VERIFIED"
        facts = (f"  {name}: {printable(value)}" for name, value in self.facts.items())
        return [head, *facts, *(f"  - {printable(line)}" for line in self.problems)]


@dataclass(frozen=True, slots=True)
class AttestedFile:
    """One file: its name and bytes, the envelope in it, and the statement in that."""

    name: str
    content: bytes
    envelope: ReadEnvelope
    statement: Statement


def read_file(name: str, content: bytes, problems: list[str]) -> AttestedFile | None:
    """The file; None where it is no envelope with a statement, which is added to `problems`."""
    try:
        envelope = read_envelope(content)
        return AttestedFile(name, content, envelope, read_statement(envelope.payload))
    except MalformedEnvelope as error:
        problems.append(f"{name}: {error}")
        return None


def only(
    files: Sequence[AttestedFile], kind: str, what: str, problems: list[str], *, optional: bool = False
) -> AttestedFile | None:
    """The one file with a predicate of this kind; None where there is none, or more than one, which is added to `problems`."""
    found = [file for file in files if file.statement.predicate_type == kind]
    if len(found) > 1:
        problems.append(f"more than one {what}: {', '.join(file.name for file in found)}")
        return None
    if not found and not optional:
        problems.append(f"nothing to verify: no {what} among the files")
    return found[0] if found else None


#: Key id -> the moment by which its signature is proved to have been made; None where nothing proves it.
ProvedAt = Callable[[str], datetime | None]


def signed_roles(file: AttestedFile, keys: KeySet, proved_at: ProvedAt, problems: list[str]) -> set[str]:
    """The roles whose own keys signed a file; what is wrong with a signature is added to `problems`.

    Args:
        file: whose signatures.
        keys: the trusted keys.
        proved_at: by when they are proved to have been made: a key revoked later still counts.
        problems: is added to.
    """
    signed: set[str] = set()
    for key_id, signature in sorted(file.envelope.signatures.items()):
        key: TrustedKey | None = keys.keys.get(key_id)
        if key is None:
            problems.append(f"{file.name}: a signature by an unknown key {key_id}")
        elif not key.verifies(file.envelope.payload, signature):
            problems.append(f"{file.name}: the signature of {key.role} does not verify")
        elif problem := revocation_problem(key.revoked_at, proved_at(key_id)):
            problems.append(f"{file.name}: the key of {key.role} {problem}")
        else:
            signed.add(key.role)
    return signed


def signature_problems(file: AttestedFile, keys: KeySet, wanted: Collection[str], proved_at: ProvedAt) -> list[str]:
    """Why a file is not signed by exactly the wanted roles."""
    problems: list[str] = []
    signed = signed_roles(file, keys, proved_at, problems)
    problems += [f"{file.name}: too few signatures: {role} has not signed" for role in wanted if role not in signed]
    problems += [f"{file.name}: {role} must not sign this file" for role in sorted(signed - set(wanted))]
    return problems
