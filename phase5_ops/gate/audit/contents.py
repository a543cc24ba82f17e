"""What an archive of a period holds: the records of the state table as files, and which evidence they name. Reads nothing.

    README.md, summary.md                              how to verify it, and the period in words
    manifest.json, manifest.dsse.json                  digests of all other files, what is missing; signed where the caller may
    keys.json, keys-pinned.json                        the trusted keys; which were pinned when, as the state table notes it
    releases/<name>/candidate.json                     the candidate as it stands
    releases/<name>/waivers/<id>.dsse.json
    releases/<name>/<series>/statement.dsse.json       what was frozen for signing, with the signatures over it
    releases/<name>/<series>/signatures.json           who made them, as the state table says, also those that do not verify
    releases/<name>/<series>/said.dsse.json            what the gate said last
    releases/<name>/<series>/promotion[-<override>]/   readiness or override, decision, publication
    releases/<name>/<series>/prepared[-<override>]/    a decision of which no record says that it was published
    overrides/<id>/                                    override.dsse.json, signatures.json
    runs/<number>.dsse.json, deployed/<number>.dsse.json, acceptances/<id>.dsse.json
    not-understood/<number>.json                       items that are nothing of these
    evidence/<run id>/...                              as the run sealed it

A release that anything happened to in the period, or that was seen deployed in it, is there whole, from its first record to its
last. Everything signed is a DSSE envelope, so that one way verifies all of it. One file, since each kind of item is a few lines
that put it in its place. What must not live here: calls, the file (`archive.py`), verifying.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from phase5_ops.clock import iso, parse_iso
from phase5_ops.gate.attestation.acceptance import ACCEPTANCE_TYPE, acceptance_of
from phase5_ops.gate.attestation.envelopes import (
    PAYLOAD_TYPE,
    STATED_TYPE,
    WAIVER_TYPE,
    MalformedEnvelope,
    envelope_bytes,
    read_envelope,
)
from phase5_ops.gate.attestation.keys import GATE, KeySet, keys_document
from phase5_ops.gate.attestation.observation import OBSERVATION_TYPE, Observation, observation_of
from phase5_ops.gate.attestation.override_statement import Override, stored_order
from phase5_ops.gate.attestation.readiness_statement import ReadinessFacts, readiness_facts
from phase5_ops.gate.attestation.run_record import RECORD_TYPE, record_of
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.audit.archive import is_name
from phase5_ops.gate.audit.publications import PUBLICATION_FILE, promotion_folder, publication_of
from phase5_ops.gate.audit.verification import NO_EVIDENCE
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, OVERRIDE_FILE, READINESS_FILE, publication_statement
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import (
    RELEASE_NAME,
    Prepared,
    StateError,
    StoredSignOff,
    StoredStatement,
    StoredWaiver,
    attributes,
    candidate_in,
    promotion_in,
    read,
    slot,
)
from phase5_ops.gate.state.stated_documents import document_in
from phase5_ops.input_files.json_text import json_value

Item = Mapping[str, Any]

#: Partitions that hold nothing that lasts: where open candidates are found, what people are still to be told, the probes' lease.
_PASSING = ("OPEN", "NOTICES", "PROBES", "SCHEMA")
_DATED = ("registered_at", "signed_at", "promoted_at", "stated_at")


@dataclass(frozen=True, slots=True)
class AuditPeriod:
    """From one moment to another, both in it."""

    begins: datetime
    ends: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether the moment is in it."""
        return self.begins <= moment <= self.ends


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a record names and that is not there: what, by what it is named, and what is known of why."""

    what: str
    named_by: str
    why: str


@dataclass
class Contents:
    """The files of an archive but for evidence; which evidence they name; and what is missing.

    Attributes:
        files: name -> content.
        records: key of an item of the state table -> the files made of it.
        evidence: run id -> evidence digest -> what names it.
        missing: named and not there.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, list[str]] = field(default_factory=dict)
    evidence: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


