"""What the gate last said of a candidate: its readiness document, signed with the gate's key, kept in the state table.

Whoever asks about a candidate, on whatever machine, is shown this document and its age, not a guess from the evidence and the
Dagster records of their own machine. The sensor writes it whenever its content has changed, and again after `RESTATED_AFTER`, so
that a stopped sensor is noticed: for a candidate that is still open, a document older than `SILENT_AFTER` no longer counts, nor
does one that is more than `AHEAD_AT_MOST` from the future, since a wrong clock would keep it fresh for as long as it is wrong.

    pk                              sk                              what
    RELEASE#<environment>#<name>    STATED#<series>                 the newest document of a series: packed bytes, or their digest
    RELEASE#<environment>#<name>    STATED#<series>#<digest>#<n>    a part of what does not fit in one item

The signature is over the bytes before they are packed, under a type of its own. What must not live here: how a document is made,
and what is concluded from it.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.clock import iso, parse_iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.envelopes import STATED_TYPE, MalformedEnvelope, canonical_json, strict_json
from phase5_ops.gate.attestation.keys import GATE, KeySet
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Written, newer_version, release_pk, slot
from phase5_ops.gate.state.table import StateTable

SCHEMA = "phase5.stated/v1"

RESTATED_AFTER = timedelta(minutes=5)
SILENT_AFTER = timedelta(minutes=15)
AHEAD_AT_MOST = timedelta(minutes=5)

Sign = Callable[[bytes], tuple[str, bytes]]  # payload -> key id, signature

_PART = 350_000  # bytes of an item, which may have 409,600 with its names
_MOST_PARTS = 64
_LARGEST = 256_000_000  # bytes of a document before it is packed


class NotStated(Exception):
    """There is no document of the candidate that can be shown; the message says why, and what is needed."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What the gate said of a series.

    Attributes:
        release: name, digest, environment.
        series: of the candidate.
        at: when it was said.
        document: the readiness document as JSON values.
    """

    release: Release
    series: int
    at: datetime
    document: Mapping[str, Any]

    @property
    def payload(self) -> bytes:
        """The bytes that are signed."""
        return canonical_json(
            {
                "schema": SCHEMA,
                "environment": self.release.environment,
                "release": self.release.name,
                "digest": self.release.digest,
                "series": self.series,
                "stated_at": iso(self.at),
                "document": self.document,
            }
        )


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it stands in the table. Nothing of it is trusted before `verified`.

    Attributes:
        payload, key_id, signature: the bytes, and the gate's signature over them.
    """

    payload: bytes
    key_id: str
    signature: bytes


class StatedDocuments(StateTable):
    """The part of the state table that holds what the gate said of candidates."""

    def newest(self, release: Release, series: int) -> StoredDocument | None:
        """The newest document of a series; None where none was written.

        Raises:
            StateError: the table does not answer.
            NotStated: what is there cannot be put together.
        """
        item = self._get(release_pk(release), slot("STATED", series))
        if item is None:
            return None
        try:
            payload = document_in(item, lambda prefix: self._query(release_pk(release), prefix))
            return StoredDocument(payload, str(item["key_id"]), bytes(item["signature"]))
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            why = newer_version(item) or error
            raise NotStated(
                f"what the state table holds as the gate's document of {release.name} cannot be read ({why});"
                " the next tick of promotion_gate writes it anew"
            ) from error

    def said(self, release: Release, series: int, keys: KeySet) -> Stated:
        """What the gate said last of a series.

        Raises:
            StateError: the table does not answer.
            NotStated: it said nothing that can be trusted.
        """
        return verified(self.newest(release, series), keys, release, series)

    def write(self, stated: Stated, sign: Sign) -> Written:
        """Signs and writes a document; refused where a later one is there already, unless that is from the future.

        Raises:
            StateError: the table does not answer, or the document is larger than it takes.
            SigningError, KeysError: the gate's key does not sign.
        """
        payload = stated.payload
        key_id, signature = sign(payload)
        packed, pk, sk = zlib.compress(payload, 9), release_pk(stated.release), slot("STATED", stated.series)
        item: dict[str, Any] = {"pk": pk, "sk": sk, "stated_at": iso(stated.at), "key_id": key_id, "signature": signature}
        if len(packed) <= _PART:
            item["packed"] = packed
        else:
            digest = sha256_of(packed)
            parts = [packed[start : start + _PART] for start in range(0, len(packed), _PART)]
            for number, part in enumerate(parts[:_MOST_PARTS]):  # one that is cut does not unpack, and is never shown
                self._put({"pk": pk, "sk": f"{sk}#{digest}#{number:03d}", "part": part}, "attribute_not_exists(pk)")
            item |= {"parts": min(len(parts), _MOST_PARTS), "digest": digest}
        condition = "attribute_not_exists(pk) OR #stated_at <= :now OR #stated_at > :ahead"
        return self._put(item, condition, {"now": iso(stated.at), "ahead": iso(stated.at + AHEAD_AT_MOST)})


