"""The items of the state table: each a class that is written and read as it is declared here. Pure.

`read` takes an item exactly as `attributes` writes it: an attribute that is missing or of another kind makes the item malformed,
an extra one is ignored. Keys are made only here. What must not live here: conditions and calls, which are in `table.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from phase5_ops.clock import Moment, parse_iso
from phase5_ops.gate.attestation.waiver import waiver_of, waiver_payload
from phase5_ops.gate.records import Release, Waiver
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.text import Text, in_one_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: The attribute in which an item says of which version it is; one without it is of the first, the only one there is so far.
VERSION_ATTRIBUTE, VERSION = "schema", 1
_UPDATE = "update phase5 here, see docs/upgrading.md"
_STRANGE = "phase5 did not write it so: CloudTrail's data events tell who did; restore it from a backup, see docs/operating.md"

RELEASE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

#: How the sort keys of an environment's own partitions begin.
OPEN, OVERRIDE, PROMOTED, PINNED, EVENTS = "CANDIDATE#", "OVERRIDE#", "AT#", "PINNED", "EVENTS#"

Item = Mapping[str, Any]
Made = TypeVar("Made", bound="DataclassInstance")
Bytes = Annotated[bytes, Field(strict=True)]


class StateError(Exception):
    """The state table could not be read or written; the message names call, table and remedy. Nothing is known then."""

    def __init__(self, read: Read, remedy: str | None = None) -> None:
        usual = "make the table with phase5 init" if read.status is ReadStatus.NOT_FOUND else "allow the action, or try again"
        super().__init__(f"{read}; {remedy or usual}")
        self.read = read


class MalformedItem(StateError):
    """An item of the table is malformed: this program did not write it. The message names it; nothing is known then."""

    def __init__(self, item: Item, error: Exception) -> None:
        key = f"{item.get('pk')} {item.get('sk')}"
        said = in_one_line(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        newer = newer_version(item)
        super().__init__(Read("dynamodb:Item", key, ReadStatus.INVALID, newer or said, 0, "", ""), _UPDATE if newer else _STRANGE)


class ItemTooLarge(StateError):
    """An item is larger than DynamoDB takes, even packed: it was not written."""

    def __init__(self, item: Item, size: int) -> None:
        key = f"{item.get('pk')} {item.get('sk')}"
        said = f"it has {size:,} bytes, packed as far as can be, and DynamoDB takes 409,600"
        remedy = "a statement names each finding of every row: mend what most of them are about, then a new run has fewer"
        super().__init__(Read("dynamodb:PutItem", key, ReadStatus.INVALID, said, 0, "", ""), remedy)


def newer_version(item: Item) -> str | None:
    """Why an item is not for this version to read; None if it is."""
    version = item.get(VERSION_ATTRIBUTE, VERSION)
    return None if version == VERSION else f"it is of version {version}, and this phase5 knows version {VERSION} alone"


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a class of this module
    return TypeAdapter(kind)


def attributes(value: "DataclassInstance") -> dict[str, Any]:
    """The attributes of an item that holds this value."""
    content: dict[str, Any] = _adapter(type(value)).dump_python(value)
    return content


def read(kind: type[Made], item: Item) -> Made:
    """The value that an item holds.

    Raises:
        MalformedItem: it is not what it should be.
    """
    try:
        made: Made = _adapter(kind).validate_python({each.name: item[each.name] for each in fields(kind)})
    except (KeyError, ValueError) as error:
        raise MalformedItem(item, error) from error
    return made


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
        context: what the release pipeline passed on, e.g. `pipeline_execution_id`.
    """

    release: Release
    series: int
    fate: Fate
    registered_at: Moment
    deadline: Moment
    by: Text
    closed_because: Text = ""
    context: Annotated[Mapping[Text, Text] | None, PlainSerializer(lambda given: dict(given or {}))] = None


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

    id: Text
    role: Text
    release_digest: Text
    series: int
    statement_digest: Text
    key_id: Text
    kms_key: Text
    signature: Bytes
    identity: Text
    session: Text
    request_id: Text
    signed_at: Moment


@dataclass(frozen=True, slots=True)
class StoredStatement:
    """A frozen readiness statement as it stands in the table, with what should be the gate's signature over it."""

    payload: Bytes
    gate_signature: Bytes
    gate_key_id: Text


@dataclass(frozen=True, slots=True)
class PinnedKeys:
    """Which keys `phase5 init` pinned last, by whatever machine.

    Attributes:
        present: role -> id of the key that it signs with.
        pinned_at: when.
        revoked: id of every key that was ever pinned and is present no more -> its role; None where an earlier version noted
            only the present ones.
    """

    present: Annotated[Mapping[Text, Text], Field(min_length=1)]
    pinned_at: Moment
    revoked: Mapping[Text, Text] | None = None


def pinned_keys_in(item: Item) -> PinnedKeys:
    """Which keys were pinned, as an item says.

    Raises:
        MalformedItem: it is not what it should be.
    """
    return read(PinnedKeys, {"revoked": None, **item})


