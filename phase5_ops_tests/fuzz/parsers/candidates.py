"""What anybody may post as a registration, and the items of the state table."""

import json
from functools import cache

from phase5_ops.gate.candidates.registration import NotARegistration, registration
from phase5_ops.gate.state.items import (
    Candidate,
    Fate,
    Lock,
    MalformedItem,
    Noted,
    PinnedKeys,
    Prepared,
    StoredSignOff,
    StoredStatement,
    StoredWaiver,
    candidate_in,
    candidate_item,
    noted_release_in,
    promotion_in,
    read,
)
from phase5_ops.gate.state.large_items import packed, unpacked
from phase5_ops.gate.state.notice_box import _watched
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE

READS = "events of the asset release_candidate, items of the state table (`gate/candidates/registration`, `gate/state/items`)"
MALFORMED = "`NotARegistration` with the reason; `MalformedItem` that names the item: nothing is decided from it"

METADATA = {"digest": DIGEST, "by": "pipeline", "abort": False, "supersede": "true", "context/pipeline_execution_id": "e-1"}
AT = "2026-11-23T12:00:00.000Z"
KEYED = {"pk": "p", "sk": "AT#2026-11-23T12:00:00.000Z#r-1.2.3#1"}
ITEMS = (
    (Lock, {**KEYED, "holder": "run", "taken_at": AT, "idempotency_key": "k"}),
    (StoredStatement, {**KEYED, "payload": b"{}", "gate_signature": b"s", "gate_key_id": "k"}),
    (PinnedKeys, {**KEYED, "present": {"gate": "k"}, "pinned_at": AT, "revoked": {"j": "gate"}}),
    (StoredWaiver, {**KEYED, "waiver": '{"id": "w"}', "key_id": "k", "signature": b"s"}),
    (Prepared, {**KEYED, "readiness": b"r", "decision": b"d"}),
    (Noted, {**KEYED, "name": "r-1", "digest": DIGEST, "waived": [["1.2", "c", "s"]]}),
    (
        StoredSignOff,
        {**KEYED, "id": "i", "role": "ops-sre", "release_digest": DIGEST, "series": 1, "statement_digest": DIGEST, "key_id": "k"}
        | {"kms_key": "a", "signature": b"s", "identity": "ann", "session": "s", "request_id": "r", "signed_at": AT},
    ),
)
NOTICES = {"pk": "n", "sk": "RUNS", "version": 1, "seen": '{"over": false}', "due": "[]", "leased_until": "", "holder": ""}


@cache
def _candidate() -> dict:
    return candidate_item(Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW, "pipeline", context={"a": "b"}))


def fuzz(data: bytes) -> None:
    """Reads altered registrations and items."""
    source = Source(data)
    _register(source, sound=not data)
    readers = (candidate_in, promotion_in, noted_release_in, _watched, unpacked)
    for kind, item in ITEMS if not data else (source.one_of(ITEMS),):
        _read(lambda altered, kind=kind: read(kind, altered), source.changed(item), MalformedItem)
    large = packed({**KEYED, "payload": "x" * 500_000})
    large["packed_attributes"] = source.spliced_bytes(large["packed_attributes"])
    for each, item in zip(readers, (_candidate(), {"promoted_at": AT}, ITEMS[5][1], NOTICES, large), strict=True):
        altered = source.changed(item)
        if source.chance(3):
            altered = {**item, source.one_of(sorted(item)): source.one_of(("[" * 2000, '{"a":' * 950, "[]", "{}", "NaN", "null"))}
        _read(each, altered, ValueError if each is unpacked else MalformedItem)


def _read(reader: object, item: object, error_type: type[Exception]) -> None:
    if not isinstance(item, dict) or not {"pk", "sk"} <= {*item, "pk", "sk"}:
        return
    try:
        reader({**KEYED, **item})
    except error_type as error:
        assert str(error), "does not say why"


def _register(source: Source, *, sound: bool) -> None:
    metadata = source.changed(METADATA)
    name = source.one_of(("r-1.2.3", None, "..", "a" * 65, source.text()))
    try:
        found = registration(name, metadata if isinstance(metadata, dict) else {}, "production", NOW)
    except NotARegistration as error:
        assert not sound, f"the sound registration is refused: {error}"
        assert str(error).isprintable(), "the reason is not printable"
        assert len(str(error)) < 500, "the reason is long"
        return
    assert found.release.name == name, "another release"
    json.dumps([found.by, dict(found.context)]).encode()
    assert found.by.isprintable(), "not printable"
