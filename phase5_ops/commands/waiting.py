"""What `phase5 promote --wait` tells while it waits: a line for each change, and nothing while nothing changes.

What keeps the gate closed and who has signed is read from the document that the gate keeps in the state table. Where that cannot
be read, a line says so, and the waiting goes on: it ends with the candidate's fate alone. What must not live here: ending it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from phase5_ops.checklist import ROWS
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import Candidate, Fate, StateError
from phase5_ops.gate.state.stated_documents import NotStated, Stated, StoredDocument, verified
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.report.standing import Became, as_it_stands
from phase5_ops.text import printable

_HEARTBEAT_SECONDS = 300.0
_LOOK_SECONDS = 10.0  # between two looks at the document, unless the candidate changed
_SHOWN = 25  # blockers of one change
_LONGEST = 500  # characters of a line

#: Blockers that say no more than the lines which ask for signatures.
_ASKED = tuple(f"{row.id} " for row in ROWS if row.is_sign_off)
_ASKED_CODES = tuple(f" {reason.code} " for reason in (SignOffReason.NOTHING_TO_SIGN, SignOffReason.SIGNATURE_MISSING))


@dataclass
class WaitingLog:
    """Remembers what was told, so that only changes are told.

    Attributes:
        release: name of the release.
        tell: takes each line, in one piece and safe for a terminal.
    """

    release: str
    tell: Callable[[str], None]
    _candidate: str = ""
    _gate: str = ""
    _unknown: str = ""
    _blockers: Counter[str] = field(default_factory=Counter)
    _people: dict[str, str] = field(default_factory=dict)
    _series: int = 0
    _said_at: float = 0.0
    _looked_at: float | None = None
    _stored: StoredDocument | None = None
    _stated: Stated | None = None

    def look(self, session: GateSession, candidate: Candidate | None, said: str, passed: float) -> None:
        """Tells what has changed since the last look.

        Args:
            session: reads what the gate says.
            candidate: as the state table has it; None where the gate has not seen it.
            said: that, in a line.
            passed: seconds since the waiting began.
        """
        lines = []
        changed = said != self._candidate
        if changed:
            lines.append(said)
            self._candidate = said
        if candidate is not None and (changed or self._looked_at is None or passed - self._looked_at >= _LOOK_SECONDS):
            self._looked_at = passed
            if candidate.series != self._series:  # another series is judged and signed anew
                self._series, self._gate, self._people = candidate.series, "", {}
                self._blockers, self._stored, self._stated = Counter(), None, None
            lines += self._of_document(session, candidate)
        if not lines and passed - self._said_at >= _HEARTBEAT_SECONDS:
            closed = f", {self._blockers.total()} blockers" if self._blockers else ""
            lines.append(f"{self.release}: still waiting after {passed / 60:.0f} min, nothing has changed{closed}")
        if lines:
            self._said_at = passed
        for line in lines:
            self.tell(printable(line)[:_LONGEST])

    def _of_document(self, session: GateSession, candidate: Candidate) -> list[str]:
        try:
            document = self._document(session, candidate)
        except (NotStated, StateError, KeysError, SigningError) as error:
            unknown = f"{self.release}: what keeps the gate closed is not known yet: {error}"
            if unknown == self._unknown:
                return []
            self._unknown = unknown
            return [unknown]
        self._unknown = ""
        return [*self._gate_lines(document), *self._blocker_lines(document), *self._signature_lines(document, candidate)]

    def _document(self, session: GateSession, candidate: Candidate) -> ReadinessDocument:
        """What the gate says now; a document that has not changed is not verified again, which may take calls to KMS."""
        stored = session.documents.newest(candidate.release, candidate.series)
        if self._stated is None or stored != self._stored:
            self._stated = verified(stored, session.keys, candidate.release, candidate.series)
            self._stored = stored
        return as_it_stands(self._stated, Became(candidate, False, (), None, None, session.now))

    def _gate_lines(self, document: ReadinessDocument) -> Iterator[str]:
        gate = document.candidate.gate if document.candidate else document.decision
        where = (document.candidate.url if document.candidate else None) or f"phase5 status {self.release}"
        run = f"by run {document.run_id}" if document.run_id else "no readiness run is over yet"
        said = f"{self.release}: the gate is {gate}, {run}: see {where}"
        if said != self._gate:
            self._gate = said
            yield said

    def _blocker_lines(self, document: ReadinessDocument) -> Iterator[str]:
        """A line for each blocker that came or went. What was seen may change from look to look, and makes no new blocker."""
        blockers = [each for each in document.blockers if not _is_asked(each)]
        present = Counter(map(_identity, blockers))
        came, went = present - self._blockers, self._blockers - present
        self._blockers = present
        new = []
        for blocker in blockers:
            if came[_identity(blocker)] > 0:
                came[_identity(blocker)] -= 1
                new.append(blocker)
        yield from _few(f"{self.release}: blocked by ", new)
        yield from _few(f"{self.release}: no longer blocked by ", list(went.elements()))

    def _signature_lines(self, document: ReadinessDocument, candidate: Candidate) -> Iterator[str]:
        """Who signed; and, once there is something to sign, who has still to, and with which command."""
        for entry in document.sign_offs:
            if entry.done:
                said = f"{self.release}: {entry.role} has signed: {entry.by}, {entry.date}"
            elif candidate.fate is Fate.READY_TO_SIGN:
                said = f"{self.release}: {entry.role} has still to sign: phase5 sign-off {self.release} --role {entry.role}"
            else:
                continue
            if self._people.get(entry.role) != said:
                self._people[entry.role] = said
                yield said


def _is_asked(blocker: str) -> bool:
    return blocker.startswith(_ASKED) and any(code in blocker for code in _ASKED_CODES)


def _identity(blocker: str) -> str:
    """Row, state, code and subject; of what is said of the release as a whole, without its ages."""
    head = blocker.split(": ", 1)[0]
    return re.sub(r"\d+", "#", head) if head.startswith("release ") else head


def _few(begin: str, blockers: list[str]) -> Iterator[str]:
    yield from (begin + each for each in blockers[:_SHOWN])
    if len(blockers) > _SHOWN:
        yield f"{begin}{len(blockers) - _SHOWN} more"