@dataclass(frozen=True, slots=True)
class StoredWaiver:
    """A waiver as it stands in the table, with the signature over `waiver_payload`."""

    waiver: Annotated[Waiver, PlainValidator(waiver_of), PlainSerializer(lambda waiver: waiver_payload(waiver).decode("ascii"))]
    key_id: Text
    signature: Bytes


@dataclass(frozen=True, slots=True)
class StoredOverride:
    """An override as it stands in the table: its id, its bytes, and the signatures over them, none of them verified yet."""

    id: Text
    payload: bytes
    signatures: tuple[StoredSignOff, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """Who promotes: holder (a run id), since when, and the idempotency key of the effect, which never changes."""

    holder: Text
    taken_at: Moment
    idempotency_key: Text


@dataclass(frozen=True, slots=True)
class Prepared:
    """The envelopes of a promotion: `readiness` is what the decision rests on, of a promotion by override the signed override."""

    readiness: Bytes
    decision: Bytes


@dataclass(frozen=True, slots=True)
class Promotion:
    """That a series was promoted: by which run, when, with which key and envelopes, and what the target answered.

    `readiness_envelope` is what the decision rests on; of a promotion by override that is the signed override. `key_id` and
    `signature` (hex) are the gate's, over what `promotion_records.publication_statement` says: that the target took the order.
    """

    holder: Text
    promoted_at: Moment
    idempotency_key: Text
    readiness_envelope: Text
    decision_envelope: Text
    answer: Text
    key_id: Text = ""
    signature: Text = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """A promotion as it is noted for counting: name and digest of the release, and what was waived: row id, code, subject."""

    name: Text
    digest: Text
    waived: tuple[tuple[Text, Text, Text], ...]


def check_release(release: Release) -> None:
    """Raises ValueError unless the name and digest may become keys, tags and paths."""
    if not RELEASE_NAME.fullmatch(release.name) or set(release.name) == {"."}:
        raise ValueError(f"not a release name: {release.name!r}; use 1 to 64 of A-Z a-z 0-9 . _ -")
    if not RELEASE_NAME.fullmatch(release.environment):
        raise ValueError(f"not an environment: {release.environment!r}")
    if not DIGEST.fullmatch(release.digest):
        raise ValueError(f"not a digest: {release.digest!r}; use sha256: and 64 hex digits")


def release_pk(release: Release) -> str:
    """The partition of everything about the candidates of one name."""
    return f"RELEASE#{release.environment}#{release.name}"


def open_pk(environment: str) -> str:
    """The partition for finding candidates that may be open."""
    return f"OPEN#{environment}"


def overrides_pk(environment: str) -> str:
    """The partition of overrides and their signatures."""
    return f"OVERRIDES#{environment}"


def promoted_pk(environment: str) -> str:
    """The partition of noted promotions."""
    return f"PROMOTED#{environment}"


def keys_pk(environment: str) -> str:
    """The partition of what was pinned."""
    return f"KEYS#{environment}"


def slot(what: str, series: int, override: str = "") -> str:
    """The sort key of the one lock, prepared decision or record of a series, or of one override of it."""
    return f"{what}#{series:06d}" + (f"#{override}" if override else "")


def candidate_item(candidate: Candidate) -> dict[str, Any]:
    """The item of a candidate, with the fields of its release at the top level."""
    content = attributes(candidate)
    return {"pk": release_pk(candidate.release), "sk": "CANDIDATE", **content.pop("release"), **content}


def candidate_in(item: Item) -> Candidate:
    """The candidate in an item.

    Raises:
        MalformedItem: it is none, or about another release than its key.
    """
    candidate = read(Candidate, {**item, "release": item})
    release = candidate.release
    try:
        check_release(release)
    except ValueError as error:
        raise MalformedItem(item, error) from error
    if item.get("pk") != release_pk(release):  # or what was said of another release or environment would be shown for this one
        raise MalformedItem(item, ValueError(f"it is about {release.name} in {release.environment}"))
    return candidate


def sign_off_sk(prefix: str, sign_off: StoredSignOff) -> str:
    """The sort key of a signature."""
    return f"{prefix}#{sign_off.role}#{sign_off.id}"


def promotion_in(item: Item) -> Promotion:
    """The record of a promotion in an item; a text that is not there is empty, and then the record proves nothing.

    Raises:
        MalformedItem: it is none.
    """
    return read(Promotion, {**dict.fromkeys((each.name for each in fields(Promotion)), ""), **item})


def noted_release_in(item: Item) -> tuple[datetime, Release, int]:
    """When, release and series of a noted promotion.

    Raises:
        MalformedItem: it is none.
    """
    noted = read(Noted, item)
    at, _, rest = str(item["sk"]).removeprefix(PROMOTED).partition("#")
    try:
        release = Release(noted.name, noted.digest, str(item["pk"]).removeprefix(promoted_pk("")))
        check_release(release)  # or its record could not even be asked for
        return parse_iso(at), release, int(rest.rpartition("#")[2])
    except ValueError as error:
        raise MalformedItem(item, error) from error
