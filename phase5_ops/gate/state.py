"""The state that must last: one DynamoDB table with candidates, locks, sign-offs, waivers and promotions.

    pk                              sk                              what
    RELEASE#<environment>#<name>    CANDIDATE                       the candidate and its fate
    RELEASE#<environment>#<name>    STATEMENT#<series>              the readiness statement frozen for signing
    RELEASE#<environment>#<name>    SIGN_OFF#<role>#<id>            one signature
    RELEASE#<environment>#<name>    WAIVER#<id>                     one waiver
    RELEASE#<environment>#<name>    LOCK#<series>[#<override>]      who promotes now
    RELEASE#<environment>#<name>    PREPARED#<series>[#<override>]  the signed decision, before anything is published
    RELEASE#<environment>#<name>    PROMOTION#<series>[#<override>] that it was promoted, and with what
    OVERRIDES#<environment>         OVERRIDE#<id>                   a rollback or broken glass, as it is signed
    OVERRIDES#<environment>         OVERRIDE#<id>#SIGNATURE#<role>#<id>   one signature of it
    OPEN#<environment>              CANDIDATE#<name>                that the candidate may be open: for finding it, never believed
    KEYS#<environment>              PINNED                          which keys `phase5 init` pinned: their ids, never the keys
    PROMOTED#<environment>          AT#<when>#<name>#<series>       one promotion and what was waived for it, in order of time:
                                                                    for counting, never believed
    RELEASE#<environment>#<name>    STATED#<series>...              what the gate last said of a series, signed
    RUNS#<environment>              RUN#<number>                    what a readiness run sealed and found, where histories stood
    HISTORY#<environment>           ACCEPTED#<id>                   that a person accepted breaks of histories, signed

Each write is one function with one condition. A write whose answer was lost is tried again by botocore and then meets its own
item: so a refused condition is read back, and what is there with the same content is a success. Nothing here is ever deleted;
only an entry for finding an open candidate ends by TTL, once that is closed. Reads are consistent. What may be written when is
decided elsewhere. Documents are read and written by `stated_documents.py`, the last two kinds of items by `run_records.py`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.clock import iso, parse_iso
from phase5_ops.gate.records import Release
from phase5_ops.gate.waivers import Pair, Waiver
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.state_table import TTL_ATTRIBUTE

#: What the state table's reader and writer needs, on that table only.
IAM_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query")

RELEASE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_OPEN, _OVERRIDE, _PROMOTED, _PINNED = "CANDIDATE#", "OVERRIDE#", "AT#", "PINNED"
_BATCH = 100  # keys that one BatchGetItem takes
_CONDITION_FAILED = "ConditionalCheckFailedException"
Made = TypeVar("Made")
_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


class StateError(Exception):
    """The state table could not be read or written; the message names call, table and remedy. Nothing is known then."""

    def __init__(self, read: Read) -> None:
        remedy = "make the table with phase5 init" if read.status is ReadStatus.NOT_FOUND else "allow the action, or try again"
        super().__init__(f"{read.operation} {read.resource}: {read.status}: {read.error}; {remedy}")
        self.read = read


class MalformedItem(StateError):
    """An item of the table is not what it should be: whoever wrote it was not this program. It is named, and nothing is known."""

    def __init__(self, item: Mapping[str, Any], error: Exception) -> None:
        key = f"{item.get('pk')} {item.get('sk')}"
        super().__init__(Read("dynamodb:Item", key, ReadStatus.INVALID, f"{type(error).__name__}: {error}", 0, "", ""))


class Fate(StrEnum):
    """What became of a candidate."""

    PENDING = "PENDING"
    READY_TO_SIGN = "READY_TO_SIGN"
    PROMOTED = "PROMOTED"
    BREAK_GLASS = "BREAK_GLASS"  # it went to production past the closed gate
    REJECTED = "REJECTED"
    ABORTED = "ABORTED"
    SUPERSEDED = "SUPERSEDED"


#: Fates after which the same release and digest may be registered again, as a new series.
CLOSED = frozenset({Fate.REJECTED, Fate.ABORTED, Fate.SUPERSEDED, Fate.BREAK_GLASS})


class Registered(StrEnum):
    """How a registration ended."""

    NEW = "NEW"
    SAME = "SAME"  # the same release and digest: the same candidate
    CONFLICT = "CONFLICT"  # the same name with another digest: refused


class Written(StrEnum):
    """How a conditional write ended."""

    DONE = "DONE"  # written now, or before with the very same content
    REFUSED = "REFUSED"  # the condition did not hold


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate as it stands in the table.

    Attributes:
        release: name, digest, environment.
        series: counts from 1; registering a closed candidate again starts the next.
        fate: what became of the series.
        registered_at, deadline: of the series.
        by: who registered it.
        closed_because: reasons, where it was closed.
        context: what the release pipeline gave along, e.g. `pipeline_execution_id`.
    """

    release: Release
    series: int
    fate: Fate
    registered_at: datetime
    deadline: datetime
    by: str
    closed_because: str = ""
    context: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class StoredSignOff:
    """A signature as it stands in the table; whether it verifies is found out from its bytes, not from here.

    Attributes:
        id: unique, e.g. KMS's request id.
        role: for which it was given.
        release_digest: what it was given for.
        series: of the candidate.
        statement_digest: of the bytes signed.
        key_id, kms_key: the public key's id, and the KMS key.
        signature: DER.
        identity: the person, as known when it was made.
        session: the ARN of that person's session.
        request_id: KMS's, as CloudTrail records it.
        signed_at: when.
    """

    id: str
    role: str
    release_digest: str
    series: int
    statement_digest: str
    key_id: str
    kms_key: str
    signature: bytes
    identity: str
    session: str
    request_id: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class StoredStatement:
    """A frozen readiness statement as it stands in the table, with what should be the gate's signature over it."""

    payload: bytes
    gate_signature: bytes
    gate_key_id: str