def verified(stored: StoredDocument | None, keys: KeySet, release: Release, series: int) -> Stated:
    """What the gate said, if the gate signed it and it is about this very series.

    Raises:
        NotStated: nothing was said, or it cannot be trusted.
    """
    about = f"{release.name} in {release.environment}, series {series}"
    if stored is None:
        raise NotStated(
            f"the gate has said nothing of {about} yet: its sensor promotion_gate writes a document at each tick;"
            " check that Dagster's daemon runs on the gate's machine and that the sensor is on"
        )
    key = keys.keys.get(stored.key_id)
    good = key is not None and key.role == GATE and key.verifies(stored.payload, stored.signature, STATED_TYPE)
    if key is None or not good:
        raise NotStated(f"the document of {about} is not signed by the gate's key: find out who wrote it to the state table")
    try:
        stated = _stated(strict_json(stored.payload))
    except (MalformedEnvelope, KeyError, TypeError, ValueError) as error:
        raise NotStated(f"the document of {about} cannot be read: {error}") from error
    if (stated.release, stated.series) != (release, series):
        raise NotStated(f"the document that stands for {about} is about {stated.release.name}, series {stated.series}")
    if key.revoked_at is not None and stated.at >= key.revoked_at:
        raise NotStated(f"the document of {about} was signed with a key of the gate that was revoked at {iso(key.revoked_at)}")
    return stated


def _stated(content: Any) -> Stated:  # noqa: ANN401 - any JSON value
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']!r}")
    release = Release(content["release"], content["digest"], content["environment"])
    return Stated(release, int(content["series"]), parse_iso(content["stated_at"]), dict(content["document"]))


def mark_of(document: Mapping[str, Any]) -> str:
    """A digest of what a document says; ages, times and wordings that change from one look to the next are left out."""
    rows = [
        [row["id"], row["verdict"], row["waived"], sorted([found["code"], found["subject"]] for found in row["findings"])]
        for row in (*document["rows"], *document["extra_checks"])
    ]
    said = {name: document[name] for name in ("decision", "exit_code", "run_id", "evidence_digest", "policy_digest", "sign_offs")}
    waivers = [[each["id"], each["in_force"], each["used"]] for each in document["waivers"]]
    about = {**said, "rows": rows, "waivers": waivers, "candidate": document["candidate"], "blockers": len(document["blockers"])}
    return sha256_of(json.dumps(about, sort_keys=True).encode())


def document_in(item: Mapping[str, Any], beginning_with: Callable[[str], Sequence[Mapping[str, Any]]]) -> bytes:
    """The bytes of a document that was written as this item; a decompression bomb ends at the largest size allowed.

    Args:
        item: the item of a series.
        beginning_with: gives the items of the same partition whose sort key begins so, in order.

    Raises:
        KeyError, ValueError, zlib.error: it is not whole, or no such item.
    """
    if "packed" in item:
        packed = bytes(item["packed"])
    else:
        found = beginning_with(f"{item['sk']}#{item['digest']}#")
        packed = b"".join(bytes(each["part"]) for each in found)
        if len(found) != int(item["parts"]) or sha256_of(packed) != item["digest"]:
            raise ValueError("parts of it are missing or changed")
    unpacking = zlib.decompressobj()
    payload = unpacking.decompress(packed, _LARGEST)
    if not unpacking.eof:
        raise ValueError("it is not whole")
    return payload