def contents_of(items: Iterable[Item], environment: str, period: AuditPeriod, keys: KeySet) -> Contents:
    """What an archive holds.

    Args:
        items: of the whole state table; those of other environments are left out.
        environment: of the gate.
        period: for which it is.
        keys: the trusted keys.
    """
    partitions = _partitions(items, environment)
    made = _Collected(period, keys)
    made.file("keys.json", keys_document(keys) + b"\n")
    asked = _orders(made, partitions.pop("OVERRIDES", []))
    named = {each.order.release.name for each in asked if period.holds(each.order.requested_at)}
    observed = _observed(partitions.get("DEPLOYED", []), period, keys)
    named |= {seen.release.name for seen in observed.values()}
    named |= _promoted(partitions.get("PROMOTED", []), period)
    there = set(named)
    for kind, partition in sorted(partitions.items()):
        if kind.startswith("RELEASE#"):
            name = kind.removeprefix("RELEASE#")
            if not RELEASE_NAME.fullmatch(name) or not is_name(name):
                for item in partition:
                    made.not_understood(item, ValueError("no name of a release"))
            elif name in named or any(_happened(item, period) for item in partition):
                there.add(name)
                _release(made, name, partition, {each.order.id: each.order for each in asked if each.order.release.name == name})
    for each in asked:
        if each.order.release.name in there:
            _order(made, each)
    pinned = partitions.get("KEYS", [])
    made.file("keys-pinned.json", _json([_readable(item) for item in pinned]), *pinned)
    _numbered(made, "runs", partitions.get("RUNS", []), _run_record)
    _numbered(made, "deployed", partitions.get("DEPLOYED", []), _observation)
    for name, seen in observed.items():
        if (published := publication_of(seen)) not in made.contents.files:
            made.missing(published, name, "the state table has no record of that publication")
    for item in partitions.get("HISTORY", []):
        _acceptance(made, item)
    for item in partitions.get("PROMOTED", []):
        _noted(made, item, partitions)
    known = {"OVERRIDES", "KEYS", "RUNS", "DEPLOYED", "HISTORY", "PROMOTED", *_PASSING}
    for kind, partition in sorted(partitions.items()):
        if kind not in known and not kind.startswith("RELEASE#"):
            for item in partition:
                made.not_understood(item, ValueError("no kind of item that this version knows"))
    return made.contents


def _partitions(items: Iterable[Item], environment: str) -> dict[str, list[Item]]:
    """Kind of an environment's items (`RUNS`, `RELEASE#r-1`) -> the items, by sort key."""
    found: dict[str, list[Item]] = {}
    for item in items:
        kind, _, rest = str(item["pk"]).partition("#")
        place, _, name = rest.partition("#")
        if place == environment:
            found.setdefault(f"{kind}#{name}" if name else kind, []).append(item)
    return {kind: sorted(partition, key=lambda item: str(item["sk"])) for kind, partition in found.items()}


class _Collected:
    """The contents while they are put together."""

    def __init__(self, period: AuditPeriod, keys: KeySet) -> None:
        self.period = period
        self._keys = keys
        self.contents = Contents()
        self._strange = 0

    def file(self, name: str, content: bytes, *items: Item) -> None:
        """Adds a file made of these items.

        Raises:
            ValueError: it cannot have such a name.
        """
        if not is_name(name) or name in self.contents.files:
            raise ValueError(f"no name of a file in an archive, or there twice: {name}")
        self.contents.files[name] = content
        for item in items:
            self.contents.records.setdefault(f"{item['pk']} {item['sk']}", []).append(name)

    def signed(self, name: str, payload: bytes, signatures: Mapping[str, bytes], kind: str, *items: Item) -> None:
        """Adds an envelope made of these items."""
        self.file(name, envelope_bytes(payload, signatures, kind), *items)

    def by_people(self, payload: bytes, offs: Iterable[StoredSignOff]) -> dict[str, bytes]:
        """Key id -> signature, of those that a trusted key of a role really made over the payload.

        Anybody who may write items can put others beside them; those are in `signatures.json` only.
        """
        return {
            off.key_id: off.signature
            for off in offs
            if (key := self._keys.keys.get(off.key_id)) is not None and key.role != GATE and key.verifies(payload, off.signature)
        }

    def not_understood(self, item: Item, error: Exception) -> None:
        """Adds an item as it is: nothing is left out because it could not be read."""
        self._strange += 1
        content = {"why": f"{type(error).__name__}: {error}", "item": _readable(item)}
        self.file(f"not-understood/{self._strange:06d}.json", _json(content), item)

    def rests_on(self, run_id: str, digest: str, by: str) -> None:
        """Notes that a record rests on the evidence of a run."""
        self.contents.evidence.setdefault(run_id, {}).setdefault(digest, by)

    def missing(self, what: str, named_by: str, why: str) -> None:
        """Notes what is named and not there."""
        self.contents.missing.append(Missing(what, named_by, why))