@dataclass(frozen=True, slots=True)
class PinnedKeys:
    """Which keys `phase5 init` pinned last, by whatever machine: role -> key id, and when."""

    present: Mapping[str, str]
    pinned_at: datetime


@dataclass(frozen=True, slots=True)
class StoredWaiver:
    """A waiver as it stands in the table, with the signature over `waiver_payload`."""

    waiver: Waiver
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """An override as it stands in the table: its id, its bytes, and the signatures over them, none of them verified yet."""

    id: str
    payload: bytes
    signatures: tuple[StoredSignOff, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """Who promotes: holder (a run id), since when, and the idempotency key of the effect, which never changes."""

    holder: str
    taken_at: datetime
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """That a series was promoted: by which run, when, with which key and envelopes, and what the target answered.

    `readiness_envelope` is what the decision rests on; of a promotion by override that is the signed override. `key_id` and
    `signature` (hex) are the gate's, over what `promotion_records.publication_statement` says: that the target took the order.
    """

    holder: str
    promoted_at: datetime
    idempotency_key: str
    readiness_envelope: str
    decision_envelope: str
    answer: str
    key_id: str = ""
    signature: str = ""


def check_release(release: Release) -> None:
    """Raises ValueError unless the name and digest may become keys, tags and paths."""
    if not RELEASE_NAME.fullmatch(release.name) or set(release.name) == {"."}:
        raise ValueError(f"not a release name: {release.name!r}; use 1 to 64 of A-Z a-z 0-9 . _ -")
    if not RELEASE_NAME.fullmatch(release.environment):
        raise ValueError(f"not an environment: {release.environment!r}")
    if not DIGEST.fullmatch(release.digest):
        raise ValueError(f"not a digest: {release.digest!r}; use sha256: and 64 hex digits")


class StateTable:
    """The table. Every method raises StateError where AWS does not answer: unknown is never "not there"."""

    def __init__(self, reader: AwsReader, table: str) -> None:
        self._reader = reader
        self._table = table

    # --- candidates ----------------------------------------------------------------------------------------------------------

    def register(self, candidate: Candidate) -> tuple[Registered, Candidate]:
        """Registers series 1 of a candidate, or the next series of one that is closed; never changes the digest.

        Returns:
            How it ended, and the candidate as it stands.

        Raises:
            ValueError: name, environment or digest may not be used.
        """
        check_release(candidate.release)
        if self._put(_candidate_item(candidate), "attribute_not_exists(pk)") is Written.DONE:
            return Registered.NEW, candidate
        present = self.candidate(candidate.release)
        if present is None or present.release.digest != candidate.release.digest:
            return Registered.CONFLICT, present or candidate
        if present.fate not in CLOSED:
            return Registered.SAME, present
        again = Candidate(
            candidate.release,
            present.series + 1,
            Fate.PENDING,
            candidate.registered_at,
            candidate.deadline,
            candidate.by,
            context=candidate.context,
        )
        written = self._put(
            _candidate_item(again),
            "#digest = :digest AND #series = :series AND #fate = :fate",
            {"digest": present.release.digest, "series": present.series, "fate": str(present.fate)},
        )
        if written is Written.DONE:
            return Registered.NEW, again
        found = self.candidate(candidate.release)  # another registration came first
        return (Registered.SAME, found) if found else (Registered.CONFLICT, candidate)

    def candidate(self, release: Release) -> Candidate | None:
        """The candidate of this name and environment, whatever its digest; None if there is none."""
        item = self._get(release_pk(release), "CANDIDATE")
        return None if item is None else _candidate_of(item)

    def set_fate(self, candidate: Candidate, fate: Fate, because: str = "") -> Written:
        """Moves this series from the fate that was read to another; refused if it changed in between."""
        return self._update(
            release_pk(candidate.release),
            "CANDIDATE",
            {"fate": str(fate), "closed_because": because},
            "#digest = :was_digest AND #series = :was_series AND #fate = :was_fate",
            {
                "was_digest": candidate.release.digest,
                "was_series": candidate.series,
                "was_fate": str(candidate.fate),
            },
        )

    def list_open(self, release: Release, at: datetime) -> None:
        """Makes a candidate findable; done before it is registered, so that none is ever registered and not found."""
        item = {"pk": _open_pk(release.environment), "sk": _OPEN + release.name, "listed_at": iso(at)}
        # one that was taken out is listed again whatever its date: another machine's clock may have been ahead
        condition = f"attribute_not_exists(pk) OR #listed_at <= :now OR attribute_exists(#{TTL_ATTRIBUTE})"
        self._put(item, condition, {"now": iso(at)})

    def open_candidates(
        self, environment: str, *, malformed: Callable[[MalformedItem], None] | None = None
    ) -> list[tuple[Candidate, str]]:
        """Every candidate of an environment that may be open, as it stands now, each with the mark for `unlist`; oldest first.

        One query and one read for each hundred. Those that are closed by now are among them until they are unlisted.

        Args:
            environment: of the gate.
            malformed: told of each item that is no candidate, so that it stops no other; without it, it raises.
        """
        entries = {
            str(item["sk"]).removeprefix(_OPEN): str(item["listed_at"])
            for item in self._query(_open_pk(environment), _OPEN)
            if TTL_ATTRIBUTE not in item and "listed_at" in item
        }
        names = sorted(entries)
        found: list[Candidate] = []
        for start in range(0, len(names), _BATCH):
            for item in self._candidates([Release(name, "", environment) for name in names[start : start + _BATCH]]):
                try:
                    found.append(_candidate_of(item))
                except MalformedItem as error:
                    if malformed is None:
                        raise
                    malformed(error)
        found.sort(key=lambda candidate: (candidate.registered_at, candidate.release.name))
        return [(candidate, entries[candidate.release.name]) for candidate in found]

    def unlist(self, release: Release, mark: str, until: datetime) -> Written:
        """Takes a closed candidate out of the list; refused where it was listed again since. The entry ends by TTL."""
        changes = {TTL_ATTRIBUTE: int(until.timestamp())}
        return self._update(
            _open_pk(release.environment), _OPEN + release.name, changes, "#listed_at = :was_listed_at", {"was_listed_at": mark}
        )

    def renew(self, candidate: Candidate) -> Written:
        """Begins the next series of a candidate in one write, with what was registered; refused if it changed in between."""
        return self._put(
            _candidate_item(replace(candidate, series=candidate.series + 1, fate=Fate.PENDING, closed_because="")),
            "#digest = :digest AND #series = :series AND #fate = :fate",
            {"digest": candidate.release.digest, "series": candidate.series, "fate": str(candidate.fate)},
        )

    def _candidates(self, releases: list[Release]) -> list[dict[str, Any]]:
        keys = [_typed({"pk": release_pk(release), "sk": "CANDIDATE"}) for release in releases]
        request = {self._table: {"Keys": keys, "ConsistentRead": True}}
        answer = self._reader.call("dynamodb", "batch_get_item", self._table, RequestItems=request)
        if answer.read.status is not ReadStatus.OK:
            raise StateError(answer.read)
        items = [_plain(item) for items in answer.pages[0].get("Responses", {}).values() for item in items]
        left = [_plain(key) for part in answer.pages[0].get("UnprocessedKeys", {}).values() for key in part["Keys"]]
        one_by_one = (self._get(str(key["pk"]), str(key["sk"])) for key in left)
        return [*items, *(item for item in one_by_one if item is not None)]

    # --- statement, signatures, waivers: written once ------------------------------------------------------------------------

    def freeze_statement(self, release: Release, series: int, payload: bytes, gate_signature: bytes, gate_key_id: str) -> Written:
        """Freezes the statement that the roles of this series sign; refused if another one is frozen already."""
        content = {"payload": payload, "gate_signature": gate_signature, "gate_key_id": gate_key_id}
        item = {"pk": release_pk(release), "sk": f"STATEMENT#{series:06d}", "digest": release.digest, **content}
        return self._put(item, "attribute_not_exists(pk)", same=("digest", "payload"))

    def statement(self, release: Release, series: int) -> tuple[bytes, bytes, str] | None:
        """Payload, the gate's signature and its key id of the frozen statement; None if none is frozen."""
        item = self._get(release_pk(release), f"STATEMENT#{series:06d}")
        return None if item is None else _strict(_statement_in, item)

    def statements(self, release: Release) -> list[StoredStatement]:
        """Every statement that was ever frozen under the release's name, by series."""
        return [StoredStatement(*_strict(_statement_in, item)) for item in self._query(release_pk(release), "STATEMENT#")]

    def add_sign_off(self, release: Release, sign_off: StoredSignOff) -> Written:
        """Adds a signature; one that is there is never changed."""
        return self._put(_sign_off_item(release_pk(release), "SIGN_OFF", sign_off), "attribute_not_exists(pk)")

    def sign_offs(self, release: Release) -> list[StoredSignOff]:
        """Every signature ever recorded under the release's name, by role and id."""
        return [_sign_off_of(item) for item in self._query(release_pk(release), "SIGN_OFF#")]

    def add_waiver(self, release: Release, waiver: StoredWaiver) -> Written:
        """Adds a waiver; one that is there is never changed."""
        payload = waiver_payload(waiver.waiver).decode("ascii")
        sk = f"WAIVER#{waiver.waiver.id}"
        item = {"pk": release_pk(release), "sk": sk, "waiver": payload, "key_id": waiver.key_id, "signature": waiver.signature}
        return self._put(item, "attribute_not_exists(pk)")

    def waivers(self, release: Release) -> list[StoredWaiver]:
        """Every waiver ever recorded under the release's name, by id. `signed_by` is None: the caller verifies the signature."""
        return [_strict(_waiver_in, item) for item in self._query(release_pk(release), "WAIVER#")]

    # --- promotion -----------------------------------------------------------------------------------------------------------

    # Each series has one lock, one prepared decision and one record; and so has each override of it, which is named then.

    def take_lock(self, release: Release, series: int, lock: Lock, *, override: str = "") -> tuple[Written, Lock]:
        """Takes the lock of a series; refused where another holds it. The same holder has it still.

        Returns:
            How it ended, and the lock as it stands: where it was refused, whose it is.
        """
        content = {"holder": lock.holder, "taken_at": iso(lock.taken_at), "idempotency_key": lock.idempotency_key}
        written = self._put(
            {"pk": release_pk(release), "sk": _slot("LOCK", series, override), **content},
            "attribute_not_exists(pk)",
            same=("holder", "idempotency_key"),
        )
        present = self.lock(release, series, override=override)
        return written, present or lock

    def lock(self, release: Release, series: int, *, override: str = "") -> Lock | None:
        """The lock of a series; None if nobody took it."""
        item = self._get(release_pk(release), _slot("LOCK", series, override))
        return None if item is None else _strict(_lock_in, item)

    def take_over_lock(
        self,
        release: Release,
        series: int,
        abandoned: Lock,
        holder: str,
        now: datetime,
        *,
        after: timedelta = timedelta(minutes=5),
        override: str = "",
    ) -> Written:
        """Takes an abandoned lock over, with its idempotency key; refused where it is younger, or no longer as it was read."""
        if now - abandoned.taken_at <= after:
            return Written.REFUSED
        return self._update(
            release_pk(release),
            _slot("LOCK", series, override),
            {"holder": holder, "taken_at": iso(now)},
            "#holder = :was_holder AND #taken_at = :was_taken_at",
            {"was_holder": abandoned.holder, "was_taken_at": iso(abandoned.taken_at)},
        )

    def prepare_promotion(
        self, release: Release, series: int, readiness: bytes, decision: bytes, *, override: str = ""
    ) -> tuple[bytes, bytes]:
        """Keeps the envelopes of a promotion before it is published; the first ones stay.

        Returns:
            Readiness and decision envelope as they stand.
        """
        item = {
            "pk": release_pk(release),
            "sk": _slot("PREPARED", series, override),
            "readiness": readiness,
            "decision": decision,
        }
        self._put(item, "attribute_not_exists(pk)")
        return self.prepared_promotion(release, series, override=override) or (readiness, decision)

    def prepared_promotion(self, release: Release, series: int, *, override: str = "") -> tuple[bytes, bytes] | None:
        """Readiness and decision envelope of a promotion that was begun; None if none was."""
        item = self._get(release_pk(release), _slot("PREPARED", series, override))
        return None if item is None else _strict(_prepared_in, item)

    def record_promotion(self, release: Release, series: int, promotion: Promotion, *, override: str = "") -> Written:
        """Records that a series was promoted; the first record stays."""
        content = {name: getattr(promotion, name) for name in Promotion.__dataclass_fields__}
        item = {"pk": release_pk(release), "sk": _slot("PROMOTION", series, override), "digest": release.digest, **content}
        item["promoted_at"] = iso(promotion.promoted_at)
        return self._put(item, "attribute_not_exists(pk)", same=("idempotency_key", "decision_envelope"))

    def promotion(self, release: Release, series: int, *, override: str = "") -> Promotion | None:
        """The record of a promotion; None if the series was not promoted."""
        item = self._get(release_pk(release), _slot("PROMOTION", series, override))
        return None if item is None else _strict(_promotion_in, item)

    def note_promotion(self, release: Release, series: int, at: datetime, waived: Iterable[tuple[str, Pair]]) -> Written:
        """Notes a recorded promotion among those of its environment; the same again is no second note.

        Args:
            release: what was promoted.
            series: of the candidate.
            at: when, as the record of the promotion says.
            waived: (row id, (code, subject)) of every finding that was waived for it.
        """
        entries = [[row, code, subject] for row, (code, subject) in sorted(waived)]
        item = {"pk": _promoted_pk(release.environment), "sk": f"{_PROMOTED}{iso(at)}#{release.name}#{series:06d}"}
        content = {"name": release.name, "digest": release.digest, "waived": entries}
        return self._put({**item, **content}, "attribute_not_exists(pk)")

    def promotions(self, environment: str) -> list[tuple[str, frozenset[tuple[str, Pair]]]]:
        """Every promotion of an environment, oldest first: name of the release, and what was waived as (row id, pair)."""
        return [_strict(_noted_in, item) for item in self._query(_promoted_pk(environment), _PROMOTED)]

    def noted_releases(self, environment: str) -> list[tuple[datetime, Release, int]]:
        """When, release and series of every noted promotion of an environment, oldest first."""
        return [_strict(_noted_release_in, item) for item in self._query(_promoted_pk(environment), _PROMOTED)]

    # --- overrides: written once -----------------------------------------------------------------------------------------------

    def add_override(self, environment: str, override: str, payload: bytes) -> Written:
        """Adds an override under its id; one that is there is never changed."""
        item = {"pk": _overrides_pk(environment), "sk": _OVERRIDE + override, "payload": payload}
        return self._put(item, "attribute_not_exists(pk)")

    def add_override_signature(self, environment: str, override: str, signature: StoredSignOff) -> Written:
        """Adds a signature of an override; one that is there is never changed."""
        item = _sign_off_item(_overrides_pk(environment), f"{_OVERRIDE}{override}#SIGNATURE", signature)
        return self._put(item, "attribute_not_exists(pk)")

    def overrides(self, environment: str) -> list[StoredOverride]:
        """Every override ever asked for in an environment with its signatures, by id; one query."""
        payloads: dict[str, bytes] = {}
        signatures: dict[str, list[StoredSignOff]] = {}
        for item in self._query(_overrides_pk(environment), _OVERRIDE):
            name, marked, _ = str(item["sk"]).removeprefix(_OVERRIDE).partition("#SIGNATURE#")
            try:
                if marked:
                    signatures.setdefault(name, []).append(_sign_off_of(item))
                else:
                    payloads[name] = bytes(item["payload"])
            except MalformedItem:
                continue  # a signature that cannot be read is none
            except (KeyError, TypeError, ValueError):
                payloads[name] = b""  # not an order, which whoever reads it says
        return [StoredOverride(name, payload, tuple(signatures.get(name, ()))) for name, payload in sorted(payloads.items())]

    # --- which keys are pinned: changed by `phase5 init` alone ------------------------------------------------------------------

    def pinned_keys(self, environment: str) -> PinnedKeys | None:
        """Which keys were pinned last for an environment; None if no `phase5 init` has noted any here."""
        try:
            item = self._get(_keys_pk(environment), _PINNED)
        except StateError as error:
            if error.read.status is ReadStatus.NOT_FOUND:  # there is no table: nothing was noted in it
                return None
            raise
        return None if item is None else _strict(_pinned_in, item)

    def note_pinned_keys(self, environment: str, pinned: PinnedKeys, *, instead_of: PinnedKeys | None) -> Written:
        """Notes which keys are pinned; refused where something else is noted than was read."""
        item = {"pk": _keys_pk(environment), "sk": _PINNED, "present": dict(pinned.present), "pinned_at": iso(pinned.pinned_at)}
        if instead_of is None:
            return self._put(item, "attribute_not_exists(pk)")
        return self._put(item, "#present = :present", {"present": dict(instead_of.present)})

    # --- the table -----------------------------------------------------------------------------------------------------------

    def _put(
        self,
        item: Mapping[str, Any],
        condition: str,
        values: Mapping[str, Any] | None = None,
        *,
        same: tuple[str, ...] | None = None,
    ) -> Written:
        """PutItem under a condition. `same` names the attributes that tell our own item from another's; default: all of them."""
        answer = self._reader.call(
            "dynamodb", "put_item", self._table, TableName=self._table, Item=_typed(item), **_condition(condition, values)
        )
        if self._done(answer):
            return Written.DONE
        there = self._get(str(item["pk"]), str(item["sk"]))
        return Written.DONE if there is not None and _equal(there, item, same) else Written.REFUSED

    def _update(self, pk: str, sk: str, changes: Mapping[str, Any], condition: str, was: Mapping[str, Any]) -> Written:
        names = {**_names(condition), **{f"#{name}": name for name in changes}}
        answer = self._reader.call(
            "dynamodb",
            "update_item",
            self._table,
            TableName=self._table,
            Key=_typed({"pk": pk, "sk": sk}),
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in changes),
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":{name}": _serialize(value) for name, value in {**changes, **was}.items()},
        )
        if self._done(answer):
            return Written.DONE
        there = self._get(pk, sk)
        unchanged = {name.removeprefix("was_"): value for name, value in was.items()}
        return Written.DONE if there is not None and _equal(there, {**unchanged, **changes}, None) else Written.REFUSED

    def _done(self, answer: Answer) -> bool:
        """True if it was written, False if the condition did not hold; anything else raises."""
        if answer.read.status is ReadStatus.OK:
            return True
        if (answer.read.error or "").startswith(_CONDITION_FAILED):
            return False
        raise StateError(answer.read)

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        key = _typed({"pk": pk, "sk": sk})
        answer = self._reader.call("dynamodb", "get_item", self._table, TableName=self._table, Key=key, ConsistentRead=True)
        if answer.read.status is not ReadStatus.OK:
            raise StateError(answer.read)
        item = answer.pages[0].get("Item")
        return None if item is None else _plain(item)

    def _query(self, pk: str, prefix: str) -> list[dict[str, Any]]:
        answer = self._reader.paginate(
            "dynamodb",
            "query",
            self._table,
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": _serialize(pk), ":prefix": _serialize(prefix)},
        )
        if answer.read.status is not ReadStatus.OK:
            raise StateError(answer.read)
        return [_plain(item) for item in answer.items("Items")]

    def _newest_page(
        self, pk: str, prefix: str, most: int, after: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], Mapping[str, Any] | None]:
        """At most so many items of a partition, newest sort key first, and from where the next page goes on."""
        answer = self._reader.call(
            "dynamodb",
            "query",
            self._table,
            TableName=self._table,
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=most,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": _serialize(pk), ":prefix": _serialize(prefix)},
            **after,
        )
        if answer.read.status is not ReadStatus.OK:
            raise StateError(answer.read)
        return [_plain(item) for item in answer.items("Items")], answer.pages[0].get("LastEvaluatedKey")


