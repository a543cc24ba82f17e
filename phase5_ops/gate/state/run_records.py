"""The records of readiness runs in the state table: appended by conditional writes, read newest first, never changed.

Items: see `table.py`. What a record holds is in `run_record.py`, what follows from records in `recorded_rules.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import dropwhile, islice
from typing import Any

from phase5_ops.gate.attestation.run_record import RunFound, RunRecord, record_of, record_payload
from phase5_ops.gate.state.item_table import ItemTable
from phase5_ops.gate.state.items import Bytes, MalformedItem, StateError, Written, attributes, read
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.text import Text

#: What recording a run and reading records needs, on the partitions of the state table named in `table.py`.
IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")

Sign = Callable[[bytes], tuple[str, bytes]]  # payload -> key id, signature; ("", b"") where the run may not sign

_RUN, _ACCEPTED = "RUN#", "ACCEPTED#"
_PAGE = 100
_LOOKED_BACK = 200  # records before a candidate's, to find that of the candidate before it
_TRIES = 5  # to append, since several runs may end at the same moment


@dataclass(frozen=True, slots=True)
class StoredAcceptance:
    """An acceptance of breaks as it stands in the table; nothing of it is trusted before its signature is verified."""

    id: Text
    payload: Bytes
    key_id: Text
    signature: Bytes


class RunRecords(ItemTable):
    """The part of the state table that runs write themselves."""

    def newest_first(self, environment: str) -> Iterator[RunRecord]:
        """The records of an environment, newest first; a page is read only when it is needed.

        Raises:
            StateError: the table does not answer, or holds something that is no record.
        """
        after: dict[str, Any] = {}
        while True:
            items, start = self._newest_page(_runs_pk(environment), _RUN, _PAGE, after)
            for item in items:
                try:
                    yield _record_in(item, environment)
                except (KeyError, TypeError, ValueError) as error:
                    raise MalformedItem(item, error) from error
            if start is None:
                return
            after = {"ExclusiveStartKey": start}

    def append(self, found: RunFound, sign: Sign) -> RunRecord:
        """Appends the record of a run behind the newest one.

        Raises:
            StateError: the table does not answer, or other runs were faster at every try.
        """
        for _ in range(_TRIES):
            newest = next(self.newest_first(found.environment), None)
            if newest is not None and newest.found.run_id == found.run_id and newest.found.manifest == found.manifest:
                return newest  # written by a try whose answer was lost
            seq, previous = (newest.seq + 1, newest.digest) if newest else (1, "")
            payload = record_payload(found, seq, previous)
            key_id, signature = sign(payload)
            content = {"run_id": found.run_id, "payload": payload, "key_id": key_id}
            content |= {"signature": signature} if signature else {}
            if self._put_new(_runs_pk(found.environment), f"{_RUN}{seq:09d}", content, same=("payload",)) is Written.DONE:
                return record_of(payload, key_id, signature)
        raise StateError(Read("dynamodb:PutItem", self._table, ReadStatus.FAILED, "other runs were faster", 0, "", ""))

    def accept(self, environment: str, acceptance: StoredAcceptance) -> Written:
        """Adds an acceptance; one that is there is never changed."""
        content = attributes(acceptance)
        return self._put_new(_history_pk(environment), _ACCEPTED + content.pop("id"), content)

    def acceptances(self, environment: str) -> list[StoredAcceptance]:
        """Every acceptance of an environment; an unreadable one is left out."""
        found = []
        for item in self._query(_history_pk(environment), _ACCEPTED):
            try:
                found.append(read(StoredAcceptance, {**item, "id": str(item["sk"]).removeprefix(_ACCEPTED)}))
            except MalformedItem:
                continue
        return found


@dataclass
class RunTrail:
    """The records of one environment for one tick or decision: read once, and no further back than is asked for."""

    records: RunRecords
    environment: str
    most: int = 1000
    _seen: list[RunRecord] = field(default_factory=list)
    _rest: Iterator[RunRecord] | None = None

    def back_to(self, run_id: str) -> list[RunRecord]:
        """The records from the newest back to that of a run, newest first; all that are read if it has none.

        Raises:
            StateError: the table cannot be read.
        """
        found = []
        for record in self._all():
            found.append(record)
            if record.found.run_id == run_id:
                break
        return found

    def candidate_before(self, run_id: str) -> RunRecord | None:
        """The last record of a run for a candidate before the record of this run; None where none is near.

        Raises:
            StateError: the table cannot be read.
        """
        earlier = dropwhile(lambda record: record.found.run_id != run_id, self._all())
        looked_at = islice(earlier, 1, 1 + _LOOKED_BACK)
        return next((record for record in looked_at if record.found.release_digest is not None), None)

    def _all(self) -> Iterator[RunRecord]:
        """What was read, and then the rest, newest first."""
        if self._rest is None:
            self._rest = self.records.newest_first(self.environment)
        yield from list(self._seen)
        while len(self._seen) < self.most and (record := next(self._rest, None)) is not None:
            self._seen.append(record)
            yield record


def _runs_pk(environment: str) -> str:
    return f"RUNS#{environment}"


def _history_pk(environment: str) -> str:
    return f"HISTORY#{environment}"


def _record_in(item: Mapping[str, Any], environment: str) -> RunRecord:
    record = record_of(bytes(item["payload"]), str(item.get("key_id", "")), bytes(item.get("signature", b"")))
    if item["sk"] != f"{_RUN}{record.seq:09d}" or record.found.environment != environment:
        raise ValueError("it is not the record that its key names")
    return record