def _happened(item: Item, period: AuditPeriod) -> bool:
    """Whether an item of a release is of the period; one that does not tell when counts as one."""
    sk = str(item["sk"])
    try:
        if sk.startswith("WAIVER#"):
            return period.holds(read(StoredWaiver, item).waiver.issued_at)
        if sk.startswith("STATEMENT#"):
            return period.holds(_facts(bytes(item["payload"])).evaluated_at)
        if sk.startswith(("LOCK#", "PREPARED#")) or "part" in item:
            return False  # each belongs to an item that tells
        return any(period.holds(parse_iso(str(item[name]))) for name in _DATED if name in item)
    except (StateError, MalformedEnvelope, KeyError, TypeError, ValueError):
        return True


def _facts(payload: bytes) -> ReadinessFacts:
    return readiness_facts(read_statement(payload))


# --- a release ---------------------------------------------------------------------------------------------------------------


def _release(made: _Collected, name: str, partition: Sequence[Item], orders: Mapping[str, Override]) -> None:
    by_sk = {str(item["sk"]): item for item in partition}
    offs = [item for sk, item in by_sk.items() if sk.startswith("SIGN_OFF#")]
    for item in by_sk.values():
        try:
            _part(made, f"releases/{name}", item, by_sk, orders)
        except (StateError, MalformedEnvelope, KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
            made.not_understood(item, error)
    _signatures(made, f"releases/{name}", offs)


def _part(made: _Collected, folder: str, item: Item, by_sk: Mapping[str, Item], orders: Mapping[str, Override]) -> None:
    kind, _, rest = str(item["sk"]).partition("#")
    series, _, more = rest.partition("#")
    if kind == "CANDIDATE":
        candidate_in(item)
        made.file(f"{folder}/candidate.json", _json(_readable(item)), item)
    elif kind == "STATEMENT":
        _statement(made, f"{folder}/{series}", item, [off for sk, off in by_sk.items() if sk.startswith("SIGN_OFF#")])
    elif kind == "WAIVER":
        stored = read(StoredWaiver, item)
        made.signed(
            f"{folder}/waivers/{rest}.dsse.json",
            str(item["waiver"]).encode("ascii"),
            {stored.key_id: stored.signature},
            WAIVER_TYPE,
            item,
        )
    elif kind == "STATED" and not more:
        _stated(made, f"{folder}/{series}", item, by_sk)
    elif kind == "PROMOTION":
        _promotion(made, folder, item, orders)
    elif kind == "PREPARED":
        if f"PROMOTION#{rest}" not in by_sk:
            stored_decision = read(Prepared, item)
            place = f"{folder}/{series}/prepared{f'-{more}' if more else ''}"
            made.file(f"{place}/{OVERRIDE_FILE if more else READINESS_FILE}", stored_decision.readiness, item)
            made.file(f"{place}/{DECISION_FILE}", stored_decision.decision, item)
    elif kind not in ("SIGN_OFF", "LOCK", "STATED"):
        raise ValueError("no kind of item that this version knows")


def _statement(made: _Collected, folder: str, item: Item, offs: Sequence[Item]) -> None:
    stored = read(StoredStatement, item)
    said = _facts(stored.payload)
    over = []
    for off in offs:
        with suppress(StateError):  # `_signatures` says so
            over.append(read(StoredSignOff, off))
    signatures = {**made.by_people(stored.payload, over), stored.gate_key_id: stored.gate_signature}
    made.signed(f"{folder}/statement.dsse.json", stored.payload, signatures, PAYLOAD_TYPE, item)
    made.rests_on(said.run_id, said.evidence_digest, f"{folder}/statement.dsse.json")


_BEYOND = 10**6  # every series: it is six digits of a folder's name


def _signatures(made: _Collected, folder: str, offs: Sequence[Item]) -> None:
    """Who signed, as the state table says: a list for each series, and the overrides' own."""
    good = []
    for item in offs:
        try:
            stored = read(StoredSignOff, item)
        except StateError as error:
            made.not_understood(item, error)
            continue
        if 0 < stored.series < _BEYOND:
            good.append((stored, item))
        else:
            made.not_understood(item, ValueError(f"no series: {stored.series}"))
    for series, of_series in groupby(sorted(good, key=lambda each: each[0].series), key=lambda each: each[0].series):
        listed = list(of_series)
        content = _json([_readable(attributes(off)) for off, _ in listed])
        made.file(f"{folder}/{series:06d}/signatures.json", content, *(item for _, item in listed))


def _stated(made: _Collected, folder: str, item: Item, by_sk: Mapping[str, Item]) -> None:
    payload = document_in(item, lambda prefix: [each for sk, each in by_sk.items() if sk.startswith(prefix)])
    made.signed(f"{folder}/said.dsse.json", payload, {str(item["key_id"]): bytes(item["signature"])}, STATED_TYPE, item)
    document = json_value(payload)["document"]
    run_id, digest = document.get("run_id"), document.get("evidence_digest")
    if run_id and digest not in (None, NO_EVIDENCE):
        made.rests_on(str(run_id), str(digest), f"{folder}/said.dsse.json")


def _promotion(made: _Collected, folder: str, item: Item, orders: Mapping[str, Override]) -> None:
    record = promotion_in(item)
    _, series, *more = str(item["sk"]).split("#", 2)
    override = more[0] if more else ""
    release = Release(folder.removeprefix("releases/"), str(item["digest"]), str(item["pk"]).split("#")[1])
    order = orders.get(override)
    if override and order is None:
        raise ValueError("the state table has no such override")
    place = promotion_folder(release, int(series), override)
    statement = publication_statement(record, release, int(series), order)
    files = {
        OVERRIDE_FILE if override else READINESS_FILE: record.readiness_envelope.encode(),
        DECISION_FILE: record.decision_envelope.encode(),
        PUBLICATION_FILE: envelope_bytes(statement, {record.key_id: bytes.fromhex(record.signature)}),
    }
    for name, content in files.items():
        made.file(f"{place}/{name}", content, item)
    if not override:
        said = _facts(read_envelope(files[READINESS_FILE]).payload)
        made.rests_on(said.run_id, said.evidence_digest, f"{place}/{READINESS_FILE}")


# --- the environment's own partitions ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """An override, its item, and its signatures with theirs."""

    order: Override
    item: Item
    signed: list[tuple[StoredSignOff, Item]]


def _orders(made: _Collected, partition: Sequence[Item]) -> list[_Asked]:
    """The overrides that were ever asked for."""
    orders: dict[str, tuple[Override, Item]] = {}
    signatures: dict[str, list[tuple[StoredSignOff, Item]]] = {}
    for item in partition:
        name, marked, _ = str(item["sk"]).removeprefix("OVERRIDE#").partition("#SIGNATURE#")
        try:
            if marked:
                signatures.setdefault(name, []).append((read(StoredSignOff, item), item))
                continue
            order = stored_order(name, bytes(item["payload"]))
        except (StateError, KeyError, TypeError) as error:
            made.not_understood(item, error)
            continue
        if order is None or not is_name(name):
            made.not_understood(item, ValueError("it is no order"))
        else:
            orders[name] = order, item
    return [_Asked(order, item, signatures.get(name, [])) for name, (order, item) in sorted(orders.items())]


def _order(made: _Collected, asked: _Asked) -> None:
    folder = f"overrides/{asked.order.id}"
    signatures = made.by_people(asked.order.payload, (off for off, _ in asked.signed))
    made.signed(f"{folder}/{OVERRIDE_FILE}", asked.order.payload, signatures, PAYLOAD_TYPE, asked.item)
    content = _json([_readable(attributes(off)) for off, _ in asked.signed])
    made.file(f"{folder}/signatures.json", content, *(item for _, item in asked.signed))


#: Number, moment and envelope of an item in a numbered partition.
_Entry = tuple[int, datetime, bytes, str]


def _run_record(item: Item) -> _Entry:
    record = record_of(bytes(item["payload"]), str(item.get("key_id", "")), bytes(item.get("signature", b"")))
    signatures = {record.key_id: record.signature} if record.signature else {}
    return record.seq, record.found.ended_at, envelope_bytes(record.payload, signatures, RECORD_TYPE), record.found.run_id


def _observation(item: Item) -> _Entry:
    found = observation_of(bytes(item["payload"]), str(item["key_id"]), bytes(item["signature"]))
    envelope = envelope_bytes(found.payload, {found.key_id: found.signature}, OBSERVATION_TYPE)
    return found.number, found.seen.observed_at, envelope, ""


def _observed(partition: Iterable[Item], period: AuditPeriod, keys: KeySet) -> dict[str, Observation]:
    """File -> observation, of those of the period that the gate signed: what they name belongs to it, whenever published."""
    found = {}
    for item in partition:
        with suppress(KeyError, TypeError, ValueError):  # `_numbered` says so
            read_back = observation_of(bytes(item["payload"]), str(item["key_id"]), bytes(item["signature"]))
            if period.holds(read_back.seen.observed_at) and read_back.problem(keys) is None:
                found[_file_of("deployed", read_back.number)] = read_back.seen
    return found


def _promoted(partition: Iterable[Item], period: AuditPeriod) -> set[str]:
    """The releases whose promotion in the period is noted."""
    found = set()
    for item in partition:
        with suppress(ValueError):  # `_noted` says so
            at, name, _ = str(item["sk"]).removeprefix("AT#").split("#")
            if period.holds(parse_iso(at)):
                found.add(name)
    return found


def _file_of(folder: str, number: int) -> str:
    return f"{folder}/{number:09d}.dsse.json"


def _numbered(made: _Collected, folder: str, partition: Sequence[Item], entry_of: Callable[[Item], _Entry]) -> None:
    """The items of a partition that are numbered without a gap: those of the period, those that are named, and all in between."""
    entries: dict[int, tuple[_Entry, Item]] = {}
    for item in partition:
        try:
            entry = entry_of(item)
        except (KeyError, TypeError, ValueError) as error:
            made.not_understood(item, error)
        else:
            entries[entry[0]] = entry, item
    named = made.contents.evidence
    wanted = [number for number, ((_, at, _, run_id), _) in entries.items() if made.period.holds(at) or run_id in named]
    if not wanted:
        return
    for number in range(min(wanted), max(wanted) + 1):
        name = _file_of(folder, number)
        if number in entries:
            (_, _, envelope, _), item = entries[number]
            made.file(name, envelope, item)
        else:
            made.missing(name, f"the numbers of {folder}", "the state table has no such record")


def _acceptance(made: _Collected, item: Item) -> None:
    try:
        found = acceptance_of(bytes(item["payload"]))
        if made.period.holds(found.at):
            signatures = {str(item["key_id"]): bytes(item["signature"])}
            made.signed(f"acceptances/{found.id}.dsse.json", bytes(item["payload"]), signatures, ACCEPTANCE_TYPE, item)
    except (KeyError, TypeError, ValueError) as error:
        made.not_understood(item, error)


def _noted(made: _Collected, item: Item, partitions: Mapping[str, Sequence[Item]]) -> None:
    """A promotion that is noted must be recorded."""
    try:
        at, name, series = str(item["sk"]).removeprefix("AT#").split("#")
        if not made.period.holds(parse_iso(at)):
            return
        there = any(str(each["sk"]) == slot("PROMOTION", int(series)) for each in partitions.get(f"RELEASE#{name}", ()))
    except ValueError as error:
        made.not_understood(item, error)
        return
    if not there:
        made.missing(
            f"the promotion of {name}, series {int(series)}", f"{item['pk']} {item['sk']}", "the state table has no record of it"
        )


def manifest_of(
    contents: Contents, digests: Mapping[str, str], *, environment: str, period: AuditPeriod, made_at: datetime, version: str
) -> bytes:
    """The manifest: digests of all files but itself, from which items they were made, what is missing."""
    return _json(
        {
            "schema": "phase5.audit-archive/v1",
            "environment": environment,
            "from": iso(period.begins),
            "to": iso(period.ends),
            "made_at": iso(made_at),
            "made_by": f"phase5-ops {version}",
            "files": dict(digests),
            "records": contents.records,
            "missing": [{"what": each.what, "named_by": each.named_by, "why": each.why} for each in contents.missing],
        }
    )


def _readable(item: Item) -> dict[str, Any]:
    """An item as JSON values, bytes in base64."""
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever an item holds
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | bool | int | None) else str(value)


def _json(content: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def envelopes(files: Mapping[str, bytes]) -> Iterator[str]:
    """The files that are envelopes."""
    return (name for name in files if name.endswith(".dsse.json"))