def waiver_payload(waiver: Waiver) -> bytes:
    """The bytes of a waiver that its signature is over: everything but who signed it, which the key tells."""
    content = {
        "id": waiver.id,
        "row": waiver.row,
        "release_digest": waiver.release_digest,
        "pairs": [list(pair) for pair in sorted(waiver.pairs)],
        "reason": waiver.reason,
        "ticket": waiver.ticket,
        "issued_at": iso(waiver.issued_at),
        "until": iso(waiver.until),
        "identity": waiver.identity,
    } | ({"environment": waiver.environment} if waiver.environment else {})
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def waiver_of(payload: str) -> Waiver:
    """The waiver in a payload, not yet known to be signed by anybody.

    Raises:
        ValueError: it is not one.
    """
    try:
        content = json.loads(payload)
        return Waiver(
            content["id"],
            content["row"],
            content["release_digest"],
            frozenset((str(code), str(subject)) for code, subject in content["pairs"]),
            content["reason"],
            content["ticket"],
            parse_iso(content["issued_at"]),
            parse_iso(content["until"]),
            None,
            content["identity"],
            content.get("environment", ""),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a waiver: {error!r}") from error


def release_pk(release: Release) -> str:
    """The partition of everything about the candidates of one name."""
    return f"RELEASE#{release.environment}#{release.name}"


def _open_pk(environment: str) -> str:
    return f"OPEN#{environment}"


def _overrides_pk(environment: str) -> str:
    return f"OVERRIDES#{environment}"


def _promoted_pk(environment: str) -> str:
    return f"PROMOTED#{environment}"


def _keys_pk(environment: str) -> str:
    return f"KEYS#{environment}"


def _slot(what: str, series: int, override: str) -> str:
    return f"{what}#{series:06d}" + (f"#{override}" if override else "")


def _candidate_item(candidate: Candidate) -> dict[str, Any]:
    return {
        "pk": release_pk(candidate.release),
        "sk": "CANDIDATE",
        "name": candidate.release.name,
        "environment": candidate.release.environment,
        "digest": candidate.release.digest,
        "series": candidate.series,
        "fate": str(candidate.fate),
        "registered_at": iso(candidate.registered_at),
        "deadline": iso(candidate.deadline),
        "by": candidate.by,
        "closed_because": candidate.closed_because,
        "context": dict(candidate.context or {}),
    }


def _strict(make: Callable[[Mapping[str, Any]], Made], item: Mapping[str, Any]) -> Made:
    """What an item holds.

    Raises:
        MalformedItem: it is not what it should be.
    """
    try:
        return make(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedItem(item, error) from error


def _candidate_of(item: Mapping[str, Any]) -> Candidate:
    return _strict(_candidate_in, item)


def _candidate_in(item: Mapping[str, Any]) -> Candidate:
    release = Release(item["name"], item["digest"], item["environment"])
    if item["pk"] != release_pk(release):  # or what was said of another release or environment would be shown for this one
        raise ValueError(f"it is about {release.name} in {release.environment}")
    return Candidate(
        release,
        int(item["series"]),
        Fate(item["fate"]),
        parse_iso(item["registered_at"]),
        parse_iso(item["deadline"]),
        item["by"],
        item["closed_because"],
        dict(item["context"]),
    )


def _sign_off_item(pk: str, prefix: str, sign_off: StoredSignOff) -> dict[str, Any]:
    content = {name: getattr(sign_off, name) for name in StoredSignOff.__dataclass_fields__}
    return {"pk": pk, "sk": f"{prefix}#{sign_off.role}#{sign_off.id}", **content, "signed_at": iso(sign_off.signed_at)}


def _sign_off_of(item: Mapping[str, Any]) -> StoredSignOff:
    return _strict(_sign_off_in, item)


def _statement_in(item: Mapping[str, Any]) -> tuple[bytes, bytes, str]:
    return bytes(item["payload"]), bytes(item["gate_signature"]), str(item["gate_key_id"])


def _pinned_in(item: Mapping[str, Any]) -> PinnedKeys:
    present = {str(role): str(key_id) for role, key_id in item["present"].items()}
    if not present:
        raise ValueError("no key")
    return PinnedKeys(present, parse_iso(item["pinned_at"]))


def _prepared_in(item: Mapping[str, Any]) -> tuple[bytes, bytes]:
    return bytes(item["readiness"]), bytes(item["decision"])


def _promotion_in(item: Mapping[str, Any]) -> Promotion:
    content = {name: str(item.get(name, "")) for name in Promotion.__dataclass_fields__ if name != "promoted_at"}
    return Promotion(promoted_at=parse_iso(item["promoted_at"]), **content)


def _noted_in(item: Mapping[str, Any]) -> tuple[str, frozenset[tuple[str, Pair]]]:
    return str(item["name"]), frozenset((str(row), (str(code), str(subject))) for row, code, subject in item["waived"])


def _noted_release_in(item: Mapping[str, Any]) -> tuple[datetime, Release, int]:
    at, _, rest = str(item["sk"]).removeprefix(_PROMOTED).partition("#")
    environment = str(item["pk"]).removeprefix(_promoted_pk(""))
    return parse_iso(at), Release(str(item["name"]), str(item["digest"]), environment), int(rest.rpartition("#")[2])


def _lock_in(item: Mapping[str, Any]) -> Lock:
    return Lock(str(item["holder"]), parse_iso(item["taken_at"]), str(item["idempotency_key"]))


def _waiver_in(item: Mapping[str, Any]) -> StoredWaiver:
    return StoredWaiver(waiver_of(str(item["waiver"])), str(item["key_id"]), bytes(item["signature"]))


def _sign_off_in(item: Mapping[str, Any]) -> StoredSignOff:
    texts = ("id", "role", "release_digest", "statement_digest", "key_id", "kms_key", "identity", "session", "request_id")
    return StoredSignOff(
        **{name: str(item[name]) for name in texts},
        series=int(item["series"]),
        signature=bytes(item["signature"]),
        signed_at=parse_iso(item["signed_at"]),
    )


def _typed(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _serialize(value) for name, value in item.items()}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _deserialize(value) for name, value in item.items()}


def _equal(there: Mapping[str, Any], mine: Mapping[str, Any], names: tuple[str, ...] | None) -> bool:
    ours = _plain(_typed(mine))
    return all(there.get(name) == ours[name] for name in (names or ours))


def _names(condition: str) -> dict[str, str]:
    return {f"#{name}": name for name in re.findall(r"#(\w+)", condition)}


def _condition(condition: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    names = _names(condition)
    return {
        "ConditionExpression": condition,
        **({"ExpressionAttributeNames": names} if names else {}),
        **({"ExpressionAttributeValues": {f":{name}": _serialize(value) for name, value in values.items()}} if values else {}),
    }
